"""Covariance of the estimates: from the observed information, robust (sandwich), or robust to clusters of units.

    V = I^-1,   V_robust = I^-1 (sum_i w_i^2 s_i s_i') I^-1,   V_cluster with s_i summed within clusters

(White, 1982, Econometrica 50). `I` is the information of the unpenalised log-likelihood at the estimate.
"""

import numpy as np

from mixstat.core.mixture import log_likelihood
from mixstat.fit.linear_algebra import invert
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.fit.scores import score_parts


def information_covariance(information: np.ndarray) -> np.ndarray:
    """I^-1 (theta, theta); NaN rows and columns for parameters that the data do not inform."""
    return invert(information)[0]


@double
def information_at(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Observed information of the unpenalised log-likelihood (theta, theta)."""
    return problem.evaluate_likelihood(theta).information


@double
def log_likelihood_at(problem: Problem, theta: np.ndarray) -> float:
    """Unpenalised log-likelihood."""
    return float(log_likelihood(problem.mixture, problem.ties.expand(theta), problem.design))


def influence(information: np.ndarray, scores: np.ndarray, clusters: np.ndarray | None = None) -> np.ndarray:
    """What a unit (or cluster) moves the estimates by, I^-1 w_i s_i (theta, unit); NaN for parameters without an error.

    `scores` are weighted (theta, unit); `clusters` (unit,) are codes 0, 1, ..., -1 for padding.
    """
    if clusters is not None:
        codes = clusters[clusters >= 0]
        sums = np.zeros((int(codes.max()) + 1, len(scores)))
        np.add.at(sums, codes, scores[:, clusters >= 0].T)
        scores = sums.T
    inverse, flat = invert(information)
    moved = np.where(np.isnan(inverse), 0.0, inverse) @ scores
    moved[flat] = np.nan
    return moved


@double
def sandwich(
    problem: Problem, theta: np.ndarray, information: np.ndarray, clusters: np.ndarray | None = None
) -> np.ndarray:
    """The sandwich (theta, theta): the sum of outer products of influence values, some blocks of units at a time.

    `clusters` as in `influence`, by place of the unit in the design.
    """
    inverse, flat = invert(information)
    bread = np.where(np.isnan(inverse), 0.0, inverse)
    total = np.zeros_like(bread)
    sums = np.zeros((0 if clusters is None else int(clusters.max()) + 1, len(bread)))
    for part in score_parts(problem, theta):
        moved = bread @ part.scores
        if clusters is None:
            total += moved @ moved.T
        else:
            codes = clusters[part.places]
            np.add.at(sums, codes[codes >= 0], moved[:, codes >= 0].T)
    total += sums.T @ sums
    total[flat], total[:, flat] = np.nan, np.nan
    return total


def from_products(information: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The sandwich (theta, theta) from the sum of products of scores."""
    inverse, flat = invert(information)
    moved = np.where(np.isnan(inverse), 0.0, inverse)
    found = moved @ products @ moved
    found[flat], found[:, flat] = np.nan, np.nan
    return found
