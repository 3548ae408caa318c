"""The loop of SAC over gymnasium environments: Python steps them and keeps the replay, learning is compiled."""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from mixstat.policies import replay, training, worlds
from mixstat.policies.hosts import Hosts, one_seed
from mixstat.policies.outcome import Actor
from mixstat.policies.sac_update import Learner, begin, explore, learn

if TYPE_CHECKING:
    from mixstat.policies.sac import SAC


class HostRun(NamedTuple):
    """The replay (capacity, width), written in place, and what was learnt."""

    ring: np.ndarray
    learner: Learner


class HostSAC:
    """Iterations over `hosts`, which begin new episodes every `restart` iterations."""

    def __init__(self, spec: "SAC", hosts: Hosts, seeds: tuple[int, ...], restart: int):
        self.spec, self.hosts, self.seed, self.restart = spec, hosts, one_seed(seeds), restart
        self.observation: np.ndarray | None = None

    def start(self) -> HostRun:
        width = replay.width(self.hosts.observation_size, self.hosts.action_size)
        learner = _begin(self.spec, self.seed)
        return HostRun(np.zeros((self.spec.capacity, width), np.float32), learner)

    def advance(self, run: HostRun, first: int, n: int) -> tuple[HostRun, training.Sums]:
        learner, told = run.learner, training.Told()
        for t in range(first, first + n):
            told.add(self._move(run.ring, learner, t))
            learner = self._learn(run.ring, learner, t, told)
        return HostRun(run.ring, learner), told.sums()

    def actor(self, run: HostRun) -> Actor:
        return Actor(jax.tree.map(lambda leaf: np.asarray(leaf)[None], run.learner.policy), None)

    def _move(self, ring: np.ndarray, learner: Learner, t: int) -> training.Sums:
        """One step of all environments, into the replay."""
        if self.observation is None or t % self.restart == 0:
            self.observation = self.hosts.restart(training.number_of(self.seed, t))
        seen = self.observation
        action = np.asarray(_explore(self.spec, learner.policy, self.seed, seen, t))
        self.observation, moved = self.hosts.step(action)
        ends = moved.done.astype(np.float32)[:, None]
        rows = np.concatenate([seen, action, moved.observation, moved.reward[:, None], ends], axis=1)
        at = t * len(rows) % len(ring)
        ring[at : at + len(rows)] = rows
        return worlds.tally(moved, np)

    def _learn(self, ring: np.ndarray, learner: Learner, t: int, told: "training.Told") -> Learner:
        spec, filled = self.spec, (t + 1) * self.spec.n_environments
        if filled <= spec.random_steps:
            return learner
        numbers = np.random.default_rng((self.seed, t))
        for i in range(spec.updates):
            rows = ring[numbers.integers(0, min(filled, len(ring)), spec.batch_size)]
            learner, sums = _learn(spec, learner, rows, self.seed, t, i)
            told.add(sums)
        return learner


@partial(jax.jit, static_argnums=0)
def _begin(spec: "SAC", seed: int) -> Learner:
    return begin(spec, training.key_of(seed, training.BEFORE))


@partial(jax.jit, static_argnums=0)
def _explore(spec: "SAC", params: Any, seed: int, observation: jax.Array, t: int) -> jax.Array:
    return explore(spec, params, training.key_of(seed, t, 0), observation, t)


@partial(jax.jit, static_argnums=0)
def _learn(spec: "SAC", learner: Learner, rows: jax.Array, seed: int, t: int, i: int) -> tuple[Learner, training.Sums]:
    return learn(spec, learner, rows, training.key_of(seed, t, 1, i))
