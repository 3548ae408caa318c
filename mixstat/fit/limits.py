"""Limits: parameters that the likelihood carries to infinity, where the family has a limit and the fit goes on.

A shape runs to that of another law, the log of a variance to minus infinity. In the limit the likelihood no longer
depends on the parameter: it is held, the others are carried to their maximum, and their standard errors are those of
the limiting model (of a variance: conditional on the boundary; Self and Liang, 1987, JASA 82).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixstat.core.expert import Outcome
from mixstat.core.family import Limit
from mixstat.fit.newton import newton
from mixstat.fit.options import Options
from mixstat.fit.problem import Evaluation, Problem

INFORMED = 4.0
"""Information of a parameter, beside a thousandth of the weight, from which it is not on its way to infinity."""
DROP = 0.1
"""What a limit may cost before the other parameters are moved."""


class AtLimits(NamedTuple):
    """A point, its certificate, the parameters (theta,) that are infinite there (or zero by a lasso), and the limits'
    (words, remark)."""

    at: Evaluation
    decrement: float
    converged: bool
    held: np.ndarray
    meaning: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What the limits mean, then what follows from them."""
        return tuple(dict.fromkeys([*(words for words, _ in self.meaning), *(r for _, r in self.meaning if r)]))


class _Step(NamedTuple):
    """A limit to be tried: theta there, what is held (theta,), what runs away first, and what it means."""

    theta: np.ndarray
    held: np.ndarray
    first: int
    limit: Limit
    words: str


def at_limits(problem: Problem, at: Evaluation, decrement: float, converged: bool, options: Options) -> AtLimits:
    """The same point, or the maximum with the parameters that are on their way to infinity at their limits."""
    found = AtLimits(at, decrement, converged, problem.penalty.zeroed(at.theta))
    tried: set[int] = set()
    while step := next((step for step in _steps(problem, found) if step.first not in tried), None):
        tried.add(step.first)
        found = _taken(problem, found, step, options) or found
    return found


def _taken(problem: Problem, found: AtLimits, step: _Step, options: Options) -> AtLimits | None:
    """The maximum in the limit, None unless it is as high as the point that was found, and as high as beside it."""
    before, held = found.at.objective, found.held | step.held
    if not problem.expect(step.theta).objective >= before - DROP:
        return None
    there = newton(problem, step.theta, tol=options.tol, max_iter=options.max_iter, held=held)
    slack = step.limit.loss * (1 + abs(before))
    if not there.at.objective >= before - slack or _has_rival(problem, there.at, step, slack):
        return None
    meaning = (*found.meaning, (step.words, step.limit.remark))
    return AtLimits(there.at, there.decrement, there.converged, held, meaning)


def _has_rival(problem: Problem, at: Evaluation, step: _Step, slack: float) -> bool:
    """Whether the objective rises where the parameter comes back from its limit."""
    for value in step.limit.rivals:
        theta = at.theta.copy()
        theta[step.first] = value
        if problem.expect(theta).objective > at.objective + slack:
            return True
    return False


def _steps(problem: Problem, found: AtLimits) -> Iterator[_Step]:
    """Limits of all experts at a point, but of what the data inform."""
    index, informed = problem.ties.index, INFORMED + 1e-3 * float(np.sum(found.at.class_weight))
    for expert, outcome, where in _constants(problem):
        eta = np.where(where >= 0, problem.ties.expand(found.at.theta)[where], np.nan)
        for limit in outcome.family.limits(eta):
            moved = np.flatnonzero((limit.eta != eta) & ~np.isnan(limit.eta))
            places = index[where[list(limit.held)]]
            known = all(outcome.is_constant(int(p)) for p in (*moved, *limit.held))
            if not known or (index[where[moved]] < 0).any() or (places < 0).any() or found.held[places[0]]:
                continue
            if not found.at.information[places[0], places[0]] < informed:
                continue
            theta, held = found.at.theta.copy(), np.zeros(len(found.held), dtype=bool)
            theta[index[where[moved]]] = limit.eta[moved]
            held[places] = True
            first = int(places[0])
            yield _Step(theta, held, first, limit, limit.words.format(who=_who(problem, expert, first)))


def _constants(problem: Problem) -> Iterator[tuple[int, Outcome, np.ndarray]]:
    """(expert, outcome, positions in phi of the intercepts (P,), -1 without one) of every item."""
    expert, mixture = 0, problem.mixture
    places, _ = mixture.split(np.arange(mixture.size))
    for group, place in zip(mixture.groups, places, strict=True):
        for copy in range(group.copies):
            expert += 1
            for outcome, own in zip(group.outcomes, group.split(place[copy : copy + 1]), strict=True):
                for item in own[0]:
                    where, intercepts = np.full(len(outcome.columns), -1), outcome.column_of == 0
                    where[outcome.parameter_of[intercepts]] = item[intercepts]
                    yield expert, outcome, where


def _who(problem: Problem, expert: int, place: int) -> str:
    """The expert whose parameter this is, of several that do not share it."""
    shared = np.count_nonzero(problem.ties.index == place) > 1
    return "" if shared or problem.mixture.experts == 1 else f" (expert {expert})"
