"""Links of cumulative probabilities, F(eta): logs of F, of 1 - F and of F(u) - F(l), none of which cancels.

| link    | F(eta)              | log[F(u) - F(l)], l < u                                  |
| ------- | ------------------- | -------------------------------------------------------- |
| logit   | 1 / (1 + e^-eta)    | u - softplus(u) - softplus(l) + L(u - l)                  |
| probit  | Phi(eta)            | log Phi(u) + L(log Phi(u) - log Phi(l)), mirrored if u + l > 0 |
| cloglog | 1 - exp(-e^eta)     | -e^l + L(e^u - e^l)                                       |
| loglog  | exp(-e^-eta)        | -e^-u + L(e^-l - e^-u)                                    |
| cauchit | 1/2 + atan(eta)/pi  | log atan2(u - l, 1 + u l) - log pi                        |

with L(x) = log(1 - e^-x). Reference: McCullagh (1980), JRSS-B 42; Agresti (2010), Analysis of Ordinal Categorical Data.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from mixstat.core.special import expm1, log1mexp, softplus

Array = Any
LOG_PI = float(np.log(np.pi))
LOG_ROOT = float(0.5 * np.log(2.0 * np.pi))
CLOSE = 1e-3
"""Gap, relative to how far out it is, below which a normal probability is the density in its middle and a term more."""
FARTHEST = 600.0
"""Predictors are cut here before they are exponentiated."""


class Link(Protocol):
    """What a link gives."""

    def log_lower(self, eta: Array) -> Array:
        """log F(eta)."""

    def log_upper(self, eta: Array) -> Array:
        """log[1 - F(eta)]."""

    def log_between(self, upper: Array, lower: Array) -> Array:
        """log[F(upper) - F(lower)]; NaN where they cross."""

    def log_slope(self, eta: Array) -> Array:
        """log F'(eta)."""

    def tilt(self, eta: Array) -> Array:
        """F''(eta) / F'(eta)."""

    def cdf(self, eta: np.ndarray) -> np.ndarray:
        """F on the host."""

    def quantile(self, p: np.ndarray) -> np.ndarray:
        """F^-1 on the host."""


class Logit(NamedTuple):
    def log_lower(self, eta: Array) -> Array:
        return -softplus(-eta)

    def log_upper(self, eta: Array) -> Array:
        return -softplus(eta)

    def log_between(self, upper: Array, lower: Array) -> Array:
        return -softplus(-upper) - softplus(lower) + log1mexp(upper - lower)

    def log_slope(self, eta: Array) -> Array:
        return -softplus(eta) - softplus(-eta)

    def tilt(self, eta: Array) -> Array:
        return -jnp.tanh(0.5 * eta)

    def cdf(self, eta: np.ndarray) -> np.ndarray:
        return 0.5 * (1.0 + np.tanh(0.5 * eta))

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return np.log(p) - np.log1p(-p)


class Probit(NamedTuple):
    def log_lower(self, eta: Array) -> Array:
        return jax.scipy.special.log_ndtr(eta)

    def log_upper(self, eta: Array) -> Array:
        return jax.scipy.special.log_ndtr(-eta)

    def log_between(self, upper: Array, lower: Array) -> Array:
        mirror = upper + lower > 0
        high, low = jnp.where(mirror, -lower, upper), jnp.where(mirror, -upper, lower)
        middle, gap = 0.5 * (upper + lower), upper - lower
        close = gap * (1.0 + jnp.abs(middle)) < CLOSE
        top, bottom = jax.scipy.special.log_ndtr(jnp.stack([high, jnp.where(close, high - 1.0, low)]))
        far = top + log1mexp(top - bottom)
        gap, middle = jnp.where(close, gap, CLOSE), jnp.where(close, middle, 0.0)
        near = jnp.log(gap) - 0.5 * middle**2 - LOG_ROOT + jnp.log1p(gap**2 * (middle**2 - 1.0) / 24.0)
        return jnp.where(close, near, far)

    def log_slope(self, eta: Array) -> Array:
        return -0.5 * eta**2 - LOG_ROOT

    def tilt(self, eta: Array) -> Array:
        return -eta

    def cdf(self, eta: np.ndarray) -> np.ndarray:
        return ndtr(eta)

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return ndtri(p)


class Cloglog(NamedTuple):
    def log_lower(self, eta: Array) -> Array:
        return log1mexp(_exp(eta))

    def log_upper(self, eta: Array) -> Array:
        return -_exp(eta)

    def log_between(self, upper: Array, lower: Array) -> Array:
        below = _exp(lower)
        return -below + log1mexp(below * expm1(jnp.minimum(upper - lower, FARTHEST)))

    def log_slope(self, eta: Array) -> Array:
        return eta - _exp(eta)

    def tilt(self, eta: Array) -> Array:
        return 1.0 - _exp(eta)

    def cdf(self, eta: np.ndarray) -> np.ndarray:
        return -np.expm1(-np.exp(np.minimum(eta, FARTHEST)))

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return np.log(-np.log1p(-p))


class Loglog(NamedTuple):
    def log_lower(self, eta: Array) -> Array:
        return -_exp(-eta)

    def log_upper(self, eta: Array) -> Array:
        return log1mexp(_exp(-eta))

    def log_between(self, upper: Array, lower: Array) -> Array:
        return Cloglog().log_between(-lower, -upper)

    def log_slope(self, eta: Array) -> Array:
        return -eta - _exp(-eta)

    def tilt(self, eta: Array) -> Array:
        return _exp(-eta) - 1.0

    def cdf(self, eta: np.ndarray) -> np.ndarray:
        return np.exp(-np.exp(np.minimum(-eta, FARTHEST)))

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return -np.log(-np.log(p))


class Cauchit(NamedTuple):
    def log_lower(self, eta: Array) -> Array:
        return jnp.log(jnp.arctan2(1.0, -eta)) - LOG_PI

    def log_upper(self, eta: Array) -> Array:
        return self.log_lower(-eta)

    def log_between(self, upper: Array, lower: Array) -> Array:
        return jnp.log(jnp.arctan2(upper - lower, 1.0 + upper * lower)) - LOG_PI

    def log_slope(self, eta: Array) -> Array:
        return -jnp.log1p(eta**2) - LOG_PI

    def tilt(self, eta: Array) -> Array:
        return -2.0 * eta / (1.0 + eta**2)

    def cdf(self, eta: np.ndarray) -> np.ndarray:
        return np.arctan2(1.0, -np.asarray(eta)) / np.pi

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return np.tan(np.pi * (p - 0.5))


LINKS: dict[str, Link] = {
    "logit": Logit(),
    "probit": Probit(),
    "cloglog": Cloglog(),
    "loglog": Loglog(),
    "cauchit": Cauchit(),
}


def _exp(eta: Array) -> Array:
    return jnp.exp(jnp.clip(eta, -FARTHEST, FARTHEST))
