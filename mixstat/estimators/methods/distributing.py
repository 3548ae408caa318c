"""Distributing: the predictive distribution of the response, its quantiles, residuals and proper scores."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.moments import is_survival
from mixstat.estimators.methods.predictive import (
    Observed,
    drawn_coefficients,
    in_parts,
    observe_distribution,
    predict_averaged,
    predict_distribution,
)
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.model.checks import boolean, integer
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.random import generator
from mixstat.exceptions import OptionError
from mixstat.inference.crps import crps
from mixstat.inference.distribution import Predictive
from mixstat.results import residual_plots

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted


class Distributing:
    """Methods on F(y | x) = sum_k pi_k(x) F_k(y | x), extra classes included: a distribution for every row of X.

    They need one numeric response; of several (`Joint`) name one, `response="y"`, which is then taken by itself. A
    grouped binomial is on the scale of successes, out of the trials in X (one trial where X does not have them).

    Rows of growth curves are occasions: random coefficients are integrated out, and "earlier" is by time.
    """

    fitted_: "Fitted"

    def cdf(self, X: Any, y: Any = None, *, weights: str = "gate", response: str | None = None) -> np.ndarray:
        """P(Y <= y | x) at the observed response, (row,).

        weights : "gate" before anything of the unit is seen; "responsibilities" given the unit's whole response;
            "sequential" given the earlier rows of the unit, in the order of X (no difference where rows are units).
        """
        predictive, y = self._observed(X, y, response, weights)
        return predictive.cdf(y)

    def quantile(self, X: Any, q: Any = 0.5, *, response: str | None = None) -> np.ndarray:
        """The smallest y with P(Y <= y | x) >= q: (row,) for a number q, (row, q) for several; 0 < q < 1."""
        levels = _numbers(q)
        if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
            raise OptionError(f"q must be a number between 0 and 1, such as 0.5, or several of them, got {q!r}")
        values = self._predictive(X, response).quantile(np.atleast_1d(levels)).T
        return values if levels.ndim else values[:, 0]

    def prediction_interval(
        self,
        X: Any,
        level: float = 0.95,
        *,
        response: str | None = None,
        estimation: bool = False,
        draws: int = 200,
        random_state: Any = None,
    ) -> pd.DataFrame:
        """Equal-tailed intervals of a new response: columns lower, upper.

        estimation : whether they allow for the error of the estimates, which matters in small samples. Without it they
            are those at the estimates; with it those of the predictive distribution averaged over `draws` (in pairs,
            mirrored at the estimate) from the estimates' normal distribution, Normal(estimate, covariance()) of the
            parameters that the fit moves (log of a scale), so that the time it takes grows with `draws`.
        """
        tail = 0.5 * (1.0 - checked(level))
        ends = np.array([tail, 1.0 - tail])
        if not boolean("estimation", estimation):
            found = self._predictive(X, response).quantile(ends)
        else:
            phi = drawn_coefficients(self, integer("draws", draws, 2), generator(random_state))
            table = self._new_table(X, None)  # type: ignore[attr-defined]
            found = in_parts(predict_averaged(self.fitted_, table, response, phi), ends)
        return pd.DataFrame(found.T, columns=["lower", "upper"])

    def conditional_density(self, X: Any, values: Any, *, response: str | None = None) -> np.ndarray:
        """f(value | x) of each row on a grid of response values, (row, value).

        Zero outside the support; probabilities for counts and at the value of a point mass.
        """
        grid = _numbers(values)
        if grid.ndim != 1 or not np.isfinite(grid).all():
            raise OptionError(f"values must be finite numbers in one dimension, such as [0, 1, 2], got {values!r}")
        predictive = self._predictive(X, response)
        return np.exp(predictive.log_density(np.repeat(grid[:, None], predictive.rows, axis=1))).T

    def quantile_residuals(
        self, X: Any, y: Any = None, *, random_state: Any = None, response: str | None = None
    ) -> np.ndarray:
        """Randomised quantile residuals (Dunn and Smyth, 1996), (row,): independent N(0, 1) if the model is true.

        r = Phi^-1(u), u = P(Y <= y); where the distribution jumps, u is uniform between P(Y < y) and P(Y <= y). Rows
        of a unit share their class, so each is taken given the unit's earlier rows, in the order of X
        (`weights="sequential"`; Rosenblatt, 1952, Annals of Mathematical Statistics 23).
        """
        check_is_fitted(self, "fitted_")
        return self._residuals(self._new_table(X, y), random_state, response)  # type: ignore[attr-defined]

    def scores(self, X: Any, y: Any = None, *, response: str | None = None) -> pd.DataFrame:
        """Proper scores of every row, lower is better: log_score (-log f(y)) and crps (on the response's scale).

        Rows of a unit are scored given the unit's earlier rows (prequentially), so that log scores of a unit add up to
        minus its log-likelihood. Reference: Gneiting and Raftery (2007), JASA 102.
        """
        if is_survival(self.fitted_):
            raise OptionError("scores() is for responses seen exactly; of survival times see survival_scores()")
        predictive, y = self._observed(X, y, response, "sequential")
        return pd.DataFrame({"log_score": -predictive.log_density(y), "crps": crps(predictive, y)})

    def plot_qq(
        self, X: Any = None, y: Any = None, *, random_state: Any = None, response: str | None = None, ax: Any = None
    ) -> Any:
        """Normal quantile plot of the quantile residuals of X (None: of the fit), with a pointwise envelope."""
        return residual_plots.qq_plot(self._residuals_of(X, y, random_state, response), ax=ax)

    def plot_worm(
        self, X: Any = None, y: Any = None, *, random_state: Any = None, response: str | None = None, ax: Any = None
    ) -> Any:
        """Worm plot of the quantile residuals of X (None: of the fit): the quantile plot less its diagonal."""
        return residual_plots.worm_plot(self._residuals_of(X, y, random_state, response), ax=ax)

    def _residuals_of(self, X: Any, y: Any, random_state: Any, response: str | None) -> np.ndarray:
        """Quantile residuals of new rows, or of the rows of the fit that have a response."""
        check_is_fitted(self, "fitted_")
        (table, rows), seen = rows_of(self, X, y), self.fitted_.sample.seen
        rows = rows if rows is None or seen is None else rows[seen]
        return self._residuals(restricted(table, rows), random_state, response)

    def _residuals(self, table: Any, random_state: Any, response: str | None) -> np.ndarray:
        if is_survival(self.fitted_):
            return self.survival_residuals(  # type: ignore[attr-defined]
                table, "quantile", random_state=random_state
            )
        rng = generator(random_state)
        predictive, y = observe_distribution(self.fitted_, table, response, "sequential")
        return predictive.residual(y, rng.random(len(y)))

    def _predictive(self, X: Any, response: str | None) -> Predictive:
        check_is_fitted(self, "fitted_")
        return predict_distribution(self.fitted_, self._new_table(X, None), response)  # type: ignore[attr-defined]

    def _observed(self, X: Any, y: Any, response: str | None, weights: str) -> Observed:
        check_is_fitted(self, "fitted_")
        table = self._new_table(X, y)  # type: ignore[attr-defined]
        return observe_distribution(self.fitted_, table, response, weights)


def _numbers(values: Any) -> np.ndarray:
    """Float64, or one NaN where they are no numbers."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)
