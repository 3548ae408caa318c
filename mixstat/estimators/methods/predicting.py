"""Predicting: means, densities, class probabilities and simulation from a fitted estimator."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from mixstat.core.family import Family
from mixstat.estimators.methods.growing import predicted_over_time, predicted_subjects
from mixstat.estimators.methods.moments import is_survival
from mixstat.estimators.methods.over_time import require_growth
from mixstat.estimators.model import new_data, outputs
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.plan import checked_family
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.units import check_weight
from mixstat.exceptions import CrossingWarning, DataError, OptionError
from mixstat.fit import crossing
from mixstat.formula.frame import Table
from mixstat.inference.prediction import UnitPosterior

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

OVER_TIME = ("survival", "hazard", "cumulative_hazard")
KINDS = ("mean", "expert_mean", "subject", "density", "log_density", *OVER_TIME)
WEIGHTS = ("gate", "responsibilities")
ROUNDING = 1e-12
"""Of probabilities."""


def family_of(estimator: Any) -> Family:
    """The family of the first expert's first outcome."""
    return checked_family(estimator._representative().family)


def is_categorical(estimator: Any) -> bool:
    """Whether the response is categorical, so that `predict` gives labels."""
    return family_of(estimator).coded


class Predicting:
    """Methods that apply a fit to rows. Numpy comes out; rows with missing values are an error."""

    fitted_: "Fitted"
    _predict_curves: Callable[[Any, Any, str], np.ndarray]

    def _representative(self) -> Any:
        """The first outcome of the first expert."""
        raise NotImplementedError

    def _table(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, str | None]:
        """(one table of X and y, the formula made for arrays or None)."""
        raise NotImplementedError

    def predict(self, X: Any, y: Any = None, *, kind: str = "mean", weights: str = "gate", times: Any = None) -> Any:
        """Predict for every row of X.

        kind : "mean" E[y | x] (labels of the most probable category for a categorical response); "expert_mean"
            E[y | x, class], classes last, extra blocks after the experts; "density" and "log_density" of the
            observed response, one a unit; "subject", of growth curves, the mean given all that X holds of the row's
            subject: experts averaged with responsibilities, random coefficients at their empirical-Bayes means (the
            linear expansion of the model where a knot or rate is random; autocorrelated residuals count as noise).
        weights : "gate" averages experts with the gate's probabilities, for rows whose response is not known;
            "responsibilities" with posterior probabilities, which need the response (in X, or y in array mode).

            Of survival times also "survival", "hazard", "cumulative_hazard" and "density" at `times`: (row, time).

        times : of growth curves, values of the time column: the result is then a data frame with a row a row of X
            (a subject, where X has the unit column; what varies inside is averaged) and time. Columns: rowid or the
            unit column, outcome (of several), time, mean, and expert_1, ... (kind="mean") or std_error (kind="subject",
            of the trajectory at the estimated parameters). The time column is then needed for kind="subject" alone.

        Returns (row,) for one response, (row, column) for several, a data frame for several outcomes of `Joint`.
        """
        check_is_fitted(self, "fitted_")
        choice("kind", kind, KINDS)
        choice("weights", weights, WEIGHTS)
        if kind in OVER_TIME and times is None:
            raise OptionError(f"kind={kind!r} needs times=, one or several")
        if times is not None and is_survival(self.fitted_):
            return self._predict_curves(X, times, kind)
        if times is not None:
            return self._predict_over_time(X, times, kind, weights)
        if kind == "subject":
            return predicted_subjects(self, X)
        table = self._new_table(X, y)
        if kind in ("density", "log_density"):
            log_density = self._posterior(table).log_density
            return log_density if kind == "log_density" else np.exp(log_density)
        new = new_data.read(self.fitted_, table, response=False, by_unit=False)
        means = outputs.class_means(self.fitted_, new)
        if kind == "expert_mean":
            means = [m._replace(values=_checked_probabilities(m.values)) if m.slot.family.ordered else m for m in means]
            return _one_or_list([m.values.squeeze(2) if m.values.shape[2] == 1 else m.values for m in means])
        by_gate = weights == "gate"
        weight = new_data.row_gate(self.fitted_, new) if by_gate else new_data.row_responsibilities(self.fitted_, table)
        return self._present(means, [np.einsum("nkc,nk->nc", mean.values, weight) for mean in means])

    def _predict_over_time(self, X: Any, times: Any, kind: str, weights: str) -> pd.DataFrame:
        require_growth(self.fitted_, "times=")
        if kind not in ("mean", "subject") or weights != "gate":
            raise OptionError(
                "predict(X, times=) takes kind='mean' (experts are in it) or, given responses, kind='subject'"
            )
        return predicted_over_time(self, X, times, kind)

    def _present(self, means: list[outputs.Means], averages: list[np.ndarray]) -> Any:
        if len(means) > 1 or means[0].slot.plan.members:
            pairs = zip(means, averages, strict=True)
            return pd.DataFrame({n: c for m, a in pairs for n, c in zip(m.names, a.T, strict=False)})
        levels = means[0].slot.family.categories
        if levels:
            return np.asarray(levels)[np.argmax(averages[0], axis=1)]
        return averages[0][:, 0] if averages[0].shape[1] == 1 else averages[0]

    @available_if(is_categorical)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the response's categories (row, category), in the order of `classes_`."""
        check_is_fitted(self, "fitted_")
        new = new_data.read(self.fitted_, self._new_table(X, None), response=False, by_unit=False)
        mean = _checked_probabilities(outputs.class_means(self.fitted_, new)[0].values)
        return np.einsum("nkc,nk->nc", mean, new_data.row_gate(self.fitted_, new))

    def _count_crossed(self) -> None:
        """Learn `n_crossed_`, rows whose cumulative probabilities of ordered categories cross."""
        problem = getattr(self, "_problem", None)
        if problem is not None and crossing.has_ordered(problem):
            self.n_crossed_ = crossing.count_crossed(problem, self.fitted_.solution.phi)

    def _warn_of_crossing(self) -> None:
        self._count_crossed()
        crossed, fitted = getattr(self, "n_crossed_", 0), self.fitted_
        if crossed and any(outcome.crossing == "report" for outcome in fitted.plan.outcomes):
            warnings.warn(
                f"{crossed} of {fitted.sample.n_rows} rows have a category of negative probability: their cumulative "
                "probabilities cross, and predict_proba raises for such rows; see crossing=",
                CrossingWarning,
                stacklevel=4,
            )

    def gate_proba(self, X: Any) -> np.ndarray:
        """The gate's class probabilities before the response is seen: (unit, class) if X has the model's unit column,
        else (row, class)."""
        check_is_fitted(self, "fitted_")
        return new_data.gate_of(self.fitted_, self._new_table(X, None))

    def responsibilities(self, X: Any, y: Any = None) -> np.ndarray:
        """Posterior class probabilities given the response, (unit, class), units in order of first appearance.

        Those of the gate where the response has density 0 in every class (a value beyond the box of a noise class).
        """
        check_is_fitted(self, "fitted_")
        return self._posterior(self._new_table(X, y)).responsibility

    def simulate(self, X: Any, random_state: Any = None) -> Any:
        """One draw of the response for every row of X; rows of a unit share the class.

        Returns (row,), labels for a categorical response, a data frame with a column a response for several. Grouped
        binomial draws use the trials in X (of `cbind` both columns), or one trial where X does not have them.
        """
        check_is_fitted(self, "fitted_")
        draws = outputs.simulate(self.fitted_, self._new_table(X, None), generator(random_state))
        return next(iter(draws.values())) if len(draws) == 1 else pd.DataFrame(draws)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log-likelihood a unit with a response; accuracy for a categorical response in array mode.

        `sample_weight`: an array (row,), or a column's name.
        """
        check_is_fitted(self, "fitted_")
        if is_categorical(self) and self._representative().formula is None and y is not None:
            return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))
        table = self._new_table(X, y)
        new = new_data.with_response(self.fitted_, table)
        weight = new.observed.astype(float)
        if sample_weight is not None:
            given = Table(table).raw(sample_weight)[0] if isinstance(sample_weight, str) else sample_weight
            weight *= new.per_unit(check_weight(given, new.rows, "sample_weight"))
        return float(np.average(new_data.posterior(self.fitted_, new).log_density, weights=weight))

    def _posterior(self, table: Any) -> UnitPosterior:
        return new_data.posterior(self.fitted_, new_data.with_response(self.fitted_, table))

    def _new_table(self, X: Any, y: Any) -> Any:
        return self._table(X, y, reset=False)[0]


def _checked_probabilities(chances: np.ndarray) -> np.ndarray:
    """Probabilities (row, ..., category), rounding below 0 cut off; those of rows whose cumulative ones cross are an
    error: slopes differ, and the rows lie far out."""
    crossed = np.flatnonzero((chances < -ROUNDING).any(axis=tuple(range(1, chances.ndim))))
    if len(crossed):
        raise DataError(
            f"{len(crossed)} of {len(chances)} rows, the first at position {crossed[0]}, have a category of negative "
            "probability: their cumulative probabilities cross. crossing='rearrange' sorts them; slopes='shrunken' "
            "with a larger penalty, slopes='parallel' or crossing='constrain' cross less or never"
        )
    return np.maximum(chances, 0.0)


def _one_or_list(values: list[np.ndarray]) -> Any:
    return values[0] if len(values) == 1 else values
