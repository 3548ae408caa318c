"""Limits: parameters that the likelihood carries to infinity, where the family has a limit and the fit goes on.

There the likelihood no longer depends on the parameter: it is held, the others are carried to their maximum, and their
standard errors are those of the limiting model.
"""

from typing import NamedTuple

import numpy as np

from mixstat.core.family import Limit
from mixstat.fit.newton import newton
from mixstat.fit.options import Options
from mixstat.fit.problem import Evaluation, Problem

SLACK = 1e-5


class AtLimits(NamedTuple):
    """A point, its certificate, and the parameters (theta,) that are infinite there, with what that means."""

    at: Evaluation
    decrement: float
    converged: bool
    held: np.ndarray
    words: tuple[str, ...]


def at_limits(problem: Problem, at: Evaluation, decrement: float, converged: bool, options: Options) -> AtLimits:
    """The same point, or the maximum with the parameters that are on their way to infinity at their limits."""
    here = AtLimits(at, decrement, converged, np.zeros(len(at.theta), dtype=bool), ())
    reached = {place: limit for place, limit in limits_of(problem).items() if at.theta[place] > limit.beyond}
    if not reached:
        return here
    theta, held = at.theta.copy(), here.held.copy()
    for place, limit in reached.items():
        theta[place], held[place] = limit.value, True
    found = newton(problem, theta, tol=options.tol, max_iter=options.max_iter, held=held)
    if not found.at.objective >= at.objective - SLACK * (1 + abs(at.objective)):
        return here
    words = tuple(dict.fromkeys(limit.words for limit in reached.values()))
    return AtLimits(found.at, found.decrement, found.converged, held, words)


def limits_of(problem: Problem) -> dict[int, Limit]:
    """The limits of free parameters that are a constant predictor, by their place in theta."""
    found = {}
    places, _ = problem.mixture.split(np.arange(problem.mixture.size))
    for group, place in zip(problem.mixture.groups, places, strict=True):
        for outcome, rows in zip(group.outcomes, group.split(place), strict=True):
            for limit in outcome.family.limits:
                if outcome.is_constant(limit.parameter):
                    mine = rows[..., outcome.parameter_of == limit.parameter].ravel()
                    found.update({int(p): limit for p in problem.ties.index[mine] if p >= 0})
    return found
