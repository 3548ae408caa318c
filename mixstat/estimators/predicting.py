"""Predicting: means, densities, class probabilities and simulation from a fitted estimator."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators import new_data
from mixstat.estimators.random import generator
from mixstat.families import get_family

if TYPE_CHECKING:
    from mixstat.estimators.fitting import Fitted

KINDS = ("mean", "expert_mean", "density", "log_density")
WEIGHTS = ("gate", "responsibilities")


def is_categorical(estimator: Any) -> bool:
    """Whether the response is categorical, so that `predict` gives labels."""
    return get_family(estimator._representative().family).name == "categorical"


class Predicting:
    """Methods that apply a fit to rows. Numpy comes out; rows with missing values are an error."""

    fitted_: "Fitted"

    def predict(self, X: Any, y: Any = None, *, kind: str = "mean", weights: str = "gate") -> Any:
        """Predict for every row of X.

        kind : "mean" E[y | x] (labels of the most probable category for a categorical response); "expert_mean"
            E[y | x, class], classes last, extra blocks after the experts; "density" and "log_density" of the
            observed response, one a unit.
        weights : "gate" averages experts with the gate's probabilities, for rows whose response is not known;
            "responsibilities" with posterior probabilities, which need the response (in X, or y in array mode).

        Returns (row,) for one response, (row, column) for several, a data frame for `Joint`.
        """
        check_is_fitted(self, "fitted_")
        if kind not in KINDS or weights not in WEIGHTS:
            raise ValueError(f"kind must be one of {KINDS} and weights one of {WEIGHTS}, got {kind!r}, {weights!r}")
        if kind in ("density", "log_density"):
            log_density = self._posterior(X, y).log_density
            return log_density if kind == "log_density" else np.exp(log_density)
        table = self._new_table(X, y)
        means = new_data.class_means(self.fitted_, table)
        if kind == "expert_mean":
            return _shape([m.values.squeeze(2) if m.values.shape[2] == 1 else m.values for m in means])
        weight = self._row_weights(X, y, weights)
        averages = [np.einsum("nkc,nk->nc", mean.values, weight) for mean in means]
        return self._present(means, averages)

    def _row_weights(self, X: Any, y: Any, weights: str) -> np.ndarray:
        """(row, class)."""
        table = self._new_table(X, y)
        if weights == "gate":
            return new_data.row_gate(self.fitted_, table)
        return new_data.row_responsibilities(self.fitted_, table)

    def _present(self, means: list, averages: list[np.ndarray]) -> Any:
        if len(means) > 1:
            return pd.DataFrame(new_data.frame_columns(self.fitted_, means, averages))
        levels = self._family().categories
        if levels:
            return np.asarray(levels)[np.argmax(averages[0], axis=1)]
        return averages[0][:, 0] if averages[0].shape[1] == 1 else averages[0]

    @available_if(is_categorical)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the response's categories (row, category), in the order of `classes_`."""
        check_is_fitted(self, "fitted_")
        table = self._new_table(X, None)
        mean = new_data.class_means(self.fitted_, table)[0]
        return np.einsum("nkc,nk->nc", mean.values, new_data.row_gate(self.fitted_, table))

    def gate_proba(self, X: Any) -> np.ndarray:
        """The gate's class probabilities before the response is seen: (unit, class) if X has the model's unit column,
        else (row, class)."""
        check_is_fitted(self, "fitted_")
        return new_data.gate_of(self.fitted_, self._new_table(X, None))

    def responsibilities(self, X: Any, y: Any = None) -> np.ndarray:
        """Posterior class probabilities given the response, (unit, class), units in order of first appearance."""
        return self._posterior(X, y).responsibility

    def simulate(self, X: Any, random_state: Any = None) -> Any:
        """One draw of the response for every row of X; rows of a unit share the class.

        Returns (row,), labels for a categorical response, a data frame with a column a response for several.
        """
        check_is_fitted(self, "fitted_")
        draws = new_data.simulate(self.fitted_, self._new_table(X, None), generator(random_state))
        named = new_data.name_draws(self.fitted_, draws)
        return next(iter(named.values())) if len(named) == 1 else pd.DataFrame(named)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log-likelihood a unit; accuracy for a categorical response in array mode."""
        if is_categorical(self) and self._representative().formula is None and y is not None:
            return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))
        log_density = self._posterior(X, y).log_density
        if isinstance(sample_weight, str):
            sample_weight = np.asarray(X[sample_weight], dtype=float)
        return float(np.average(log_density, weights=sample_weight))

    def _posterior(self, X: Any, y: Any) -> Any:
        check_is_fitted(self, "fitted_")
        table = self._new_table(X, y)
        new_data.require_response(self.fitted_, table)
        return new_data.posterior_of(self.fitted_, table)

    def _new_table(self, X: Any, y: Any) -> Any:
        return self._table(X, y, reset=False)[0]


def _shape(values: list[np.ndarray]) -> Any:
    return values[0] if len(values) == 1 else values
