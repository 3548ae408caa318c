"""Centring: the coordinates in which a growth model is well conditioned, of those that leave its form as it is.

Time is centred and scaled where the curve's map keeps random coefficients in their groups; columns of occasions are
made orthogonal to those that stand wherever they stand themselves (in the mean, in a group of random coefficients, in
the residual's scale), so that nothing is mixed into what has no place for it.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mixstat.families.growth.coordinates import Coordinates, passage
from mixstat.families.growth.moves import MOVES

if TYPE_CHECKING:
    from mixstat.families.growth.form import GrowthForm
    from mixstat.families.growth.mixed import MixedModel, Occasions

LEAST = 1e-10
"""What is left of a column beside others, relative, below which it stays as it is."""


class Use(NamedTuple):
    """Of every predictor (P,): whether it is the same in all rows, and whether classes share it."""

    constant: np.ndarray
    shared: np.ndarray


def choices(member: "GrowthForm", at: "Occasions", weight: np.ndarray, use: Use) -> list[Coordinates]:
    """Coordinates to try, the best conditioned first; `at` are the data in their own."""
    seen = (at.seen > 0) & (weight > 0)
    columns = np.array(at.columns)[: member.turned]
    own = columns[:, seen] if len(columns) else np.zeros((0, int(seen.sum())))
    turns = [_orthogonal(own, _memberships(member, use)), np.diag(1.0 / _sizes(own))]
    return [Coordinates(*clock, turn) for turn in turns for clock in _clocks(member, at.time[seen], use)]


def _clocks(member: "GrowthForm", times: np.ndarray, use: Use) -> list[tuple[float, float]]:
    """(centre, scale). A random knot is smoothed in the user's unit of time, which then is kept."""
    curve = member.curve
    if curve is not None and curve.name not in MOVES:
        return [(0.0, 1.0)]
    spread = float(times.std()) if len(times) else 0.0
    scale = spread if spread > 0 and not member.expands else 1.0
    places = slice(len(curve.factors), len(curve.coefficients)) if curve is not None else slice(0)
    rigid = curve is None or MOVES[curve.name].affine or (not member.expands and bool(use.constant[places].all()))
    free = rigid and member.residual != "brownian" and len(times) > 0
    return [*([(float(times.mean()), scale)] if free else []), (0.0, scale)]


def keeps_groups(model: "MixedModel", ways: Sequence[Coordinates]) -> bool:
    """Whether random coefficients stay random, and in their groups, on the way to the data's coordinates."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = passage(model, np.full(model.head, 1e-3), ways)
    pairs = {(j, i) for j, i in np.argwhere(found.random != 0) if i != j}
    inside = all((max(pair), min(pair)) in model.pairs for pair in pairs)
    return inside and not any(leak.any() for leak in _leaks(model, found.linear))


def _leaks(model: "MixedModel", linear: np.ndarray) -> Iterator[np.ndarray]:
    """What random coefficients of a curve would give to coefficients that are not random."""
    for first, member in model.parts:
        names = member.coefficients
        random = np.isin(names, [str(name) for name in member.random])
        size = len(names)
        yield linear[first : first + size, first : first + size][np.ix_(~random, random)] != 0


def _memberships(member: "GrowthForm", use: Use) -> list[set]:
    """Where each column stands."""
    found: list[set] = [set() for _ in member.columns]
    first = member.head - len(member.fixed)
    for place, column in enumerate(member.fixed):
        found[column] |= {"mean"} if use.shared[first + place] else {"mean", "own"}
    if member.curve is None:
        for j, chosen in enumerate(member.random):
            found[int(chosen)].add(min(i for i in range(j + 1) if (j, i) in member.pairs))
    for column in member.scale_columns:
        found[column].add("scale")
    return found


def _orthogonal(columns: np.ndarray, memberships: list[set]) -> np.ndarray:
    """W: each column less its regression on those that stand wherever it stands, in units of its mean square root."""
    size = len(columns)
    turn, turned = np.eye(size), columns.copy()
    order = sorted(range(size), key=lambda c: -len(memberships[c]))
    for place, column in enumerate(order):
        others = [other for other in order[:place] if memberships[column] <= memberships[other]]
        weight = np.linalg.lstsq(turned[others].T, columns[column], rcond=None)[0] if others else np.zeros(0)
        left = columns[column] - weight @ turned[others]
        length, before = _sizes(np.stack([left, columns[column]])) if columns.shape[1] else (1.0, 1.0)
        if length > LEAST * before:
            turn[column] = (turn[column] - weight @ turn[others]) / length
            turned[column] = left / length
    return turn


def _sizes(columns: np.ndarray) -> np.ndarray:
    """Root mean squares, 1 of what is 0."""
    size = np.sqrt((columns**2).mean(axis=1)) if columns.shape[1] else np.ones(len(columns))
    return np.where(size > 0, size, 1.0)
