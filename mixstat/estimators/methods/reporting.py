"""Reporting: coefficients, covariances, criteria and the summary of a fitted estimator."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.checks import level as checked
from mixstat.exceptions import DataError
from mixstat.fit.scores import weighted_scores
from mixstat.inference import information
from mixstat.results.summary import Summary

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Problem


COVARIANCES = ("information", "robust", "cluster")


class Reporting:
    """Methods that read a fit."""

    fitted_: "Fitted"
    _problem: "Problem"

    def covariance(self, kind: str | None = None) -> np.ndarray:
        """Covariance of the estimates (parameter, parameter), in the order of `tidy()` where all have an error.

        kind: "information" (inverse observed information), "robust" (sandwich), "cluster" (scores summed within
        the `cluster` column). NaN for parameters without a standard error. None, here and wherever a kind is asked
        for, is "robust" for growth curves with random knots or rates, whose likelihood is that of an expansion, else
        "information".

        Sandwiches have no small-sample factor, as statsmodels' HC0. Stata's `vce(robust)` is n / (n - 1) times it,
        its `vce(cluster)` and R's `sandwich::vcovCL` G / (G - 1) times it, with G clusters.
        """
        return report.to_user_scale(self.fitted_, self._inner_covariance(kind))

    def _inner_covariance(self, kind: str | None) -> np.ndarray:
        """Of the standardised parameters that a fit moves."""
        check_is_fitted(self, "fitted_")
        if self.fitted_.solution.certificate is not None:
            return np.full((len(self.fitted_.theta),) * 2, np.nan)
        if choice("kind", kind or report.usual_covariance(self.fitted_), COVARIANCES) == "information":
            found = information.information_covariance(self._information())
        else:
            found = self._sandwich("robust" if kind is None else kind)
        return report.given_zeros(self.fitted_, found)

    def _sandwich(self, kind: str) -> np.ndarray:
        products = self.fitted_.solution.products
        if kind == "robust" and products is not None:
            return information.from_products(self._information(), products)
        if not hasattr(self, "_problem"):
            raise DataError("robust covariances need the training data, which a saved model does not hold; refit")
        if kind == "cluster" and self.fitted_.sample.cluster is None:
            raise DataError("covariance('cluster') needs cluster= (a column name) when the model is constructed")
        cluster = self.fitted_.sample.cluster if kind == "cluster" else None
        codes = None if cluster is None else report.cluster_places(self._problem, cluster)
        return information.sandwich(self._problem, self.fitted_.solution.theta, self._information(), codes)

    def _influence(self, cluster: np.ndarray | None) -> np.ndarray:
        """Of each unit or cluster on the standardised parameters, (theta, unit)."""
        scores = weighted_scores(self._problem, self.fitted_.solution.theta)
        codes = None if cluster is None else report.cluster_places(self._problem, cluster)
        return information.influence(self._information(), scores, codes)

    def _information(self) -> np.ndarray:
        """Observed information of the standardised parameters; after EM alone it is computed when asked for."""
        known = self.fitted_.solution.information
        if known is None:
            if not hasattr(self, "_problem"):
                raise DataError("standard errors after algorithm='em' need the training data, which is gone; refit")
            known = information.information_at(self._problem, self.fitted_.solution.theta)
            known = known * np.outer(~report.zeroed(self.fitted_), ~report.zeroed(self.fitted_))
            self.fitted_ = self.fitted_._replace(solution=self.fitted_.solution._replace(information=known))
        return known

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Coefficients with standard errors, Wald statistics and intervals, one row an estimated parameter."""
        return report.coefficient_table(self.fitted_, self.covariance(), checked(level))

    def confint(self, level: float = 0.95, kind: str | None = None) -> pd.DataFrame:
        """Wald intervals: expert, parameter, term, conf_low, conf_high."""
        table = report.coefficient_table(self.fitted_, self.covariance(kind), checked(level))
        return table[["expert", "parameter", "term", "conf_low", "conf_high"]]

    def glance(self) -> pd.DataFrame:
        """The fit in one row: sizes, log-likelihood, criteria, entropy."""
        check_is_fitted(self, "fitted_")
        return report.glance(self.fitted_)

    def summary(self, level: float = 0.95) -> Summary:
        """Text (print it) and HTML (show it in a notebook)."""
        return report.summarize(self.fitted_, self.tidy(level), type(self).__name__)

    def _criterion(self, name: str) -> float:
        check_is_fitted(self, "fitted_")
        return float(report.facts_of(self.fitted_)[name])

    def aic(self) -> float:
        """-2 ll + 2 k."""
        return self._criterion("aic")

    def bic(self) -> float:
        """-2 ll + k log(n_units_)."""
        return self._criterion("bic")

    def sabic(self) -> float:
        """-2 ll + k log((n_units_ + 2) / 24)."""
        return self._criterion("sabic")

    def caic(self) -> float:
        """-2 ll + k (log(n_units_) + 1)."""
        return self._criterion("caic")

    def icl(self) -> float:
        """BIC - 2 sum r log r."""
        return self._criterion("icl")

    def entropy(self) -> float:
        """Relative entropy: 1 where classes are told apart with certainty."""
        return self._criterion("entropy")
