"""Scores of units: what each adds to the gradient of the log-likelihood, and the sum of their squares.

They come some blocks of units at a time, so that sums over units take no more memory than these.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from mixstat.core.statistics import unit_scores
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem

BLOCKS = 32
"""Blocks of the design whose scores are made at once."""


class Part(NamedTuple):
    """w_i s_i (theta, unit) at some unit places of the design, padding zero."""

    scores: np.ndarray
    places: slice


def score_parts(problem: Problem, theta: np.ndarray) -> Iterator[Part]:
    """The scores of all units once; every part has the same number of blocks, so that one program serves all."""
    phi, design, ties = problem.ties.expand(theta), problem.design, problem.ties
    blocks, units = design.weight.shape
    size = min(BLOCKS, blocks)
    for done in range(0, blocks, size):
        first = min(done, blocks - size)
        part = jax.tree.map(lambda leaf, f=first: leaf[f : f + size], design._replace(used=None))
        scores = np.asarray(unit_scores(problem.mixture, phi, part._replace(used=design.used)))[done - first :]
        weight = np.asarray(part.weight)[done - first :, None]
        flat = np.moveaxis(np.where(weight > 0, scores, 0.0) * weight, 1, 0).reshape(scores.shape[1], -1)
        own = flat[ties.representative] if ties.is_injective else ties.matrix.T @ flat
        yield Part(own, slice(done * units, done * units + own.shape[1]))


@double
def weighted_scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """w_i s_i for every unit place of the design, (theta, unit), padding zero."""
    found = np.empty((problem.ties.size, problem.design.weight.size))
    for part in score_parts(problem, theta):
        found[:, part.places] = part.scores
    return found


@double
def score_products(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """sum_i w_i^2 s_i s_i', (theta, theta)."""
    total = np.zeros((problem.ties.size, problem.ties.size))
    for part in score_parts(problem, theta):
        total += part.scores @ part.scores.T
    return total
