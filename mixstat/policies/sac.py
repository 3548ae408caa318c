"""SAC: soft actor-critic for mixture policies, `max E sum_t gamma^t [r_t + alpha H(pi(.|s_t))]`, whole runs compiled.

Haarnoja et al. (2018, arXiv 1812.05905); with `estimator="frequency"` the probabilistic mixture-of-experts of Ren, Li,
Ding, Pan and Dong (2021, arXiv 2104.09122).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.exceptions import OptionError
from mixstat.policies import hosts, replay, training, worlds
from mixstat.policies.critics import Critic
from mixstat.policies.environments import Environment, checked
from mixstat.policies.host_sac import HostSAC
from mixstat.policies.losses import ESTIMATORS
from mixstat.policies.outcome import Actor, Training, train
from mixstat.policies.policy import GaussianMixturePolicy
from mixstat.policies.sac_update import Learner, begin, explore, learn


class Run(NamedTuple):
    """One seed's training: the seed, the environments, what they gave, and what was learnt from it."""

    seed: jax.Array
    world: worlds.World
    ring: jax.Array
    learner: Learner


@dataclass(frozen=True)
class SAC:
    """Soft actor-critic with twin critics; a spec, whose `train` gives a `Training`.

    Parameters
    ----------
    policy : GaussianMixturePolicy
        Squashed; one expert is the usual SAC.
    estimator, primitives
        Of the actor's gradient, see `actor_loss`. Under "frequency" critic and temperature see the log-probability of
        the expert that acts, as published; otherwise the mixture's.
    critic_hidden : layers of the two critics.
    gamma, tau : discount a step, and the share by which target critics follow a step.
    learning_rate, batch_size : of Adam, for actor, critics and temperature.
    buffer_size : transitions that are kept.
    n_environments : run side by side; an iteration is one step of all, then `updates` updates.
    random_steps : first steps (of all environments together), uniform on the actions and without updates.
    temperature : alpha, or where it starts.
    target_entropy : "auto" is -action_size; None keeps the temperature.
    """

    policy: GaussianMixturePolicy
    estimator: str = "marginal"
    primitives: str = "best"
    critic_hidden: tuple[int, ...] = (64, 64)
    gamma: float = 0.99
    tau: float = 0.005
    learning_rate: float = 1e-3
    batch_size: int = 256
    buffer_size: int = 100_000
    n_environments: int = 16
    updates: int = 1
    random_steps: int = 800
    temperature: float = 0.2
    target_entropy: float | str | None = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "critic_hidden", tuple(self.critic_hidden))
        _check(self)

    @property
    def critic(self) -> Critic:
        """The form of both critics."""
        return Critic(self.policy.observation_size + self.policy.action_size, self.critic_hidden)

    @property
    def wanted_entropy(self) -> float | None:
        """The target entropy as a number, None for a fixed temperature."""
        return -float(self.policy.action_size) if self.target_entropy == "auto" else self.target_entropy  # type: ignore

    @property
    def capacity(self) -> int:
        """`buffer_size`, rounded up to whole steps of all environments."""
        return -(-self.buffer_size // self.n_environments) * self.n_environments

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
        """Train for `steps` steps of the environment, all copies counted.

        Parameters
        ----------
        env : Environment, name or function
            A pure environment (compiled with everything else), the name of a gymnasium environment, or a function that
            makes one. Actions of the policy, in [-1, 1], are stretched to the bounds of a gymnasium environment.
        seed : int, or several
            Several train in one compiled run (pure environments only).
        report_every, checkpoint_every : in steps
            A point of the learning curve (50 by default), and a save (every 10 points).
        checkpoint : path, optional
            Where the training is saved; if the file exists and is of the same training, it goes on from there, and ends
            as if it had never stopped, to the bit. gymnasium environments begin new episodes at every checkpoint, of
            which no state can be saved (`checkpoint_every` is 50,000 by default there).

        Raises
        ------
        OptionError
            The environment does not suit the policy, or the checkpoint is of another training.
        TrainingError
            The environment raised or gave numbers that are not finite: its `training` is what was learnt before.
        """
        counts = {"report": report_every, "save": checkpoint_every}
        return train(self, env, steps, counts, seed=seed, checkpoint=checkpoint, silent=verbose < 1)

    def loop(self, env: Any, seeds: tuple[int, ...], restart: int) -> training.Loop:
        """What is iterated: compiled, or over gymnasium environments that begin anew every `restart` iterations."""
        if isinstance(env, Environment):
            return CompiledSAC(self, checked(env, self.policy), seeds)
        return HostSAC(self, hosts.hosts(env, self.n_environments, self.policy), seeds, restart)

    @property
    def steps_per_iteration(self) -> int:
        return self.n_environments


@dataclass(frozen=True)
class CompiledSAC:
    """The loop over a pure environment: everything is one compiled function of (run, t)."""

    spec: SAC
    env: Environment
    seeds: tuple[int, ...]

    def start(self) -> Run:
        return start(self.spec, self.env, jnp.asarray(self.seeds, jnp.uint32))

    def advance(self, run: Run, first: int, n: int) -> tuple[Run, training.Sums]:
        return training.iterate(Iteration(self.spec, self.env), run, first, n)

    def actor(self, run: Run) -> Actor:
        return Actor(run.learner.policy, None)


@partial(jax.jit, static_argnums=(0, 1))
def start(spec: SAC, env: Environment, seeds: jax.Array) -> Run:
    """The run of every seed before its first iteration."""

    def one(seed: jax.Array) -> Run:
        of_world, of_learner = jax.random.split(training.key_of(seed, training.BEFORE))
        width = replay.width(env.observation_size, env.action_size)
        world = worlds.begin(env, of_world, spec.n_environments)
        return Run(seed, world, jnp.zeros((spec.capacity, width), jnp.float32), begin(spec, of_learner))

    return jax.vmap(one)(seeds)


@dataclass(frozen=True)
class Iteration:
    """One step of all environments, then the updates: (run, t) -> (run, sums)."""

    spec: SAC
    env: Environment

    def __call__(self, run: Run, t: jax.Array) -> tuple[Run, training.Sums]:
        spec = self.spec
        of_action, of_world, of_updates = jax.random.split(training.key_of(run.seed, t), 3)
        action = explore(spec, run.learner.policy, of_action, run.world.observation, t)
        world, moved = worlds.advance(self.env, of_world, run.world, action)
        steps = replay.Transition(run.world.observation, action, moved.reward, moved.observation, moved.done)
        ring = replay.add(run.ring, replay.pack(steps), t * spec.n_environments)
        filled = (t + 1) * spec.n_environments

        def update(i: jax.Array, carry: Any) -> Any:
            learner, sums = carry
            of_rows, of_learning = jax.random.split(jax.random.fold_in(of_updates, i))
            rows = replay.draw(of_rows, ring, filled, spec.batch_size)
            learner, new = learn(spec, learner, rows, of_learning)
            return learner, jax.tree.map(jnp.add, sums, new)

        n = jnp.where(filled > spec.random_steps, spec.updates, 0)
        learner, sums = jax.lax.fori_loop(0, n, update, (run.learner, no_updates(spec, run.learner)))
        return Run(run.seed, world, ring, learner), {**worlds.tally(moved), **sums}


def no_updates(spec: SAC, learner: Learner) -> training.Sums:
    """The sums of `learn` before any update."""
    rows = jax.ShapeDtypeStruct((spec.batch_size, spec.critic.inputs + spec.policy.observation_size + 2), jnp.float32)
    shapes = jax.eval_shape(lambda rows, key: learn(spec, learner, rows, key)[1], rows, jax.random.PRNGKey(0))
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def _check(spec: SAC) -> None:
    if spec.estimator not in ESTIMATORS:
        raise OptionError(f"estimator must be one of {', '.join(map(repr, ESTIMATORS))}, got {spec.estimator!r}")
    for name in ("batch_size", "buffer_size", "n_environments", "updates"):
        training.whole(name, getattr(spec, name))
    training.whole("random_steps", spec.random_steps, 0)
    if not spec.policy.squash:
        raise OptionError("SAC needs a policy whose actions are bounded: GaussianMixturePolicy(..., squash=True)")
    if spec.buffer_size < spec.batch_size:
        raise OptionError(f"buffer_size ({spec.buffer_size}) must be at least batch_size ({spec.batch_size})")
    training.between(spec, gamma=(0, 1), tau=(0, 1), learning_rate=(0, 1), temperature=(0, 1e6))
    target = spec.target_entropy
    if isinstance(target, str) and target != "auto":
        raise OptionError(f"target_entropy must be a number, 'auto' or None, got {target!r}")
