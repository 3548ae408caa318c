"""One update of soft actor-critic: critics, the actor under the new critics, temperature, target critics; by Adam."""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.policies import replay, sac_losses
from mixstat.policies.critics import polyak
from mixstat.policies.losses import actor_loss, temperature_loss
from mixstat.policies.optimizer import adam, descend
from mixstat.policies.training import Sums

if TYPE_CHECKING:
    from mixstat.policies.sac import SAC


class Learner(NamedTuple):
    """Parameters of the policy, of both critics and of their slow copies, log alpha, and the optimizers' states."""

    policy: Any
    critics: Any
    targets: Any
    log_alpha: jax.Array
    optimizers: dict[str, Any]


def begin(spec: "SAC", key: jax.Array) -> Learner:
    """Drawn parameters."""
    of_policy, *of_critics = jax.random.split(key, 3)
    policy = spec.policy.init(of_policy)
    critics = tuple(spec.critic.init(k) for k in of_critics)
    log_alpha = jnp.log(jnp.asarray(spec.temperature, jnp.float32))
    optimizer = adam(spec.learning_rate)
    states = {
        "policy": optimizer.init(policy),
        "critics": optimizer.init(critics),
        "log_alpha": optimizer.init(log_alpha),
    }
    return Learner(policy, critics, critics, log_alpha, states)


def learn(spec: "SAC", learner: Learner, rows: jax.Array, key: jax.Array) -> tuple[Learner, Sums]:
    """The learner after a batch of replay rows, and measures of it."""
    batch = replay.unpack(rows, spec.policy.observation_size, spec.policy.action_size)
    of_target, of_actor = jax.random.split(key)
    target = target_of(spec, learner, batch, of_target)
    value = partial(sac_losses.critic_loss, spec.critic)
    critic_loss, slope = jax.value_and_grad(value)(learner.critics, batch, target)
    learner = _step(spec, learner, "critics", slope)
    (loss, measures), slope = jax.value_and_grad(_actor_loss, argnums=1, has_aux=True)(
        spec, learner.policy, learner, batch.observation, of_actor
    )
    learner = _step(spec, learner, "policy", slope)
    if spec.wanted_entropy is not None:
        slope = jax.grad(temperature_loss)(learner.log_alpha, measures["log_prob"], spec.wanted_entropy)
        learner = _step(spec, learner, "log_alpha", slope)
    learner = learner._replace(targets=polyak(learner.targets, learner.critics, spec.tau))
    return learner, {
        "updates": jnp.ones(()),
        "critic_loss": critic_loss,
        "actor_loss": loss,
        "log_prob": jnp.mean(measures["log_prob"]),
        "gate_entropy": measures["gate_entropy"],
        "temperature": jnp.exp(learner.log_alpha),
    }


def explore(spec: "SAC", params: Any, key: jax.Array, observation: jax.Array, t: Any) -> jax.Array:
    """Actions (n, D): uniform in the first `random_steps`, then the policy's."""
    of_policy, of_uniform = jax.random.split(key)
    chosen = spec.policy.sample(params, of_policy, observation)
    uniform = jax.random.uniform(of_uniform, chosen.shape, chosen.dtype, -1.0, 1.0)
    return jnp.where(t * spec.n_environments < spec.random_steps, uniform, chosen)


def target_of(spec: "SAC", learner: Learner, batch: replay.Transition, key: jax.Array) -> jax.Array:
    """What both critics are regressed on, (batch,)."""
    head = spec.policy.head(learner.policy, batch.next_observation)
    action, log_prob = sac_losses.next_action(spec.estimator, key, head)
    value = spec.critic.smallest(learner.targets, batch.next_observation, action)
    target = sac_losses.critic_target(batch, value, log_prob, alpha=jnp.exp(learner.log_alpha), gamma=spec.gamma)
    return jax.lax.stop_gradient(target)


def _actor_loss(
    spec: "SAC", params: Any, learner: Learner, observation: jax.Array, key: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    head = spec.policy.head(params, observation)

    def q(action: jax.Array) -> jax.Array:
        return spec.critic.smallest(learner.critics, observation, action)

    alpha = jnp.exp(learner.log_alpha)
    loss, aux = actor_loss(spec.estimator, key, head, q, alpha, primitives=spec.primitives)
    gate_entropy = -jnp.mean(jnp.sum(head.weights * head.log_weights, axis=-1))
    return loss, {"log_prob": aux.log_prob, "gate_entropy": gate_entropy}


def _step(spec: "SAC", learner: Learner, part: str, slope: Any) -> Learner:
    """Adam's step of one part."""
    params, state = descend(adam(spec.learning_rate), slope, learner.optimizers[part], getattr(learner, part))
    return learner._replace(optimizers={**learner.optimizers, part: state}, **{part: params})
