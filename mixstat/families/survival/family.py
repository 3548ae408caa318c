"""Survival: the time to an event, known exactly, censored, or seen only from an entry on.

    exact or right-censored   d log h(t) - H(t)         (d = 1: the event was seen; background b: d log(b + h) - H)
    interval (l, r]           -H(l) + log[1 - exp(H(l) - H(r))]        (l = 0: left-censored)
    entry e                   log P(T > e) = -H(e), what a mixture's density is divided by (`log_entry`)

A law says log H and log h at log t. Reference: Klein and Moeschberger (2003), Survival Analysis, chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Tails
from mixstat.core.special import log1mexp
from mixstat.families.survival.hazard import Logs
from mixstat.families.survival.jets import Jet, by_autodiff, choose
from mixstat.families.survival.times import log, read

FARTHEST = 700.0
"""Log times are looked for up to here, on both sides of 0."""
LATEST = 1e300
HALVINGS = 120
TINY = 1e-300
LOG_H, STEP = (-40.0, 6.55), 0.25
"""The grid of log H on which a mean is summed: up to H = 700."""


class Row(NamedTuple):
    """The data of a run of rows, each (row,); None where no row needs the term. `constants` (m, row) are the law's."""

    time: Array
    log_time: Array
    event: Array
    between: Any
    log_low: Any
    after: Any
    entered: Any
    log_entry: Any
    log_background: Any
    constants: Array


@dataclass(frozen=True)
class Survival(Family):
    """Base of the laws of survival times.

    Which terms of the likelihood some rows need is static, so that kernels hold no others: `interval` (interval- or
    left-censored), `entry` (late entry), `background` (a known hazard). `constants` are numbers that a law learns from
    the sample; they travel with the rows, so that other values compile nothing anew.
    """

    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 1.0
    reach: ClassVar[float] = 1.0
    interval: bool = False
    entry: bool = False
    background: bool = False
    constants: tuple[float, ...] = field(default=(), compare=False)

    def logs(self, eta: Sequence[Array], log_time: Array, constants: Array) -> Logs:
        """log H and log h at log t, (row,)."""
        raise NotImplementedError

    @property
    def needed(self) -> int:
        """How many constants there are."""
        return 0

    @property
    def truncated(self) -> bool:
        return self.entry

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        """Exact times (row,), or (entry, lower, upper, background) (row, 4)."""
        times = read(y, name)
        missing = np.where(np.isnan(times.lower), np.nan, 0.0)
        parts = [times.shown, log(times.last), times.event]
        if self.interval:
            parts += [times.between, log(times.lower), times.lower > 0]
        if self.entry:
            parts += [times.entry > 0, log(times.entry)]
        if self.background:
            parts += [log(times.background)]
        parts += [np.full(len(missing), value) for value in self.constants]
        return np.stack([np.asarray(part, dtype=float) for part in parts]) + missing

    def read(self, data: Array) -> Row:
        """The rows of `data` by name."""
        rows = iter(data)

        def take(count: int, present: bool) -> list:
            return [next(rows) if present else None for _ in range(count)]

        fields = [*take(3, True), *take(3, self.interval), *take(2, self.entry), *take(1, self.background)]
        return Row._make([*fields, data[len(data) - len(self.constants) :]])

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        at = self.read(data)
        log_total, log_hazard = self.logs(eta, at.log_time, at.constants)
        total = jnp.exp(log_total)
        if at.log_background is not None:
            log_hazard = jnp.logaddexp(at.log_background, log_hazard)
        value = jnp.where(at.event > 0, log_hazard, 0.0) - total
        if at.between is None:
            return value
        before = jnp.where(at.after > 0, jnp.exp(self.logs(eta, at.log_low, at.constants).cumulative), 0.0)
        gap = jnp.where(at.between > 0, jnp.maximum(total - before, TINY), 1.0)
        return jnp.where(at.between > 0, log1mexp(gap) - before, value)

    def log_entry(self, eta: Sequence[Array], data: Array) -> Array:
        at = self.read(data)
        total = jnp.exp(self.logs(eta, at.log_entry, at.constants).cumulative)
        return jnp.where(at.entered > 0, -total, 0.0)

    def jets(self, eta: Array, log_time: Array, constants: Array) -> tuple[Jet, Jet]:
        """`logs` with derivatives over eta (P, row)."""
        log_total, log_hazard = by_autodiff(lambda e: self.logs(tuple(e), log_time, constants), eta)
        return log_total, log_hazard

    def score(self, eta: Array, data: Array) -> Array:
        return self._jet(eta, data).first

    def score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        found = self._jet(eta, data)
        return found.first, found.second

    def entry_score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        at = self.read(data)
        total = self.jets(eta, at.log_entry, at.constants)[0].exp().times(-at.entered)
        return total.first, total.second

    def _jet(self, eta: Array, data: Array) -> Jet:
        """`log_density` with its derivatives."""
        at = self.read(data)
        log_total, log_hazard = self.jets(eta, at.log_time, at.constants)
        total = log_total.exp()
        if at.log_background is not None:
            both = jnp.logaddexp(at.log_background, log_hazard.value)
            share = jnp.exp(log_hazard.value - both)
            log_hazard = log_hazard.through(both, share, share * (1.0 - share))
        nothing = log_hazard.times(0.0)
        value = choose(at.event > 0, log_hazard, nothing).plus(total, -1.0)
        if at.between is None:
            return value
        low = choose(at.after > 0, self.jets(eta, at.log_low, at.constants)[0].exp(), nothing)
        gap = total.plus(low, -1.0)
        width = jnp.where(at.between > 0, jnp.maximum(gap.value, TINY), 1.0)
        ratio = 1.0 / jnp.expm1(width)
        inside = gap.through(log1mexp(width), ratio, -ratio * (1.0 + ratio)).plus(low, -1.0)
        return choose(at.between > 0, inside, value)

    def log_never(self, data: np.ndarray) -> np.ndarray:
        """log density (row,) of the rows for somebody to whom the event never comes."""
        at = self.read(data)
        reached = at.event > 0 if at.between is None else (at.event > 0) | (at.between > 0)
        known = -np.inf if at.log_background is None else np.where(at.event > 0, at.log_background, -np.inf)
        return np.where(reached, known, 0.0)

    def log_time(self, eta: Sequence[Array], log_h: Array, constants: Array) -> Array:
        """log t at which log H is `log_h`, inf where H never comes so far: the inverse of `logs`, by bisection."""
        low, high = jnp.full_like(log_h, -FARTHEST), jnp.full_like(log_h, FARTHEST)

        def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (ends[0] + ends[1])
            above = self.logs(eta, middle, constants).cumulative >= log_h
            return jnp.where(above, ends[0], middle), jnp.where(above, middle, ends[1])

        low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
        return jnp.where(high >= FARTHEST, jnp.inf, 0.5 * (low + high))

    def mean(self, eta: Sequence[Array]) -> Array:
        """E[T] = int t(H) exp(-H) dH over the cumulative hazard, by the trapezoidal rule in log H; perhaps infinite."""
        shape = jnp.broadcast_shapes(*(jnp.shape(e) for e in eta))
        constants = jnp.asarray(self.constants)[:, None]

        def term(log_h: Array) -> Array:
            log_time = self.log_time(eta, jnp.broadcast_to(log_h, shape), constants)
            return jnp.exp(log_time + log_h - jnp.exp(log_h))

        def add(index: int, total: Array) -> Array:
            return total + term(LOG_H[0] + index * STEP)

        count = int((LOG_H[1] - LOG_H[0]) / STEP)
        total = STEP * jax.lax.fori_loop(0, count, add, jnp.zeros(shape))
        return jnp.where(term(jnp.asarray(LOG_H[1])) > 1e-9 * total, jnp.inf, total)

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        y = np.asarray(y, dtype=float)
        with jax.enable_x64(True):
            values = tuple(jnp.asarray(e) for e in eta)
            logs = self.logs(values, jnp.asarray(log(np.minimum(y, LATEST))), self._constants(y.ndim))
            total = np.exp(np.asarray(logs.cumulative))
            lower = np.asarray(log1mexp(jnp.maximum(total, TINY)))
        total, lower = np.where(y > 0, total, 0.0), np.where(y > 0, lower, -np.inf)
        return Tails(np.where(y == np.inf, 0.0, lower), np.where(y == np.inf, -np.inf, -total))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        """Times of the event, without censoring; inf for those to whom it never comes."""
        shape = np.broadcast_shapes(*(np.shape(e) for e in eta), (1,) if data is None else np.shape(data)[-1:])
        log_h = np.log(rng.exponential(size=shape))
        with jax.enable_x64(True):
            values = tuple(jnp.broadcast_to(jnp.asarray(e), shape) for e in eta)
            return np.exp(np.asarray(self.log_time(values, jnp.asarray(log_h), self._constants(1))))

    def _constants(self, dimensions: int) -> Array:
        return jnp.asarray(self.constants).reshape(-1, *(1,) * dimensions)
