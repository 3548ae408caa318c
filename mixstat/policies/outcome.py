"""Outcome: what a training gives. Parameters, the learning curve, and evaluations on new episodes."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.exceptions import OptionError
from mixstat.policies import hosts, training
from mixstat.policies.environments import Environment, Episodes, rollout
from mixstat.policies.normalizer import Moments, standardized
from mixstat.policies.policy import GaussianMixturePolicy
from mixstat.results import learning

WAYS = ("stochastic", "committed")
"""A draw of the policy, or the expert mean of highest density (`GaussianMixturePolicy.mode`)."""


class Actor(NamedTuple):
    """Parameters of a policy, and the moments by which observations are standardised before it sees them, or None."""

    params: Any
    moments: Moments | None


@dataclass(frozen=True)
class Training:
    """A training that has ended.

    `params` are the policy's parameters, with a leading axis of seeds if `seed` was a sequence, and `moments` what
    observations have to be standardised by (None: nothing); `steps` of the environment were taken for each seed.
    """

    method: Any
    env: Any
    actor: Actor
    measures: dict[str, np.ndarray]
    seeds: tuple[int, ...]
    steps: int
    many: bool

    @property
    def params(self) -> Any:
        return self._one_or_many(self.actor.params)

    @property
    def moments(self) -> Moments | None:
        return self._one_or_many(self.actor.moments)

    def _one_or_many(self, tree: Any) -> Any:
        return tree if self.many else jax.tree.map(lambda leaf: leaf[0], tree)

    def curve(self) -> Any:
        """The learning curve, a data frame: a row a seed and report, with mean return and length of the episodes that
        ended since the report before (NaN: none did), and means over updates of what the method tells."""
        return learning.curve(self.measures, self.seeds)

    def plot(self, measure: str = "return", *, ax: Any = None) -> Any:
        """A measure against steps: a line a seed, and their mean."""
        return learning.plot(self.curve(), measure, ax=ax)

    def act(self, key: jax.Array, observations: Any, *, actions: str = "stochastic") -> jax.Array:
        """Actions (..., D) at raw observations (..., d), of a training of one seed."""
        if self.many:
            raise OptionError("act is of one policy, and this training holds several; use params and policy.sample")
        _check_way(actions)
        return act(self.method.policy, actions, Actor(self.params, self.moments), key, jnp.asarray(observations))

    def evaluate(self, *, episodes: int = 512, actions: str = "stochastic", seed: int = 0, env: Any = None) -> Episodes:
        """New episodes, (seed, episode) if several were trained, else (episode,): `total` reward, `length`, `done`, and
        the last `state` of a pure environment.

        `actions` are "stochastic", draws of the policy, or "committed", the expert mean of highest density at u.
        """
        _check_way(actions)
        training.whole("episodes", episodes)
        env = self.env if env is None else env
        if not isinstance(env, Environment):
            played = [
                hosts.play(env, self.method.policy, partial(act, self.method.policy, actions, one), episodes, seed)
                for one in self._actors()
            ]
            found = jax.tree.map(lambda *leaves: np.stack(leaves), *played)
        else:
            keys = jax.random.split(jax.random.PRNGKey(seed), episodes)
            found = jax.tree.map(np.asarray, _episodes(self.method.policy, env, actions, self.actor, keys))
        return self._one_or_many(found)

    def _actors(self) -> list[Actor]:
        return [jax.tree.map(lambda leaf, i=i: leaf[i], self.actor) for i in range(len(self.seeds))]


def act(policy: GaussianMixturePolicy, way: str, actor: Actor, key: jax.Array, observations: jax.Array) -> jax.Array:
    """Actions of the policy at raw observations; those of a policy that does not squash may leave the bounds."""
    seen = observations if actor.moments is None else standardized(actor.moments, observations)
    if way == "committed":
        return policy.mode(actor.params, seen)
    return policy.sample(actor.params, key, seen)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _episodes(policy: GaussianMixturePolicy, env: Environment, way: str, actors: Actor, keys: jax.Array) -> Episodes:
    """(seed, episode): every seed's policy on the same keys."""

    def one(actor: Actor) -> Episodes:
        return jax.vmap(lambda key: rollout(env, partial(act, policy, way, actor), key))(keys)

    return training.over_seeds(one, actors)


def train(
    method: Any, env: Any, steps: int, counts: dict[str, int | None], *, seed: Any, checkpoint: Any, silent: bool
) -> Training:
    """Drive the loop of a method (`SAC`, `PPO`) for `steps` steps; `counts`: steps between reports and saves."""
    seeds, many = training.checked_seeds(seed)
    pure = isinstance(env, Environment)
    per = method.steps_per_iteration
    every = training.in_iterations(steps, per, **counts, restarts=None if pure else hosts.RESTARTS)
    loop = method.loop(env, seeds, every["save"])
    told = {"method": method, "environment": env, "seeds": seeds, "restart": None if pure else every["save"]}
    plan = training.Plan(
        **every,
        steps=per,
        seeds=seeds,
        checkpoint=checkpoint,
        description={name: training.described(value) for name, value in told.items()},
        silent=silent,
    )

    def result(now: training.Progress) -> Training:
        measures = training.history(now.reports, len(seeds))
        return Training(method, env, loop.actor(now.run), measures, seeds, now.iterations * per, many)

    return training.drive(loop, plan, result)


def _check_way(way: str) -> None:
    if way not in WAYS:
        raise OptionError(f"actions must be 'stochastic' or 'committed', got {way!r}")
