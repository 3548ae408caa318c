"""Coefficients as tables show them: predictors of some families on their natural scale.

phi -> shown, one to one: a covariance matrix instead of the log Cholesky factor that a fit moves, a variance instead of
a log standard deviation, coefficients of time as it was given instead of centred. Covariances follow by the derivative
(delta method), which complex steps give to rounding (Squire and Trapp, 1998, SIAM Review 40).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mixstat.core.expert import Outcome
from mixstat.core.family import Natural
from mixstat.core.mixture import Mixture
from mixstat.fit.ties import Ties

STEP = 1e-100
"""Of a complex step: too small to be seen in the value."""
ROUNDS, ENOUGH = 20, 1e-13
"""Steps of Newton's method, and the relative error at which it stops."""


class _Place(NamedTuple):
    """Positions in phi (predictor, column) of one group of one expert's outcome, -1 where there is no coefficient."""

    position: np.ndarray
    natural: Natural

    def values(self, phi: np.ndarray) -> np.ndarray:
        """Coefficients (predictor, column), 0 where there is none."""
        return np.where(self.position >= 0, phi[self.position], 0.0)

    def shown(self, phi: np.ndarray) -> np.ndarray:
        """`to` of the coefficients that there are."""
        moved: np.ndarray = self.natural.to(self.values(phi))[self.position >= 0]
        return moved


def _places(mixture: Mixture, naturals: Sequence[Sequence[Natural]] | None = None) -> Iterator[_Place]:
    """Of every outcome in turn: the groups given, or its family's own."""
    groups = iter([outcome.family.natural for outcome in _outcomes(mixture)] if naturals is None else naturals)
    parts, _ = mixture.split(np.arange(mixture.size))
    for group, part in zip(mixture.groups, parts, strict=True):
        for outcome, rows in zip(group.outcomes, group.split(part), strict=True):
            for natural in next(groups):
                where = _positions(outcome, natural)
                for place in rows.reshape(-1, rows.shape[-1]):
                    yield _Place(np.where(where >= 0, place[where], -1), natural)


def _outcomes(mixture: Mixture) -> list[Outcome]:
    return [outcome for group in mixture.groups for outcome in group.outcomes]


def _positions(outcome: Outcome, natural: Natural) -> np.ndarray:
    """(predictor, column) positions among the outcome's coefficients, intercepts first."""
    columns = sorted({column for p in natural.parameters for column in outcome.columns[p]} | {0})
    where = np.full((len(natural.parameters), len(columns)), -1)
    for row, parameter in enumerate(natural.parameters):
        for index in np.flatnonzero(outcome.parameter_of == parameter):
            where[row, columns.index(outcome.column_of[index])] = index
    return where


def has_natural(mixture: Mixture) -> bool:
    """Whether any coefficient is shown on another scale."""
    return any(True for _ in _places(mixture))


def shown(mixture: Mixture, phi: np.ndarray) -> np.ndarray:
    """Coefficients (phi,) as tables show them."""
    result = phi.copy()
    for place in _places(mixture):
        result[place.position[place.position >= 0]] = place.shown(phi)
    return result


def slope(mixture: Mixture, phi: np.ndarray) -> np.ndarray:
    """Derivative of `shown`, (phi, phi)."""
    result = np.eye(len(phi))
    for place in _places(mixture):
        own = place.position[place.position >= 0]
        moved = phi.astype(complex)
        for column in own:
            moved[column] += 1j * STEP
            result[own, column] = place.shown(moved).imag / STEP
            moved[column] = phi[column]
    return result


def one(mixture: Mixture, phi: np.ndarray, which: int) -> tuple[float, np.ndarray]:
    """`shown` of one coefficient, and its derivative (phi,)."""
    gradient = np.zeros(len(phi))
    for place in _places(mixture):
        own = place.position[place.position >= 0]
        if which not in own:
            continue
        row, moved = int(np.flatnonzero(own == which)[0]), phi.astype(complex)
        for column in own:
            moved[column] += 1j * STEP
            gradient[column] = place.shown(moved)[row].imag / STEP
            moved[column] = phi[column]
        return float(place.shown(phi)[row]), gradient
    gradient[which] = 1.0
    return float(phi[which]), gradient


def hidden(mixture: Mixture, values: np.ndarray, near: np.ndarray) -> np.ndarray:
    """phi that is shown as `values`, from a point nearby by Newton's method (a covariance may be singular)."""
    phi = near.copy()
    for _ in range(ROUNDS):
        gap, derivative = values - shown(mixture, phi), slope(mixture, phi)
        scale = np.maximum(np.abs(derivative).max(axis=1), 1e-300)
        if np.all(np.abs(gap) <= ENOUGH * np.maximum(np.abs(values), scale * ENOUGH)):
            break
        phi = phi + np.linalg.lstsq(derivative / scale[:, None], gap / scale, rcond=1e-12)[0]
    return phi


def translated(phi: np.ndarray, source: Mixture, target: Mixture) -> np.ndarray:
    """Coefficients in the coordinates of `source`, a mixture of the same form, as they are in those of `target`."""
    result = phi.copy()
    pairs = zip(_outcomes(source), _outcomes(target), strict=True)
    for place in _places(target, [mine.family.translation(other.family) for other, mine in pairs]):
        result[place.position[place.position >= 0]] = place.shown(phi)
    return result


def keeps_form(mixture: Mixture, ties: Ties) -> bool:
    """Whether what tables show has the form of the model: absent or fixed coefficients are so, tied ones are equal.

    Tried at one point in general position; what is shown is analytic.
    """
    phi = ties.expand(0.01 * np.random.default_rng(0).normal(size=ties.size))
    for place in _places(mixture):
        if np.any(place.natural.to(place.values(phi))[place.position < 0] != 0):
            return False
    there = shown(mixture, phi)
    return bool(np.allclose(ties.expand(ties.contract(there)), there, rtol=1e-9, atol=0.0))
