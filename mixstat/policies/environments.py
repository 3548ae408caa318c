"""Environments: s', r ~ p(. | s, a) as pure functions, so that whole trainings compile; and goals to be covered.

An environment is a frozen dataclass, hashed by value. Its states are pytrees of arrays. Actions stand in [-1, 1]^D.
`MultiGoal` is a compact form of the point mass of Haarnoja, Tang, Abbeel and Levine (2017, ICML, "Reinforcement
learning with deep energy-based policies").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from mixstat.exceptions import DataError, OptionError
from mixstat.policies.policy import GaussianMixturePolicy

State = Any
"""A pytree of arrays, the environment's own."""


class Step(NamedTuple):
    """What an action leads to. `done`: the episode has ended, and nothing more can be earned."""

    state: State
    observation: jax.Array
    reward: jax.Array
    done: jax.Array


@runtime_checkable
class Environment(Protocol):
    """One world, no batch: `vmap` makes many. Time limits are not its business: whoever runs it stops after `horizon`
    steps, and a training knows that such an episode was cut off, not ended."""

    @property
    def observation_size(self) -> int: ...

    @property
    def action_size(self) -> int: ...

    @property
    def horizon(self) -> int: ...

    def reset(self, key: jax.Array) -> tuple[State, jax.Array]:
        """(state, observation) of a new episode."""
        ...

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Step:
        """What the action (D,) leads to."""
        ...


@dataclass(frozen=True)
class MultiGoal:
    """A point in the plane that earns a bonus within `radius` of any of four goals, the action being its velocity.

    Reward: bonus on reaching a goal, which ends the episode, less action_cost times the squared action, and
    distance_cost times the distance to the nearest goal, after the step. The best return from the origin is 8.8: four
    unit steps. The observation is the position divided by the goals' distance.
    """

    distance: float = 5.0
    start_sd: float = 0.1
    bound: float = 7.0
    radius: float = 1.2
    bonus: float = 10.0
    action_cost: float = 0.05
    distance_cost: float = 0.1
    horizon: int = 20

    observation_size = 2
    action_size = 2
    n_goals = 4

    def goals(self) -> np.ndarray:
        """(4, 2): right, left, up, down."""
        return self.distance * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=np.float32)

    def reset(self, key: jax.Array) -> tuple[State, jax.Array]:
        position = self.start_sd * jax.random.normal(key, (2,))
        return position, position / self.distance

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Step:
        """The world is deterministic: `key` is not used."""
        action = jnp.clip(action, -1.0, 1.0)
        position = jnp.clip(state + action, -self.bound, self.bound)
        nearest = jnp.min(self._distances(position))
        done = nearest < self.radius
        cost = self.action_cost * jnp.sum(action**2) + self.distance_cost * nearest
        return Step(position, position / self.distance, jnp.where(done, self.bonus, 0.0) - cost, done)

    def goal(self, state: State) -> jax.Array:
        """The number of the goal that is reached, -1 where there is none."""
        distances = self._distances(state)
        return jnp.where(jnp.min(distances) < self.radius, jnp.argmin(distances), -1)

    def _distances(self, position: jax.Array) -> jax.Array:
        return jnp.linalg.norm(position - self.goals(), axis=-1)


class Episodes(NamedTuple):
    """Finished episodes, one a row: total reward, number of steps, whether they ended before the time limit, and the
    state in which they stopped."""

    total: Any
    length: Any
    done: Any
    state: State


Act = Callable[[jax.Array, jax.Array], jax.Array]
"""(key, observation (d,)) -> action (D,)."""


def rollout(env: Environment, act: Act, key: jax.Array) -> Episodes:
    """One episode from a new start, pure: `vmap` over keys gives many."""
    begin, *keys = jax.random.split(key, 3)
    state, observation = env.reset(begin)
    start = (state, observation, jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def advance(carry: Any, time: jax.Array) -> tuple[Any, None]:
        state, observation, total, length, done = carry
        at = [jax.random.fold_in(key, time) for key in keys]
        step = env.step(at[1], state, act(at[0], observation))
        moved = (step.state, step.observation, total + step.reward, length + 1, step.done)
        return jax.tree.map(lambda old, new: jnp.where(done, old, new), carry, moved), None

    (state, _, total, length, done), _ = jax.lax.scan(advance, start, jnp.arange(env.horizon))
    return Episodes(total, length, done, state)


def retry_success(goals: np.ndarray, *, n_goals: int = 4, retries: int = 10) -> float:
    """The chance that one of `retries` independent episodes reaches a goal that is hidden and drawn uniformly.

    `goals`: the goal each of n episodes of a memoryless policy reached, -1 for none. Unbiased: the share of subsets of
    `retries` episodes that hold the live goal, mean_g [1 - C(n - c_g, R) / C(n, R)]. A policy that knows one goal
    reaches 1/4; one that spreads evenly over four 1 - (3/4)^R, .944 for R = 10.
    """
    goals = np.asarray(goals)
    if goals.ndim != 1 or len(goals) < retries:
        raise DataError(f"goals holds one number an episode, and at least retries={retries} of them; got {goals.shape}")
    count = np.array([np.sum(goals == goal) for goal in range(n_goals)])
    return float(np.mean(1.0 - _chance_to_miss(count, len(goals), retries)))


def _chance_to_miss(count: np.ndarray, n: int, draws: int) -> np.ndarray:
    """C(n - count, draws) / C(n, draws)."""
    left = n - count
    possible = np.maximum(left - draws, 0)
    logs = gammaln(left + 1) - gammaln(possible + 1) - gammaln(n + 1) + gammaln(n - draws + 1)
    return np.where(left >= draws, np.exp(logs), 0.0)


def goals_covered(goals: np.ndarray, *, n_goals: int = 4, least: float = 0.05) -> int:
    """How many goals more than a share `least` of the episodes reach."""
    return sum(float(np.mean(np.asarray(goals) == goal)) > least for goal in range(n_goals))


def checked(env: Environment, policy: GaussianMixturePolicy) -> Environment:
    """The environment; OptionError unless it can be compiled, has the promised shapes and suits the policy."""
    name = type(env).__name__
    try:
        hash(env)
    except TypeError:
        raise OptionError(f"{name} cannot be hashed: make it a frozen dataclass without arrays") from None
    check_sizes(name, (env.observation_size, env.action_size), policy)
    state, step = _traced(env)
    wanted = {"observation": (env.observation_size,), "reward": (), "done": ()}
    for part, shape in wanted.items():
        if getattr(step, part).shape != shape:
            raise OptionError(f"{part} of {name}.step has shape {getattr(step, part).shape}, expected {shape}")
    if _form(state) != _form((step.state, step.observation)):
        raise OptionError(f"{name}.step changes the shape or type of the state or observation that reset gave")
    return env


def check_sizes(name: str, sizes: tuple[int, int], policy: GaussianMixturePolicy) -> None:
    """OptionError unless the policy has these sizes of observation and action."""
    wanted = (policy.observation_size, policy.action_size)
    if wanted != sizes:
        raise OptionError(
            f"{name} has observations of size {sizes[0]} and actions of size {sizes[1]}, the policy {wanted[0]} and "
            f"{wanted[1]}; make it GaussianMixturePolicy({sizes[0]}, {sizes[1]}, ...)"
        )


def _traced(env: Environment) -> tuple[Any, Step]:
    """Shapes of (state, observation) and of a step; OptionError where the environment raises."""
    try:
        key = jax.random.PRNGKey(0)
        start = jax.eval_shape(env.reset, key)
        action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
        return start, Step(*jax.eval_shape(env.step, key, start[0], action))
    except Exception as error:
        raise OptionError(
            f"{type(env).__name__} raised {type(error).__name__} when it was compiled: {error}; reset and step have to "
            "be functions of jax arrays"
        ) from error


def _form(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
