"""Softening: maxima of a likelihood that jumps, found from smooth ones.

A constant in the data makes the likelihood smooth (a random knot: |t - knot| as sqrt((t - knot)^2 + c)). Searches begin
with a large constant; each maximum is followed while the constant falls to its own value (continuation: Allgower and
Georg, 1990). Between any two jumps there is a maximum of its own, so that at the end the parameters at fault are moved
over a grid, and the best point is carried on. The curvature between two jumps says nothing of the uncertainty of these
parameters: information and scores are those of the smooth likelihood, at its maximum nearby.
"""

from collections.abc import Iterator

import numpy as np

from mixstat.core.design import Data
from mixstat.core.expert import Outcome
from mixstat.core.mixture import Mixture
from mixstat.fit.kinks import places_of
from mixstat.fit.linear_algebra import invert
from mixstat.fit.newton import newton
from mixstat.fit.options import Options
from mixstat.fit.problem import Evaluation, Problem

GRID = np.concatenate([-np.geomspace(3.0, 0.02, 16), np.geomspace(0.02, 3.0, 16)])
"""Moves in standard errors of the smooth likelihood."""
BEST = 3
"""Points of the grid that are carried on."""
ROUNDS = 8
JUMPS = (
    "the likelihood jumps where a knot passes an observed time, as the smoothing constant is small: standard errors "
    "are those of a fit with the default smoothing, and too small for the knots"
)


def stages(mixture: Mixture) -> int:
    """How many smoother likelihoods lead to the mixture's own."""
    return max(outcome.family.stages for outcome in _outcomes(mixture))


def softened(mixture: Mixture, data: Data, stage: int) -> Data:
    """The data with the constants of a stage, 0 for the smoothest."""
    responses = list(data.responses)
    for outcome in _outcomes(mixture):
        if outcome.family.stages:
            responses[outcome.data] = np.stack([outcome.family.softened(r, stage) for r in responses[outcome.data]])
    return data._replace(responses=tuple(responses))


def follow(problem: Problem, data: Data, thetas: list[np.ndarray], options: Options) -> list[np.ndarray]:
    """Maxima of the smoothest likelihood, followed to the last before the problem's own."""
    for stage in range(1, stages(problem.mixture)):
        there = Problem(problem.mixture, softened(problem.mixture, data, stage), problem.ties, problem.penalty)
        thetas = [newton(there, t, tol=options.tol, max_iter=options.max_iter).at.theta for t in thetas]
    return thetas


def settled(smooth: Problem, theta: np.ndarray, options: Options) -> np.ndarray:
    """The maximum of the smooth likelihood near a point."""
    return newton(smooth, theta, tol=options.tol, max_iter=options.max_iter).at.theta


Certified = tuple[Evaluation, float, bool]
"""Where, the Newton decrement there, and whether it is below its bound."""


def over_jumps(problem: Problem, smooth: Problem, found: Certified, options: Options) -> Certified:
    """The highest maximum near one: the parameters at fault are moved over a grid, the others along the profile."""
    places = places_of(problem.mixture, problem.ties, "jumps")
    covariance = np.nan_to_num(invert(smooth.evaluate(settled(smooth, found[0].theta, options)).information)[0])
    moves = [covariance[p] / np.sqrt(max(covariance[p, p], 1e-300)) for p in places]
    for _ in range(ROUNDS):
        at = found[0]
        trials = [problem.expect(at.theta + step * move) for move in moves for step in GRID]
        trials = sorted(trials, key=lambda trial: -np.nan_to_num(trial.objective, nan=-np.inf))[:BEST]
        carried = [newton(problem, t.theta, tol=options.tol, max_iter=options.max_iter) for t in trials]
        sound = [(c.at, c.decrement, c.converged) for c in carried if c.converged]
        best = max(sound, key=lambda c: c[0].objective, default=found)
        if not best[0].objective > at.objective + 1e-9 * (1 + abs(at.objective)):
            break
        found = best
    return found


def _outcomes(mixture: Mixture) -> Iterator[Outcome]:
    return (outcome for group in mixture.groups for outcome in group.outcomes)
