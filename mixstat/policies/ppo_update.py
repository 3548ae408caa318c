"""What proximal policy optimisation learns from the steps that it took: some epochs of minibatches, by Adam."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.policies import ppo_losses
from mixstat.policies.losses import gate_frequency_loss
from mixstat.policies.normalizer import Moments, merge, scaled, standardized, unseen
from mixstat.policies.optimizer import adam, descend
from mixstat.policies.training import Sums

if TYPE_CHECKING:
    from mixstat.policies.ppo import PPO


class Learner(NamedTuple):
    """Parameters by part ("policy", "value", and "quality" where the gate is published), Adam's state, and moments of
    observations and of discounted rewards."""

    params: dict[str, Any]
    optimizer: Any
    observed: Moments
    rewarded: Moments


class Steps(NamedTuple):
    """What was done, (time, copy, ...): raw observations before and after, u and its log-density, raw rewards."""

    observation: Any
    pre_squash: Any
    log_prob: Any
    reward: Any
    next_observation: Any
    done: Any
    stopped: Any


class Batch(NamedTuple):
    """Rows to learn from, with standardised observations."""

    observation: jax.Array
    pre_squash: jax.Array
    log_prob: jax.Array
    value: jax.Array
    advantage: jax.Array


def begin(spec: "PPO", key: jax.Array) -> Learner:
    """Drawn parameters, and moments of nothing yet."""
    of_policy, of_value, of_quality = jax.random.split(key, 3)
    params = {"policy": spec.policy.init(of_policy), "value": spec.value.init(of_value)}
    if spec.gate == "frequency":
        params["quality"] = spec.quality.init(of_quality)
    return Learner(params, _adam(spec).init(params), unseen((spec.policy.observation_size,)), unseen(()))


def seen(spec: "PPO", learner: Learner, observation: jax.Array) -> jax.Array:
    """Observations as the policy gets them."""
    return standardized(learner.observed, observation) if "observation" in spec.normalize else observation


def choose(spec: "PPO", learner: Learner, key: jax.Array, observation: jax.Array) -> tuple[jax.Array, ...]:
    """(action, u, log pi) at raw observations (n, d)."""
    head = spec.policy.head(learner.params["policy"], seen(spec, learner, observation))
    drawn = head.draw(key)
    return drawn.action, drawn.pre_squash, head.log_prob(pre_squash=drawn.pre_squash)


def improve(
    spec: "PPO", learner: Learner, steps: Steps, running: jax.Array, key: jax.Array
) -> tuple[Learner, jax.Array, Sums]:
    """The learner after all epochs, the discounted reward that goes on (copy,), and measures summed over updates."""
    gains, running = ppo_losses.discounted(steps.reward, steps.stopped, running, gamma=spec.gamma)
    rewarded = merge(learner.rewarded, gains.ravel())
    learner = learner._replace(rewarded=rewarded)
    batch = batch_of(spec, learner, steps)
    learner, sums = _epochs(spec, learner, batch, key)
    observed = merge(learner.observed, steps.observation.reshape(-1, steps.observation.shape[-1]))
    return learner._replace(observed=observed), running, sums


def batch_of(spec: "PPO", learner: Learner, steps: Steps) -> Batch:
    """Rows of all times and copies, with values and advantages under the parameters that acted."""
    before, after = (seen(spec, learner, part) for part in (steps.observation, steps.next_observation))
    reward = scaled(learner.rewarded, steps.reward) if "reward" in spec.normalize else steps.reward
    value, following = (spec.value.value(learner.params["value"], part) for part in (before, after))
    done, stopped = (jnp.asarray(part, jnp.float32) for part in (steps.done, steps.stopped))
    gain = ppo_losses.advantages(reward, value, following, done, stopped, gamma=spec.gamma, gae_lambda=spec.gae_lambda)
    rows = Batch(before, steps.pre_squash, steps.log_prob, value, gain)
    return Batch(*(leaf.reshape(-1, *leaf.shape[2:]) for leaf in rows))


def _epochs(spec: "PPO", learner: Learner, batch: Batch, key: jax.Array) -> tuple[Learner, Sums]:
    """Every epoch sees all rows once, in a new order."""
    n = len(batch.value)
    of_orders, of_losses = jax.random.split(key)
    orders = jax.vmap(lambda k: jax.random.permutation(k, n))(jax.random.split(of_orders, spec.epochs))

    def update(carry: tuple[Any, Any], now: tuple[jax.Array, jax.Array]) -> tuple[tuple[Any, Any], Sums]:
        params, state = carry
        rows, number = now
        part = Batch(*(leaf[rows] for leaf in batch))
        of_draws = jax.random.fold_in(of_losses, number)
        (_, told), slope = jax.value_and_grad(loss, argnums=1, has_aux=True)(spec, params, part, of_draws)
        return descend(_adam(spec), slope, state, params), told

    each = orders.reshape(-1, spec.batch_size)
    (params, state), told = jax.lax.scan(update, (learner.params, learner.optimizer), (each, jnp.arange(len(each))))
    return learner._replace(params=params, optimizer=state), jax.tree.map(jnp.sum, told)


def loss(spec: "PPO", params: dict[str, Any], batch: Batch, key: jax.Array) -> tuple[jax.Array, Sums]:
    """Surrogate, weighted value loss and, as published, the gate's frequency loss with its critic's; and measures."""
    head = spec.policy.head(params["policy"], batch.observation)
    log_prob = head.log_prob(pre_squash=batch.pre_squash)
    target = batch.advantage + batch.value
    of_policy = ppo_losses.surrogate(log_prob, batch.log_prob, batch.advantage, clip=spec.clip)
    value = spec.value.value(params["value"], batch.observation)
    of_value = ppo_losses.value_loss(value, batch.value, target, clip=spec.value_clip)
    total = of_policy + spec.value_weight * of_value
    if spec.gate == "frequency":
        total = total + gate_loss(spec, params, batch, target, key)
    told = {
        "updates": jnp.ones(()),
        "policy_loss": of_policy,
        "value_loss": of_value,
        "log_prob": jnp.mean(log_prob),
        "divergence": jnp.mean(batch.log_prob - log_prob),
        "clipped": jnp.mean(jnp.abs(jnp.exp(log_prob - batch.log_prob) - 1.0) > spec.clip),
        "gate_entropy": -jnp.mean(jnp.sum(head.weights * head.log_weights, axis=-1)),
    }
    return total, {name: jnp.asarray(value, jnp.float32) for name, value in told.items()}


def gate_loss(spec: "PPO", params: dict[str, Any], batch: Batch, target: jax.Array, key: jax.Array) -> jax.Array:
    """The frequency loss of the gate on fresh draws, whose winner a critic Q(s, u) names, and that critic's error."""
    head = spec.policy.head(params["policy"], batch.observation)
    draws = jax.lax.stop_gradient(head.rsample_components(key).pre_squash)
    quality = spec.quality.action_value(params["quality"], batch.observation, draws)
    error = spec.quality.action_value(params["quality"], batch.observation, batch.pre_squash) - target
    return gate_frequency_loss(head.logits, quality) + jnp.mean(error**2)


def _adam(spec: "PPO") -> Any:
    return adam(spec.learning_rate, eps=1e-5, clip=spec.max_gradient)
