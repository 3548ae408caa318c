"""PPO: proximal policy optimisation of mixture policies, by the ratio of whole mixture densities.

Schulman, Wolski, Dhariwal, Radford and Klimov (2017, arXiv 1707.06347).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.exceptions import OptionError
from mixstat.policies import hosts, training, worlds
from mixstat.policies.critics import Critic
from mixstat.policies.environments import Environment, checked
from mixstat.policies.host_ppo import HostPPO
from mixstat.policies.outcome import Actor, Training, train
from mixstat.policies.policy import GaussianMixturePolicy
from mixstat.policies.ppo_update import Learner, Steps, begin, choose, improve

NORMALIZED = ("observation", "reward")


class Run(NamedTuple):
    """One seed's training: the seed, the environments with their discounted rewards so far, and what was learnt."""

    seed: jax.Array
    world: worlds.World
    running: jax.Array
    learner: Learner


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation; a spec, whose `train` gives a `Training`.

    An iteration takes `rollout` steps in each of `n_environments`, then `epochs` passes over them in minibatches.

    Parameters
    ----------
    policy : GaussianMixturePolicy
        Squashed or not; actions beyond the bounds are clipped by the environment.
    gate : "ratio" or "frequency"
        What the gate learns from: the ratio alone, which is differentiable in it, or also, as published, from how often
        each expert's draw is the best by a critic Q(s, u).
    critic_hidden, critic_activation : of the network of V(s), and of Q(s, u).
    gamma, gae_lambda : discount a step, and of generalised advantages.
    clip, value_clip : of the ratio about 1, and of values about the old ones (None: not clipped).
    value_weight : of the value loss.
    learning_rate, max_gradient, batch_size, epochs : of Adam, the norm its gradients are clipped to, rows of a
        minibatch, passes.
    normalize : which of "observation" and "reward" are standardised by running moments.
    """

    policy: GaussianMixturePolicy
    gate: str = "ratio"
    critic_hidden: tuple[int, ...] = (64, 64)
    critic_activation: str = "tanh"
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float | None = 0.2
    value_weight: float = 0.5
    learning_rate: float = 3e-4
    max_gradient: float = 0.5
    batch_size: int = 64
    epochs: int = 10
    n_environments: int = 8
    rollout: int = 256
    normalize: tuple[str, ...] = NORMALIZED

    def __post_init__(self) -> None:
        object.__setattr__(self, "critic_hidden", tuple(self.critic_hidden))
        object.__setattr__(self, "normalize", tuple(self.normalize))
        _check(self)

    @property
    def value(self) -> Critic:
        """The form of V(s)."""
        return Critic(self.policy.observation_size, self.critic_hidden, self.critic_activation)

    @property
    def quality(self) -> Critic:
        """The form of Q(s, u)."""
        inputs = self.policy.observation_size + self.policy.action_size
        return Critic(inputs, self.critic_hidden, self.critic_activation)

    @property
    def steps_per_iteration(self) -> int:
        return self.n_environments * self.rollout

    def train(
        self,
        env: Any,
        steps: int,
        *,
        seed: Any = 0,
        report_every: int | None = None,
        checkpoint: Any = None,
        checkpoint_every: int | None = None,
        verbose: int = 1,
    ) -> Training:
        """Train for `steps` steps of the environment, all copies counted; arguments and errors as of `SAC.train`."""
        counts = {"report": report_every, "save": checkpoint_every}
        return train(self, env, steps, counts, seed=seed, checkpoint=checkpoint, silent=verbose < 1)

    def loop(self, env: Any, seeds: tuple[int, ...], restart: int) -> training.Loop:
        """What is iterated: compiled, or over gymnasium environments that begin anew every `restart` iterations."""
        if isinstance(env, Environment):
            return CompiledPPO(self, checked(env, self.policy), seeds)
        return HostPPO(self, hosts.hosts(env, self.n_environments, self.policy), seeds, restart)


@dataclass(frozen=True)
class CompiledPPO:
    """The loop over a pure environment: everything is one compiled function of (run, t)."""

    spec: PPO
    env: Environment
    seeds: tuple[int, ...]

    def start(self) -> Run:
        return start(self.spec, self.env, jnp.asarray(self.seeds, jnp.uint32))

    def advance(self, run: Run, first: int, n: int) -> tuple[Run, training.Sums]:
        return training.iterate(Iteration(self.spec, self.env), run, first, n)

    def actor(self, run: Run) -> Actor:
        return actor(self.spec, run.learner)


def actor(spec: PPO, learner: Learner) -> Actor:
    """What acts; moments where observations are standardised."""
    return Actor(learner.params["policy"], learner.observed if "observation" in spec.normalize else None)


@partial(jax.jit, static_argnums=(0, 1))
def start(spec: PPO, env: Environment, seeds: jax.Array) -> Run:
    """The run of every seed before its first iteration."""

    def one(seed: jax.Array) -> Run:
        of_world, of_learner = jax.random.split(training.key_of(seed, training.BEFORE))
        world = worlds.begin(env, of_world, spec.n_environments)
        return Run(seed, world, jnp.zeros(spec.n_environments), begin(spec, of_learner))

    return jax.vmap(one)(seeds)


@dataclass(frozen=True)
class Iteration:
    """A rollout of all environments, and what is learnt from it: (run, t) -> (run, sums)."""

    spec: PPO
    env: Environment

    def __call__(self, run: Run, t: jax.Array) -> tuple[Run, training.Sums]:
        of_steps, of_learning = jax.random.split(training.key_of(run.seed, t))

        def on(world: worlds.World, key: jax.Array) -> tuple[worlds.World, tuple[Steps, training.Sums]]:
            of_action, of_world = jax.random.split(key)
            action, u, log_prob = choose(self.spec, run.learner, of_action, world.observation)
            after, moved = worlds.advance(self.env, of_world, world, jnp.clip(action, -1.0, 1.0))
            steps = Steps(world.observation, u, log_prob, moved.reward, moved.observation, moved.done, moved.stopped)
            return after, (steps, worlds.tally(moved))

        world, (steps, told) = jax.lax.scan(on, run.world, jax.random.split(of_steps, self.spec.rollout))
        learner, running, sums = improve(self.spec, run.learner, steps, run.running, of_learning)
        return Run(run.seed, world, running, learner), {**jax.tree.map(jnp.sum, told), **sums}


def _check(spec: PPO) -> None:
    for name in ("batch_size", "epochs", "n_environments", "rollout"):
        training.whole(name, getattr(spec, name))
    if spec.steps_per_iteration % spec.batch_size:
        raise OptionError(
            f"batch_size ({spec.batch_size}) must divide the steps of an iteration, n_environments x rollout = "
            f"{spec.steps_per_iteration}"
        )
    if spec.gate not in ("ratio", "frequency"):
        raise OptionError(f"gate must be 'ratio' or 'frequency', got {spec.gate!r}")
    if not set(spec.normalize) <= set(NORMALIZED):
        raise OptionError(f"normalize may hold 'observation' and 'reward', got {spec.normalize!r}")
    training.between(spec, gamma=(0, 1), gae_lambda=(0, 1), clip=(0, 1), learning_rate=(0, 1), max_gradient=(0, 1e6))
