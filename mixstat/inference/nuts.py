"""NUTS: chains of a posterior by the no-U-turn sampler, its step size and diagonal metric adapted in windows.

The transition is blackjax's (multinomial, iterative; Hoffman and Gelman, 2014, JMLR 15; Betancourt, 2017,
arXiv:1701.02434); the warm-up follows Stan: the step size by dual averaging throughout, the metric from the draws of
windows that double in length. One compiled program serves warm-up and sampling; a host loop calls it for a few draws
at a time, so that progress shows and an interrupt keeps what is done.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.kernel import kernel
from mixstat.core.mixture import Mixture
from mixstat.inference.posterior import Target, log_density

Array = Any
CHUNK = 25
FAST_START, FAST_END, FIRST_WINDOW = 75, 50, 25
SHRINKAGE, DELAY, DECAY = 0.05, 10.0, 0.75


class StepSize(NamedTuple):
    """Dual averaging (Nesterov, 2009): log step size, its average, the sum of errors, their number, the anchor."""

    log: Array
    average: Array
    error: Array
    count: Array
    anchor: Array


class Chain(NamedTuple):
    """Where a chain stands: random key, state of the transition, step size and inverse metric (theta,)."""

    key: Array
    state: Any
    step: StepSize
    metric: Array


class Record(NamedTuple):
    """What is kept of each draw; `position` (draw, theta) is in z, the rest (draw,)."""

    position: Array
    log_posterior: Array
    diverging: Array
    acceptance: Array
    energy: Array
    steps: Array


class Chains(NamedTuple):
    """Draws of all chains (chain, draw, ...), final step sizes (chain,), whether they were cut short."""

    draws: Record
    step_size: np.ndarray
    interrupted: bool


class Schedule(NamedTuple):
    """Chains, draws a chain after `warmup` discarded ones, and the acceptance that the step size is adapted to."""

    chains: int
    draws: int
    warmup: int
    acceptance: float


@kernel
def begin(mixture: Mixture, target: Target, key: Array, z: Array) -> Chain:
    """A chain at z."""
    import blackjax

    state = blackjax.nuts.init(z, partial(log_density, mixture, target))
    return Chain(key, state, restart(jnp.zeros(())), jnp.ones_like(z))


def restart(log: Array) -> StepSize:
    """Dual averaging from a step size; the anchor is ten times it."""
    zero = jnp.zeros_like(log)
    return StepSize(log, log, zero, zero, log + jnp.log(10.0))


def adapt(step: StepSize, acceptance: Array, wanted: Array) -> StepSize:
    """One step of dual averaging."""
    count = step.count + 1.0
    error = step.error + wanted - acceptance
    log = step.anchor - jnp.sqrt(count) / (SHRINKAGE * (count + DELAY)) * error
    rate = count**-DECAY
    return StepSize(log, rate * log + (1 - rate) * step.average, error, count, step.anchor)


@kernel
def advance(
    mixture: Mixture, target: Target, chain: Chain, count: Array, adapting: Array, wanted: Array
) -> tuple[Chain, Record]:
    """`count` (at most CHUNK) draws; the rest of the record is empty."""
    import blackjax

    density = partial(log_density, mixture, target)

    def one(index: Array, carry: tuple[Chain, Record]) -> tuple[Chain, Record]:
        chain, record = carry
        key, own = jax.random.split(chain.key)
        size = jnp.exp(jnp.where(adapting, chain.step.log, chain.step.average))
        state, info = blackjax.nuts(density, size, chain.metric).step(own, chain.state)
        step = jax.tree.map(partial(jnp.where, adapting), adapt(chain.step, info.acceptance_rate, wanted), chain.step)
        seen = Record(
            state.position,
            state.logdensity,
            info.is_divergent,
            info.acceptance_rate,
            info.energy,
            info.num_integration_steps,
        )
        record = jax.tree.map(lambda kept, new: kept.at[index].set(new), record, seen)
        return Chain(key, state, step, chain.metric), record

    return jax.lax.fori_loop(0, count, one, (chain, _empty(chain.metric)))


def _empty(metric: Array) -> Record:
    real, whole = jnp.zeros(CHUNK), jnp.zeros(CHUNK, dtype=jnp.int64)
    return Record(jnp.zeros((CHUNK, *metric.shape)), real, real > 0, real, real, whole)


def windows(warmup: int) -> list[tuple[int, bool]]:
    """(length, whether its draws set the metric) of the windows of a warm-up."""
    if warmup < FAST_START + FIRST_WINDOW + FAST_END:
        first, last = round(0.15 * warmup), round(0.1 * warmup)
        return [(first, False), (warmup - first - last, True), (last, False)]
    slow, length, lengths = warmup - FAST_START - FAST_END, FIRST_WINDOW, []
    while slow >= 3 * length:
        lengths.append(length)
        slow, length = slow - length, 2 * length
    return [(FAST_START, False), *((size, True) for size in [*lengths, slow]), (FAST_END, False)]


def sample_chains(
    mixture: Mixture, target: Target, starts: np.ndarray, seeds: np.ndarray, schedule: Schedule, *, silent: bool
) -> Chains:
    """Chains from `starts` (chain, theta) in z. An interrupt in the warm-up is passed on: there is nothing yet."""
    from tqdm.auto import tqdm

    run = partial(_run, mixture, jax.device_put(target), schedule.acceptance)
    total = len(starts) * (schedule.warmup + schedule.draws)
    with tqdm(total=total, desc="posterior", unit="draw", delay=1.0, leave=False, disable=silent) as bar:
        chains = []
        for start, seed in zip(starts, seeds, strict=True):
            chain = begin(mixture, target, jax.random.key(int(seed)), jnp.asarray(start))
            chains.append(_warm_up(run, chain, schedule.warmup, bar))
        rounds, interrupted = _collect(run, chains, schedule.draws, bar)
    draws = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *rounds)
    return Chains(draws, np.exp([float(chain.step.average) for chain in chains]), interrupted)


def _run(
    mixture: Mixture, target: Target, wanted: float, chain: Chain, count: int, *, adapting: bool
) -> tuple[Chain, Record]:
    chain, record = advance(mixture, target, chain, np.asarray(count), np.asarray(adapting), np.asarray(wanted))
    return chain, jax.tree.map(lambda leaf: np.asarray(leaf)[:count], record)


def _warm_up(run: Callable[..., tuple[Chain, Record]], chain: Chain, warmup: int, bar: Any) -> Chain:
    for length, learns in windows(warmup):
        seen = []
        for count in _chunks(length):
            chain, record = run(chain, count, adapting=True)
            seen.append(record.position)
            bar.update(count)
        if learns and length > 1:
            chain = chain._replace(metric=_metric(np.concatenate(seen)), step=restart(chain.step.average))
    return chain


def _metric(positions: np.ndarray) -> Array:
    """Variances shrunk towards 1, which they are about in z."""
    count = len(positions)
    return jnp.asarray((count * positions.var(axis=0, ddof=1) + 5.0) / (count + 5.0))


def _collect(
    run: Callable[..., tuple[Chain, Record]], chains: list[Chain], draws: int, bar: Any
) -> tuple[list[Record], bool]:
    """Rounds over all chains, each (chain, draw, ...); an interrupt ends with the last complete one."""
    rounds: list[Record] = []
    try:
        for count in _chunks(draws):
            records = []
            for place, chain in enumerate(chains):
                chains[place], record = run(chain, count, adapting=False)
                records.append(record)
                bar.update(count)
            rounds.append(jax.tree.map(lambda *parts: np.stack(parts), *records))
    except KeyboardInterrupt:
        if not rounds:
            raise
        return rounds, True
    return rounds, False


def _chunks(length: int) -> list[int]:
    return [min(CHUNK, length - done) for done in range(0, length, CHUNK)]
