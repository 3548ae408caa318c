"""Starts around one class: every expert a draw from the sampling distribution of the one-class fit, made wider.

Proust-Lima, Philipps and Liquet (2017, JSS 78(2)): `gridsearch` draws from the distribution itself.
"""

from typing import NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.fit.initial import from_labels, hold
from mixstat.fit.m_step import shortening
from mixstat.fit.problem import Problem

STEPS = 12
INFLATION = (1.0, 6.0)
"""By how much the covariance of the estimates is multiplied."""
LEAST = 1e-8


class OneClass(NamedTuple):
    """theta with every expert at the one-class fit; places (expert, own) of what is an expert's own; a root (own, own)
    of the estimates' covariance."""

    theta: np.ndarray
    places: np.ndarray
    root: np.ndarray


def one_class(problem: Problem, data: Data) -> OneClass | None:
    """The one-class fit, found with the mixture's own kernels: all units are held in the first class.

    None where that is no model: experts that differ, or units whose class is known.
    """
    mixture, index = problem.mixture, problem.ties.index
    if len(mixture.groups) > 1 or np.isneginf(data.prior).any():
        return None
    labels = np.zeros(len(data.weight), dtype=np.int64)
    (experts,), gate = mixture.split(index)
    places = experts[:, (experts[0] >= 0) & (experts[0] != experts[-1])]
    theta = from_labels(problem, data, labels, steps=STEPS)
    theta[places[1:]] = theta[places[0]]
    theta[gate[gate >= 0]] = 0.0
    information = hold(problem, data, labels).evaluate(theta).information[np.ix_(places[0], places[0])]
    values, vectors = np.linalg.eigh(information)
    floor = LEAST * max(values.max(initial=0.0), 1.0)
    return OneClass(theta, places, vectors / np.sqrt(np.maximum(values, floor)))


def around(found: OneClass, problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """theta with a draw for every expert."""
    theta = found.theta.copy()
    for place in found.places:
        step = found.root @ rng.normal(size=len(place)) * np.sqrt(rng.uniform(*INFLATION))
        theta[place] += step * shortening(step, problem.reach[place])
    return theta
