"""Worlds: n copies of a pure environment that run side by side, each begun anew when its episode ends or is cut off."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.policies.environments import Environment

Numbers = Any
"""An array of jax or of numpy."""


class World(NamedTuple):
    """`state` and `observation` of each copy, steps since its start and their rewards' sum."""

    state: Any
    observation: jax.Array
    elapsed: jax.Array
    total: jax.Array


class Moved(NamedTuple):
    """What one step of every copy gave. `observation` is the one before a restart; `done`: nothing follows; `stopped`:
    done, or cut off; `total` and `length` are those of the episode so far."""

    observation: Numbers
    reward: Numbers
    done: Numbers
    stopped: Numbers
    total: Numbers
    length: Numbers


def begin(env: Environment, key: jax.Array, n: int) -> World:
    """n new episodes."""
    state, observation = jax.vmap(env.reset)(jax.random.split(key, n))
    return World(state, observation, jnp.zeros(n, jnp.int32), jnp.zeros(n))


def advance(env: Environment, key: jax.Array, world: World, action: jax.Array) -> tuple[World, Moved]:
    """One step of every copy with its action (n, D)."""
    of_step, of_start = jax.random.split(key)
    n = len(world.elapsed)
    step = jax.vmap(env.step)(jax.random.split(of_step, n), world.state, action)
    moved = Moved(
        observation=step.observation,
        reward=step.reward,
        done=step.done,
        stopped=step.done | (world.elapsed + 1 >= env.horizon),
        total=world.total + step.reward,
        length=world.elapsed + 1,
    )
    going = World(step.state, step.observation, moved.length, moved.total)
    return _choose(moved.stopped, begin(env, of_start, n), going), moved


def _choose(first: jax.Array, one: World, other: World) -> World:
    """Leaf by leaf, rows of `one` where `first`."""

    def pick(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(first.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, one, other)


def tally(moved: Moved, xp: Any = jnp) -> dict[str, Any]:
    """Sums over the episodes that stopped, and how many values are no finite numbers; `xp` is jax.numpy or numpy."""
    unusable = xp.sum(~xp.isfinite(moved.observation)) + xp.sum(~xp.isfinite(moved.reward))
    return {
        "episodes": xp.sum(moved.stopped).astype(xp.float32),
        "return": xp.sum(xp.where(moved.stopped, moved.total, 0.0)),
        "length": xp.sum(xp.where(moved.stopped, moved.length, 0)).astype(xp.float32),
        "unusable": unusable.astype(xp.float32),
    }
