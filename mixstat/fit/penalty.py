"""Penalties of the objective: ridge and lasso on slopes, and the weak scale penalty.

    objective = sum_i w_i log p(y_i) + epsilon sum_k sum_i w_i log f_k(y_i) - (ridge' theta^2) / 2 - lasso' |theta|

The scale penalty lets every expert see the whole sample with a total weight of `scale_penalty / W` units (W = total
weight), i.e. epsilon = scale_penalty / W^2. It keeps a scale from shrinking to a point, where the likelihood of a
mixture is unbounded, for any family and whatever the unit of the response; it is of order 1/n as in Chen, Tan and
Zhang (2008, Statistica Sinica 18) and has no visible effect at an interior maximum.

Weights may be counts, so that W is the number of observations, or have a scale of no meaning, such as shares that add
up to 1. No sample holds less than the n units that have weight: epsilon = scale_penalty / max(W, n)^2.
"""

from typing import NamedTuple

import numpy as np


def pseudo_weight(scale_penalty: float, weight: np.ndarray) -> float:
    """Epsilon of the scale penalty for units of these weights."""
    total = max(float(weight.sum()), float(np.count_nonzero(weight)))
    return scale_penalty / total / total


class Penalty(NamedTuple):
    """`ridge` and `lasso` (theta,) on the total (not mean) log-likelihood's scale; `epsilon` of the scale penalty."""

    ridge: np.ndarray
    lasso: np.ndarray
    epsilon: float

    @property
    def is_smooth(self) -> bool:
        return not self.lasso.any()

    def weighted(self, factor: float) -> "Penalty":
        """The penalty of the same data with weights `factor` times as large."""
        return Penalty(self.ridge * factor, self.lasso * factor, self.epsilon)

    def zeroed(self, theta: np.ndarray) -> np.ndarray:
        """(theta,) which parameters the lasso has set to zero."""
        return (self.lasso > 0) & (theta == 0)

    def value(self, theta: np.ndarray) -> float:
        """The penalty of slopes, never positive."""
        if not (self.ridge.any() or self.lasso.any()):
            return 0.0
        return float(-0.5 * self.ridge @ theta**2 - self.lasso @ np.abs(theta))
