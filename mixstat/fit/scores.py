"""Scores of units: what each adds to the gradient of the log-likelihood, and the sum of their squares."""

import numpy as np

from mixstat.core.statistics import unit_scores
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem


@double
def weighted_scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """w_i s_i for every unit place of the design, (theta, unit), padding zero."""
    scores = np.asarray(unit_scores(problem.mixture, problem.ties.expand(theta), problem.design))
    weighted = np.where(np.asarray(problem.design.weight)[:, None] > 0, scores, 0.0)
    weighted = weighted * np.asarray(problem.design.weight)[:, None]
    flat = np.moveaxis(weighted, 1, 0).reshape(scores.shape[1], -1)
    ties = problem.ties
    return flat[ties.representative] if ties.is_injective else ties.matrix.T @ flat


def score_products(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """sum_i w_i^2 s_i s_i', (theta, theta)."""
    scores = weighted_scores(problem, theta)
    return scores @ scores.T
