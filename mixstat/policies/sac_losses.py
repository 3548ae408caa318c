"""Soft actor-critic: J = E sum_t gamma^t [r_t - alpha log pi(a_t|s_t)], twin critics, alpha tuned to a target entropy.

    critic       mean [Q_j(s, a) - r - gamma (1 - done) (min_j Q'_j(s', a') - alpha l')]^2,  Q' a Polyak average
    actor        `losses.actor_loss`
    temperature  `losses.temperature_loss`, -log alpha mean [l + target entropy]

l is log pi(a|s) of the whole mixture; under `estimator="frequency"`, as published, that of the expert which acted (the
winner, in the temperature's).
Haarnoja et al. (2018, "Soft actor-critic algorithms and applications", arXiv 1812.05905); Ren, Li, Ding, Pan and Dong
(2021, arXiv 2104.09122).
"""

from typing import Any

import jax
import jax.numpy as jnp

from mixstat.policies.critics import Critic
from mixstat.policies.head import MixtureHead
from mixstat.policies.replay import Transition


def next_action(estimator: str, key: jax.Array, head: MixtureHead) -> tuple[jax.Array, jax.Array]:
    """(action, l'): a draw of the mixture, and its log-probability or, under "frequency", that of its expert alone."""
    of_expert, of_noise = jax.random.split(key)
    chosen = expert_of(head, jax.random.categorical(of_expert, head.logits, axis=-1))
    action, u = (part[..., 0, :] for part in chosen.rsample_components(of_noise))
    law = chosen if estimator == "frequency" else head
    return action, law.log_prob(pre_squash=u)


def expert_of(head: MixtureHead, chosen: jax.Array) -> MixtureHead:
    """A head of one expert, the chosen one of each row (batch,)."""

    def pick(leaf: jax.Array) -> jax.Array:
        return jnp.take_along_axis(leaf, chosen[..., None, None], axis=-2)

    dependence = None if head.dependence is None else pick(head.dependence)
    return MixtureHead(
        jnp.zeros_like(head.logits[..., :1]), pick(head.mean), pick(head.log_sd), dependence, head.squash
    )


def critic_target(
    batch: Transition, next_value: jax.Array, next_log_prob: jax.Array, *, alpha: jax.Array | float, gamma: float
) -> jax.Array:
    """r + gamma (1 - done) (Q'(s', a') - alpha l'), (batch,)."""
    return batch.reward + gamma * (1.0 - batch.done) * (next_value - alpha * next_log_prob)


def critic_loss(critic: Critic, pair: Any, batch: Transition, target: jax.Array) -> jax.Array:
    """Sum over the critics of the mean squared error."""
    errors = [critic.action_value(params, batch.observation, batch.action) - target for params in pair]
    return sum(jnp.mean(error**2) for error in errors)  # type: ignore[return-value]
