"""Normalizer: (x - m) / sd by running moments, m and sd^2 of all that was seen (Chan, Golub and LeVeque, 1983)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

BOUND = 10.0
"""Standardised values are clipped to +-this."""


class Moments(NamedTuple):
    """Number, mean and variance of what was seen."""

    number: jax.Array
    mean: jax.Array
    variance: jax.Array


def unseen(shape: tuple[int, ...]) -> Moments:
    """Mean 0 and variance 1, of nothing yet."""
    return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def merge(moments: Moments, values: jax.Array) -> Moments:
    """With `values` (n, ...) too."""
    n = len(values)
    mean, variance = jnp.mean(values, axis=0), jnp.var(values, axis=0)
    total = moments.number + n
    gap, share = mean - moments.mean, n / total
    spread = (1.0 - share) * moments.variance + share * variance + share * (1.0 - share) * gap**2
    return Moments(total, moments.mean + share * gap, spread)


def standardized(moments: Moments, values: jax.Array) -> jax.Array:
    """(values - mean) / sd, clipped."""
    return jnp.clip((values - moments.mean) / jnp.sqrt(moments.variance + 1e-8), -BOUND, BOUND)


def scaled(moments: Moments, values: jax.Array) -> jax.Array:
    """values / sd, clipped: rewards keep their sign."""
    return jnp.clip(values / jnp.sqrt(moments.variance + 1e-8), -BOUND, BOUND)
