"""Negative binomial: `f(y) = Gamma(y + t) / (Gamma(t) y!) (t/(t + mean))^t (mean/(t + mean))^y`, t = 1/dispersion.

NB2: var = mean + dispersion mean^2, log links. As dispersion falls to 0 the density turns smoothly into the Poisson,
`log f = log f_sat(y) - log(1 + y/t)/2 + delta(t + y) - delta(t) - D`, f_sat the Poisson mass at mean y, Stirling's
error delta and D >= 0 the half-deviance (Loader, 2000).
Reference: Cameron and Trivedi (2013), Regression Analysis of Count Data, section 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import FLAT, exp_remainder, sigmoid, softplus, stirling_error
from mixstat.families._host import TINY, column, count, count_data, mean_and_variance, row_shape
from mixstat.families._tails import beta_tails, outside
from mixstat.families.poisson import LARGEST_MEAN, start_mean


def log_ratio(eta: Array, log_t: Array, y: Array, log_y: Array) -> Array:
    """`log((t + y) / (t + mean))`."""
    return jnp.where(y == 0, 0.0, softplus(log_y - log_t)) - softplus(eta - log_t)


@jax.custom_jvp
def half_deviance(eta: Array, log_t: Array, y: Array, log_y: Array) -> Array:
    """`y log(y/mean) - (t + y) log((t + y)/(t + mean))`, as a sum of non-negative terms."""
    ratio = log_ratio(eta, log_t, y, log_y)
    t = jnp.exp(log_t)
    positive = t * exp_remainder(ratio) + y * exp_remainder(eta - log_y + ratio)
    return jnp.where(y == 0, t * softplus(eta - log_t), positive)


@half_deviance.defjvp
def _half_deviance_jvp(primals: tuple, tangents: tuple) -> tuple:
    eta, log_t, y, _ = primals
    by_t = jnp.exp(log_t) * exp_remainder(log_ratio(*primals))
    by_eta = (jnp.exp(eta) - y) * sigmoid(log_t - eta)
    return half_deviance(*primals), by_t * tangents[1] + by_eta * tangents[0]


@dataclass(frozen=True)
class NegativeBinomial(Family):
    """`data` holds y, log y and the Poisson log-density at mean y."""

    name: ClassVar[str] = "negative_binomial"
    discrete: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", "log", location=True), Parameter("dispersion", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        advice = "round them, or use a family of positive numbers such as gamma"
        return count_data(column(y, name, self.name, count, "counts 0, 1, 2, ...", advice))

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        y, log_y, saturated = data
        log_t = jnp.clip(-eta[1], -FLAT, FLAT)
        t = jnp.exp(log_t)
        error = stirling_error(t + y) - stirling_error(t, log_t) - 0.5 * softplus(log_y - log_t)
        return saturated + jnp.where(y == 0, 0.0, error) - half_deviance(eta[0], log_t, y, log_y)

    def mean(self, eta: Sequence[Array]) -> Array:
        return jnp.exp(eta[0])

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        log_t = np.clip(-eta[1], -FLAT, FLAT)
        chance, rest = np.exp(-np.logaddexp(0.0, eta[0] - log_t)), np.exp(-np.logaddexp(0.0, log_t - eta[0]))
        inside = beta_tails(np.exp(log_t), np.maximum(np.floor(y), 0.0) + 1.0, chance, rest)
        return outside(np.asarray(y) < 0, inside)

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        t = np.exp(np.clip(-eta[1], -FLAT, FLAT))
        mean = rng.gamma(t, np.exp(eta[0]) / t, row_shape(eta, data))
        return rng.poisson(np.minimum(mean, LARGEST_MEAN)).astype(np.float64)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean, (_, variance) = start_mean(data, weight), mean_and_variance(data[0], weight)
        return np.log([mean, np.clip((variance - mean) / max(mean * mean, TINY), 1e-2, 1e2)])
