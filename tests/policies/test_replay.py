"""Replay: rows keep their parts, the ring forgets the oldest, draws are of what is there."""

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.policies import replay


def steps(first: int, n: int) -> replay.Transition:
    number = jnp.arange(first, first + n, dtype=jnp.float32)
    return replay.Transition(
        observation=jnp.stack([number, number + 0.1], axis=1),
        action=number[:, None] + 0.2,
        reward=number + 0.3,
        next_observation=jnp.stack([number + 0.4, number + 0.5], axis=1),
        done=jnp.arange(n) % 2 == 0,
    )


def test_rows_keep_their_parts():
    rows = replay.pack(steps(3, 4))
    assert rows.shape == (4, replay.width(2, 1))
    for there, back in zip(steps(3, 4), replay.unpack(rows, 2, 1), strict=True):
        np.testing.assert_array_equal(jnp.asarray(there, jnp.float32), back)


def test_ring_forgets_the_oldest():
    ring = jnp.zeros((6, replay.width(2, 1)))
    for first in range(0, 10, 2):
        ring = replay.add(ring, replay.pack(steps(first, 2)), first)
    np.testing.assert_array_equal(ring[:, 0], [6, 7, 8, 9, 4, 5])


def test_draws_are_of_what_is_there_and_uniform():
    ring = replay.add(jnp.zeros((8, replay.width(2, 1))), replay.pack(steps(10, 4)), 0)
    drawn = replay.draw(jax.random.PRNGKey(0), ring, 4, 4000)[:, 0]
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, [10, 11, 12, 13])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 0.75)
