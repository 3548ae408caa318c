"""Gate: the probability of each class of a unit, pi_k(v) = softmax_k(gamma_k' v), gamma_1 = 0 (multinomial logit)."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Design

Array = Any


@dataclass(frozen=True)
class Gate:
    """Softmax over `classes` with the design columns `columns`; no columns means fixed equal shares."""

    classes: int
    columns: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Coefficients (class - 1, column)."""
        return (self.classes - 1, len(self.columns))

    @property
    def is_constant(self) -> bool:
        """Whether it has an intercept alone, so that all units have the same probabilities."""
        return self.columns == (0,)

    def covariates(self, block: Design) -> Array:
        """(column, unit)."""
        return block.columns[np.asarray(self.columns, dtype=np.int64)] if block.gate is None else block.gate

    def log_probability(self, coefficients: Array, block: Design) -> Array:
        """log pi, (class, unit)."""
        units = block.weight.shape[-1]
        if self.classes == 1 or not self.columns:
            return jnp.full((self.classes, units), -np.log(self.classes))
        eta = coefficients if self.is_constant else coefficients @ self.covariates(block)
        logs = jax.nn.log_softmax(jnp.concatenate([jnp.zeros((1, eta.shape[1])), eta]), axis=0)
        return jnp.broadcast_to(logs, (self.classes, units))
