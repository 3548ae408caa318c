"""Proximal Newton step for a lasso penalty: coordinate descent on the quadratic model (Tseng and Yun, 2009)."""

import numpy as np

SWEEPS = 500


def solve_lasso(curvature: np.ndarray, gradient: np.ndarray, theta: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """The step d that maximises g'd - d'Hd/2 - lasso'|theta + d|, with H made positive definite."""
    values, vectors = np.linalg.eigh(curvature)
    floor = 1e-8 * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    matrix = (vectors * np.maximum(np.abs(values), floor)) @ vectors.T
    step = np.zeros_like(theta)
    slope = gradient.copy()
    for _ in range(SWEEPS):
        largest = 0.0
        for j in range(len(theta)):
            change = _coordinate(matrix[j, j], slope[j], theta[j] + step[j], lasso[j])
            if change:
                step[j] += change
                slope -= matrix[:, j] * change
                largest = max(largest, abs(change) * np.sqrt(matrix[j, j]))
        if largest < 1e-12:
            break
    return step


def _coordinate(curvature: float, slope: float, value: float, lasso: float) -> float:
    target = curvature * value + slope
    return np.sign(target) * max(abs(target) - lasso, 0.0) / curvature - value


def optimality_residual(gradient: np.ndarray, theta: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """Distance of the smooth gradient from the subdifferential of lasso |theta| (the KKT residual), (theta,)."""
    active = gradient - lasso * np.sign(theta)
    inactive = np.sign(gradient) * np.maximum(np.abs(gradient) - lasso, 0.0)
    return np.where(theta != 0, active, inactive)
