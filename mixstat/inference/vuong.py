"""Vuong's likelihood-ratio test of nested or overlapping models, and its adjustment by Lo, Mendell and Rubin.

Under the hypothesis 2 (l_1 - l_0) tends to sum_j w_j Z_j^2 with w the eigenvalues of

    [ B_11 A_1^-1    B_10 A_0^-1 ]
    [ -B_01 A_1^-1  -B_00 A_0^-1 ],   A = information, B = sum_i w_i s_i s_i'

(Vuong, 1989, Econometrica 57, theorem 3.3).
"""

from typing import NamedTuple

import numpy as np

from mixstat.fit.linear_algebra import invert
from mixstat.fit.problem import Problem
from mixstat.fit.scores import weighted_scores
from mixstat.inference.information import information_at, log_likelihood_at
from mixstat.inference.weighted_chi_square import weighted_chi_square_sf


class Vuong(NamedTuple):
    """The statistic and its adjusted form, each with the tail of the weighted chi-square."""

    statistic: float
    p_value: float
    adjusted_statistic: float
    adjusted_p_value: float


def vuong_lo_mendell_rubin(smaller: tuple[Problem, np.ndarray], larger: tuple[Problem, np.ndarray]) -> Vuong:
    """From the two problems, over the same units in the same order, and their estimates."""
    weights = _weights(smaller, larger)
    statistic = 2 * (log_likelihood_at(*larger) - log_likelihood_at(*smaller))
    units = np.count_nonzero(np.asarray(smaller[0].design.weight))
    difference = max(len(larger[1]) - len(smaller[1]), 1)
    adjusted = statistic / (1 + 1 / (difference * np.log(units)))
    return Vuong(
        statistic, weighted_chi_square_sf(statistic, weights), adjusted, weighted_chi_square_sf(adjusted, weights)
    )


def _weights(smaller: tuple[Problem, np.ndarray], larger: tuple[Problem, np.ndarray]) -> np.ndarray:
    scores = [weighted_scores(*model) for model in (larger, smaller)]
    weight = np.asarray(smaller[0].design.weight).ravel()
    root = 1 / np.sqrt(np.where(weight > 0, weight, 1.0))
    large, small = (score * root for score in scores)
    inverse = [np.nan_to_num(invert(information_at(*model))[0]) for model in (larger, smaller)]
    matrix = np.block(
        [
            [large @ large.T @ inverse[0], large @ small.T @ inverse[1]],
            [-small @ large.T @ inverse[0], -small @ small.T @ inverse[1]],
        ]
    )
    return np.linalg.eigvals(matrix).real
