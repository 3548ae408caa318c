"""EM: generalised M-steps guarded so that the objective never falls, plain or accelerated by SQUAREM.

References: Dempster, Laird and Rubin (1977, JRSS-B 39); Varadhan and Roland (2008, Scand. J. Statist. 35).
"""

from typing import NamedTuple

import numpy as np

from mixstat.fit.problem import Expectation, Problem

HALVINGS = 20


class EMResult(NamedTuple):
    """Where EM stopped; `change` is the last gain of the objective."""

    theta: np.ndarray
    objective: float
    log_likelihood: float
    iterations: int
    change: float
    class_weight: np.ndarray


def em(problem: Problem, theta: np.ndarray, *, tol: float, max_iter: int) -> EMResult:
    """EM until a step gains less than `tol` (absolute), at most `max_iter` steps."""
    current = problem.expect(theta)
    change, iteration = np.inf, 0
    while iteration < max_iter and change > tol:
        following = ascend(problem, current, problem.maximize_complete(current))
        change = following.objective - current.objective
        current, iteration = following, iteration + 1
    return _result(current, iteration, change)


def squarem(problem: Problem, theta: np.ndarray, *, tol: float, max_iter: int) -> EMResult:
    """SQUAREM (scheme S3): two EM steps, an extrapolation, and a guard that falls back to the EM steps."""
    current = problem.expect(theta)
    change, iteration = np.inf, 0
    while iteration < max_iter and change > tol:
        first = ascend(problem, current, problem.maximize_complete(current))
        second = ascend(problem, first, problem.maximize_complete(first))
        following = _extrapolate(problem, current, first, second)
        change = following.objective - current.objective
        current, iteration = following, iteration + 2
    return _result(current, iteration, change)


def _extrapolate(problem: Problem, current: Expectation, first: Expectation, second: Expectation) -> Expectation:
    r = first.theta - current.theta
    v = second.theta - first.theta - r
    if not v.any():
        return second
    alpha = min(-float(np.linalg.norm(r) / np.linalg.norm(v)), -1.0)
    trial = problem.expect(current.theta - 2 * alpha * r + alpha**2 * v)
    return trial if trial.objective > second.objective else second


def ascend(problem: Problem, current: Expectation, target: np.ndarray) -> Expectation:
    """E-step at `target`, or at the first point halfway back whose objective does not fall."""
    slack = 1e-12 * (1 + abs(current.objective))
    for _ in range(HALVINGS):
        trial = problem.expect(target)
        if trial.objective >= current.objective - slack:
            return trial
        target = (current.theta + target) / 2
    return current


def _result(current: Expectation, iterations: int, change: float) -> EMResult:
    return EMResult(
        current.theta,
        current.objective,
        current.log_likelihood,
        iterations,
        float(change),
        current.pieces.class_weight,
    )
