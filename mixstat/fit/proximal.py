"""Proximal Newton step for a lasso penalty: coordinate descent on the quadratic model (Tseng and Yun, 2009).

Parameters without a penalty are eliminated: at their best given the others, the model is a quadratic of the penalised
ones alone, with the Schur complement as curvature. Coordinates settle signs; one solution of a linear system then gives
the step to rounding.
"""

import numpy as np

from mixstat.fit.linear_algebra import unit_diagonal

SWEEPS, ROUNDS = 50, 20
"""Of coordinate descent before its signs are tried, and how often."""
STILL = 1e-12
"""Change of a coordinate, in units of its curvature, that counts as none."""
FLOOR = 1e-10
"""Least eigenvalue of the curvature scaled to unit diagonal: one that is smaller, or negative, counts as this much."""


def solve_lasso(curvature: np.ndarray, gradient: np.ndarray, theta: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """The step d that maximises g'd - d'Hd/2 - lasso'|theta + d|, with H made positive definite.

    A penalised parameter that it sets to zero is zero exactly.
    """
    scaled, scale = unit_diagonal(curvature)
    values, vectors = np.linalg.eigh(scaled)
    matrix = (vectors * np.maximum(np.abs(values), FLOOR)) @ vectors.T
    slope, place = gradient / scale, theta * scale
    free, held = np.flatnonzero(lasso == 0), np.flatnonzero(lasso > 0)
    mixed = matrix[np.ix_(free, held)]
    solved = np.linalg.solve(matrix[np.ix_(free, free)], np.column_stack([mixed, slope[free]]))
    through, alone = solved[:, :-1], solved[:, -1]
    reduced = matrix[np.ix_(held, held)] - mixed.T @ through
    right = slope[held] - mixed.T @ alone + reduced @ place[held]
    value = _descend(reduced, right, place[held], (lasso / scale)[held])
    step = np.empty_like(theta)
    step[held] = value / scale[held] - theta[held]
    step[free] = (alone - through @ (value - place[held])) / scale[free]
    return step


def _descend(matrix: np.ndarray, right: np.ndarray, start: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """The v that maximises right'v - v'Av/2 - rate'|v|."""
    value = start.copy()
    for _ in range(ROUNDS):
        still = _sweep(matrix, right, rate, value)
        settled = _settled(matrix, right, rate, np.sign(value))
        if settled is not None or still:
            return value if settled is None else settled
    return value


def _sweep(matrix: np.ndarray, right: np.ndarray, rate: np.ndarray, value: np.ndarray) -> bool:
    """Sweeps of coordinate descent, in place; whether nothing moves any more."""
    rest = right - matrix @ value
    for _ in range(SWEEPS):
        largest = 0.0
        for j, curvature in enumerate(np.diag(matrix)):
            target = curvature * value[j] + rest[j]
            new = np.sign(target) * max(abs(target) - rate[j], 0.0) / curvature
            change = new - value[j]
            if change:
                value[j] = new
                rest -= matrix[:, j] * change
                largest = max(largest, abs(change) * np.sqrt(curvature))
        if largest < STILL:
            return True
    return False


def _settled(matrix: np.ndarray, right: np.ndarray, rate: np.ndarray, sign: np.ndarray) -> np.ndarray | None:
    """The maximum among values of these signs, if it is that of all."""
    active, value = sign != 0, np.zeros_like(right)
    value[active] = np.linalg.solve(matrix[np.ix_(active, active)], (right - rate * sign)[active])
    rest = np.abs(right - matrix @ value)[~active]
    best = (np.sign(value) == sign).all() and (rest <= rate[~active] * (1 + 1e-9)).all()
    return value if best else None


def optimality_residual(gradient: np.ndarray, theta: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """Distance of the smooth gradient from the subdifferential of lasso |theta| (the KKT residual), (theta,)."""
    active = gradient - lasso * np.sign(theta)
    inactive = np.sign(gradient) * np.maximum(np.abs(gradient) - lasso, 0.0)
    return np.where(theta != 0, active, inactive)
