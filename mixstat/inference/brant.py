"""Brant's test of proportional odds: the slopes of K - 1 binary logistic regressions, 1[y > k] on x, are the same.

With pi_k the fitted P(y > k) and D the rows (1, x), estimates of cuts k <= l have the covariance

    (D'W_kk D)^-1 D'W_kl D (D'W_ll D)^-1,    W_kl = diag(w pi_l (1 - pi_k)),

and the statistic is Wald's of b_2 - b_1, ..., b_(K-1) - b_1. Reference: Brant (1990), Biometrics 46, 1171-1178.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from mixstat.fit.linear_algebra import unit_diagonal
from mixstat.inference.hypotheses import ChiSquare, wald

STEPS, HALVINGS = 60, 30
CLOSE = 1e-10
"""Newton decrement before the last step of a binary fit."""
FAR = 25.0
"""Size of a standardised coefficient, or log odds, from which a binary fit has no maximum."""


class Binary(NamedTuple):
    """Coefficients (column,) of one cut, intercept first, fitted P(y > k) (row,), and whether there is a maximum."""

    coefficient: np.ndarray
    fitted: np.ndarray
    found: bool


def brant(
    code: np.ndarray, x: np.ndarray, weight: np.ndarray, cuts: int, groups: Mapping[str, Sequence[int]]
) -> tuple[dict[str, ChiSquare], list[int]]:
    """Tests by name of groups of columns of x (row, column), and the cuts (from 1) without a binary fit, if any.

    `code` (row,) is 0, 1, ..., `weight` (row,) are frequencies.
    """
    centre = np.average(x, axis=0, weights=weight)
    scale = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=weight))
    design = np.column_stack([np.ones(len(x)), (x - centre) / np.where(scale > 0, scale, 1.0)])
    fits = [logistic(design, code > cut, weight) for cut in range(cuts)]
    failed = [cut for cut, fit in enumerate(fits, start=1) if not fit.found]
    if failed:
        return {name: ChiSquare(np.nan, (cuts - 1) * len(columns), np.nan) for name, columns in groups.items()}, failed
    estimate = np.concatenate([fit.coefficient for fit in fits])
    covariance = _covariance(design, fits, weight)
    width, identity = design.shape[1], np.eye(len(estimate))
    found = {}
    for name, columns in groups.items():
        first = identity[np.add(columns, 1)]
        rows = [first - identity[np.add(columns, 1 + cut * width)] for cut in range(1, cuts)]
        restriction = np.vstack(rows)
        found[name] = wald(estimate, covariance, restriction, np.zeros(len(restriction)))
    return found, []


def logistic(design: np.ndarray, event: np.ndarray, weight: np.ndarray) -> Binary:
    """Maximum likelihood of a binary logistic regression by Newton's method."""
    target = event.astype(float)
    share = np.average(target, weights=weight)
    coefficient = np.zeros(design.shape[1])
    if not 0 < share < 1:
        return Binary(coefficient, np.full(len(target), share), False)
    coefficient[0] = np.log(share) - np.log1p(-share)
    value = _log_likelihood(design @ coefficient, target, weight)
    for _ in range(STEPS):
        fitted = expit(design @ coefficient)
        gradient = design.T @ (weight * (target - fitted))
        try:
            step = _solve(design, weight * fitted * (1 - fitted), gradient)
        except np.linalg.LinAlgError:
            return Binary(coefficient, fitted, False)
        if gradient @ step <= CLOSE:
            last = coefficient + step
            far = max(np.abs(last[1:]).max(initial=0.0), np.abs(design @ last).max()) > FAR
            return Binary(last, expit(design @ last), not far)
        for _ in range(HALVINGS):
            after = _log_likelihood(design @ (coefficient + step), target, weight)
            if after >= value:
                break
            step = 0.5 * step
        coefficient, value = coefficient + step, max(after, value)
    return Binary(coefficient, expit(design @ coefficient), False)


def _log_likelihood(eta: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    return float(weight @ (target * eta - np.logaddexp(0.0, eta)))


def _solve(design: np.ndarray, weight: np.ndarray, right: np.ndarray) -> np.ndarray:
    scaled, scale = unit_diagonal((design.T * weight) @ design)
    np.linalg.cholesky(scaled)
    found: np.ndarray = np.linalg.solve(scaled, right / scale) / scale
    return found


def _covariance(design: np.ndarray, fits: Sequence[Binary], weight: np.ndarray) -> np.ndarray:
    """Of the coefficients of all cuts, (cut x column, cut x column)."""
    inverses = [np.linalg.inv((design.T * (weight * fit.fitted * (1 - fit.fitted))) @ design) for fit in fits]
    blocks = [[np.empty(0)] * len(fits) for _ in fits]
    for k, first in enumerate(fits):
        for m in range(k, len(fits)):
            shared = (design.T * (weight * fits[m].fitted * (1 - first.fitted))) @ design
            blocks[k][m] = inverses[k] @ shared @ inverses[m]
            blocks[m][k] = blocks[k][m].T
    return np.block(blocks)
