"""Replay: the last `capacity` transitions (s, a, r, s', done), one a row of a matrix, drawn uniformly with replacement.

Lin (1992, Machine Learning 8). A ring without a pointer: transition number i stands in row i mod capacity, so that the
count of all that was ever added, known to the caller, says where the next one goes and how many there are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Transition(NamedTuple):
    """Steps, one a row. `done` is 1 where nothing follows, and 0 also where an episode was cut off by a time limit."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    next_observation: jax.Array
    done: jax.Array


def width(observation_size: int, action_size: int) -> int:
    """Columns of a row."""
    return 2 * observation_size + action_size + 2


def pack(steps: Transition) -> jax.Array:
    """Rows (n, width) of steps (n, ...)."""
    columns = (steps.reward[:, None], steps.done[:, None].astype(jnp.float32))
    return jnp.concatenate([steps.observation, steps.action, steps.next_observation, *columns], axis=1)


def unpack(rows: jax.Array, observation_size: int, action_size: int) -> Transition:
    """Steps of rows (n, width)."""
    ends = (observation_size, observation_size + action_size, 2 * observation_size + action_size)
    observation, action, following = rows[:, : ends[0]], rows[:, ends[0] : ends[1]], rows[:, ends[1] : ends[2]]
    return Transition(observation, action, rows[:, -2], following, rows[:, -1])


def add(ring: jax.Array, rows: jax.Array, count: jax.Array | int) -> jax.Array:
    """The ring (capacity, width) with `rows` after `count` others; as many rows every time, a divisor of capacity."""
    return jax.lax.dynamic_update_slice_in_dim(ring, rows, jnp.mod(count, len(ring)), axis=0)


def draw(key: jax.Array, ring: jax.Array, count: jax.Array | int, size: int) -> jax.Array:
    """`size` rows of those that are there once `count` > 0 were added."""
    return ring[jax.random.randint(key, (size,), 0, jnp.minimum(count, len(ring)))]
