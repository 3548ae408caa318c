"""Coordinates: times centred and scaled, columns of occasions orthogonal, as a fit sees them, and the exact way back.

    t' = (t - c) / s,    x' = W x

A curve of t' is the same curve of t at the coefficients eta = m(eta'); random coefficients and covariates of subjects
follow by the derivative, Psi = M Psi' M' and B = M B', and coefficients of columns by kappa = W' kappa'. The likelihood
is the same where the form of the model is: what is 0, or common to classes, must be so in both.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mixstat.core.family import Natural
from mixstat.families.growth.moves import MOVES, derivative
from mixstat.families.growth.shown import (
    covariances,
    entries_of_root,
    exponential,
    root_of_entries,
)

if TYPE_CHECKING:
    from mixstat.families.growth.form import GrowthForm
    from mixstat.families.growth.mixed import MixedModel, Occasions

POWERS = {"ar_sd": 0.0, "ar_rate": -1.0, "brownian_sd": -0.5}
"""Of the unit of time in parameters of residual structures."""


class Coordinates(NamedTuple):
    """c, s and W (column, column)."""

    centre: float
    scale: float
    turn: np.ndarray

    @classmethod
    def of(cls, constants: Sequence[float], columns: int) -> "Coordinates":
        """From a family's constants; without any, those of the data."""
        if not constants:
            return cls(0.0, 1.0, np.eye(columns))
        return cls(constants[0], constants[1], np.reshape(constants[2:], (columns, columns)))

    @property
    def constants(self) -> tuple[float, ...]:
        """As a family keeps them."""
        return (float(self.centre), float(self.scale), *map(float, self.turn.ravel()))

    def seen_from(self, other: "Coordinates") -> "Coordinates":
        """These coordinates as they are made of others."""
        centre, scale = (self.centre - other.centre) / other.scale, self.scale / other.scale
        return Coordinates(centre, scale, self.turn @ np.linalg.inv(other.turn))

    def inside(self, at: "Occasions") -> "Occasions":
        """The data in these coordinates."""
        columns, size = np.array(at.columns), len(self.turn)
        columns[:size] = np.tensordot(self.turn, columns[:size], axes=1)
        return at._replace(time=(at.time - self.centre) / self.scale, columns=columns)


class Passage(NamedTuple):
    """What leads to other coordinates: `linear` and `shift` of the predictors of means, `random` of random
    coefficients."""

    linear: np.ndarray
    shift: np.ndarray
    random: np.ndarray

    def means(self, values: np.ndarray) -> np.ndarray:
        """Predictors (predictor, row) of rows."""
        return self.linear @ values + self.shift[:, None]

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """Coefficients (predictor, column) of covariates, intercepts first."""
        there = self.linear @ values
        there[:, 0] += self.shift
        return there


def passage(model: "MixedModel", intercepts: np.ndarray, ways: Sequence[Coordinates]) -> Passage:
    """The passage from each outcome's way to what it is seen from, at the intercepts of the predictors of means."""
    parts = [
        _passage(member, intercepts[first : first + member.head], way)
        for (first, member), way in zip(model.parts, ways, strict=True)
    ]
    linear, shift, random = zip(*parts, strict=True)
    return Passage(_diagonal(linear), np.concatenate(shift), _diagonal(random))


def _passage(member: "GrowthForm", intercepts: np.ndarray, way: Coordinates) -> Passage:
    size, curve = len(member.coefficients), member.curve
    linear, shift = np.eye(len(intercepts), dtype=intercepts.dtype), np.zeros_like(intercepts)
    own, turn = linear[:size, :size], way.turn.T
    if curve is not None and curve.name in MOVES:
        values = intercepts[:size]
        own[:] = derivative(curve, values, way.centre, way.scale)
        shift[:size] = MOVES[curve.name].function(values, way.centre, way.scale) - own @ values
    if member.has_effects:
        linear[size : 2 * size, size : 2 * size] = own
    first = len(intercepts) - len(member.fixed)
    linear[first:, first:] = turn[np.ix_(member.fixed, member.fixed)]
    if curve is None:
        chosen = np.array(member.random, dtype=np.int64)
        return Passage(linear, shift, turn[np.ix_(chosen, chosen)])
    places = [member.coefficients.index(str(name)) for name in member.random]
    return Passage(linear, shift, own[np.ix_(places, places)])


def _diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    whole, first = np.zeros((size, size), dtype=np.result_type(*blocks)), 0
    for block in blocks:
        last = first + len(block)
        whole[first:last, first:last] = block
        first = last
    return whole


def natural(model: "MixedModel") -> list[Natural]:
    """Means and covariances of random coefficients, from the predictors, in the data's own coordinates."""
    ways = [member.coordinates for _, member in model.parts]
    head = model.head if any(member.constants for _, member in model.parts) else 0
    places, form = (*range(head), *model.entries), model.covariance_form

    def to(values: np.ndarray) -> np.ndarray:
        there, turn = _carried(model, values[:head], ways)
        return _with_column(there, covariances(form, turn @ root_of_entries(form, values[head:, 0])), values)

    return [Natural(places, to)] if places else []


def translation(model: "MixedModel", source: "MixedModel") -> list[Natural]:
    """Predictors of means and entries of C of the same form in the coordinates of `source`, as they are in ours."""
    members = [(mine, other) for (_, mine), (_, other) in zip(model.parts, source.parts, strict=True)]
    ways = [other.coordinates.seen_from(mine.coordinates) for mine, other in members]
    head, form = model.head, model.covariance_form

    def carried(values: np.ndarray) -> np.ndarray:
        there, turn = _carried(model, values[:head], ways)
        return _with_column(there, entries_of_root(form, turn @ root_of_entries(form, values[head:, 0])), values)

    return [Natural((*range(head), *model.entries), carried)]


def residual_natural(member: "GrowthForm", first: int) -> list[Natural]:
    """Variances and rates instead of their logs; `first` is the place of the first parameter of the residuals."""
    rest, last = _residual_places(member, first)
    shown = [_rates(member, rest, last, member.coordinates)] if rest < last else []
    if member.levels or not member.scale_columns:
        return [exponential(tuple(range(first, rest)), 2.0), *shown]
    return [*([_turned(member, first, member.coordinates)] if member.constants else []), *shown]


def residual_translation(member: "GrowthForm", source: "GrowthForm", first: int) -> list[Natural]:
    """Predictors of residuals in the coordinates of `source`, as they are in ours."""
    way, (rest, last) = source.coordinates.seen_from(member.coordinates), _residual_places(member, first)
    turned = [] if member.levels or not member.scale_columns else [_turned(member, first, way)]
    shift = np.log(_units(member, way))[:, None]
    return [*turned, Natural(tuple(range(rest, last)), lambda v: v + shift)]


def _residual_places(member: "GrowthForm", first: int) -> tuple[int, int]:
    """Where the predictors of the residual structure begin and end."""
    last = first + len(member.residual_parameters)
    return last - len(member.structure.parameters), last


def _units(member: "GrowthForm", way: Coordinates) -> np.ndarray:
    return np.array([way.scale ** POWERS[name] for name in member.structure.parameters])


def _rates(member: "GrowthForm", rest: int, last: int, way: Coordinates) -> Natural:
    return exponential(tuple(range(rest, last)), 1.0, _units(member, way))


def _turned(member: "GrowthForm", first: int, way: Coordinates) -> Natural:
    """Coefficients of the log standard deviation."""
    turn = way.turn[np.ix_(member.scale_columns, member.scale_columns)].T
    places = tuple(range(first, first + len(turn)))
    return Natural(places, lambda v: turn @ v, None)


def _carried(model: "MixedModel", means: np.ndarray, ways: Sequence[Coordinates]) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of means there, and the matrix of random coefficients."""
    if not len(means):
        return means, np.eye(len(model.random_names))
    found = passage(model, means[:, 0], ways)
    return found.coefficients(means), found.random


def _with_column(means: np.ndarray, entries: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rows of means, and of entries, which are constant."""
    rows = np.zeros((len(entries), like.shape[1]), dtype=np.result_type(means, entries))
    rows[:, 0] = entries
    return np.concatenate([means, rows])
