"""Gamma: `f(y) = (shape/mean)^shape y^(shape-1) exp(-shape y/mean) / Gamma(shape)`, mean and shape with log links.

With r = log y - log mean and Stirling's error delta,
`log f = log(shape/(2 pi))/2 - delta(shape) - log y - shape (e^r - 1 - r)`.
Reference: McCullagh and Nelder (1989), Generalized Linear Models, chapter 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import HALF_LOG_TWO_PI, exp_remainder, stirling_error
from mixstat.families._host import TINY, mean_and_variance, positive_with_log, row_shape
from mixstat.families._tails import gamma_tails


@dataclass(frozen=True)
class Gamma(Family):
    """`data` holds y and log y."""

    name: ClassVar[str] = "gamma"
    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 1.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", "log", location=True), Parameter("shape", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        return positive_with_log(y, name, self.name)

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        shape = jnp.exp(eta[1])
        constant = 0.5 * eta[1] - stirling_error(shape, eta[1]) - HALF_LOG_TWO_PI
        return constant - data[1] - shape * exp_remainder(data[1] - eta[0])

    def mean(self, eta: Sequence[Array]) -> Array:
        return jnp.exp(eta[0])

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        shape = np.exp(eta[1])
        return gamma_tails(shape, np.maximum(y, 0.0) * np.exp(eta[1] - eta[0]))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        shape = np.exp(eta[1])
        return np.maximum(rng.gamma(shape, np.exp(eta[0]) / shape, row_shape(eta, data)), TINY)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean, variance = mean_and_variance(data[0], weight)
        mean = mean if mean > 0 else 1.0
        return np.log([mean, np.clip(mean * (mean / max(variance, TINY)), 1e-2, 1e4)])
