"""Hosts: gymnasium environments, stepped one after another by Python, each begun anew when its episode stops.

Actions of a policy stand in [-1, 1]^D (others are clipped) and are stretched to the environment's bounds.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mixstat.exceptions import OptionError
from mixstat.policies.environments import Episodes, check_sizes
from mixstat.policies.optimizer import missing
from mixstat.policies.policy import GaussianMixturePolicy
from mixstat.policies.training import TrainingError
from mixstat.policies.worlds import Moved

RESTARTS = 50_000
"""Steps after which environments begin anew, so that a training can be gone on with from there."""


class Hosts:
    """n environments of one kind, with observations (n, d) and actions (n, D)."""

    def __init__(self, environments: list[Any]):
        self.environments = environments
        self.name = _name(environments[0])
        low, high = _bounds(self.name, environments[0])
        self.middle, self.reach = (high + low) / 2.0, (high - low) / 2.0
        self.observation_size = _observation_size(self.name, environments[0])
        self.action_size = len(low)
        self.elapsed = np.zeros(len(environments), int)
        self.total = np.zeros(len(environments))

    def restart(self, seed: int) -> np.ndarray:
        """New episodes of all; the same seed gives the same ones."""
        self.elapsed[:], self.total[:] = 0, 0.0
        return np.stack([self._reset(one, seed + i) for i, one in enumerate(self.environments)])

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, Moved]:
        """(observations to act on, what the step gave), float32; TrainingError where an environment raises."""
        moved = [self._step(one, action) for one, action in zip(self.environments, actions, strict=True)]
        observation, reward, done, cut = (np.array(part) for part in zip(*moved, strict=True))
        self.elapsed += 1
        self.total += reward
        stopped = done | cut
        told = Moved(observation, reward.astype(np.float32), done, stopped, self.total.copy(), self.elapsed.copy())
        following = observation.copy()
        for i in np.flatnonzero(stopped):
            following[i] = self._reset(self.environments[i], None)
            self.elapsed[i], self.total[i] = 0, 0.0
        return following, told

    def close(self) -> None:
        for one in self.environments:
            one.close()

    def _reset(self, one: Any, seed: int | None) -> np.ndarray:
        return self._seen(self._call("reset", one.reset, seed=seed)[0])

    def _step(self, one: Any, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        scaled = self.middle + self.reach * np.clip(action, -1.0, 1.0)
        observation, reward, done, cut, _ = self._call("step", one.step, scaled.astype(one.action_space.dtype))
        return self._seen(observation), float(reward), bool(done), bool(cut)

    def _call(self, what: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except Exception as error:
            raise TrainingError(
                f"{what} of {self.name} raised {type(error).__name__}: {error}; the training up to its last report is "
                "this error's `training`, and the last checkpoint remains"
            ) from error

    def _seen(self, observation: Any) -> np.ndarray:
        array = np.asarray(observation, np.float32)
        if array.shape != (self.observation_size,):
            raise TrainingError(
                f"{self.name} gave an observation of shape {array.shape}, not ({self.observation_size},)"
            )
        return array


def hosts(env: Any, n: int, policy: GaussianMixturePolicy) -> Hosts:
    """n environments of a name or of a function that makes one; OptionError where they do not suit the policy."""
    made = Hosts([make(env) for _ in range(n)])
    check_sizes(made.name, (made.observation_size, made.action_size), policy)
    return made


def one_seed(seeds: tuple[int, ...]) -> int:
    """The only seed; OptionError where there are several."""
    if len(seeds) > 1:
        raise OptionError("gymnasium environments train one seed at a time: call train once for each")
    return seeds[0]


def make(env: Any) -> Any:
    """One environment."""
    if callable(env):
        return env()
    if not isinstance(env, str):
        raise OptionError(
            f"env must be a pure environment (observation_size, action_size, horizon, reset, step), the name of a "
            f"gymnasium environment or a function that makes one, got {type(env).__name__}"
        )
    try:
        import gymnasium
    except ImportError:
        raise missing("gymnasium", f"the environment {env!r}") from None
    try:
        return gymnasium.make(env)
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise missing(f"a package of its own ({error})", f"the environment {env!r}") from error
    except gymnasium.error.Error as error:
        raise OptionError(f"gymnasium cannot make {env!r}: {error}") from error


def play(
    env: Any,
    policy: GaussianMixturePolicy,
    act: Callable[[jax.Array, Any], jax.Array],
    episodes: int,
    seed: int,
) -> Episodes:
    """Whole episodes one after another; `act` of (key, observations (1, d))."""
    world, quick = hosts(env, 1, policy), jax.jit(act)
    found: list[tuple[Any, Any, Any]] = []
    observation, key = world.restart(seed), jax.random.PRNGKey(seed)
    while len(found) < episodes:
        key, now = jax.random.split(key)
        observation, moved = world.step(np.asarray(quick(now, observation)))
        if moved.stopped[0]:
            found.append((moved.total[0], moved.length[0], moved.done[0]))
    world.close()
    total, length, done = (np.array(part) for part in zip(*found, strict=True))
    return Episodes(total, length, done, None)


def _name(env: Any) -> str:
    spec = getattr(env, "spec", None)
    return type(env).__name__ if spec is None else spec.id


def _bounds(name: str, env: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the actions."""
    space = env.action_space
    if not hasattr(space, "low"):
        raise OptionError(f"the actions of {name} are {space}; a Gaussian mixture needs continuous ones (Box)")
    if len(space.shape) != 1:
        raise OptionError(f"the actions of {name} have shape {space.shape}; a vector is needed: wrap the environment")
    low, high = np.asarray(space.low, float), np.asarray(space.high, float)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise OptionError(
            f"the actions of {name} are unbounded ({space}); give them bounds by a wrapper, such as "
            "gymnasium.wrappers.RescaleAction or a Box of finite low and high"
        )
    return low, high


def _observation_size(name: str, env: Any) -> int:
    shape = getattr(env.observation_space, "shape", None)
    if shape is None or len(shape) != 1:
        raise OptionError(
            f"the observations of {name} are {env.observation_space}; a vector is needed: wrap the environment, for "
            "example in gymnasium.wrappers.FlattenObservation"
        )
    return int(shape[0])
