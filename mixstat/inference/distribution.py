"""Predictive distribution of one response: `F(y | x) = sum_k w_k F_k(y | x)`, its density, quantiles, residuals (host).

A class is a law: an expert's family at its predictors, a point mass or a uniform. All work with the logs of both tails,
so that nothing is lost far out. Arrays of responses are (..., row), numpy in and numpy out.
Reference: Dunn and Smyth (1996), Randomized quantile residuals, J. Computational and Graphical Statistics 5, 236-244.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.special import ndtri, ndtri_exp

from mixstat.core.design import bucket
from mixstat.core.family import Family, Tails
from mixstat.core.kernel import kernel
from mixstat.fit.precision import double
from mixstat.inference.ordered_floats import LARGEST, smallest

TINY = float(np.finfo(np.float64).tiny)
UNIT = float(np.finfo(np.float64).eps)


class Law(Protocol):
    """The distribution of the response in one class, by row."""

    @property
    def is_discrete(self) -> bool:
        """Whether its distribution function is a step function."""

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """log f(y), -inf outside the support."""

    def tails(self, y: np.ndarray) -> Tails:
        """log P(Y <= y) and log P(Y > y)."""

    def tails_below(self, y: np.ndarray) -> Tails:
        """log P(Y < y) and log P(Y >= y)."""

    def take(self, rows: np.ndarray) -> "Law":
        """The law in some rows."""


class ExpertLaw(NamedTuple):
    """A family at its predictors (P, row); `data` (m, row) holds the response's constants where they are known."""

    family: Family
    eta: np.ndarray
    data: np.ndarray | None = None

    @property
    def is_discrete(self) -> bool:
        return self.family.discrete

    def tails(self, y: np.ndarray) -> Tails:
        return self.family.tails(tuple(self.eta), y, self.data)

    def tails_below(self, y: np.ndarray) -> Tails:
        return self.family.tails_below(tuple(self.eta), y, self.data)

    def take(self, rows: np.ndarray) -> "ExpertLaw":
        return ExpertLaw(self.family, self.eta[:, rows], None if self.data is None else self.data[:, rows])

    def log_density(self, y: np.ndarray) -> np.ndarray:
        inside = self._inside(y) & ((y == np.floor(y)) | (not self.family.discrete))
        eta = np.broadcast_to(self.eta.reshape(len(self.eta), *(1,) * (y.ndim - 1), -1), (len(self.eta), *y.shape))
        values = self._log_density(eta[:, inside], self._encode(y, inside))
        result = np.full(y.shape, -np.inf)
        result[inside] = values
        return result

    def _inside(self, y: np.ndarray) -> np.ndarray:
        """Whether y is in the support, an interval: where the least and largest y of every row are, all are."""

        def supported(y: np.ndarray) -> np.ndarray:
            return (self.tails(y).lower > -np.inf) & (self.tails_below(y).upper > -np.inf)

        rows = y.reshape(-1, y.shape[-1])
        ends = np.stack([rows.min(axis=0), rows.max(axis=0)]) if len(rows) else rows
        return np.ones(y.shape, dtype=bool) if supported(ends).all() else supported(y)

    def _encode(self, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
        values = y[inside]
        if self.data is not None and self.family.name == "binomial":
            values = np.column_stack([values, np.broadcast_to(self.data[1], y.shape)[inside]])
        return self.family.encode(values, "response")

    def _log_density(self, eta: np.ndarray, data: np.ndarray) -> np.ndarray:
        rows = data.shape[-1]
        if rows == 0:
            return np.zeros(0)
        pad = ((0, 0), (0, bucket(rows) - rows))
        return _log_density(self.family, np.pad(eta, pad, mode="edge"), np.pad(data, pad, mode="edge"))[:rows]


@double
def _log_density(family: Family, eta: np.ndarray, data: np.ndarray) -> np.ndarray:
    return np.asarray(_compiled_log_density(family, eta, data))


@kernel
def _compiled_log_density(family: Family, eta: Any, data: Any) -> Any:
    return family.log_density(tuple(eta), data)


class AtomLaw(NamedTuple):
    """All mass at one value."""

    value: float

    @property
    def is_discrete(self) -> bool:
        return True

    def log_density(self, y: np.ndarray) -> np.ndarray:
        return np.where(y == self.value, 0.0, -np.inf)

    def tails(self, y: np.ndarray) -> Tails:
        return _step(np.asarray(y) >= self.value)

    def tails_below(self, y: np.ndarray) -> Tails:
        return _step(np.asarray(y) > self.value)

    def take(self, rows: np.ndarray) -> "AtomLaw":
        return self


def _step(reached: np.ndarray) -> Tails:
    return Tails(np.where(reached, 0.0, -np.inf), np.where(reached, -np.inf, 0.0))


class UniformLaw(NamedTuple):
    """Uniform on [low, high], low < high, or on the whole numbers low, ..., high."""

    low: float
    high: float
    is_discrete: bool

    @property
    def size(self) -> float:
        return self.high - self.low + float(self.is_discrete)

    def log_density(self, y: np.ndarray) -> np.ndarray:
        inside = (y >= self.low) & (y <= self.high) & ((y == np.floor(y)) | (not self.is_discrete))
        return np.where(inside, -np.log(self.size), -np.inf)

    def tails(self, y: np.ndarray) -> Tails:
        end = np.floor(y) + 1.0 if self.is_discrete else np.asarray(y)
        return self._tails(end)

    def tails_below(self, y: np.ndarray) -> Tails:
        return self._tails(np.ceil(y) if self.is_discrete else np.asarray(y))

    def _tails(self, end: np.ndarray) -> Tails:
        inside = np.clip(end - self.low, 0.0, self.size)
        beyond = np.clip(self.low + self.size - end, 0.0, self.size)
        with np.errstate(divide="ignore"):
            return Tails(np.log(inside / self.size), np.log(beyond / self.size))

    def take(self, rows: np.ndarray) -> "UniformLaw":
        return self


class Predictive(NamedTuple):
    """A mixture of laws with `log_weight` (class, row)."""

    log_weight: np.ndarray
    laws: tuple[Law, ...]

    @property
    def rows(self) -> int:
        return self.log_weight.shape[1]

    @property
    def is_discrete(self) -> bool:
        return all(law.is_discrete for law in self.laws)

    @property
    def is_whole(self) -> bool:
        """Whether all jumps are at whole numbers."""
        return self.is_discrete and all(float(law.value).is_integer() for law in self.laws if isinstance(law, AtomLaw))

    def take(self, rows: np.ndarray) -> "Predictive":
        return Predictive(self.log_weight[:, rows], tuple(law.take(rows) for law in self.laws))

    def class_log_density(self, y: np.ndarray) -> np.ndarray:
        """log f_k(y), (class, ..., row): a continuous expert cannot reach the value of a point mass."""
        parts = []
        at_atom = np.any(
            [y == law.value for law in self.laws if isinstance(law, AtomLaw)] or [np.zeros(1, bool)], axis=0
        )
        for law in self.laws:
            part = law.log_density(y)
            parts.append(part if law.is_discrete or isinstance(law, UniformLaw) else np.where(at_atom, -np.inf, part))
        return np.stack(parts)

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """log f(y), (..., row); with respect to the counting measure at point masses."""
        return self._mix(list(self.class_log_density(y)))

    def tails(self, y: np.ndarray) -> Tails:
        """log P(Y <= y) and log P(Y > y), (..., row)."""
        return self._mix_tails([law.tails(y) for law in self.laws])

    def tails_below(self, y: np.ndarray) -> Tails:
        """log P(Y < y) and log P(Y >= y), (..., row)."""
        return self._mix_tails([law.tails_below(y) for law in self.laws])

    def _mix_tails(self, tails: list[Tails]) -> Tails:
        lower, upper = (np.minimum(self._mix(list(side)), 0.0) for side in zip(*tails, strict=True))
        return Tails(lower, upper)

    def _mix(self, logs: list[np.ndarray]) -> np.ndarray:
        return np.logaddexp.reduce([w + part for w, part in zip(self.log_weight, logs, strict=True)], axis=0)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """P(Y <= y), (..., row)."""
        return self.tails(y).probability()

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """The smallest y with P(Y <= y) >= q, (level, row); q (level,) in (0, 1)."""
        level, target = q[:, None], ndtri(q)[:, None]

        def score(y: np.ndarray) -> np.ndarray:
            tails = self.tails(y)
            distance = normal_score(tails) - target
            return np.where(tails.probability() >= level, np.maximum(distance, 0.0), np.minimum(distance, -TINY))

        found = smallest(score, (len(q), self.rows), whole=self.is_whole)
        return np.where(found >= LARGEST, np.inf, found)

    def residual(self, y: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Quantile residual Phi^-1(u), u between P(Y < y) and P(Y <= y) in the proportion `uniform` (row,)."""
        below, here = self.tails_below(y), self.tails(y)
        uniform = np.clip(uniform, UNIT, 1.0 - UNIT)
        low, high = np.log1p(-uniform), np.log(uniform)
        return normal_score(
            Tails(
                np.logaddexp(below.lower + low, here.lower + high), np.logaddexp(below.upper + low, here.upper + high)
            )
        )


def normal_score(tails: Tails) -> np.ndarray:
    """Phi^-1 of a probability given by the logs of both tails."""
    return np.where(tails.lower < tails.upper, ndtri_exp(tails.lower), -ndtri_exp(tails.upper))
