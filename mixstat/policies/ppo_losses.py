"""Proximal policy optimisation: `-E min(rho A, clip(rho, 1 - c, 1 + c) A)`, rho = pi(a|s) / pi_old(a|s) of mixtures.

The ratio is differentiable in gate and experts alike, so that no estimator of the gate's gradient is needed.
Schulman et al. (2017, "Proximal policy optimization algorithms", arXiv 1707.06347); advantages: Schulman et al. (2016,
"High-dimensional continuous control using generalized advantage estimation", ICLR).
"""

import jax
import jax.numpy as jnp


def advantages(
    reward: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    done: jax.Array,
    stopped: jax.Array,
    *,
    gamma: float,
    gae_lambda: float,
) -> jax.Array:
    """A_t = delta_t + gamma lambda (1 - stopped_t) A_{t+1}, delta_t = r_t + gamma (1 - done_t) V(s_{t+1}) - V(s_t).

    All (time, copy). An episode that was cut off (stopped, not done) still counts the value of where it stopped.
    """
    delta = reward + gamma * (1.0 - done) * next_value - value

    def back(later: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        gap, goes_on = now
        found = gap + gamma * gae_lambda * goes_on * later
        return found, found

    return jax.lax.scan(back, jnp.zeros_like(delta[0]), (delta, 1.0 - stopped), reverse=True)[1]


def discounted(reward: jax.Array, stopped: jax.Array, start: jax.Array, *, gamma: float) -> tuple[jax.Array, jax.Array]:
    """G_t = gamma G_{t-1} + r_t, begun anew with every episode, (time, copy), and what goes on after the last time."""

    def on(before: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        gain, ends = now
        found = gamma * before + gain
        return found * (1.0 - ends), found

    last, found = jax.lax.scan(on, start, (reward, stopped))
    return found, last


def surrogate(log_prob: jax.Array, old_log_prob: jax.Array, advantage: jax.Array, *, clip: float) -> jax.Array:
    """The clipped surrogate, to be minimised; advantages are standardised over the batch."""
    gain = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
    ratio = jnp.exp(log_prob - old_log_prob)
    return -jnp.mean(jnp.minimum(ratio * gain, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * gain))


def value_loss(value: jax.Array, old_value: jax.Array, target: jax.Array, *, clip: float | None) -> jax.Array:
    """Mean squared error, not lessened by what moves a value further than `clip` from the old one."""
    error = (value - target) ** 2
    if clip is None:
        return jnp.mean(error)
    near = old_value + jnp.clip(value - old_value, -clip, clip)
    return jnp.mean(jnp.maximum(error, (near - target) ** 2))
