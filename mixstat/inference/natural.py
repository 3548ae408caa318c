"""Coefficients as tables show them: constant predictors of some families on their natural scale.

phi -> shown, one to one: a covariance matrix instead of the log Cholesky factor that a fit moves, a variance instead of
a log standard deviation. Covariances follow by the derivative (delta method).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixstat.core.family import Natural
from mixstat.core.mixture import Mixture


class _Place(NamedTuple):
    """Positions in phi of one group of one expert's outcome, and how it is shown."""

    position: np.ndarray
    natural: Natural


def _places(mixture: Mixture) -> Iterator[_Place]:
    parts, _ = mixture.split(np.arange(mixture.size))
    for group, part in zip(mixture.groups, parts, strict=True):
        for outcome, rows in zip(group.outcomes, group.split(part), strict=True):
            for natural in outcome.family.natural:
                where = [int(np.flatnonzero(outcome.parameter_of == p)[0]) for p in natural.parameters]
                for place in rows.reshape(-1, rows.shape[-1]):
                    yield _Place(place[where], natural)


def has_natural(mixture: Mixture) -> bool:
    """Whether any coefficient is shown on another scale."""
    return any(True for _ in _places(mixture))


def shown(mixture: Mixture, phi: np.ndarray) -> np.ndarray:
    """Coefficients (phi,) as tables show them."""
    result = phi.copy()
    for place, natural in _places(mixture):
        result[place] = natural.to(phi[place])
    return result


def slope(mixture: Mixture, phi: np.ndarray) -> np.ndarray:
    """Derivative of `shown`, (phi, phi)."""
    result = np.eye(len(phi))
    for place, natural in _places(mixture):
        result[np.ix_(place, place)] = natural.slope(phi[place])
    return result


def hidden(mixture: Mixture, values: np.ndarray) -> np.ndarray:
    """The inverse of `shown`: what tables show -> phi."""
    result = values.copy()
    for place, natural in _places(mixture):
        result[place] = natural.back(values[place])
    return result
