"""Residual structures of repeated measurements: how they whiten a subject's occasions.

    iid, heteroscedastic:  R = diag(sigma_j^2)
    ar1:       R(t, s) = sd^2 exp(-rate |t - s|) + sigma^2 [t = s]   (Ornstein-Uhlenbeck; Diggle, 1988, Biometrics 44)
    brownian:  R(t, s) = sd^2 min(t, s) + sigma^2 [t = s],  t >= 0

The last two are Markov processes seen with noise: a scalar Kalman filter turns any vector over occasions into
uncorrelated ones, in as many steps as there are occasions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = Any
Whitened = tuple[list[Array], Array]


class Residual(NamedTuple):
    """`whiten(vectors, log_sigma, parameters, time, seen)` -> (W v of each vector (occasion, subject), log|R|
    (subject,)); `draw(rng, log_sigma, parameters, time)` -> residuals (occasion, subject), numpy."""

    parameters: tuple[str, ...]
    whiten: Callable[[list[Array], Array, Sequence[Array], Array, Array], Whitened]
    draw: Callable[[np.random.Generator, Array, Sequence[Array], Array], np.ndarray]


def _independent(
    vectors: list[Array], log_sigma: Array, parameters: Sequence[Array], time: Array, seen: Array
) -> Whitened:
    precision = seen * jnp.exp(-log_sigma)
    return [precision * v for v in vectors], 2.0 * jnp.sum(seen * log_sigma, axis=0)


def _autoregressive(
    vectors: list[Array], log_sigma: Array, parameters: Sequence[Array], time: Array, seen: Array
) -> Whitened:
    log_sd, log_rate = parameters
    variance = jnp.exp(2.0 * log_sd) * jnp.ones_like(time[0])
    decay = jnp.exp(-jnp.exp(log_rate) * _steps(time))
    return _filter(vectors, log_sigma, seen, variance, decay, variance * (1.0 - decay**2))


def _brownian(
    vectors: list[Array], log_sigma: Array, parameters: Sequence[Array], time: Array, seen: Array
) -> Whitened:
    rate = jnp.exp(2.0 * parameters[0])
    return _filter(vectors, log_sigma, seen, rate * time[0], jnp.ones_like(time), rate * _steps(time))


def _draw_independent(
    rng: np.random.Generator, log_sigma: Array, parameters: Sequence[Array], time: Array
) -> np.ndarray:
    drawn: np.ndarray = np.exp(np.asarray(log_sigma)) * rng.normal(size=time.shape)
    return drawn


def _draw_autoregressive(
    rng: np.random.Generator, log_sigma: Array, parameters: Sequence[Array], time: Array
) -> np.ndarray:
    sd, rate = np.exp(np.asarray(parameters[0])), np.exp(np.asarray(parameters[1]))
    decay = np.exp(-rate * np.asarray(_steps(time)))
    return _walk(rng, sd, decay, sd * np.sqrt(1.0 - decay**2)) + _draw_independent(rng, log_sigma, (), time)


def _draw_brownian(rng: np.random.Generator, log_sigma: Array, parameters: Sequence[Array], time: Array) -> np.ndarray:
    sd = np.exp(np.asarray(parameters[0]))
    spread = sd * np.sqrt(np.asarray(_steps(time)))
    return _walk(rng, sd * np.sqrt(time[0]), np.ones_like(time), spread) + _draw_independent(rng, log_sigma, (), time)


def _walk(rng: np.random.Generator, first: np.ndarray, decay: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """x_1 ~ N(0, first^2), x_j = decay_j x_{j-1} + N(0, spread_j^2)."""
    walk = spread * rng.normal(size=spread.shape)
    walk[0] = first * rng.normal(size=spread.shape[1])
    for j in range(1, len(walk)):
        walk[j] += decay[j] * walk[j - 1]
    return walk


def _steps(time: Array) -> Array:
    """Time since the occasion before, 0 at the first."""
    return jnp.concatenate([jnp.zeros_like(time[:1]), time[1:] - time[:-1]])


def _filter(
    vectors: list[Array], log_sigma: Array, seen: Array, variance: Array, decay: Array, innovation: Array
) -> Whitened:
    """Kalman filter of x_j = decay_j x_{j-1} + N(0, innovation_j), seen with noise; `variance` is that of x_1."""
    stacked = jnp.stack(vectors, axis=1)
    noise = jnp.exp(2.0 * log_sigma) * jnp.ones_like(seen)

    def step(state: tuple[Array, Array], at: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        mean, spread = state
        values, kept, shrink, added, error = at
        mean, spread = shrink * mean, shrink**2 * spread + added
        total = spread + error
        gain = kept * spread / total
        surprise = values - mean
        whitened = kept * surprise / jnp.sqrt(total)
        return (mean + gain * surprise, spread * (1.0 - gain)), (whitened, kept * jnp.log(total))

    first = (jnp.zeros_like(stacked[0]), variance)
    start = innovation.at[0].set(0.0)
    stay = decay.at[0].set(1.0)
    _, (whitened, logs) = jax.lax.scan(step, first, (stacked, seen, stay, start, noise))
    return [whitened[:, v] for v in range(stacked.shape[1])], jnp.sum(logs, axis=0)


RESIDUALS = {
    "iid": Residual((), _independent, _draw_independent),
    "occasion": Residual((), _independent, _draw_independent),
    "ar1": Residual(("ar_sd", "ar_rate"), _autoregressive, _draw_autoregressive),
    "brownian": Residual(("brownian_sd",), _brownian, _draw_brownian),
}
