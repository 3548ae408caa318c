"""Beta: `f(y) = y^(m phi - 1) (1 - y)^((1-m) phi - 1) / B(m phi, (1-m) phi)`, mean m (logit), precision phi (log link).

Computed as `-phi KL(m || y)` plus Stirling errors: no two large terms cancel.
Reference: Ferrari and Cribari-Neto (2004), Beta regression for modelling rates and proportions, Journal of Applied
Statistics 31, 799-815.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import HALF_LOG_TWO_PI, exp_remainder, sigmoid, softplus, stirling_error
from mixstat.families._host import EPSILON, TINY, column, mean_and_variance, row_shape
from mixstat.families._tails import beta_tails


@jax.custom_jvp
def divergence(eta: Array, log_y: Array, log_rest: Array) -> Array:
    """Kullback-Leibler divergence of Bernoulli(y) from Bernoulli(sigmoid(eta))."""
    up = sigmoid(eta) * exp_remainder(log_y + softplus(-eta))
    return up + sigmoid(-eta) * exp_remainder(log_rest + softplus(eta))


divergence.defjvps(
    lambda d, out, eta, log_y, log_rest: sigmoid(eta) * sigmoid(-eta) * (eta - (log_y - log_rest)) * d, None, None
)


@dataclass(frozen=True)
class Beta(Family):
    """`data` holds y, log y and log(1 - y)."""

    name: ClassVar[str] = "beta"
    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.5

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", "logit", location=True), Parameter("precision", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        advice = "rescale a proportion, e.g. (y (n - 1) + 0.5) / n, or model 0 and 1 apart with point masses"
        y = column(y, name, self.name, lambda y: (y > 0) & (y < 1), "numbers strictly between 0 and 1", advice)
        return np.stack([y, np.log(y), np.log1p(-y)])

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        log_a, log_b = eta[1] - softplus(-eta[0]), eta[1] - softplus(eta[0])
        precision = jnp.exp(eta[1])
        error = stirling_error(precision, eta[1])
        error = error - stirling_error(jnp.exp(log_a), log_a) - stirling_error(jnp.exp(log_b), log_b)
        constant = 0.5 * (log_a + log_b - eta[1]) + error - HALF_LOG_TWO_PI
        return constant - data[1] - data[2] - precision * divergence(eta[0], data[1], data[2])

    def mean(self, eta: Sequence[Array]) -> Array:
        return sigmoid(eta[0])

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        log_a, log_b = eta[1] - np.logaddexp(0.0, -eta[0]), eta[1] - np.logaddexp(0.0, eta[0])
        y = np.clip(y, 0.0, 1.0)
        return beta_tails(np.exp(log_a), np.exp(log_b), y, 1.0 - y)

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        a = np.exp(eta[1] - np.logaddexp(0.0, -eta[0]))
        b = np.exp(eta[1] - np.logaddexp(0.0, eta[0]))
        return np.clip(rng.beta(a, b, row_shape(eta, data)), TINY, 1.0 - EPSILON)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean, variance = mean_and_variance(data[0], weight)
        mean = mean if 0 < mean < 1 else 0.5
        precision = np.clip(mean * (1 - mean) / max(variance, TINY) - 1, 0.1, 1e4)
        return np.array([np.log(mean) - np.log1p(-mean), np.log(precision)])
