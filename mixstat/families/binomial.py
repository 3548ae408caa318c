"""Binomial: `f(y) = C(n, y) m^y (1 - m)^(n - y)`, n trials, probability of success m with a logit link.

Reference: McCullagh and Nelder (1989), Generalized Linear Models, chapter 4; deviance form of Loader (2000).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import HALF_LOG_TWO_PI, exp_remainder, sigmoid, softplus, stirling_error
from mixstat.exceptions import DataError
from mixstat.families._host import check, column, count, numeric, row_shape, usable
from mixstat.families._tails import beta_tails, outside


@jax.custom_jvp
def half_deviance(eta: Array, y: Array, n: Array) -> Array:
    """`y log(y/(n m)) + (n - y) log((n - y)/(n (1 - m)))`, as a sum of non-negative terms."""
    up, down = softplus(eta), softplus(-eta)
    share = jnp.where((y > 0) & (y < n), y, 0.5) / jnp.where(n > 0, n, 1.0)
    inner = y * exp_remainder(-down - jnp.log(share)) + (n - y) * exp_remainder(-up - jnp.log1p(-share))
    return jnp.where(y == 0, n * up, jnp.where(y == n, n * down, inner))


half_deviance.defjvps(lambda d, out, eta, y, n: (n * sigmoid(eta) - y) * d, None, None)


def _binary(y: np.ndarray) -> np.ndarray:
    return (y == 0) | (y == 1)


@dataclass(frozen=True)
class Binomial(Family):
    """`data` holds successes, trials and the log-density at m = successes / trials (0 for a single trial)."""

    name: ClassVar[str] = "binomial"
    discrete: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", "logit", location=True),)

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        y = numeric(y, name, self.name)
        if y.ndim == 2 and y.shape[1] == 2:
            successes, trials = self._grouped(y, name)
        elif y.ndim == 2 and y.shape[1] > 2:
            raise DataError(
                f"{self.name} needs 0/1 or two columns (successes, trials); '{name}' has {y.shape[1]} columns"
            )
        else:
            advice = "recode the two outcomes as 0 and 1, or give two columns (successes, trials)"
            successes = column(y, name, self.name, _binary, "0 or 1", advice)
            trials = np.where(np.isnan(successes), np.nan, 1.0)
        return np.stack([successes, trials, _saturated(successes, trials)])

    def _grouped(self, y: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        missing = np.isnan(y).any(axis=1)
        successes, trials = np.where(missing, np.nan, y.T)
        advice = "give (successes, trials), not (successes, failures) or shares"
        check(trials, f"{name}[trials]", self.name, count(trials), "whole numbers of trials", advice)
        valid = count(successes) & (successes <= trials)
        check(successes, f"{name}[successes]", self.name, valid, "successes 0, 1, ..., trials", advice)
        return successes, trials

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        return data[2] - half_deviance(eta[0], data[0], data[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Probability of success of one trial."""
        return sigmoid(eta[0])

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        trials = np.ones(1) if data is None else data[1]
        successes = np.clip(np.floor(y), 0.0, np.maximum(trials - 1.0, 0.0))
        chance, rest = np.exp(-np.logaddexp(0.0, -eta[0])), np.exp(-np.logaddexp(0.0, eta[0]))
        lower, upper = beta_tails(np.maximum(trials - successes, 1.0), successes + 1.0, rest, chance)
        reached = np.floor(y) >= trials
        return outside(np.asarray(y) < 0, Tails(np.where(reached, 0.0, lower), np.where(reached, -np.inf, upper)))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        trials = 1 if data is None else np.where(np.isnan(data[1]), 0, data[1]).astype(np.int64)
        chance = np.exp(-np.logaddexp(0.0, -eta[0]))
        return rng.binomial(trials, chance, row_shape(eta, data)).astype(np.float64)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = usable(data, weight)
        successes, trials = np.where(weight > 0, data[:2], 0.0) @ weight
        return np.array([np.log(successes + 0.5) - np.log(trials - successes + 0.5)])


def _saturated(y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """`log C(n, y) + y log(y/n) + (n - y) log(1 - y/n)` without cancellation."""
    inner = (y > 0) & (y < n)
    a, n = np.where(inner, y, 1.0), np.where(inner, n, 2.0)
    b = n - a
    error = stirling_error(n, None, np) - stirling_error(a, None, np) - stirling_error(b, None, np)
    return np.where(inner, error - HALF_LOG_TWO_PI - 0.5 * (np.log(a) + np.log(b / n)), 0.0 * y)
