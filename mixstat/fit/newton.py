"""Newton's method on the observed likelihood with Louis' exact information; proximal where a lasso stands.

A step is kept within a reach that doubles while it binds; one that does not ascend is halved; where the information is
not positive definite its eigenvalues are made so. Convergence is the Newton decrement g' I^-1 g (for a lasso its
proximal counterpart), never a small change of the likelihood.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mixstat.fit.kinks import find_kinks
from mixstat.fit.linear_algebra import solve_ascent
from mixstat.fit.m_step import shortening
from mixstat.fit.problem import Evaluation, Problem
from mixstat.fit.proximal import optimality_residual, solve_lasso

HALVINGS = 30
STALL = 8
"""Steps without a visible gain after which Newton gives up: a coefficient is on its way to infinity."""


class NewtonResult(NamedTuple):
    """The last evaluation, the decrement there, and why Newton stopped."""

    at: Evaluation
    decrement: float
    iterations: int
    converged: bool
    definite: bool


def newton(
    problem: Problem,
    theta: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    stop: Callable[[Evaluation], bool] = lambda at: False,
    held: np.ndarray | None = None,
) -> NewtonResult:
    """Maximise the objective from `theta` until the decrement is below `tol` with a positive definite information.

    After convergence one more full step is taken if it does not fall, so that the gradient is at rounding level.
    `stop` may end the iteration early, unconverged. Parameters at a kink of the likelihood are held there, as are those
    of `held` (theta,) where they are.
    """
    always = np.zeros(len(theta), dtype=bool) if held is None else held
    held = always
    result = _climb(problem, theta, held, tol, max_iter, stop)
    for _ in range(len(problem.kinks) + 1 if max_iter else 0):
        if (result.converged and np.array_equal(held, always)) or stop(result.at):
            break
        found = find_kinks(problem, result.at)
        if np.array_equal(found.held | always, held):
            break
        held = found.held | always
        again = _climb(problem, found.theta, held, tol, max_iter, stop)
        result = again._replace(iterations=again.iterations + result.iterations)
    return result


def _climb(
    problem: Problem,
    theta: np.ndarray,
    held: np.ndarray,
    tol: float,
    max_iter: int,
    stop: Callable[[Evaluation], bool],
) -> NewtonResult:
    """Newton over the parameters that are not `held` (theta,)."""
    current = problem.evaluate(theta)
    decrement, definite, iteration = np.inf, False, 0
    trail, stretch = [current.objective], 1.0
    for iteration in range(max_iter):
        if stop(current):
            return NewtonResult(current, decrement, iteration, False, definite)
        step, definite = _step(problem, current, held)
        decrement = _decrement(current, step)
        shorter = shortening(step, stretch * problem.reach)
        following = _search(problem, current, step * shorter)
        stretch = 2 * stretch if shorter < 1 else 1.0
        if decrement < tol and definite:
            return _finish(problem, following or current, held, iteration, tol)
        if following is None:
            break
        current = following
        trail.append(current.objective)
        if len(trail) > STALL and trail[-1] - trail[-1 - STALL] < 1e-7 * (1 + abs(trail[-1])):
            break
    step, definite = _step(problem, current, held)
    decrement = _decrement(current, step)
    rounding = 1e-13 * (1 + abs(current.objective))
    return NewtonResult(current, decrement, iteration, definite and decrement < max(tol, rounding), definite)


def _finish(problem: Problem, at: Evaluation, held: np.ndarray, iteration: int, tol: float) -> NewtonResult:
    step, definite = _step(problem, at, held)
    decrement = _decrement(at, step)
    return NewtonResult(at, decrement, iteration + 1, definite and decrement < tol, definite)


def _step(problem: Problem, at: Evaluation, held: np.ndarray) -> tuple[np.ndarray, bool]:
    """(step of the parameters that are not held, whether their information is positive definite)."""
    free, lasso = ~held, problem.penalty.lasso
    information, gradient = at.information[np.ix_(free, free)], at.gradient[free]
    moved, definite = solve_ascent(information, gradient)
    if lasso[free].any() and np.isfinite(information).all():
        moved = solve_lasso(information, gradient, at.theta[free], lasso[free])
        kept = (lasso[free] == 0) | (at.theta[free] + moved != 0)
        definite = solve_ascent(information[np.ix_(kept, kept)], gradient[kept])[1]
    step = np.zeros(len(held))
    step[free] = moved
    return step, definite


def _decrement(at: Evaluation, step: np.ndarray) -> float:
    """g' I^-1 g, written as d' I d so that it also serves the proximal step."""
    return float(abs(step @ at.information @ step)) if len(step) else 0.0


def _search(problem: Problem, current: Evaluation, step: np.ndarray) -> Evaluation | None:
    """The first of step, step/2, step/4, ... that does not lower the objective beyond rounding.

    The full step is nearly always taken, so it is evaluated at once; shorter ones are first tried by an E-step, which
    costs a fraction.
    """
    slack = 1e-13 * (1 + abs(current.objective))
    with np.errstate(invalid="ignore", over="ignore"):
        for halving in range(HALVINGS):
            theta = current.theta + step * 0.5**halving
            if halving and not problem.expect(theta).objective >= current.objective - slack:
                continue
            trial = problem.evaluate(theta)
            if trial.objective >= current.objective - slack and np.isfinite(trial.information).all():
                return trial
    return None


def stationarity(problem: Problem, at: Evaluation) -> np.ndarray:
    """Gradient of the objective, or the KKT residual where a lasso stands, (theta,)."""
    return optimality_residual(at.gradient, at.theta, problem.penalty.lasso)
