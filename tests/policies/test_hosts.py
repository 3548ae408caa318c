"""gymnasium environments: bounds, restarts, training by host loops, and environments that do not suit or that fail."""

import warnings

import jax
import numpy as np
import pytest

from mixstat.exceptions import OptionError
from mixstat.policies import GaussianMixturePolicy
from mixstat.policies.hosts import Hosts, hosts
from mixstat.policies.optimizer import MissingExtraError
from mixstat.policies.sac import SAC
from mixstat.policies.training import TrainingError

pytestmark = pytest.mark.slow

pytest.importorskip("optax")
gymnasium = pytest.importorskip("gymnasium")


class Walk(gymnasium.Env):
    """The observation counts, the reward is the action; ends at 5, is cut off at 7; may fail at a step."""

    def __init__(self, fails_at: int = -1, observation: float = 0.0):
        self.observation_space = gymnasium.spaces.Box(-10, 10, (1,), np.float64)
        self.action_space = gymnasium.spaces.Box(np.array([0.0, -4.0]), np.array([2.0, 4.0]), dtype=np.float64)
        self.fails_at, self.number, self.at, self.told = fails_at, 0, 0, observation

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(0, 3))
        return np.array([self.at + self.told]), {}

    def step(self, action):
        self.number += 1
        if self.number == self.fails_at:
            raise RuntimeError("the floor gave way")
        self.at += 1
        return np.array([self.at + self.told]), float(action.sum()), self.at >= 5, False, {}


POLICY = GaussianMixturePolicy(1, 2, n_experts=2, hidden=(8,))
SMALL = SAC(POLICY, critic_hidden=(8,), batch_size=8, buffer_size=64, n_environments=2, random_steps=20)


def test_actions_are_stretched_and_episodes_begin_anew():
    world = Hosts([Walk(), Walk()])
    seen = world.restart(5)
    assert np.array_equal(seen, world.restart(5))
    following, moved = world.step(np.array([[0.0, 0.0], [-1.0, 0.5]]))
    np.testing.assert_allclose(moved.reward, [1.0, 2.0])
    np.testing.assert_allclose(following, seen + 1)
    for _ in range(4):
        following, moved = world.step(np.full((2, 2), 7.0))  # clipped
        np.testing.assert_allclose(moved.reward, 6.0)
        if moved.stopped[0]:
            assert moved.observation[0] == 5
            assert following[0] < 3
            assert moved.length[0] == 5 - seen[0]


def test_training_goes_on_to_the_bit(tmp_path):
    def train(steps, path):
        return SMALL.train(Walk, steps, checkpoint=path, checkpoint_every=32, report_every=16, verbose=0)

    whole = train(96, tmp_path / "whole.zip")
    train(64, tmp_path / "part.zip")
    resumed = train(96, tmp_path / "part.zip")
    for a, b in zip(jax.tree.leaves(resumed.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.curve().equals(whole.curve())
    assert whole.curve()["return"].notna().all()
    played = whole.evaluate(episodes=3, actions="committed")
    assert played.total.shape == (3,)
    assert np.all(played.length <= 5)


def test_an_environment_that_raises_loses_nothing(tmp_path):
    made = iter([Walk(), Walk(fails_at=40)])
    with pytest.raises(TrainingError, match="step of Walk raised RuntimeError: the floor gave way") as caught:
        SMALL.train(
            lambda: next(made), 200, report_every=16, checkpoint=tmp_path / "x.zip", checkpoint_every=32, verbose=0
        )
    assert caught.value.training.steps == 64
    assert (tmp_path / "x.zip").exists()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_missing_observations_are_named():
    with pytest.raises(TrainingError, match="NaN or infinite between steps 0 and 16"):
        SMALL.train(lambda: Walk(observation=np.nan), 200, report_every=16, verbose=0)


class Spaces(Walk):
    def __init__(self, action=None, observation=None):
        super().__init__()
        self.action_space = action or self.action_space
        self.observation_space = observation or self.observation_space


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (lambda: Spaces(action=gymnasium.spaces.Discrete(3)), "Discrete.*continuous ones"),
        (lambda: Spaces(action=gymnasium.spaces.Box(-np.inf, np.inf, (2,))), "unbounded"),
        (lambda: Spaces(action=gymnasium.spaces.Box(-1, 1, (2, 2))), r"actions of Spaces have shape \(2, 2\)"),
        (lambda: Spaces(observation=gymnasium.spaces.Box(-1, 1, (2, 2))), "FlattenObservation"),
        (lambda: Spaces(observation=gymnasium.spaces.Box(-1, 1, (3,))), r"make it GaussianMixturePolicy\(3, 2"),
        ("NoSuchThing-v0", "gymnasium cannot make 'NoSuchThing-v0'"),
        ("CartPole-v1", "continuous ones"),
        (object(), "a function that makes one, got object"),
    ],
)
def test_environments_that_do_not_suit(env, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(OptionError, match=words):
            hosts(env, 1, POLICY)


def test_several_seeds_are_refused():
    with pytest.raises(OptionError, match="one seed at a time"):
        SMALL.train(Walk, 64, seed=[1, 2], verbose=0)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnasium", None)
    with pytest.raises(MissingExtraError, match=r"pip install mixstat\[policies\]"):
        hosts("Pendulum-v1", 1, POLICY)
    monkeypatch.setitem(__import__("sys").modules, "optax", None)
    with pytest.raises(MissingExtraError, match=r"training by gradient needs optax.*pip install mixstat\[policies\]"):
        SAC(POLICY, n_environments=3).train(Walk, 64, verbose=0)
