"""Survival: the time to an event, known exactly, censored, or seen only from an entry on.

    exact or right-censored   d log h(t) - H(t)         (d = 1: the event was seen; background b: d log(b + h) - H)
    interval (l, r]           -H(l) + log[1 - exp(H(l) - H(r))]        (l = 0: left-censored)
    entry e                   log P(T > e) = -H(e), what a mixture's density is divided by (`log_entry`)

Reference: Klein and Moeschberger (2003), Survival Analysis, chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array
from mixstat.core.special import log1mexp
from mixstat.families._host import row_shape
from mixstat.families.survival import observing
from mixstat.families.survival.jets import Jet, choose
from mixstat.families.survival.law import Law
from mixstat.families.survival.times import log, read

NARROWEST, WIDEST = -1e-100, 6.5
"""Bounds of log(H(l) / H(r)) of an interval, and of the log of H's growth in it: beyond it the event is certain."""


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
class Survival(Law):
    """A law with the terms of what was observed.

    Which terms some rows need is static, so that kernels hold no others: `interval` (interval- or left-censored),
    `entry` (late entry), `background` (a known hazard).
    """

    interval: bool = False
    entry: bool = False
    background: bool = False

    @property
    def truncated(self) -> bool:
        return self.entry

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        """Exact times (row,), or (entry, lower, upper, background) (row, 4)."""
        times = read(y, name)
        missing = np.where(np.isnan(times.lower), np.nan, 0.0)
        parts = [times.shown, log(times.last), times.event]
        if self.interval:
            parts += [times.between, _log_or(times.lower, times.last), times.lower > 0]
        if self.entry:
            parts += [times.entry > 0, _log_or(times.entry, times.last)]
        if self.background:
            parts += [log(times.background)]
        parts += [np.full(len(missing), value) for value in self.constants]
        return np.stack([np.asarray(part, dtype=float) for part in parts]) + missing

    def uninformed(self, data: np.ndarray) -> str:
        at = self.read(data)
        between = np.zeros_like(at.event) if at.between is None else at.between
        if not ((at.event > 0) | (between > 0)).any():
            return f"has no event in {data.shape[-1]} rows, so that nothing is known of when it comes"
        before = (between == 0) if at.after is None else (between == 0) | (at.after > 0)
        if not (before & (at.time > 0)).any():
            return "has no row in which the event had not come at some time, so that nothing is known of when it comes"
        return ""

    def read(self, data: Array) -> Row:
        """The rows of `data` by name."""
        rows = iter(data)

        def take(count: int, present: bool) -> list:
            return [next(rows) if present else None for _ in range(count)]

        fields = [*take(3, True), *take(3, self.interval), *take(2, self.entry), *take(1, self.background)]
        return Row._make([*fields, data[len(data) - len(self.constants) :]])

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        """Times of the event, after the row's entry where that is known, without censoring; perhaps infinite."""
        entry = np.zeros(row_shape(eta, data))
        if data is not None and self.entry:
            at = self.read(data)
            entry = entry + np.where(at.entered > 0, np.exp(at.log_entry), 0.0)
        return self.drawn_after(rng, eta, entry)

    def redrawn(self, data: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Other times of the events, seen as these rows would see them: see `observing`."""
        return observing.observe(self, data, values[:, 0])

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        at = self.read(data)
        log_total, log_hazard = self.logs(eta, at.log_time, at.constants)
        total = jnp.exp(log_total)
        if at.log_background is not None:
            log_hazard = jnp.logaddexp(at.log_background, log_hazard)
        value = jnp.where(at.event > 0, log_hazard, 0.0) - total
        if at.between is None:
            return value
        log_before = self.logs(eta, at.log_low, at.constants).cumulative
        step = jnp.where(at.after > 0, jnp.minimum(log_before - log_total, NARROWEST), -1.0)
        log_gap = log_total + jnp.where(at.after > 0, log1mexp(-step), 0.0)
        before = jnp.where(at.after > 0, jnp.exp(log_before), 0.0)
        return jnp.where(at.between > 0, log_event(log_gap) - before, value)

    def log_entry(self, eta: Sequence[Array], data: Array) -> Array:
        at = self.read(data)
        total = jnp.exp(self.logs(eta, at.log_entry, at.constants).cumulative)
        return jnp.where(at.entered > 0, -total, 0.0)

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
        log_low = self.jets(eta, at.log_low, at.constants)[0]
        log_gap = choose(at.after > 0, _log_difference(log_total, log_low), log_total)
        width = jnp.exp(jnp.minimum(log_gap.value, WIDEST))
        slope = jnp.where(width > 0, width / jnp.expm1(jnp.where(width > 0, width, 1.0)), 1.0)
        inside = log_gap.through(log_event(log_gap.value), slope, slope * (1.0 - width - slope))
        return choose(at.between > 0, inside.plus(choose(at.after > 0, log_low.exp(), nothing), -1.0), value)

    def log_never(self, data: np.ndarray) -> np.ndarray:
        """log density (row,) of the rows for somebody to whom the event never comes."""
        at = self.read(data)
        reached = at.event > 0 if at.between is None else (at.event > 0) | (at.between > 0)
        known = -np.inf if at.log_background is None else np.where(at.event > 0, at.log_background, -np.inf)
        return np.where(reached, known, 0.0)


def log_event(log_gap: Array) -> Array:
    """log P(an event comes while the cumulative hazard grows by e^log_gap) = log[1 - exp(-e^log_gap)]."""
    few = log_gap < -18.0
    gap = jnp.exp(jnp.where(few, 0.0, jnp.minimum(log_gap, WIDEST)))
    return jnp.where(few, log_gap - 0.5 * jnp.exp(jnp.minimum(log_gap, 0.0)), log1mexp(gap))


def _log_difference(high: Jet, low: Jet) -> Jet:
    """log(e^high - e^low)."""
    step = low.plus(high, -1.0)
    near = jnp.minimum(step.value, NARROWEST)
    ratio = 1.0 / jnp.expm1(-near)
    return high.plus(step.through(log1mexp(-near), -ratio, -ratio * (1.0 + ratio)))


def _log_or(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """log of times, where one is 0 of another: a time whose term is not used has to have finite derivatives."""
    return log(np.where(values > 0, values, other))
