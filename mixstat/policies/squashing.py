"""Squashing: a = tanh(u) and its Jacobian, log |da/du| = 2 (log 2 - u - log(1 + e^-2u)), exact where a rounds to 1.

Reference: Haarnoja, Zhou, Abbeel and Levine (2018), Soft actor-critic, ICML, appendix C.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array
from mixstat.core.special import softplus

LOG_2 = math.log(2.0)


def squash(u: Array) -> Array:
    """The action, in [-1, 1]: floats round to the bounds from |u| = 9 (float32) or 19 (float64) on."""
    return jnp.tanh(u)


def log_jacobian(u: Array) -> Array:
    """`log |d tanh(u) / du|` summed over the last axis."""
    return jnp.sum(2.0 * (LOG_2 - u - softplus(-2.0 * u)), axis=-1)


def unsquash(action: Array) -> Array:
    """`atanh(action)`; an action at its bound is taken for the float next to it, so that u stays finite."""
    largest = 1.0 - 0.5 * jnp.finfo(action.dtype).eps
    return jnp.arctanh(jnp.clip(action, -largest, largest))


def is_action(action: Array) -> Array:
    """Whether all entries of the last axis are in [-1, 1] (missing values are let through)."""
    return ~jnp.any(jnp.abs(action) > 1.0, axis=-1)


def gaussian_expectation(function, mean: Array, sd: Array) -> Array:
    """E f(u), u ~ N(mean, sd^2), of a smooth elementwise f, by 64 Gauss-Hermite nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    values = function(mean[..., None] + sd[..., None] * jnp.asarray(nodes, mean.dtype))
    return values @ jnp.asarray(weights / weights.sum(), mean.dtype)


def squashed_mean(mean: Array, sd: Array) -> Array:
    """E tanh(u), elementwise."""
    return gaussian_expectation(jnp.tanh, mean, sd)


def expected_log_jacobian(mean: Array, sd: Array) -> Array:
    """E log |d tanh(u) / du|, summed over the last axis."""
    return jnp.sum(gaussian_expectation(lambda u: 2.0 * (LOG_2 - u - softplus(-2.0 * u)), mean, sd), axis=-1)


def stopped(tree):
    """The same numbers, without gradient."""
    return jax.lax.stop_gradient(tree)
