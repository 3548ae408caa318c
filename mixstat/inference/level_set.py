"""Profile-likelihood intervals of any function of the parameters: its extremes over 2 (max l - l(theta)) <= z^2.

At an extreme the gradients of the function and of l are parallel: sequential quadratic programming (Kraft, 1988) from
the ends of Wald's interval finds it (Neale and Miller, 1997, Behavior Genetics 27).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from mixstat.fit.linear_algebra import invert
from mixstat.fit.precision import double
from mixstat.fit.problem import Evaluation, Problem

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""theta -> (value, gradient)."""
CLOSE = 1e-3
"""How far from z^2 twice the drop in log-likelihood may end, relative."""


class Extremes(NamedTuple):
    """The least and greatest value, NaN where the search did not end on the level set."""

    low: float
    high: float


@double
def extremes(
    problem: Problem, at: Evaluation, function: Function, z: float, gradient: np.ndarray | None = None
) -> Extremes:
    """Of `function` over the level set around the maximum `at`; z is a normal quantile.

    Searches begin along `gradient`, that of the function by default (which may have none at the maximum).
    """
    along = function(at.theta)[1] if gradient is None else gradient
    return Extremes(*(_end(problem, at, function, sign, z, along) for sign in (-1.0, 1.0)))


def _end(problem: Problem, at: Evaluation, function: Function, sign: float, z: float, along: np.ndarray) -> float:
    covariance = np.nan_to_num(invert(at.information)[0])
    root = np.linalg.cholesky(covariance + 1e-12 * np.diag(np.diag(covariance)))
    floor = at.objective - 0.5 * z * z
    direction = root.T @ along
    start = sign * z * direction / max(float(np.linalg.norm(direction)), 1e-300)

    def goal(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = function(at.theta + root @ u)
        return -sign * value, -sign * (root.T @ gradient)

    evaluations: dict[bytes, Evaluation] = {}

    def evaluate(u: np.ndarray) -> Evaluation:
        key = u.tobytes()
        if key not in evaluations:
            evaluations[key] = problem.evaluate(at.theta + root @ u)
        return evaluations[key]

    level = {
        "type": "ineq",
        "fun": lambda u: evaluate(u).objective - floor,
        "jac": lambda u: root.T @ evaluate(u).gradient,
    }
    found = minimize(
        goal, start, jac=True, constraints=[level], method="SLSQP", options={"maxiter": 200, "ftol": 1e-10}
    )
    drop = 2.0 * (at.objective - evaluate(found.x).objective)
    return float(function(at.theta + root @ found.x)[0]) if abs(drop - z * z) < CLOSE * z * z else np.nan
