"""Solving with an information matrix that may be badly scaled, singular or not positive definite."""

import numpy as np

FLOOR = 1e-10
"""Relative eigenvalue (of the matrix scaled to unit diagonal) under which a direction counts as flat."""


def unit_diagonal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(matrix scaled to a diagonal of +-1, scale) with matrix = scaled * outer(scale, scale)."""
    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale = np.where(scale > 0, scale, 1.0)
    return matrix / np.outer(scale, scale), scale


def solve_ascent(information: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, bool]:
    """(step, whether the information is positive definite). The step is an ascent direction, or 0 after an overflow."""
    if not len(gradient):
        return gradient, True
    if not (np.isfinite(information).all() and np.isfinite(gradient).all()):
        return np.zeros_like(gradient), False
    scaled, scale = unit_diagonal(information)
    try:
        if np.min(np.diag(np.linalg.cholesky(scaled))) > np.sqrt(FLOOR):
            return np.linalg.solve(scaled, gradient / scale) / scale, True
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(scaled)
    bounded = np.maximum(np.abs(values), 1e-6)
    return (vectors @ ((vectors.T @ (gradient / scale)) / bounded)) / scale, bool(values[0] > FLOOR)


def least_squares(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Least-norm solutions of `gram x = cross` for stacks (..., c, c), (..., c, d); gram may be singular or zero."""
    scale = np.sqrt(np.maximum(np.diagonal(gram, axis1=-2, axis2=-1), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)[..., None]
    scaled = gram * inverse * np.swapaxes(inverse, -1, -2)
    if _is_sound(scaled):
        return inverse * np.linalg.solve(scaled, inverse * cross)
    values, vectors = np.linalg.eigh(scaled)
    kept = values > 64 * values.shape[-1] * np.finfo(float).eps
    reciprocal = np.divide(1.0, values, out=np.zeros_like(values), where=kept)[..., None]
    return inverse * (vectors @ (reciprocal * (np.swapaxes(vectors, -1, -2) @ (inverse * cross))))


def _is_sound(stack: np.ndarray) -> bool:
    """Whether all matrices of a stack, scaled to unit diagonal, are safely positive definite."""
    try:
        factor = np.linalg.cholesky(stack)
    except np.linalg.LinAlgError:
        return False
    return bool(np.min(np.diagonal(factor, axis1=-2, axis2=-1), initial=1.0) > 1e-6)


def invert(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(inverse, flat) where `flat` marks parameters without a standard error: NaN rows and columns of the inverse.

    A parameter has none if it loads on an eigenvector of the scaled information whose eigenvalue is not positive.
    """
    if not len(information):
        return information, np.zeros(0, dtype=bool)
    if not np.isfinite(information).all():
        return np.full_like(information, np.nan), np.ones(len(information), dtype=bool)
    scaled, scale = unit_diagonal(information)
    values, vectors = np.linalg.eigh(scaled)
    sound = values > FLOOR
    flat = (np.abs(vectors[:, ~sound]) > 1e-4).any(axis=1)
    inverse = (vectors[:, sound] / values[sound]) @ vectors[:, sound].T / np.outer(scale, scale)
    inverse[flat] = np.nan
    inverse[:, flat] = np.nan
    return inverse, flat
