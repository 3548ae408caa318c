"""Resampling: the weighted bootstrap of a fit, and what its draws say."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice, integer
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.random import generator
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.progress import counting
from mixstat.inference.bootstrap import WEIGHTS, Replicates, bootstrap, draw_weights
from mixstat.inference.bootstrap_intervals import INTERVALS, accelerations, ends
from mixstat.results.tables import label_columns, standard_errors

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Problem
    from mixstat.results.labels import Label


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
    acceleration : array (coefficient,)
        How an estimate's standard error changes with it, from the skewness of the units' (clusters') influence.
    weights : "multinomial" or "exponential"
    """

    def __init__(
        self,
        labels: "list[Label]",
        estimate: np.ndarray,
        theta: np.ndarray,
        replicates: Replicates,
        *,
        acceleration: np.ndarray,
        weights: str,
    ):
        self.labels, self.estimate, self.theta = labels, estimate, theta
        self.acceleration, self.weights = acceleration, weights
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

    def tidy(self, level: float = 0.95, interval: str | None = None) -> pd.DataFrame:
        """Coefficients with the bootstrap's standard errors, bias and intervals.

        interval : "bca", bias-corrected and accelerated (Efron, 1987, Journal of the American Statistical Association
            82); "percentile"; "basic" (2 estimate - quantiles); "normal" (estimate +- z standard errors). None is "bca"
            after multinomial weights, and "percentile" after exponential ones, whose skewness "bca" does not fit.

        Where an estimate is biased, as log sigma is in small samples, draws lie as far below it as it lies below the
        truth, so that percentiles are off twice; "bca" takes that back. A coefficient with all draws on one side of
        its estimate has no such interval: a warning names it, its ends are NaN.
        """
        used = self.theta[self.converged]
        kind = self._kind(interval)
        low, high = ends(kind, used, self.estimate, acceleration=self.acceleration, level=checked(level))
        if kind == "bca":
            self._warn(np.isnan(low))
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

    def _kind(self, interval: str | None) -> str:
        if interval is None:
            return "percentile" if self.weights == "exponential" else "bca"
        if choice("interval", interval, INTERVALS) == "bca" and self.weights == "exponential":
            raise OptionError("interval='bca' needs weights='multinomial'; exponential ones have 'percentile'")
        return interval

    def _warn(self, missing: np.ndarray) -> None:
        names = [label.name for label, none in zip(self.labels, missing, strict=True) if none]
        if names:
            warnings.warn(
                f"all draws lie on one side of the estimate, which leaves no bca interval, for: {', '.join(names)}; "
                "draw more replicates, or use interval='percentile'",
                UserWarning,
                stacklevel=3,
            )


class Resampling:
    """Methods that refit with other weights."""

    fitted_: "Fitted"
    _problem: "Problem"
    verbose: int

    def bootstrap(self, replicates: int = 999, *, weights: str = "multinomial", random_state: Any = None) -> Bootstrap:
        """Weighted bootstrap: every replicate reweights the units (clusters, if `cluster=` was given) and refits from
        the estimate; nothing compiles again, classes keep their numbers.

        replicates : 200 are enough for standard errors. An end of a 95% "bca" interval varies from run to run by about
            0.3 standard errors with 199 replicates, by 0.13 with 999; coverage is nearly the same.
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
        influence = report.to_user_influence(self.fitted_, self._influence(sample.cluster))  # type: ignore[attr-defined]
        labels, acceleration = report.labels_of(self.fitted_), accelerations(influence)
        return Bootstrap(labels, self.fitted_.theta, theta, found, acceleration=acceleration, weights=weights)
