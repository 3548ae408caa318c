"""Covariance of the estimates: from the observed information, robust (sandwich), or robust to clusters of units.

    V = I^-1,   V_robust = I^-1 (sum_i w_i^2 s_i s_i') I^-1,   V_cluster with s_i summed within clusters

(White, 1982, Econometrica 50). `I` is the information of the unpenalised log-likelihood at the estimate.
"""

import numpy as np

from mixstat.core.mixture import log_likelihood, unit_scores
from mixstat.fit.linear_algebra import invert
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem


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


@double
def weighted_scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """w_i s_i for every unit place of the design, (theta, unit), padding zero."""
    scores = np.asarray(unit_scores(problem.mixture, problem.ties.expand(theta), problem.design))
    weighted = np.where(np.asarray(problem.design.weight)[:, None] > 0, scores, 0.0)
    weighted = weighted * np.asarray(problem.design.weight)[:, None]
    flat = np.moveaxis(weighted, 1, 0).reshape(scores.shape[1], -1)
    return (
        np.stack([problem.ties.gradient(column) for column in flat.T], axis=1)
        if not (problem.ties.is_injective)
        else flat[problem.ties.representative]
    )


def sandwich(information: np.ndarray, scores: np.ndarray, clusters: np.ndarray | None = None) -> np.ndarray:
    """The sandwich from weighted unit scores (theta, unit); `clusters` (unit,) are codes 0, 1, ..., -1 for padding."""
    if clusters is not None:
        codes = clusters[clusters >= 0]
        sums = np.zeros((int(codes.max()) + 1, len(scores)))
        np.add.at(sums, codes, scores[:, clusters >= 0].T)
        scores = sums.T
    inverse, flat = invert(information)
    bread = np.where(np.isnan(inverse), 0.0, inverse)
    covariance = bread @ (scores @ scores.T) @ bread
    covariance[flat] = np.nan
    covariance[:, flat] = np.nan
    return covariance
