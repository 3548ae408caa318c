"""Law: the distribution of a survival time, by the logs of its cumulative hazard and hazard at log t."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Tails
from mixstat.core.special import log1mexp
from mixstat.families.survival.hazard import Logs
from mixstat.families.survival.jets import Jet, by_autodiff
from mixstat.families.survival.times import log

FARTHEST = 700.0
"""Log times are looked for up to here, on both sides of 0."""
LATEST = 1e300
HALVINGS = 120
TINY = 1e-300
LOG_H, STEP = (-40.0, 6.55), 0.25
"""The grid of log H on which a mean is summed: up to H = 700."""


@dataclass(frozen=True)
class Law(Family):
    """Base of the distributions of survival times; a subclass gives `logs`, and `log_time` if it has a closed form.

    `constants` are numbers that a law learns from the sample; they travel with the rows, so that other values compile
    nothing anew.
    """

    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 1.0
    reach: ClassVar[float] = 1.0
    constants: tuple[float, ...] = field(default=(), compare=False, kw_only=True)

    @property
    def needed(self) -> int:
        """How many constants there are."""
        return 0

    def logs(self, eta: Sequence[Array], log_time: Array, constants: Array) -> Logs:
        """log H and log h at log t, (row,)."""
        raise NotImplementedError

    def log_total(self, eta: Sequence[Array], constants: Array) -> Array:
        """log H as t goes to infinity, inf where the event comes to everybody."""
        return self.logs(eta, jnp.full(jnp.shape(eta[0]), FARTHEST), constants).cumulative

    def jets(self, eta: Array, log_time: Array, constants: Array) -> tuple[Jet, Jet]:
        """`logs` with derivatives over eta (P, row)."""
        log_total, log_hazard = by_autodiff(lambda e: self.logs(tuple(e), log_time, constants), eta)
        return log_total, log_hazard

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

    def drawn_after(self, rng: np.random.Generator, eta: Sequence[np.ndarray], entry: np.ndarray) -> np.ndarray:
        """Times of the event after `entry` (row,), without censoring; inf for those to whom it never comes."""
        with jax.enable_x64(True):
            values = tuple(jnp.broadcast_to(jnp.asarray(e), entry.shape) for e in eta)
            before = np.exp(np.asarray(self.logs(values, jnp.asarray(log(entry)), self._constants(1)).cumulative))
            total = np.where(entry > 0, before, 0.0) + rng.exponential(size=entry.shape)
            times = np.exp(np.asarray(self.log_time(values, jnp.asarray(np.log(total)), self._constants(1))))
        return np.maximum(times, np.nextafter(entry, np.inf))

    def _constants(self, dimensions: int) -> Array:
        return jnp.asarray(self.constants).reshape(-1, *(1,) * dimensions)
