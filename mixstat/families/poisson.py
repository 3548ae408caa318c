"""Poisson: `log f(y) = y log mean - mean - log y!`, mean with a log link.

Reference: McCullagh and Nelder (1989), Generalized Linear Models, chapter 6; deviance form of Loader (2000).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import exp_remainder
from mixstat.families._host import column, count, count_data, mean_and_variance, row_shape, usable
from mixstat.families._tails import gamma_tails, outside

LARGEST_MEAN = 1e18
"""numpy draws no Poisson numbers beyond."""


@jax.custom_jvp
def half_deviance(eta: Array, y: Array, log_y: Array) -> Array:
    """`e^eta - y + y (log y - eta)`, which is `e^eta` at y = 0."""
    return jnp.where(y == 0, jnp.exp(eta), y * exp_remainder(eta - log_y))


half_deviance.defjvps(lambda d, out, eta, y, log_y: (jnp.exp(eta) - y) * d, None, None)


@dataclass(frozen=True)
class Poisson(Family):
    """`data` holds y, log y and the log-density at mean y."""

    name: ClassVar[str] = "poisson"
    discrete: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", "log", location=True),)

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        advice = "round them, or use a family of positive numbers such as gamma"
        return count_data(column(y, name, self.name, count, "counts 0, 1, 2, ...", advice))

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        return data[2] - half_deviance(eta[0], data[0], data[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        return jnp.exp(eta[0])

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        upper, lower = gamma_tails(np.maximum(np.floor(y), 0.0) + 1.0, np.exp(eta[0]))
        return outside(np.asarray(y) < 0, Tails(lower, upper))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        return rng.poisson(np.minimum(np.exp(eta[0]), LARGEST_MEAN), row_shape(eta, data)).astype(np.float64)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.log([start_mean(data, weight)])


def start_mean(data: np.ndarray, weight: np.ndarray) -> float:
    """The mean count, at least that of half an event."""
    return max(mean_and_variance(data[0], weight)[0], 0.5 / max(usable(data, weight).sum(), 1.0))
