"""Standardising: covariates are centred and scaled inside a fit; results return to the user's scale by a linear map.

A column is centred only where every predictor that uses it has an intercept that can absorb the shift: free, and tied
over experts exactly as the slope is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixstat.core.family import Family
from mixstat.core.mixture import Mixture
from mixstat.fit.ties import Ties


class Scaling(NamedTuple):
    """Column c enters the fit as (x_c - centre_c) / scale_c."""

    centre: np.ndarray
    scale: np.ndarray

    def apply(self, columns: np.ndarray) -> np.ndarray:
        """(column, row) standardised, in a new array."""
        return (columns - self.centre[:, None]) / self.scale[:, None]

    def jacobian(self, mixture: Mixture) -> np.ndarray:
        """A (phi, phi): coefficients on the user's scale = A x standardised coefficients."""
        columns, absorbers = uses(mixture)
        matrix = np.diag(1.0 / self.scale[columns])
        for position in np.flatnonzero(self.centre[columns]):
            shift = self.centre[columns[position]] / self.scale[columns[position]]
            for place, factor in absorbers[position]:
                if place >= 0:
                    matrix[place, position] -= factor * shift
        return matrix


Absorbers = tuple[tuple[int, float], ...]
"""(position of an intercept or -1, what it gains) where a predictor gains 1."""


def uses(mixture: Mixture) -> tuple[np.ndarray, list[Absorbers]]:
    """(column of each coefficient (phi,), the intercepts that absorb a shift of its column)."""
    columns: list[int] = []
    absorbers: list[Absorbers] = []
    for predictors, family in _predictors(mixture):
        starts = len(columns) + np.cumsum([0, *map(len, predictors)])
        places = [int(start) + own.index(0) if 0 in own else -1 for start, own in zip(starts, predictors, strict=False)]
        gains = None if family is None else family.absorbing
        for number, own in enumerate(predictors):
            gain = np.eye(1, len(predictors), number)[0] if gains is None else gains[:, number]
            absorbers += [tuple((places[other], float(gain[other])) for other in np.flatnonzero(gain))] * len(own)
            columns.extend(own)
    return np.array(columns, dtype=np.int64), absorbers


def _predictors(mixture: Mixture) -> Iterator[tuple[tuple[tuple[int, ...], ...], Family | None]]:
    """The design columns of the predictors of every outcome and of the gate, in the order of phi."""
    for group in mixture.groups:
        for _ in range(group.copies):
            for outcome in group.outcomes:
                for _ in range(outcome.count):
                    yield outcome.columns, outcome.family
    for _ in range(mixture.gate.shape[0]):
        yield (mixture.gate.columns,), None


def learn_scaling(mixture: Mixture, ties: Ties, columns: np.ndarray, weight: np.ndarray) -> Scaling:
    """Weighted mean and standard deviation of each column (column, row); constants are left alone."""
    total = weight.sum()
    mean = columns @ weight / total
    deviation = np.array(
        [np.sqrt(((column - m) ** 2) @ weight / total) for column, m in zip(columns, mean, strict=True)]
    )
    scale = np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1e-300), deviation, 1.0)
    centre = np.where((deviation > 0) & _can_centre(mixture, ties, len(columns)), mean, 0.0)
    centre[0], scale[0] = 0.0, 1.0
    return Scaling(centre, scale)


def _can_centre(mixture: Mixture, ties: Ties, count: int) -> np.ndarray:
    """(column,) whether every use of the column has intercepts that can absorb its mean."""
    columns, absorbers = uses(mixture)
    allowed = np.ones(count, dtype=bool)
    counts = np.bincount(ties.index[ties.free], minlength=ties.size)
    for position, (column, mine) in enumerate(zip(columns, absorbers, strict=True)):
        if column:
            allowed[column] &= all(
                place >= 0 and ties.index[place] >= 0 and _moves_alike(ties, counts, absorbers, position, number)
                for number, (place, _) in enumerate(mine)
            )
    return allowed


def _moves_alike(ties: Ties, counts: np.ndarray, absorbers: list[Absorbers], position: int, number: int) -> bool:
    """Whether the intercept that absorbs a coefficient's shift is tied over experts exactly as the coefficient is."""
    intercept, slope = ties.index[absorbers[position][number][0]], ties.index[position]
    if counts[intercept] == 1:
        return True
    same = np.flatnonzero(ties.index == slope) if slope >= 0 else [position]
    partners = {int(ties.index[absorbers[other][number][0]]) for other in same}
    return slope >= 0 and counts[slope] == counts[intercept] and partners == {int(intercept)}


def aliased(columns: np.ndarray, weight: np.ndarray, chosen: tuple[int, ...]) -> list[int]:
    """Positions in `chosen` of columns that are linear combinations of those before them."""
    part = columns[list(chosen)]
    total = max(weight.sum(), 1e-300)
    if 0 in chosen:
        part = part - (part @ weight / total)[:, None]
    norm = np.sqrt((part**2) @ weight)
    size = np.sqrt((columns[list(chosen)] ** 2) @ weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(norm[:, None] > 1e-10 * size[:, None], part / norm[:, None], 0.0)
    gram = (part * weight) @ part.T
    return _dependent(gram, [index for index, column in enumerate(chosen) if column != 0])


def constant(columns: np.ndarray, weight: np.ndarray, chosen: tuple[int, ...]) -> list[int]:
    """Positions in `chosen` of columns, beside the intercept, that do not vary."""
    return [at for at, column in enumerate(chosen) if column != 0 and aliased(columns, weight, (0, column))]


def _dependent(gram: np.ndarray, order: list[int]) -> list[int]:
    """Sequential Cholesky of a correlation matrix: rows whose residual variance vanishes."""
    kept: list[int] = []
    dependent = []
    for index in order:
        residual = gram[index, index]
        if kept:
            inner = gram[np.ix_(kept, kept)]
            residual -= gram[index, kept] @ np.linalg.solve(inner, gram[kept, index])
        if residual < 1e-10:
            dependent.append(index)
        else:
            kept.append(index)
    return dependent
