"""Small dense algebra written out: matrices as lists of rows of arrays, one entry an array over subjects.

Unrolled, so that compiled kernels hold no LAPACK call and every entry vectorises over subjects.
"""

from typing import Any

import jax.numpy as jnp

Array = Any
Matrix = list[list[Array]]
"""Lower triangle: row j has j + 1 entries."""


def cholesky(matrix: Matrix) -> Matrix:
    """Lower Cholesky factor of a positive definite matrix."""
    lower: Matrix = []
    for j, row in enumerate(matrix):
        new: list[Array] = []
        for i in range(j):
            inner = row[i] - sum(new[m] * lower[i][m] for m in range(i))
            new.append(inner / lower[i][i])
        new.append(jnp.sqrt(row[j] - sum(value**2 for value in new)))
        lower.append(new)
    return lower


def solve_lower(lower: Matrix, right: list[Array]) -> list[Array]:
    """L x = b."""
    x: list[Array] = []
    for j, value in enumerate(right):
        x.append((value - sum(lower[j][i] * x[i] for i in range(j))) / lower[j][j])
    return x


def solve_upper(lower: Matrix, right: list[Array]) -> list[Array]:
    """L' x = b."""
    size = len(right)
    x: list[Array] = [None] * size
    for j in reversed(range(size)):
        x[j] = (right[j] - sum(lower[i][j] * x[i] for i in range(j + 1, size))) / lower[j][j]
    return x
