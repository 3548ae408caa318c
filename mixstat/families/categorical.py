"""Categorical: `log f(y) = eta_y - log sum_l e^eta_l`, eta = 0 for the first level (baseline-category logits).

Reference: Agresti (2013), Categorical Data Analysis, section 8.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter
from mixstat.exceptions import DataError
from mixstat.families._host import column, row_shape, usable


@dataclass(frozen=True)
class Categorical(Family):
    """`data` holds the codes 0, 1, ... of the levels; `mean` gives probabilities (category, row)."""

    levels: tuple = ()
    name: ClassVar[str] = "categorical"
    discrete: ClassVar[bool] = True
    coded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(Parameter(f"logit[{level}]", location=True, key="logit") for level in self.levels[1:])

    @property
    def categories(self) -> tuple:
        return self.levels

    def specialize(self, names: Sequence[str], levels: Sequence | None) -> "Categorical":
        found = self.levels if levels is None else tuple(v.item() if isinstance(v, np.generic) else v for v in levels)
        if len(found) < 2:
            column = ", ".join(names)
            raise DataError(f"categorical needs a response of two or more levels; column '{column}' has {list(found)}")
        return replace(self, levels=found)

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        size = len(self.levels)
        expected = f"the codes 0 to {size - 1} of its levels {list(self.levels)}"
        valid = lambda y: (y >= 0) & (y < size) & (y == np.floor(y))  # noqa: E731
        return column(y, name, self.name, valid, expected, "give integer codes, or a categorical column")[None]

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        chosen = sum(jnp.where(data[0] == k, e, 0.0) for k, e in enumerate(eta, 1))
        return chosen - log_total(eta)

    def mean(self, eta: Sequence[Array]) -> Array:
        total = log_total(eta)
        return jnp.stack([jnp.exp(jnp.broadcast_to(e, total.shape) - total) for e in (jnp.zeros_like(total), *eta)])

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        shape = row_shape(eta, data)
        logits = np.stack([np.broadcast_to(e, shape) for e in (np.zeros(1), *eta)])
        return np.argmax(logits + rng.gumbel(size=logits.shape), axis=0).astype(np.float64)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = usable(data, weight)
        totals = np.array([weight[data[0] == k].sum() for k in range(len(self.levels))]) + 0.5
        return np.log(totals[1:] / totals[0])


def log_total(eta: Sequence[Array]) -> Array:
    """`log(1 + sum_l e^eta_l)`."""
    largest = jnp.zeros_like(eta[0])
    for e in eta:
        largest = jnp.maximum(largest, e)
    largest = jax.lax.stop_gradient(largest)
    return largest + jnp.log(sum((jnp.exp(e - largest) for e in eta), jnp.exp(-largest)))
