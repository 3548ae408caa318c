"""The loop of PPO over gymnasium environments: Python takes the steps of a rollout, learning from them is compiled."""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from mixstat.policies import training, worlds
from mixstat.policies.hosts import Hosts, one_seed
from mixstat.policies.outcome import Actor
from mixstat.policies.ppo_update import Learner, Steps, begin, choose, improve

if TYPE_CHECKING:
    from mixstat.policies.ppo import PPO


class HostRun(NamedTuple):
    """Discounted rewards so far (copy,), and what was learnt."""

    running: Any
    learner: Learner


class HostPPO:
    """Iterations over `hosts`, which begin new episodes every `restart` iterations."""

    def __init__(self, spec: "PPO", hosts: Hosts, seeds: tuple[int, ...], restart: int):
        self.spec, self.hosts, self.seed, self.restart = spec, hosts, one_seed(seeds), restart
        self.observation: np.ndarray | None = None

    def start(self) -> HostRun:
        return HostRun(np.zeros(self.spec.n_environments, np.float32), _begin(self.spec, self.seed))

    def advance(self, run: HostRun, first: int, n: int) -> tuple[HostRun, training.Sums]:
        told = training.Told()
        for t in range(first, first + n):
            if self.observation is None or t % self.restart == 0:
                self.observation = self.hosts.restart(training.number_of(self.seed, t))
                run = run._replace(running=np.zeros_like(run.running))
            steps = self._rollout(run.learner, t, told)
            learner, running, sums = _improve(self.spec, run.learner, steps, run.running, self.seed, t)
            run = HostRun(running, learner)
            told.add(sums)
        return run, told.sums()

    def actor(self, run: HostRun) -> Actor:
        moments = run.learner.observed if "observation" in self.spec.normalize else None
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], Actor(run.learner.params["policy"], moments))

    def _rollout(self, learner: Learner, t: int, told: training.Told) -> Steps:
        """Steps of all environments, (time, copy, ...), float32."""
        found = []
        for i in range(self.spec.rollout):
            before = self.observation
            action, u, log_prob = map(np.asarray, _choose(self.spec, learner, self.seed, before, t, i))
            self.observation, moved = self.hosts.step(action)
            told.add(worlds.tally(moved, np))
            found.append(Steps(before, u, log_prob, moved.reward, moved.observation, moved.done, moved.stopped))
        return jax.tree.map(lambda *leaves: np.stack(leaves).astype(np.float32), *found)


@partial(jax.jit, static_argnums=0)
def _begin(spec: "PPO", seed: int) -> Learner:
    return begin(spec, training.key_of(seed, training.BEFORE))


@partial(jax.jit, static_argnums=0)
def _choose(spec: "PPO", learner: Learner, seed: int, seen: Any, t: int, i: int) -> tuple[jax.Array, ...]:
    return choose(spec, learner, training.key_of(seed, t, 0, i), seen)


@partial(jax.jit, static_argnums=0)
def _improve(
    spec: "PPO", learner: Learner, steps: Steps, running: Any, seed: int, t: int
) -> tuple[Learner, jax.Array, training.Sums]:
    return improve(spec, learner, steps, running, training.key_of(seed, t, 1))
