"""Entropy of a mixture policy: bounds, since it has no closed form, `H(a|k) <= H(a) <= H(a|k) + H(k)`.

Between them the pairwise bounds of Kolchinsky and Tracey (2017), Entropy 19(7), 361:
`H(a|k) - sum_i w_i log sum_j w_j exp(-d_ij)`, a lower bound with d Bhattacharyya's distance, an upper one with d =
KL(i || j). Both distances are those of u, as no invertible map changes them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mixstat.core.family import Array
from mixstat.core.special import HALF_LOG_TWO_PI
from mixstat.policies.covariance import factor, marginal_sd
from mixstat.policies.head import MixtureHead
from mixstat.policies.squashing import expected_log_jacobian


class EntropyBounds(NamedTuple):
    """Nats, (...,) each, in rising order.

    conditional      H(a|k), what experts have on average: exact without squashing, by quadrature with it
    pairwise_lower   Kolchinsky and Tracey's, by Bhattacharyya's distance
    pairwise_upper   and by Kullback-Leibler divergence
    joint            H(a|k) + H(k): the entropy if experts do not overlap
    """

    conditional: Array
    pairwise_lower: Array
    pairwise_upper: Array
    joint: Array


def entropy_bounds(head: MixtureHead) -> EntropyBounds:
    """Bounds of H(a) in nats."""
    weights, log_weights = head.weights, head.log_weights
    conditional = jnp.sum(weights * component_entropy(head), axis=-1)
    lower, upper = (
        conditional - jnp.sum(weights * jax.nn.logsumexp(log_weights[..., None, :] - distance, axis=-1), axis=-1)
        for distance in (bhattacharyya(head), kullback_leibler(head))
    )
    return EntropyBounds(conditional, lower, upper, conditional + gate_entropy(head.logits))


def gate_entropy(logits: Array) -> Array:
    """H(k) of softmax(logits), (...,)."""
    logs = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.sum(jnp.exp(logs) * logs, axis=-1)


def component_entropy(head: MixtureHead) -> Array:
    """H(pi_k), (..., K): of the action, the Jacobian's expectation by Gauss-Hermite quadrature."""
    entropy = jnp.sum(head.log_sd, axis=-1) + head.action_size * (HALF_LOG_TWO_PI + 0.5)
    if not head.squash:
        return entropy
    return entropy + expected_log_jacobian(head.mean, marginal_sd(head.log_sd, head.dependence))


def kullback_leibler(head: MixtureHead) -> Array:
    """KL(pi_i || pi_j), (..., K, K)."""
    lower = factor(head.log_sd, head.dependence)
    inverse = jnp.linalg.inv(lower)
    gaps = head.mean[..., :, None, :] - head.mean[..., None, :, :]
    shift = jnp.sum(jnp.einsum("...jab,...ijb->...ija", inverse, gaps) ** 2, axis=-1)
    spread = jnp.sum(jnp.einsum("...jab,...ibc->...ijac", inverse, lower) ** 2, axis=(-2, -1))
    scale = jnp.sum(head.log_sd, axis=-1)
    return 0.5 * (shift + spread - head.action_size) + scale[..., None, :] - scale[..., :, None]


def bhattacharyya(head: MixtureHead) -> Array:
    """Bhattacharyya's distance -log int sqrt(pi_i pi_j), (..., K, K); 0 for equal experts."""
    lower = factor(head.log_sd, head.dependence)
    covariance = lower @ jnp.swapaxes(lower, -1, -2)
    pooled = 0.5 * (covariance[..., :, None, :, :] + covariance[..., None, :, :, :])
    gaps = head.mean[..., :, None, :] - head.mean[..., None, :, :]
    solved = jnp.linalg.solve(pooled, gaps[..., None])[..., 0]
    scale = jnp.sum(head.log_sd, axis=-1)
    log_det = 0.5 * jnp.linalg.slogdet(pooled)[1]
    apart = 0.125 * jnp.sum(gaps * solved, axis=-1)
    return apart + log_det - 0.5 * (scale[..., :, None] + scale[..., None, :])
