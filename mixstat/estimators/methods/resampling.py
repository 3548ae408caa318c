"""Resampling: the weighted bootstrap of a fit, and what its draws say."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice, integer
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.random import generator
from mixstat.exceptions import DataError
from mixstat.fit.progress import counting
from mixstat.inference.bootstrap import WEIGHTS, Replicates, bootstrap, draw_weights
from mixstat.results.tables import label_columns, standard_errors

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Problem
    from mixstat.results.labels import Label

INTERVALS = ("percentile", "basic", "normal")


class Bootstrap:
    """Draws of a weighted bootstrap.

    Attributes
    ----------
    theta : array (replicate, coefficient)
        Estimates on the user's scale, in the order of `covariance()`, classes numbered as in the fit.
    log_likelihood, converged, relabelled : array (replicate,)
        Of the replicate's own weights; whether it converged; whether its classes had to change places.
    covariance : array (coefficient, coefficient)
        Of the converged replicates.
    """

    def __init__(self, labels: "list[Label]", estimate: np.ndarray, theta: np.ndarray, replicates: Replicates):
        self.labels, self.estimate, self.theta = labels, estimate, theta
        self.log_likelihood = replicates.log_likelihood
        self.converged, self.relabelled = replicates.converged, replicates.relabelled
        used = theta[self.converged]
        self.covariance = (
            np.cov(used.T).reshape(len(labels), -1) if len(used) > 1 else np.full((len(labels),) * 2, np.nan)
        )

    def __repr__(self) -> str:
        return (
            f"Bootstrap of {len(self.theta)} replicates: {int((~self.converged).sum())} did not converge (left out of "
            f"intervals), {int(self.relabelled.sum())} relabelled"
        )

    def tidy(self, level: float = 0.95, interval: str = "percentile") -> pd.DataFrame:
        """Coefficients with the bootstrap's standard errors, bias and intervals.

        interval : "percentile"; "basic" (2 estimate - quantiles); "normal" (estimate +- z standard errors).
        """
        low, high = self._ends(checked(level), choice("interval", interval, INTERVALS))
        used = self.theta[self.converged]
        return pd.DataFrame(
            label_columns(self.labels)
            | {
                "estimate": self.estimate,
                "std_error": standard_errors(self.covariance),
                "bias": used.mean(axis=0) - self.estimate,
                "conf_low": low,
                "conf_high": high,
            }
        )

    def _ends(self, level: float, interval: str) -> tuple[np.ndarray, np.ndarray]:
        used = self.theta[self.converged]
        if interval == "normal":
            half = norm.ppf(0.5 + level / 2) * standard_errors(self.covariance)
            return self.estimate - half, self.estimate + half
        low, high = np.quantile(used, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return (low, high) if interval == "percentile" else (2 * self.estimate - high, 2 * self.estimate - low)


class Resampling:
    """Methods that refit with other weights."""

    fitted_: "Fitted"
    _problem: "Problem"
    verbose: int

    def bootstrap(self, replicates: int = 200, *, weights: str = "multinomial", random_state: Any = None) -> Bootstrap:
        """Weighted bootstrap: every replicate reweights the units (clusters, if `cluster=` was given) and refits from
        the estimate; nothing compiles again, classes keep their numbers.

        weights : "multinomial" (Efron's bootstrap) or "exponential" (the Bayesian bootstrap: every unit stays in).

        Shows progress, and can be interrupted: what is done is returned. Needs the training data.
        """
        check_is_fitted(self, "fitted_")
        if not hasattr(self, "_problem"):
            raise DataError("bootstrap() needs the training data, which a saved model does not hold; refit")
        count = integer("replicates", replicates, 2)
        sample = self.fitted_.sample
        drawn = draw_weights(
            generator(random_state), sample.weight, sample.cluster, choice("weights", weights, WEIGHTS)
        )
        with counting("bootstrap", count, silent=not self.verbose) as advance:
            found = bootstrap(self._problem, self.fitted_.solution.theta, drawn, count, advance=advance)
        if not found.converged.any():
            raise DataError("no replicate of the bootstrap converged; the model is too weakly identified for it")
        theta = report.to_user_coefficients(self.fitted_, found.theta)
        return Bootstrap(report.labels_of(self.fitted_), self.fitted_.theta, theta, found)
