"""Pure environments: their arithmetic, the best return, coverage of goals, what does not suit a policy."""

from dataclasses import dataclass
from math import comb
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.exceptions import DataError, OptionError
from mixstat.policies import worlds
from mixstat.policies.environments import Environment, MultiGoal, Step, checked, goals_covered, retry_success, rollout

ENV = MultiGoal()
SIZES: Any = SimpleNamespace(observation_size=2, action_size=2)


def test_best_return_is_a_straight_way():
    still = MultiGoal(start_sd=0.0)
    episode = rollout(still, lambda key, seen: jnp.array([1.0, 0.0]), jax.random.PRNGKey(0))
    assert float(episode.total) == pytest.approx(8.8, abs=1e-5)
    assert int(episode.length) == 4
    assert bool(episode.done)
    assert int(still.goal(episode.state)) == 0


def test_a_step_by_hand():
    step = ENV.step(jax.random.PRNGKey(0), jnp.array([0.5, -1.0]), jnp.array([3.0, -0.5]))
    position = np.array([1.5, -1.5])  # the action is clipped to 1
    nearest = np.hypot(1.5, 3.5)
    np.testing.assert_allclose(step.state, position)
    np.testing.assert_allclose(step.observation, position / 5, rtol=1e-6)
    assert float(step.reward) == pytest.approx(-0.05 * 1.25 - 0.1 * nearest, rel=1e-6)
    assert not bool(step.done)


def test_standing_still_is_cut_off():
    episode = rollout(ENV, lambda key, seen: jnp.zeros(2), jax.random.PRNGKey(3))
    assert int(episode.length) == ENV.horizon
    assert not bool(episode.done)
    assert int(ENV.goal(episode.state)) == -1


def test_copies_begin_anew_when_they_stop():
    """Four unit steps reach the goal; the fifth starts from a new origin."""
    env = MultiGoal(start_sd=0.01)
    world = worlds.begin(env, jax.random.PRNGKey(0), 3)
    action = jnp.tile(jnp.array([0.0, 1.0]), (3, 1))
    told = []
    for i in range(5):
        world, moved = worlds.advance(env, jax.random.PRNGKey(i), world, action)
        told.append(worlds.tally(moved))
    assert [float(t["episodes"]) for t in told] == [0, 0, 0, 3, 0]
    assert float(told[3]["length"]) == 12
    assert float(told[3]["return"]) / 3 == pytest.approx(8.8, abs=0.1)
    np.testing.assert_array_equal(world.elapsed, [1, 1, 1])
    assert float(jnp.abs(world.observation).max()) < 0.4
    assert all(float(t["unusable"]) == 0 for t in told)


def test_retries_are_counted_without_bias():
    goals = np.array([0] * 5 + [1] * 3 + [-1] * 4)
    by_hand = np.mean([1 - comb(12 - c, 4) / comb(12, 4) for c in (5, 3, 0, 0)])
    assert retry_success(goals, retries=4) == pytest.approx(by_hand)
    assert retry_success(np.zeros(500, int)) == pytest.approx(0.25)
    even = retry_success(np.arange(4000) % 4)
    assert even == pytest.approx(1 - 0.75**10, abs=2e-3)
    assert goals_covered(goals) == 2
    with pytest.raises(DataError, match="at least retries=10"):
        retry_success(goals[:5])


@dataclass(frozen=True)
class Strange:
    """An environment with one fault."""

    fault: str = ""
    observation_size: int = 2
    action_size: int = 2
    horizon: int = 5

    def reset(self, key):
        return jnp.zeros(2), jnp.zeros(2)

    def step(self, key, state, action):
        if self.fault == "raises":
            raise ValueError("no such lever")
        reward = jnp.zeros(2) if self.fault == "reward" else jnp.zeros(())
        state = jnp.zeros(3) if self.fault == "state" else state
        return Step(state, state[:2], reward, jnp.zeros((), bool))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raises", "Strange raised ValueError when it was compiled: no such lever"),
        ("reward", r"reward of Strange.step has shape \(2,\), expected \(\)"),
        ("state", "changes the shape or type of the state"),
    ],
)
def test_strange_environments_are_named(fault, words):
    with pytest.raises(OptionError, match=words):
        checked(Strange(fault), SIZES)


def test_sizes_have_to_agree():
    assert isinstance(ENV, Environment)
    assert checked(Strange(), SIZES) == Strange()
    with pytest.raises(OptionError, match=r"make it GaussianMixturePolicy\(3, 2"):
        checked(Strange(observation_size=3), SIZES)
