"""Inverse Gaussian: `f(y) = sqrt(shape / (2 pi y^3)) exp(-shape (y - mean)^2 / (2 mean^2 y))`, log links.

Reference: Chhikara and Folks (1989), The Inverse Gaussian Distribution; shape is their lambda, var = mean^3 / shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.special import erfcx, log_ndtr

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import HALF_LOG_TWO_PI, expm1
from mixstat.families._host import TINY, mean_and_variance, positive_with_log, row_shape
from mixstat.families._tails import outside

LARGEST = 350.0
"""Log of the largest argument, whose square is still a number."""


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

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        with np.errstate(divide="ignore", over="ignore"):
            log_y = np.log(np.maximum(y, 0.0))
            root = np.exp(np.minimum(0.5 * (eta[1] - log_y), LARGEST))
            middle = np.exp(np.minimum(0.5 * (eta[1] + log_y) - eta[0], LARGEST))
            u = np.where(log_y < eta[0], root * np.expm1(np.minimum(log_y - eta[0], 0.0)), middle - root)
        return outside(np.asarray(y) <= 0, _log_tails(u, middle, root))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        return np.maximum(rng.wald(np.exp(eta[0]), np.exp(eta[1]), row_shape(eta, data)), TINY)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean, variance = mean_and_variance(data[0], weight)
        mean = mean if mean > 0 else 1.0
        return np.log([mean, mean * np.clip(mean * (mean / max(variance, TINY)), 1e-2, 1e4)])


def _log_tails(u: np.ndarray, middle: np.ndarray, root: np.ndarray) -> Tails:
    """Tails `Phi(u) + phi(u) M(v)` and `Phi(-u) - phi(u) M(v)`: M(z) = Phi(-z) / phi(z), u, v = middle -+ root.

    Reference: Giner and Smyth (2016), statmod: probability calculations for the inverse Gaussian distribution, The R
    Journal 8, 339-351.
    """
    log_phi, beyond, ahead = -0.5 * u * u - HALF_LOG_TWO_PI, _mills(middle + root), np.maximum(u, 0.0)
    reflected, left = log_phi + np.log(beyond), log_ndtr(-np.minimum(u, 0.0))
    inner = left + np.log1p(-np.exp(reflected - left))
    with np.errstate(divide="ignore"):
        narrow = np.log(2.0 * root) + np.log(_mills_slope(middle))
        difference = np.where(root < 1e-4 * middle, narrow, np.log(_mills(ahead) - beyond))
    return Tails(np.logaddexp(log_ndtr(u), reflected), np.where(u > 0, log_phi + difference, inner))


def _mills(z: np.ndarray) -> np.ndarray:
    """M(z) = Phi(-z) / phi(z), z >= 0."""
    return np.sqrt(np.pi / 2.0) * erfcx(z / np.sqrt(2.0))


def _mills_slope(z: np.ndarray) -> np.ndarray:
    """-M'(z) = 1 - z M(z)."""
    inverse = 1.0 / np.maximum(z, 50.0) ** 2
    series = inverse * (1.0 - inverse * (3.0 - inverse * (15.0 - 105.0 * inverse)))
    return np.where(z > 50.0, series, 1.0 - np.minimum(z, 50.0) * _mills(z))
