"""Model-based trees: the units of a one-class model split where its parameters are least stable; out-of-bag importance.

A node's model is refitted with other weights from its parent's estimate, so that nothing is packed or compiled again.
Zeileis, Hothorn and Hornik (2008), J. Comput. Graph. Statist. 17; forests: Brandmaier, Prindle, McArdle and
Lindenberger (2016), Psychological Methods 21.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import count
from typing import NamedTuple

import jax
import numpy as np

from mixstat.fit.newton import newton
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.fit.scores import weighted_scores
from mixstat.inference.prediction import training_posterior
from mixstat.inference.score_splits import Covariate, Instability, Node, Split, best_split, instability, make_node

TOLERANCE = 1e-4
"""Newton decrement of a node before its last step: a hundredth of a standard error, which that step squares."""

FAR = 50.0
"""How far a part's estimate may be from its parent's, d' I d with a unit's mean information: scales that shrink to a
point and probabilities that separate lie beyond."""


class Options(NamedTuple):
    """How trees are grown; `alpha` bounds the least p-value of a split times the number of covariates looked at."""

    mtry: int
    min_units: int
    max_depth: int | None
    alpha: float
    sampling: str
    fraction: float


class Work(NamedTuple):
    """What every tree is grown from; it travels to other processes."""

    problem: Problem
    theta: np.ndarray
    weight: np.ndarray  # (unit,)
    covariates: tuple[Covariate, ...]
    options: Options
    seed: int


class Leaf(NamedTuple):
    """Where units end: the parameters of their model; `failed` where a split was given up as a part had no maximum."""

    number: int
    theta: np.ndarray
    failed: bool = False


class Branch(NamedTuple):
    """A split of a node."""

    covariate: int
    split: Split
    left: "Branch | Leaf"
    right: "Branch | Leaf"


class Grown(NamedTuple):
    """One tree judged by the units it has not seen.

    `importance` (covariate,) is the drop of a unit's mean log-likelihood when the covariate is permuted, 0 where it
    splits nothing.
    """

    tree: Branch | Leaf
    used: np.ndarray
    importance: np.ndarray


class _Fit(NamedTuple):
    """A node's units by weight, their estimate and its information."""

    problem: Problem
    weight: np.ndarray
    theta: np.ndarray
    information: np.ndarray
    converged: bool


def portable(problem: Problem) -> Problem:
    """The problem with its design on the host, so that float64 survives pickling."""
    other = copy(problem)
    other.design = jax.tree.map(np.asarray, problem.design)
    return other


@double
def grow_trees(work: Work, numbers: Sequence[int]) -> list[Grown]:
    """The trees of these numbers; tree b draws from child b of the seed, in whatever order or process it grows."""
    problem = copy(work.problem)
    problem.design = jax.device_put(problem.design)
    return [_grow_tree(work._replace(problem=problem), number) for number in numbers]


@double
def root_tests(problem: Problem, theta: np.ndarray, covariates: Sequence[Covariate]) -> list[Instability | None]:
    """The tests along every covariate for the units of a problem at its maximum."""
    weight = problem.layout.read_units(problem.design.weight)
    node = make_node(_scores(problem, theta), weight, problem.evaluate_likelihood(theta).information)
    return [instability(node, covariate, 1) for covariate in covariates]


def _grow_tree(work: Work, number: int) -> Grown:
    rng = np.random.default_rng(np.random.SeedSequence(work.seed, spawn_key=(number,)))
    alive = np.flatnonzero(work.weight > 0)
    weight = work.weight * _drawn(rng, alive, len(work.weight), work.options)
    root = _fit(work.problem, weight, work.theta)
    tree = _grow(work, rng, root, 0, count())
    return _judge(work, rng, tree, alive[weight[alive] == 0])


def _drawn(rng: np.random.Generator, alive: np.ndarray, units: int, options: Options) -> np.ndarray:
    """(unit,) how often each unit is in the sample."""
    counts = np.zeros(units)
    if options.sampling == "bootstrap":
        np.add.at(counts, rng.choice(alive, len(alive)), 1.0)
    else:
        counts[rng.choice(alive, round(options.fraction * len(alive)), replace=False)] = 1.0
    return counts


def _fit(problem: Problem, weight: np.ndarray, theta: np.ndarray) -> _Fit:
    """The maximum with these weights (unit,). Directions that the units do not inform keep the parent's values."""
    own = problem.replace(weight=problem.layout.place_units(weight))
    found = newton(own, theta, tol=TOLERANCE, max_iter=50)
    return _Fit(own, weight, found.at.theta, found.at.information, found.decrement < TOLERANCE)


def _scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """w_i s_i, (unit, theta)."""
    return weighted_scores(problem, theta)[:, problem.layout.unit].T


def _grow(work: Work, rng: np.random.Generator, fit: _Fit, depth: int, numbers: Iterator[int]) -> Branch | Leaf:
    """The tree below a node; leaves are numbered from left to right."""
    found = _split(work, rng, fit, depth) if fit.converged else None
    if found is None:
        return Leaf(next(numbers), fit.theta, not fit.converged)
    covariate, split, left, right = found
    if not (_is_sound(fit, left) and _is_sound(fit, right)):
        return Leaf(next(numbers), fit.theta, True)
    first = _grow(work, rng, left, depth + 1, numbers)
    return Branch(covariate, split, first, _grow(work, rng, right, depth + 1, numbers))


def _is_sound(parent: _Fit, part: _Fit) -> bool:
    """Whether a part has a maximum, and not at infinity."""
    step = part.theta - parent.theta
    return part.converged and float(step @ parent.information @ step) <= FAR * parent.weight.sum()


def _split(work: Work, rng: np.random.Generator, fit: _Fit, depth: int) -> tuple[int, Split, _Fit, _Fit] | None:
    """The covariate of least p-value and its cut, with the fits of both parts; None where the node is a leaf."""
    options = work.options
    if depth == options.max_depth or (fit.weight > 0).sum() < 2 * options.min_units:
        return None
    node = make_node(_scores(fit.problem, fit.theta), fit.weight, fit.information)
    for covariate in _ranked(work, rng, node):
        split = best_split(node, work.covariates[covariate], options.min_units)
        if split is None:
            continue
        goes_left = split.goes_left(work.covariates[covariate].values)
        left = _fit(work.problem, np.where(goes_left, fit.weight, 0.0), fit.theta)
        right = _fit(work.problem, np.where(goes_left, 0.0, fit.weight), fit.theta)
        return covariate, split, left, right
    return None


def _ranked(work: Work, rng: np.random.Generator, node: Node) -> list[int]:
    """`mtry` random covariates that may split, the least p-value first, as far as it is below alpha."""
    chosen = rng.permutation(len(work.covariates))[: work.options.mtry]
    tests = {int(j): instability(node, work.covariates[j], work.options.min_units) for j in chosen}
    level = np.log(work.options.alpha / len(chosen)) if work.options.alpha < 1 else np.inf
    known = {j: test.log_p for j, test in tests.items() if test is not None and test.log_p <= level}
    return sorted(known, key=lambda j: known[j])


def leaf_numbers(tree: Branch | Leaf, values: Sequence[np.ndarray]) -> np.ndarray:
    """(unit,) the leaf in which each unit ends, from the covariates' values (covariate, unit)."""
    numbers = np.empty(len(values[0]), dtype=np.int64)
    todo: list[tuple[Branch | Leaf, np.ndarray]] = [(tree, np.arange(len(numbers)))]
    while todo:
        node, units = todo.pop()
        if isinstance(node, Leaf):
            numbers[units] = node.number
            continue
        left = node.split.goes_left(values[node.covariate][units])
        todo += [(node.left, units[left]), (node.right, units[~left])]
    return numbers


def mean_parameters(
    trees: Sequence[Branch | Leaf], values: Sequence[np.ndarray], weight: np.ndarray, setting: tuple[int, np.ndarray]
) -> np.ndarray:
    """(value, theta): the leaves' parameters averaged over units and trees, one covariate set to each value in turn."""
    covariate, settings = setting
    total: list[np.ndarray] = []
    for value in settings:
        columns = [*values[:covariate], np.full(len(weight), value), *values[covariate + 1 :]]
        means = []
        for tree in trees:
            theta = np.stack([leaf.theta for leaf in leaves_of(tree)])
            share = np.bincount(leaf_numbers(tree, columns), weight, len(theta)) / weight.sum()
            means.append(share @ theta)
        total.append(np.mean(means, axis=0))
    return np.stack(total)


def leaves_of(tree: Branch | Leaf) -> list[Leaf]:
    """The leaves by number."""
    return [tree] if isinstance(tree, Leaf) else [*leaves_of(tree.left), *leaves_of(tree.right)]


def covariates_of(tree: Branch | Leaf) -> set[int]:
    """The covariates by which a tree splits."""
    if isinstance(tree, Leaf):
        return set()
    return {tree.covariate} | covariates_of(tree.left) | covariates_of(tree.right)


def _judge(work: Work, rng: np.random.Generator, tree: Branch | Leaf, unseen: np.ndarray) -> Grown:
    """Importances from the units left out."""
    density = np.stack([_log_density(work.problem, leaf.theta)[unseen] for leaf in leaves_of(tree)])
    values = [covariate.values[unseen] for covariate in work.covariates]
    weight, places = work.weight[unseen], np.arange(len(unseen))

    def mean(columns: Sequence[np.ndarray]) -> float:
        return float(np.average(density[leaf_numbers(tree, columns), places], weights=weight))

    whole, used = mean(values), np.zeros(len(values), dtype=bool)
    used[list(covariates_of(tree))] = True
    importance = np.zeros(len(values))
    for j in np.flatnonzero(used):
        shuffled = [*values[:j], values[j][rng.permutation(len(unseen))], *values[j + 1 :]]
        importance[j] = whole - mean(shuffled)
    return Grown(tree, used, importance)


def _log_density(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """(unit,)."""
    return training_posterior(problem, problem.ties.expand(theta)).log_density
