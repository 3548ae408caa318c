"""Weighted bootstrap: the units stay, their weights are drawn anew, so that nothing is packed or compiled again.

Each replicate is Newton from the estimate (EM first where that fails), its classes matched to those of the estimate by
the overlap of responsibilities. Multinomial counts are Efron's bootstrap (1979, Annals of Statistics 7), exponential
weights the Bayesian one (Rubin, 1981, Annals of Statistics 9) and smoother; a cluster's units are drawn together.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixstat.core.design import weight_unit
from mixstat.core.mixture import Mixture, posterior
from mixstat.fit.em import em
from mixstat.fit.newton import newton
from mixstat.fit.order import exchange
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem

WEIGHTS = ("multinomial", "exponential")
TOLERANCE = 1e-6
"""Newton decrement of a replicate before its last step: a thousandth of a standard error, which that step squares."""
REFUSED = 1e12
"""Cost of matching classes of different form."""


class Replicates(NamedTuple):
    """Free parameters (replicate, theta), log-likelihoods, convergence and whether classes changed places."""

    theta: np.ndarray
    log_likelihood: np.ndarray
    converged: np.ndarray
    relabelled: np.ndarray


class _Replicate(NamedTuple):
    theta: np.ndarray
    log_likelihood: float
    converged: bool
    relabelled: bool


def draw_weights(
    rng: np.random.Generator, weight: np.ndarray, clusters: np.ndarray | None, kind: str
) -> Iterator[np.ndarray]:
    """Endless replicates of the units' weights (unit,); units without weight keep none."""
    groups = np.arange(len(weight)) if clusters is None else clusters
    alive = np.unique(groups[weight > 0])
    factor = np.zeros(int(groups.max()) + 1)
    while True:
        if kind == "multinomial":
            drawn: np.ndarray = rng.multinomial(len(alive), np.full(len(alive), 1 / len(alive))).astype(float)
        else:
            drawn = rng.exponential(size=len(alive))
            drawn *= len(alive) / drawn.sum()
        factor[alive] = drawn
        yield weight * factor[groups]


@double
def bootstrap(
    problem: Problem,
    theta: np.ndarray,
    weights: Iterator[np.ndarray],
    replicates: int,
    *,
    advance: Callable[[], None] = lambda: None,
) -> Replicates:
    """Refit with each of the first `replicates` weights (unit,). An interrupt returns those that are done."""
    unit = weight_unit(np.asarray(problem.design.weight))
    problem = problem.weighted(1 / unit)
    matcher = _Matcher(problem, theta)
    done: list[_Replicate] = []
    try:
        for _ in range(replicates):
            weight = problem.layout.place_units(next(weights) / unit)
            done.append(_refit(problem.replace(weight=weight), theta, matcher))
            advance()
    except KeyboardInterrupt:
        if not done:
            raise
    found = Replicates(*(np.array(column) for column in zip(*done, strict=True)))
    return found._replace(log_likelihood=unit * found.log_likelihood)


def _refit(problem: Problem, theta: np.ndarray, matcher: "_Matcher") -> _Replicate:
    found = newton(problem, theta, tol=TOLERANCE, max_iter=50)
    if not found.converged:
        warmed = em(problem, theta, tol=1e-6, max_iter=200)
        again = newton(problem, warmed.theta, tol=TOLERANCE, max_iter=100)
        found = again if again.converged or again.at.objective > found.at.objective else found
    matched = matcher.match(found.at.theta)
    moved = not np.array_equal(matched, found.at.theta)
    return _Replicate(matched, found.at.log_likelihood, found.converged, moved)


class _Matcher:
    """Brings the classes of a replicate to the numbers they have in the estimate."""

    def __init__(self, problem: Problem, theta: np.ndarray):
        self.problem, self.base = problem, _responsibility(problem, theta)
        self.weight = np.asarray(problem.design.weight).ravel()

    def match(self, theta: np.ndarray) -> np.ndarray:
        """theta with its classes in the order of the estimate's, by the responsibilities for the original sample."""
        if self.problem.mixture.experts == 1:
            return theta
        overlap = (self.base * self.weight) @ _responsibility(self.problem, theta).T
        order = match_classes(self.problem.mixture, overlap)
        return theta if np.array_equal(order, np.arange(len(order))) else exchange(self.problem, theta, order)


def match_classes(mixture: Mixture, overlap: np.ndarray) -> np.ndarray:
    """(class,) the class of the second labelling for each of the first; `overlap` (first, second) holds shared weight.

    Only experts of equal form change places.
    """
    form = np.concatenate(
        [np.repeat(np.arange(len(mixture.groups)), [g.copies for g in mixture.groups]), -1 - np.arange(mixture.extras)]
    )
    cost = np.where(form[:, None] == form[None], -overlap, REFUSED)
    return linear_sum_assignment(cost)[1]


def _responsibility(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """(class, unit place)."""
    post = np.asarray(posterior(problem.mixture, problem.ties.expand(theta), problem.design).responsibility)
    alive = np.asarray(problem.design.weight)[:, None] > 0
    return np.moveaxis(np.where(alive, post, 0.0), 1, 0).reshape(post.shape[1], -1)
