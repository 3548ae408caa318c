"""Densities of draws of every expert under every expert, `log N_k(u_j)`, with rows last.

A CPU works on many rows at a time where they are the last axis, and on one at a time where that holds a few experts or
coordinates: the numbers are those of `MixtureHead.component_log_prob`, in a tenth of its time.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp

from mixstat.core.family import Array
from mixstat.core.mixture import by_bayes
from mixstat.policies.head import MixtureHead
from mixstat.policies.squashing import LOG_2, softplus

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class AtDraws(NamedTuple):
    """log pi and log pi_k of the draw of expert k, (..., K) both."""

    mixture: Array
    own: Array


def densities(head: MixtureHead, pre_squash: Array) -> AtDraws:
    """Log-densities of one draw u of every expert, (..., K, D)."""
    if head.dependence is not None:
        each = head.over_draws().component_log_prob(pre_squash=pre_squash)
        joint = head.log_weights[..., None, :] + each
        return AtDraws(by_bayes(joint, axis=-1)[0], jnp.diagonal(each, axis1=-2, axis2=-1))
    u, mean, log_sd = (jnp.moveaxis(part, (-2, -1), (0, 1)) for part in (pre_squash, head.mean, head.log_sd))
    z = (u[:, None] - mean) * jnp.exp(-log_sd)
    each = jnp.sum(-0.5 * z * z - (log_sd + HALF_LOG_TWO_PI), axis=2)  # (draw, expert, ...)
    mixture = by_bayes(jnp.moveaxis(head.log_weights, -1, 0) + each, axis=1)[0]
    own = jnp.stack([each[k, k] for k in range(len(each))])
    if head.squash:
        jacobian = jnp.sum(2.0 * (LOG_2 - u - softplus(-2.0 * u)), axis=1)
        mixture, own = mixture - jacobian, own - jacobian
    return AtDraws(jnp.moveaxis(mixture, 0, -1), jnp.moveaxis(own, 0, -1))
