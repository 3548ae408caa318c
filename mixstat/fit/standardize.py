"""Standardising: covariates are centred and scaled inside a fit; results return to the user's scale by a linear map.

A column is centred only where every predictor that uses it has an intercept that can absorb the shift: free, and tied
over experts exactly as the slope is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

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
        columns, intercepts = uses(mixture)
        matrix = np.diag(1.0 / self.scale[columns])
        moved = np.flatnonzero((self.centre[columns] != 0) & (intercepts >= 0))
        matrix[intercepts[moved], moved] -= self.centre[columns[moved]] / self.scale[columns[moved]]
        return matrix


def uses(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """(column of each coefficient (phi,), position of the intercept of its predictor or -1)."""
    columns: list[int] = []
    intercepts: list[int] = []
    start = 0
    for predictor in _predictors(mixture):
        columns.extend(predictor)
        place = start + predictor.index(0) if 0 in predictor else -1
        intercepts.extend([place] * len(predictor))
        start += len(predictor)
    return np.array(columns, dtype=np.int64), np.array(intercepts, dtype=np.int64)


def _predictors(mixture: Mixture) -> Iterator[tuple[int, ...]]:
    """The design columns of every predictor, in the order of phi."""
    for group in mixture.groups:
        for _ in range(group.copies):
            for outcome in group.outcomes:
                for _ in range(outcome.count):
                    yield from outcome.columns
    for _ in range(mixture.gate.shape[0]):
        yield mixture.gate.columns


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
    """(column,) whether every use of the column has an intercept that can absorb its mean."""
    columns, intercepts = uses(mixture)
    allowed = np.ones(count, dtype=bool)
    counts = np.bincount(ties.index[ties.free], minlength=ties.size)
    for position, (column, intercept) in enumerate(zip(columns, intercepts, strict=True)):
        if column == 0:
            continue
        if intercept < 0 or ties.index[intercept] < 0:
            allowed[column] = False
        elif counts[ties.index[intercept]] > 1:
            same = np.flatnonzero(ties.index == ties.index[position]) if ties.index[position] >= 0 else [position]
            partners = {int(ties.index[intercepts[other]]) for other in same}
            alike = ties.index[position] >= 0 and counts[ties.index[position]] == counts[ties.index[intercept]]
            allowed[column] &= alike and partners == {int(ties.index[intercept])}
    return allowed


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
