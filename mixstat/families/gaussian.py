"""Gaussian: `log f(y) = -log sigma - (y - mean)^2 / (2 sigma^2) - log(2 pi) / 2`, sigma with a log link.

Reference: McCullagh and Nelder (1989), Generalized Linear Models, chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.special import log_ndtr

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import HALF_LOG_TWO_PI
from mixstat.families._host import column, log_scale, mean_and_variance, real, row_shape, spread


@dataclass(frozen=True)
class Gaussian(Family):
    name: ClassVar[str] = "gaussian"
    unbounded: ClassVar[bool] = True
    has_closed_form: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", location=True), Parameter("sigma", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        return column(y, name, self.name, real, "finite numbers", "remove or mark them as missing")[None]

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        z = (data[0] - eta[0]) * jnp.exp(-eta[1])
        return -0.5 * z * z - eta[1] - HALF_LOG_TWO_PI

    def mean(self, eta: Sequence[Array]) -> Array:
        return eta[0]

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        z = (y - eta[0]) * np.exp(-eta[1])
        return Tails(log_ndtr(z), log_ndtr(-z))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        return rng.normal(eta[0], np.exp(eta[1]), row_shape(eta, data))

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean, variance = mean_and_variance(data[0], weight)
        return np.array([mean, np.log(spread(variance**0.5, mean))])

    def residuals(self, eta: Sequence[Array], data: Array) -> Array:
        return (data[0] - eta[0])[None]

    def fit_scatter(self, scatter: np.ndarray, total: np.ndarray, weight: float) -> np.ndarray:
        return np.array([log_scale(scatter[0, 0], total[0], weight)])

    def scatter_log_density(self, constants: Array, scatter: Array, weight: Array) -> Array:
        return -weight * constants[0] - 0.5 * scatter[0, 0] * jnp.exp(-2.0 * constants[0])
