"""Relabelling draws: the likelihood and the prior do not change when experts of equal form change places.

Each draw is given the permutation that minimises, over the classes j and the units i,

    - sum_i w_i sum_j rhat_ij log r_i,o(j)

with rhat the responsibilities at the maximum: the Kullback-Leibler criterion of Stephens (2000, JRSS-B 62), its
reference held at the maximum. The best permutation is an assignment.
"""

import numpy as np

from mixstat.core.mixture import posterior
from mixstat.fit.order import exchange
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.inference.bootstrap import match_classes

LEAST = -700.0
"""Floor of a log responsibility."""


@double
def relabel(problem: Problem, theta: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, int]:
    """Draws (draw, theta) with the labels of `theta`, and how many of them had to change.

    Nothing moves where experts are not exchangeable: classes are partly known, or ties differ between experts.
    """
    mixture = problem.mixture
    if all(group.copies == 1 for group in mixture.groups) or np.asarray(problem.design.prior).any():
        return draws, 0
    weight = np.asarray(problem.design.weight).ravel()
    reference = np.exp(_log_responsibility(problem, theta)) * weight
    result, moved = draws.copy(), 0
    for row, draw in zip(result, draws, strict=True):
        order = match_classes(mixture, reference @ _log_responsibility(problem, draw).T)
        if not np.array_equal(order, np.arange(mixture.classes)):
            row[:] = exchange(problem, draw, order)
            moved += int(not np.array_equal(row, draw))
    return result, moved


def _log_responsibility(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """(class, unit place), 0 in padding."""
    post = np.asarray(posterior(problem.mixture, problem.ties.expand(theta), problem.design).responsibility)
    alive = np.asarray(problem.design.weight)[:, None] > 0
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(np.where(alive, post, 1.0)), LEAST)
    return np.moveaxis(logs, 1, 0).reshape(post.shape[1], -1)
