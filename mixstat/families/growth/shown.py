"""How tables show the constants of a growth model: a covariance instead of its log Cholesky factor, variances and rates
instead of their logs."""

import numpy as np

from mixstat.core.family import Natural

Pairs = tuple[tuple[int, int], ...]


def covariance(parameters: tuple[int, ...], pairs: Pairs, size: int) -> Natural:
    """Entries `pairs` of C C' from those of C, whose diagonal is logs."""

    def lower(entries: np.ndarray) -> np.ndarray:
        factor = np.zeros((size, size))
        for (j, i), value in zip(pairs, entries, strict=True):
            factor[j, i] = np.exp(value) if i == j else value
        return factor

    def to(entries: np.ndarray) -> np.ndarray:
        factor = lower(entries)
        full = factor @ factor.T
        return np.array([full[j, i] for j, i in pairs])

    def slope(entries: np.ndarray) -> np.ndarray:
        """d (C C')_ji / d C_ab = [j = a] C_ib + [i = a] C_jb, times C_aa where the entry is a log."""
        factor = lower(entries)
        derivative = np.zeros((len(entries),) * 2)
        for row, (j, i) in enumerate(pairs):
            for column, (a, b) in enumerate(pairs):
                value = (j == a) * factor[i, b] + (i == a) * factor[j, b]
                derivative[row, column] = value * (factor[a, a] if a == b else 1.0)
        return derivative

    def back(covariances: np.ndarray) -> np.ndarray:
        matrix = np.zeros((size, size))
        for (j, i), value in zip(pairs, covariances, strict=True):
            matrix[j, i] = matrix[i, j] = value
        factor = np.linalg.cholesky(matrix)
        return np.array([np.log(factor[j, i]) if i == j else factor[j, i] for j, i in pairs])

    return Natural(parameters, to, slope, back)


def exponential(parameters: tuple[int, ...], power: float) -> Natural:
    """exp(power x predictor)."""
    return Natural(
        parameters,
        lambda v: np.exp(power * v),
        lambda v: np.diag(power * np.exp(power * v)),
        lambda v: np.log(v) / power,
    )
