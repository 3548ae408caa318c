"""Ordinal: probabilities of ordered categories 1, ..., K by q = K - 1 predictors eta_k, P(y <= k) and its relatives.

    cumulative         P(y <= k)         = F(eta_k)
    stopping ratio     P(y = k | y >= k) = F(eta_k)
    adjacent           log P(y = k) - log P(y = k + 1) = eta_k

    eta_k = (cut_k - location - location_k) / scale

`location` is common to the cuts (parallel slopes, proportional odds), `location_k` is one cut's own; `shrunken` slopes
are differences, location_k = difference_1 + ... + difference_k. A positive slope makes high categories likelier.
Reference: Agresti (2010), Analysis of Ordinal Categorical Data; Faletto and Bien (2023), ICML (differences).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array
from mixstat.exceptions import DataError
from mixstat.families._host import column, row_shape, usable
from mixstat.families.ordinal.form import OrdinalForm
from mixstat.families.ordinal.links import LINKS, Link

MOST = 100
"""Levels of a response."""


@dataclass(frozen=True)
class Ordinal(OrdinalForm):
    """`data` holds the codes 0, 1, ... of the levels; `mean` gives probabilities (category, row)."""

    name: ClassVar[str] = "ordinal"
    discrete: ClassVar[bool] = True
    coded: ClassVar[bool] = True
    ordered: ClassVar[bool] = True
    reach: ClassVar[float] = 5.0

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        values, code = self.predictors(eta), data[0]
        logs = {"cumulative": _cumulative, "stopping": _stopping, "adjacent": _adjacent}[self.kind]
        return logs(LINKS[self.link], values, code)

    def score(self, eta: Array, data: Array) -> Array:
        return self.score_and_curvature(eta, data)[0] if self.kind == "cumulative" else super().score(eta, data)

    def score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        """In closed form of cumulative probabilities, by the two predictors beside the category."""
        if self.kind != "cumulative":
            return super().score_and_curvature(eta, data)
        return _derivatives(self, eta, data[0])

    def mean(self, eta: Sequence[Array]) -> Array:
        """(category, row); negative where the cuts cross."""
        values = self.predictors(eta)
        shape = jnp.broadcast_shapes(*(jnp.shape(v) for v in values))
        values = [jnp.broadcast_to(v, shape) for v in values]
        link = LINKS[self.link]
        if self.kind == "cumulative":
            stacked = jnp.stack(values)
            stacked = jnp.sort(stacked, axis=0) if self.rearranged else stacked
            ends = jnp.exp(link.log_lower(stacked[:1])), jnp.exp(link.log_upper(stacked[-1:]))
            return jnp.concatenate([ends[0], _between(link, stacked[1:], stacked[:-1]), ends[1]])
        logs = {"stopping": _stopping, "adjacent": _adjacent}[self.kind]
        return jnp.stack([jnp.exp(logs(link, values, jnp.full(shape, float(k)))) for k in range(self.cuts + 1)])

    def specialize(self, names: Sequence[str], levels: Sequence | None) -> "Ordinal":
        found = self.levels if levels is None else tuple(v.item() if isinstance(v, np.generic) else v for v in levels)
        if len(found) < 2:
            raise DataError(f"an ordinal response has two or more levels; {', '.join(names)!r} has {list(found)}")
        if len(found) > MOST:
            raise DataError(
                f"{', '.join(map(repr, names))} has {len(found)} levels, more than {MOST}; an ordinal response has "
                "few: cut it into classes (pandas.cut, pandas.qcut), or model it as a number"
            )
        return replace(self, levels=found)

    def uninformed(self, data: np.ndarray) -> str:
        missing = [level for code, level in enumerate(self.levels) if not (data[0] == code).any()]
        if not missing:
            return ""
        return (
            f"has no observation of {', '.join(map(repr, missing))}, and a class that nobody is in has no cuts; leave "
            "the level out (.cat.remove_unused_categories()) or merge it with a neighbour"
        )

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        size = len(self.levels)
        expected = f"the codes 0 to {size - 1} of its levels {list(self.levels)}"
        valid = lambda y: (y >= 0) & (y < size) & (y == np.floor(y))  # noqa: E731
        return column(y, name, self.name, valid, expected, "give integer codes, or an ordered categorical column")[None]

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        shape = row_shape(eta, data)
        chances = np.asarray(self.mean([np.broadcast_to(e, shape) for e in eta]))
        below = np.cumsum(np.maximum(chances, 0.0), axis=0)
        return (below < rng.random(shape) * below[-1]).sum(axis=0).clip(max=self.cuts).astype(np.float64)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Cuts at the observed shares, no effects."""
        weight = usable(data, weight)
        cuts = self.cuts_at(np.array([weight[data[0] == k].sum() for k in range(self.cuts + 1)]) + 0.5)
        names = [parameter.name for parameter in self.parameters]
        return np.array([cuts[int(name[4:]) - 1] if name.startswith("cut_") else 0.0 for name in names])

    def cuts_at(self, totals: np.ndarray) -> np.ndarray:
        """(cut,) the maximum without effects, from weights of the categories."""
        below, link = np.cumsum(totals)[:-1], LINKS[self.link]
        if self.kind == "cumulative":
            return link.quantile(below / totals.sum())
        if self.kind == "stopping":
            return link.quantile(totals[:-1] / (totals.sum() - np.concatenate([[0.0], below[:-1]])))
        return np.log(totals[:-1] / totals[1:])


def _between(link: Link, upper: Array, lower: Array) -> Array:
    """F(upper) - F(lower), its relative precision kept; negative where they cross, 0 where they meet."""
    high, low = jnp.maximum(upper, lower), jnp.minimum(upper, lower)
    apart = high > low
    size = jnp.exp(link.log_between(jnp.where(apart, high, low + 1.0), low))
    return jnp.where(apart, jnp.where(upper > lower, size, -size), 0.0)


def _derivatives(family: Ordinal, eta: Array, code: Array) -> tuple[Array, Array]:
    """Score (P, row) and curvature (P, P, row) of cumulative probabilities."""
    values = family.predictors(list(eta))
    beside = _beside(LINKS[family.link], values, code)
    place = jnp.arange(family.cuts)[:, None]
    high, low = (family.composition.T @ (place == at) for at in (code, code - 1))
    if family.scaled:
        shrink = jnp.exp(-eta[-1])
        high = (high * shrink).at[-1].set(-beside.upper)
        low = (low * shrink).at[-1].set(-beside.lower)
    score = beside.by_upper * high + beside.by_lower * low
    mixed = beside.mixed * (high[:, None] * low[None] + low[:, None] * high[None])
    curvature = beside.upper_twice * high[:, None] * high[None] + beside.lower_twice * low[:, None] * low[None] + mixed
    if family.scaled:
        curvature = curvature.at[-1].add(-score).at[:-1, -1].add(-score[:-1])
    return score, curvature


class _Beside(NamedTuple):
    """Predictors beside each row's category (0 where there is none), and derivatives of log[F(upper) - F(lower)]."""

    upper: Array
    lower: Array
    by_upper: Array
    by_lower: Array
    upper_twice: Array
    lower_twice: Array
    mixed: Array


def _beside(link: Link, values: list[Array], code: Array) -> _Beside:
    last = len(values)
    upper, lower = _ends(values, code)
    density = _own(link, upper, lower, code, last)
    by_upper = jnp.where(code < last, jnp.exp(link.log_slope(upper) - density), 0.0)
    by_lower = jnp.where(code > 0, -jnp.exp(link.log_slope(lower) - density), 0.0)
    upper_twice = by_upper * (link.tilt(upper) - by_upper)
    lower_twice = by_lower * (link.tilt(lower) - by_lower)
    return _Beside(upper, lower, by_upper, by_lower, upper_twice, lower_twice, -by_upper * by_lower)


def _ends(values: list[Array], code: Array) -> tuple[Array, Array]:
    """eta_y and eta_(y-1), 0 where there is none."""
    upper = sum(jnp.where(code == k, value, 0.0) for k, value in enumerate(values))
    lower = sum(jnp.where(code == k + 1, value, 0.0) for k, value in enumerate(values))
    return upper, lower


def _own(link: Link, upper: Array, lower: Array, code: Array, last: int) -> Array:
    """log[F(eta_y) - F(eta_(y-1))]; NaN where the two cuts beside the category cross."""
    inside = (code > 0) & (code < last)
    between = link.log_between(jnp.where(inside, upper, 1.0), jnp.where(inside, lower, 0.0))
    ends = jnp.where(code == 0, link.log_lower(upper), link.log_upper(lower))
    return jnp.where(inside, between, ends)


def _cumulative(link: Link, values: list[Array], code: Array) -> Array:
    return _own(link, *_ends(values, code), code, len(values))


def _stopping(link: Link, values: list[Array], code: Array) -> Array:
    """Stop at k with probability F(eta_k), else go on."""
    stopped = [jnp.where(code == k, link.log_lower(value), 0.0) for k, value in enumerate(values)]
    passed = [jnp.where(code > k, link.log_upper(value), 0.0) for k, value in enumerate(values)]
    return sum(stopped) + sum(passed)


def _adjacent(link: Link, values: list[Array], code: Array) -> Array:
    """Logits of a category against the next: log P(k) = log P(K) + eta_k + ... + eta_(K-1)."""
    last = len(values)
    scores = [jnp.zeros_like(values[-1] + 0.0 * code)]
    for value in reversed(values):
        scores.append(scores[-1] + value)
    scores = scores[::-1]
    largest = scores[0]
    for score in scores[1:]:
        largest = jnp.maximum(largest, score)
    total = largest + jnp.log(sum(jnp.exp(score - largest) for score in scores))
    return sum(jnp.where(code == k, scores[k], 0.0) for k in range(last + 1)) - total
