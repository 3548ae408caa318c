"""Cloning by gradient: Adam on `-mean v log sum_k w_k(s) N_k(u | s)` over random batches, the rate falling to 0.

Reference: Bishop (1994), Mixture density networks, Aston University NCRG/94/004.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.core.family import Array
from mixstat.core.kernel import kernel
from mixstat.policies.cloning_em import Best, Objective, Sample, penalised
from mixstat.policies.optimizer import adam
from mixstat.policies.policy import GaussianMixturePolicy, Params

CHUNK = 100
"""Steps of one compiled loop."""


class Rate(NamedTuple):
    """Steps of the whole run, rows of a batch, the first step's rate, which falls to 0 as a cosine."""

    steps: int
    batch: int
    learning_rate: float

    def optimiser(self) -> Any:
        falling: Any = lambda count: 0.5 * self.learning_rate * (1.0 + jnp.cos(jnp.pi * count / self.steps))  # noqa: E731
        return adam(falling)


def train(
    policy: GaussianMixturePolicy, sample: Sample, objective: Objective, best: Best, seed: int, rate: Rate
) -> Iterator[float]:
    """Adam in float32 from `best.params` over all steps; gives the mean log-likelihood of every hundred."""
    with jax.enable_x64(False):
        rows = Sample(*(jnp.asarray(part, jnp.float32) for part in sample))
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), best.params)
        state, keys = rate.optimiser().init(params), jax.random.split(jax.random.key(seed), -(-rate.steps // CHUNK))
    for of_chunk in keys:
        with jax.enable_x64(False):
            params, state, loss = hundred_steps(policy, rate, params, state, rows, objective, of_chunk)
        best.offer(params)
        yield -float(loss)


def _hundred_steps(
    policy: GaussianMixturePolicy,
    rate: Rate,
    params: Params,
    state: Any,
    sample: Sample,
    objective: Objective,
    key: Array,
) -> tuple[Params, Any, Array]:
    optimiser = rate.optimiser()

    def step(carry: tuple, key: Array) -> tuple:
        params, state = carry
        rows = jax.random.randint(key, (rate.batch,), 0, len(sample.weight))
        drawn = Sample(*(part[rows] for part in sample))
        loss, gradient = jax.value_and_grad(lambda p: penalised(policy, p, drawn, objective))(params)
        moves, state = optimiser.update(gradient, state, params)
        return (jax.tree.map(jnp.add, params, moves), state), loss

    losses: Array
    (params, state), losses = jax.lax.scan(step, (params, state), jax.random.split(key, CHUNK))
    return params, state, jnp.mean(losses)


hundred_steps = kernel(_hundred_steps, specs=2)
