"""Profile-likelihood intervals: the values v of a parameter where 2 (l(estimate) - max l given v) is at most z^2.

The maximum under one linear constraint is found by Newton on its null space, from the previous one (Venzon and
Moolgavkar, 1988, Applied Statistics 37).
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from mixstat.fit.linear_algebra import solve_ascent
from mixstat.fit.m_step import shortening
from mixstat.fit.precision import double
from mixstat.fit.problem import Evaluation, Problem

FARTHEST = 40.0
"""Standard errors from the estimate beyond which an end of the interval counts as infinite."""
STEPS, HALVINGS, TRIALS = 60, 25, 30


class Interval(NamedTuple):
    """Ends of an interval (infinite where the likelihood stays above the level), and whether both were found."""

    low: float
    high: float
    found: bool


@double
def maximum(problem: Problem, theta: np.ndarray) -> Evaluation:
    """The evaluated estimate, which every interval starts from."""
    return problem.evaluate(theta)


@double
def profile_interval(problem: Problem, at: Evaluation, direction: np.ndarray, z: float) -> Interval:
    """The interval of `direction @ theta`, as deviations from its value at the maximum `at`; z is a normal quantile."""
    path = _path(at, direction)
    ends = [_end(problem, at, direction, path, sign * z) for sign in (-1.0, 1.0)]
    low, high = (sign * np.inf if end is None else end for sign, end in zip((-1.0, 1.0), ends, strict=True))
    return Interval(low, high, all(end is not None for end in ends))


def _path(at: Evaluation, direction: np.ndarray) -> np.ndarray:
    """d theta / d v along the profile at the maximum: I^-1 a / (a' I^-1 a)."""
    step, _ = solve_ascent(at.information, direction)
    return step / (direction @ step)


def _end(problem: Problem, at: Evaluation, direction: np.ndarray, path: np.ndarray, z: float) -> float | None:
    """Root of (signed root of the deviance) - z by secant steps that stay inside a bracket."""
    error = float(np.sqrt(1.0 / (path @ at.information @ path)))
    inside, outside = (0.0, 0.0), None
    v, theta = z * error, at.theta + z * error * path
    for _ in range(TRIALS):
        top = _maximize_on(problem, theta, direction)
        root = np.sign(z) * np.sqrt(max(2 * (at.objective - top.objective), 0.0))
        if abs(root - z) < 1e-7:
            return v
        if abs(root) < abs(z):
            inside = (v, root)
        else:
            outside = (v, root)
        following = _next(inside, outside, v, root, z)
        if abs(following) > FARTHEST * error and outside is None:
            return None
        theta = top.theta + (following - v) * path
        v = following
    return v if outside is not None else None


def _next(inside: tuple, outside: tuple | None, v: float, root: float, z: float) -> float:
    if outside is None:
        return v * min(max(z / root if root else 2.0, 1.05), 2.0)
    slope = (outside[1] - inside[1]) / (outside[0] - inside[0])
    trial = inside[0] + (z - inside[1]) / slope
    width = outside[0] - inside[0]
    return inside[0] + min(max((trial - inside[0]) / width, 0.02), 0.98) * width


def _maximize_on(problem: Problem, theta: np.ndarray, direction: np.ndarray) -> Evaluation:
    """Maximum of the objective over theta with `direction @ theta` as it is."""
    basis = null_space(direction[None])
    current = problem.evaluate(theta)
    for _ in range(STEPS):
        inner, gradient = basis.T @ current.information @ basis, basis.T @ current.gradient
        step, definite = solve_ascent(inner, gradient)
        full = basis @ step
        full = full * shortening(full, problem.reach)
        following = _ascend(problem, current, full)
        if following is None:
            return current
        gain, current = following.objective - current.objective, following
        if definite and abs(step @ inner @ step) < 1e-12 * (1 + abs(current.objective)) and gain < 1e-9:
            return current
    return current


def _ascend(problem: Problem, current: Evaluation, step: np.ndarray) -> Evaluation | None:
    for halving in range(HALVINGS):
        trial = problem.evaluate(current.theta + step * 0.5**halving)
        if trial.objective >= current.objective - 1e-12 * (1 + abs(current.objective)):
            return trial
    return None
