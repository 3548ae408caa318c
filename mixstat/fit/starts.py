"""Starts: partitions of the units from which EM begins.

A start is an array of labels (unit,) in 0..K-1, or -1 for units that the first M-step ignores: k-means on responses
and predictors, random hard assignments, and random subsets (one small subset an expert).
"""

import warnings
from collections.abc import Callable

import numpy as np
from scipy.cluster.vq import kmeans2

from mixstat.core.design import Data
from mixstat.core.mixture import Mixture

Partition = Callable[[np.random.Generator, np.ndarray, np.ndarray, int], np.ndarray]
KMEANS_UNITS = 20_000


def features(mixture: Mixture, data: Data) -> np.ndarray:
    """(unit, feature): responses and predictors that k-means clusters, averaged over a unit's rows."""
    seen = [
        outcome.family.features(item) for outcome in mixture.groups[0].outcomes for item in data.responses[outcome.data]
    ]
    rows = np.concatenate([data.columns[1:], *seen]).T
    if data.unit is None:
        return rows
    total = np.zeros((len(data.weight), rows.shape[1]))
    np.add.at(total, data.unit, rows)
    return total / np.bincount(data.unit)[:, None]


def kmeans(rng: np.random.Generator, points: np.ndarray, weight: np.ndarray, experts: int) -> np.ndarray:
    """Labels by k-means (k-means++ seeds) on standardised points (unit, feature)."""
    chosen = _sample(rng, weight, KMEANS_UNITS)
    if len(chosen) < experts:
        return random_assignment(rng, points, weight, experts)
    scale = points[chosen].std(axis=0)
    scaled = (points - points[chosen].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    seeds = _plus_plus(rng, scaled[chosen], experts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster is only a poor start
        centres, _ = kmeans2(scaled[chosen], seeds, iter=10, minit="matrix")
    distance = -2 * scaled @ centres.T + (centres**2).sum(axis=1)
    return np.argmin(distance, axis=1)


def _plus_plus(rng: np.random.Generator, points: np.ndarray, count: int) -> np.ndarray:
    centres = [points[rng.integers(len(points))]]
    distance = np.full(len(points), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((points - centres[-1]) ** 2).sum(axis=1))
        total = distance.sum()
        index = rng.choice(len(points), p=distance / total) if total > 0 else rng.integers(len(points))
        centres.append(points[index])
    return np.array(centres)


def random_assignment(rng: np.random.Generator, points: np.ndarray, weight: np.ndarray, experts: int) -> np.ndarray:
    """Every unit to an expert at random."""
    return rng.integers(experts, size=len(weight))


def random_subsets(rng: np.random.Generator, points: np.ndarray, weight: np.ndarray, experts: int) -> np.ndarray:
    """A small random subset of the units to each expert, the others to none."""
    size = max(2 * points.shape[1] + 2, len(weight) // 20)
    labels = np.full(len(weight), -1)
    chosen = _sample(rng, weight, size * experts)
    labels[chosen] = np.arange(len(chosen)) % experts
    return labels


def _sample(rng: np.random.Generator, weight: np.ndarray, size: int) -> np.ndarray:
    """At most `size` units of positive weight, without replacement, in random order."""
    alive = np.flatnonzero(weight > 0)
    return rng.permutation(alive)[:size]


AROUND = "around one class"
PARTITIONS: dict[str, Partition] = {"k-means": kmeans, "random": random_assignment, "subsets": random_subsets}
SCHEDULE = ("k-means", "random", "subsets", "random")
"""Kinds of starts in turn: start 0 is k-means, 1 random, 2 random subsets, 3 random, 4 k-means, ..."""
REPEATED_SCHEDULE = ("k-means", AROUND, "subsets", "random")
"""Kinds of starts of models of repeated measurements."""
