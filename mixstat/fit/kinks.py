"""Maxima at kinks: a knot of a broken line makes the likelihood smooth only between the observed times.

At such a maximum the derivative by the knot jumps from positive to negative and is nowhere zero; Newton's steps shrink
to nothing beside it. The knot is then held there, the other parameters are carried to their maximum, and what certifies
the whole is the change of sign together with the Newton decrement of the others.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mixstat.core.mixture import Mixture
from mixstat.fit.ties import Ties

if TYPE_CHECKING:
    from mixstat.fit.problem import Evaluation, Problem

BESIDE = 1e-6
"""How closely a kink is located, in standard errors."""
FURTHEST = 0.3
"""How far from a point a kink is looked for, in standard errors."""
JUMP = 10.0
"""By how much a derivative falls at a kink, as a multiple of what its curvature explains."""


def kinks_of(mixture: Mixture, ties: Ties) -> np.ndarray:
    """(theta,) positions of the free parameters in which the likelihood has kinks."""
    return places_of(mixture, ties, "kinks")


def places_of(mixture: Mixture, ties: Ties, name: str) -> np.ndarray:
    """(theta,) positions of the free parameters of the predictors that families name (`kinks`, `jumps`)."""
    named = np.zeros(mixture.size, dtype=bool)
    for group, place in zip(mixture.groups, mixture.split(np.arange(mixture.size))[0], strict=True):
        for outcome, rows in zip(group.outcomes, group.split(place), strict=True):
            named[rows[..., np.isin(outcome.parameter_of, getattr(outcome.family, name))]] = True
    return np.flatnonzero(named[ties.representative])


class Kinks(NamedTuple):
    """The parameters at a kink (theta,), and theta with them there."""

    held: np.ndarray
    theta: np.ndarray


def find_kinks(problem: "Problem", at: "Evaluation") -> Kinks:
    """Kinked parameters whose derivative jumps from positive to negative at, or very near, this point."""
    held, theta = np.zeros(len(at.theta), dtype=bool), at.theta.copy()
    for place in problem.kinks:
        curvature = at.information[place, place]
        if curvature > 0:
            found = _locate(problem, at.theta, int(place), 1.0 / np.sqrt(curvature), curvature)
            held[place] = found is not None
            theta[place] += found or 0.0
    return Kinks(held, theta)


def _locate(problem: "Problem", theta: np.ndarray, place: int, error: float, curvature: float) -> float | None:
    """The change of one parameter that leads to a kink, None where there is none."""

    def slope(change: float) -> float:
        moved = theta.copy()
        moved[place] += change
        return float(problem.evaluate(moved).gradient[place])

    reach = BESIDE * error
    low, high = slope(-reach), slope(reach)
    while not low > 0 > high:
        reach *= 10
        if reach > FURTHEST * error:
            return None
        low, high = slope(-reach), slope(reach)
    left, right = -reach, reach
    while right - left > 2 * BESIDE * error:
        middle = 0.5 * (left + right)
        value = slope(middle)
        left, right = (middle, right) if value > 0 else (left, middle)
        low, high = (value, high) if value > 0 else (low, value)
    return 0.5 * (left + right) if low - high > JUMP * curvature * (right - left) else None
