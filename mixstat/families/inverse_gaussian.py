"""Inverse Gaussian: `f(y) = sqrt(shape / (2 pi y^3)) exp(-shape (y - mean)^2 / (2 mean^2 y))`, log links.

Reference: Chhikara and Folks (1989), The Inverse Gaussian Distribution; shape is their lambda, var = mean^3 / shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter
from mixstat.core.special import HALF_LOG_TWO_PI, expm1
from mixstat.families._host import TINY, mean_and_variance, positive_with_log, row_shape


@dataclass(frozen=True)
class InverseGaussian(Family):
    """`data` holds y and log y."""

    name: ClassVar[str] = "inverse_gaussian"
    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 1.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", "log", location=True), Parameter("shape", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        return positive_with_log(y, name, self.name)

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        error = expm1(data[1] - eta[0])
        return 0.5 * (eta[1] - 3.0 * data[1] - jnp.exp(eta[1] - data[1]) * error * error) - HALF_LOG_TWO_PI

    def mean(self, eta: Sequence[Array]) -> Array:
        return jnp.exp(eta[0])

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        return np.maximum(rng.wald(np.exp(eta[0]), np.exp(eta[1]), row_shape(eta, data)), TINY)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean, variance = mean_and_variance(data[0], weight)
        mean = mean if mean > 0 else 1.0
        return np.log([mean, mean * np.clip(mean * (mean / max(variance, TINY)), 1e-2, 1e4)])
