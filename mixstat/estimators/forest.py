"""CovariateForest: which covariates of a unit divide the sample, by model-based trees of the one-class model."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.candidates import candidate_names, read_candidates
from mixstat.estimators.forest_results import ForestResults
from mixstat.estimators.mixture import MixtureOfExperts
from mixstat.estimators.model.checks import choice, integer, number, verbosity
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.state import given_or_training
from mixstat.exceptions import ConvergenceWarning, DataError, OptionError
from mixstat.fit.progress import counting
from mixstat.formula.frame import Table
from mixstat.inference.score_trees import Grown, Options, Work, grow_trees, leaves_of, portable, root_tests

SAMPLING = ("subsample", "bootstrap")
LARGEST = 25
"""Trees of a batch at most, so that progress shows."""


class CovariateForest(ForestResults, BaseEstimator):
    """Ranks covariates by how much they divide the units of a model into groups with other parameters.

    The model of one class, without gate, is fitted to all units. Each tree takes a sample of units; at every node the
    model is refitted, `mtry` random candidates are tested for parameter instability by the unit scores, and the one
    with the least p-value splits the node at the cut that gains most log-likelihood.

    Parameters
    ----------
    model : Regression, GrowthCurve or MixtureOfExperts
        Fitted or not. Of a mixture the expert is taken, with one class and no gate.
    candidates : str or list of str
        Columns: "~ ses + sex", a list, or "~ ." for all that the model does not use. Numbers are cut in two, as are
        ordered levels; other levels are parted. Constant in each unit, none missing.
    n_trees : int
    mtry : int, optional
        Candidates looked at in a node; a third of them, at least two, by default.
    min_units : int
        Units on either side of a split: enough to fit the model to with ease. Leaves that fit too well (a nearly
        separated binomial) predict others absurdly and then dominate the importances.
    max_depth : int, optional
        Splits one below the other at most.
    alpha : float
        A node is split if the least p-value times the number of candidates looked at is below it; 1 grows fully.
    sampling : {"subsample", "bootstrap"}
        A share `fraction` of the units without replacement, or as many as there are with it. The bootstrap favours
        covariates of many values (Strobl, Boulesteix, Zeileis and Hothorn, 2007, BMC Bioinformatics 8).
    n_jobs : int, optional
        Processes of joblib; the trees are the same. Each compiles for itself: it pays where trees are slow.
    random_state : int, Generator, SeedSequence or None
    verbose : int

    Notes
    -----
    Learnt in fit: `model_` (the one-class fit), `covariates_`, `n_trees_`, `importances_` (tree, covariate),
    `interrupted_`. An interrupt keeps the trees that are done.

    Correlated covariates share and mask each other's importance, and importances rank: they test nothing. Every node
    refits on the design of all units, so that many thousands of units call for `max_depth`. Units count as independent.
    References: Zeileis, Hothorn and Hornik (2008), J. Comput. Graph. Statist. 17; Brandmaier, Prindle, McArdle and
    Lindenberger (2016), Psychological Methods 21.
    """

    def __init__(
        self,
        model: Any = None,
        candidates: Any = None,
        *,
        n_trees: int = 200,
        mtry: int | None = None,
        min_units: int = 40,
        max_depth: int | None = None,
        alpha: float = 1.0,
        sampling: str = "subsample",
        fraction: float = 0.632,
        n_jobs: int | None = 1,
        random_state: Any = None,
        verbose: int = 1,
    ):
        self.model = model
        self.candidates = candidates
        self.n_trees = n_trees
        self.mtry = mtry
        self.min_units = min_units
        self.max_depth = max_depth
        self.alpha = alpha
        self.sampling = sampling
        self.fraction = fraction
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any = None, y: Any = None, *, sample_weight: Any = None) -> "CovariateForest":
        """Fit the one-class model to the table X (by default that of a fitted model), and grow the trees."""
        alone = one_class(self.model)
        training = self._training = given_or_training(self.model, X, y, sample_weight)
        if training.formula is not None:
            raise OptionError("a forest needs names of covariates: give the model a formula, and fit a table")
        self.model_ = alone._fit_training(training)
        _require_plain(alone)
        fitted, table = alone.fitted_, Table(training.table)
        self.covariates_ = candidate_names(self.candidates, table, fitted, [alone.cluster, training.sample_weight])
        self._candidates = read_candidates(self.covariates_, table, fitted.sample)
        covariates = tuple(candidate.covariate for candidate in self._candidates)
        options = self._tree_options(int((fitted.sample.weight > 0).sum()))
        seed = int(generator(self.random_state).integers(2**63))
        unit, theta = fitted.sample.weight_unit, fitted.solution.theta
        problem = alone._problem.weighted(1 / unit)
        work = Work(portable(problem), theta, fitted.sample.weight / unit, covariates, options, seed)
        count, self._tests = integer("n_trees", self.n_trees, 2), root_tests(problem, theta, covariates)
        self._grown = _grow(work, count, self.n_jobs, silent=verbosity(self.verbose) < 1)
        self.importances_ = np.array([tree.importance for tree in self._grown])
        self.n_trees_ = len(self._grown)
        self.interrupted_ = self.n_trees_ < count
        _warn_of_failures(self._grown)
        return self

    def _tree_options(self, units: int) -> Options:
        count = len(self.covariates_)
        mtry = max(2, -(-count // 3)) if self.mtry is None else integer("mtry", self.mtry, 1)
        depth = None if self.max_depth is None else integer("max_depth", self.max_depth, 1)
        least, share = integer("min_units", self.min_units, 2), number("fraction", self.fraction, high=1.0)
        sampling, alpha = choice("sampling", self.sampling, SAMPLING), number("alpha", self.alpha, high=1.0)
        drawn = round(share * units) if sampling == "subsample" else units
        if sampling == "subsample" and not 0 < drawn < units:
            raise OptionError(f"fraction={share:g} of {units} units leaves none in or none out; try 0.632")
        if drawn < 2 * least:
            raise DataError(f"a tree sees {drawn} of {units} units, too few to split at min_units={least}; lower it")
        if not alpha:
            raise OptionError("alpha must be above 0, or no node is ever split")
        return Options(min(mtry, count), least, depth, alpha, sampling, share)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        state.pop("_training", None)
        return state


def one_class(model: Any) -> Any:
    """The model, not fitted, with one class and no gate."""
    if not isinstance(model, MixtureEstimator):
        raise OptionError(f"a Regression, GrowthCurve, Joint or MixtureOfExperts is needed, got {type(model).__name__}")
    if not isinstance(model, MixtureOfExperts):
        return clone(model)
    plain = {"gate": None, "extra": (), "prior_classes": None, "gate_penalty": 0.0, "algorithm": "newton"}
    return model._resized(1).set_params(**plain)


def _require_plain(model: Any) -> None:
    """A fit whose scores sum to zero."""
    if model.fitted_.assembled.named.penalty.any():
        raise OptionError("a forest is for models without penalty=: the scores of a penalised fit do not sum to zero")
    model._warn()


def _warn_of_failures(grown: list[Grown]) -> None:
    failed = [sum(leaf.failed for leaf in leaves_of(tree.tree)) for tree in grown]
    if any(failed):
        warnings.warn(
            f"{sum(failed)} splits in {sum(map(bool, failed))} of {len(grown)} trees were given up, as one part has no "
            "maximum; raise min_units or fit a simpler model",
            ConvergenceWarning,
            stacklevel=3,
        )


def _grow(work: Work, count: int, n_jobs: int | None, *, silent: bool) -> list[Grown]:
    """The trees, or those done before an interrupt (two at least)."""
    grown: list[Grown] = []
    with counting("trees", count, silent=silent) as advance:
        try:
            for batch in _batches(work, count, n_jobs):
                for tree in batch:
                    grown.append(tree)
                    advance()
        except KeyboardInterrupt:
            if len(grown) < 2:
                raise
    return grown


def _batches(work: Work, count: int, n_jobs: int | None) -> Iterator[list[Grown]]:
    """Trees 0, 1, ... in order, as they come."""
    if n_jobs == 1:
        yield from (grow_trees(work, [tree]) for tree in range(count))
        return
    from joblib import Parallel, delayed, effective_n_jobs

    workers = effective_n_jobs(n_jobs)
    size = max(1, min(LARGEST, count // (4 * workers)))
    parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
    with Parallel(n_jobs=n_jobs) as parallel:
        for start in range(0, len(parts), 2 * workers):
            yield from parallel(delayed(grow_trees)(work, part) for part in parts[start : start + 2 * workers])
