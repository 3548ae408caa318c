"""Proposals: which covariates to put into a mixture's gate and which within its classes, one covariate at a time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from mixstat.estimators.methods.extending import extended
from mixstat.estimators.methods.score_tests import embedded, values_by_name
from mixstat.estimators.mixture import MixtureOfExperts
from mixstat.estimators.model.checks import integer
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.fitting import prepare, standardize
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import Training, training_of
from mixstat.estimators.placing import placed
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.maximize import over_kinks
from mixstat.fit.newton import newton
from mixstat.fit.options import Options
from mixstat.fit.penalty import Penalty
from mixstat.fit.precision import double
from mixstat.fit.problem import Evaluation, Problem
from mixstat.fit.scores import weighted_scores
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula.grammar import parse_right
from mixstat.formula.whitelist import quoted
from mixstat.inference.hypotheses import ChiSquare, chi_square, likelihood_ratio, score_test

CLEAR = 2.0
"""Standard errors above 0 of an importance worth a test."""
PARTS = ("gate", "within")
STALLED = 1e-3
"""Newton decrement with which a refit that stalls counts as a maximum: at a boundary or a kink the information may be
singular, and what is left to gain is of this size."""


class Proposal(NamedTuple):
    """Where covariates would go.

    `table` has the tests, and a `note` where one failed; `gate` and `within` are formulas of what is added ("~ 1" where
    nothing goes) to the gate of `mixture` and to the parameters `targets` of its experts.
    """

    table: pd.DataFrame
    gate: str
    within: str
    mixture: Any
    targets: tuple[str, ...]

    @property
    def model(self) -> Any:
        """The proposed mixture, not fitted: change what should be otherwise by `set_params`."""
        return placed(self.mixture, _terms(self.table, "gate"), _terms(self.table, "within"), self.targets)

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Any:
        """The proposed mixture, fitted. Covariates of which the data do not tell the place ("either") are not in it.

        They were chosen by tests: on the data of the forest the p-values of this fit are too small.
        """
        return self.model.fit(X, y, sample_weight=sample_weight)

    def __repr__(self) -> str:
        return f"gate:   {self.gate}\nwithin: {self.within}\n\n{self.table.to_string(index=False)}"


class Placement(NamedTuple):
    """Tests of one covariate in the gate and within class: alone (score tests), and each beside the other.

    The latter are NaN where no maximum was reached of a model that they need.
    """

    gate_alone: ChiSquare
    within_alone: ChiSquare
    gate: ChiSquare
    within: ChiSquare

    @property
    def failed(self) -> list[str]:
        """The parts whose likelihood-ratio test there is not."""
        return [part for part in PARTS if np.isnan(getattr(self, part).p_value)]

    def p_value(self, part: str) -> float:
        """Of a part beside the other; alone where that test failed."""
        return float(getattr(self, f"{part}_alone" if part in self.failed else part).p_value)


def propose(
    importance: pd.DataFrame,
    model: Any,
    training: Training,
    *,
    k: int | None,
    within: str | list[str],
    level: float,
    known: bool,
) -> Proposal:
    """See `CovariateForest.propose`; `known` models are fitted, others are fitted to `training` without candidates."""
    clear = importance[importance["importance"] > CLEAR * importance["std_error"]]
    chosen = clear if k is None else importance.head(integer("k", k, 1))
    names = list(chosen["covariate"])
    mixture = _known(model) if known else _without(model, training, set(importance["covariate"]))
    targets = (within,) if isinstance(within, str) else tuple(within)
    tests = [placement(mixture, quoted(name), targets) for name in names]
    table = pd.concat(
        [chosen[["rank", "covariate", "importance"]].reset_index(drop=True), _shown(tests, checked(level))], axis=1
    )
    gate, inner = ("~ " + (" + ".join(_terms(table, part)) or "1") for part in PARTS)
    return Proposal(table, gate, inner, mixture, targets)


def _shown(tests: list[Placement], level: float) -> pd.DataFrame:
    """The tests of every covariate, and what they recommend."""
    columns: dict[str, list] = {}
    for part in Placement._fields:
        found = [getattr(test, part) for test in tests]
        columns |= {f"{part}_{name}": [getattr(test, name) for test in found] for name in ChiSquare._fields}
    columns["recommendation"] = [recommend(test, level / max(2 * len(tests), 1)) for test in tests]
    columns["note"] = [_note(test) for test in tests]
    return pd.DataFrame(columns)


def recommend(test: Placement, bound: float) -> str:
    """gate, within, gate + within, either (the data do not tell which) or neither."""
    parts = [part for part in PARTS if test.p_value(part) < bound]
    if len(parts) == len(test.failed) == len(PARTS):
        return "either"
    if parts:
        return " + ".join(parts)
    return "either" if test.gate_alone.p_value < bound or test.within_alone.p_value < bound else "neither"


def _note(test: Placement) -> str:
    """What went wrong, in words."""
    listed = " and ".join(test.failed)
    return f"no likelihood-ratio test of {listed}: a refit did not converge; judged alone" if listed else ""


def _terms(table: pd.DataFrame, part: str) -> list[str]:
    """The covariates that are recommended for a part."""
    rows = [part in text.split(" + ") for text in table["recommendation"]]
    return [quoted(name) for name in table["covariate"][rows]]


def _known(model: Any) -> Any:
    if not hasattr(model, "fitted_") or sum(getattr(model.fitted_.plan, "copies", (1,))) < 2:
        raise OptionError("model= must be a fitted MixtureOfExperts of two experts or more")
    if model.fitted_.assembled.named.penalty.any():
        raise OptionError("propose() is for fits without penalty= or gate_penalty=: theirs is not a likelihood")
    return model


def _without(model: Any, training: Training, candidates: set[str]) -> Any:
    """The forest's mixture fitted to its data, without a gate that names candidates."""
    if not isinstance(model, MixtureOfExperts) or sum(model._plan(None).copies) < 2:
        raise OptionError(
            "propose() tests covariates on a mixture: grow the forest from a MixtureOfExperts of two experts or more, "
            "or give a fitted one as model="
        )
    gate = model._plan(None).gate
    named = set() if gate is None else set(parse_right(gate).variables)
    if named & candidates and model.gate is None:
        raise OptionError("the gate stands in the expert's formula ('y ~ x | z'); give it as gate= instead")
    plain = clone(model).set_params(start=None, gate_penalty=0.0)
    fitted = (plain.set_params(gate=None) if gate is None or named & candidates else plain)._fit_training(training)
    fitted._warn()
    return fitted


@double
def placement(model: Any, term: str, within: Sequence[str]) -> Placement:
    """The tests of `term` at a fitted mixture: score tests there, and likelihood ratios by Newton from there.

    The larger model is refitted from the maxima of the smaller ones too, so that it is never below them.
    """
    larger = _larger(model, term, within)
    gate, inner = larger.gate, larger.within
    with_gate, with_inner = (_maximum(larger, left_out, [larger.theta]) for left_out in (inner, gate))
    both = _maximum(larger, [], [larger.theta, with_gate.theta, with_inner.theta])
    return Placement(
        _score(larger, gate, inner),
        _score(larger, inner, gate),
        _ratio(with_inner, both, len(gate)),
        _ratio(with_gate, both, len(inner)),
    )


class _Larger(NamedTuple):
    """The model with the covariate in both parts, at the estimate of the one without; places of the new parameters."""

    problem: Problem
    theta: np.ndarray
    gate: list[int]
    within: list[int]


def _larger(model: Any, term: str, within: Sequence[str]) -> _Larger:
    training, fitted = training_of(model), model.fitted_
    request = model._request(training.formula)
    plan = extended(request.plan, term, (GATE, *within))
    prepared = prepare(training.table, request._replace(plan=plan), training.sample_weight)
    if len(prepared.sample.kept) != len(fitted.sample.kept):
        raise DataError(f"{term!r} is missing in some rows of the fit; drop them and refit before testing it")
    named, known = prepared.assembled.named, values_by_name(fitted)
    larger = standardize(request, prepared)
    theta = embedded(fitted, prepared.assembled, larger)
    places: dict[bool, set[int]] = {True: set(), False: set()}
    for label, place in zip(named.labels, larger.ties.index, strict=True):
        if label.name not in known and place >= 0:
            places[label.parameter == GATE].add(int(place))
    return _Larger(Problem(*larger.model), theta, sorted(places[True]), sorted(places[False]))


def _restricted(larger: _Larger, left_out: list[int]) -> tuple[Problem, np.ndarray]:
    """(the problem with some parameters fixed at zero, places of the others): the same kernels under other ties."""
    kept = np.setdiff1d(np.arange(len(larger.theta)), left_out)
    number = np.full(len(larger.theta) + 1, -1)
    number[kept] = np.arange(len(kept))
    ties, penalty = larger.problem.ties, larger.problem.penalty
    fewer = Ties(TieMap(number[ties.index], ties.value))
    lighter = Penalty(penalty.ridge[kept], penalty.lasso[kept], penalty.epsilon)
    return larger.problem.constrained(fewer, lighter), kept


def _score(larger: _Larger, part: list[int], other: list[int]) -> ChiSquare:
    """The score test of one part; where the information is not positive definite, with the scores' cross-products."""
    problem, kept = _restricted(larger, other)
    theta = larger.theta[kept]
    at = problem.evaluate_likelihood(theta)
    found = score_test(at.gradient, at.information, len(part))
    if not part or not np.isnan(found.statistic):
        return found if part else chi_square(0.0, 0)
    scores = weighted_scores(problem, theta)
    return score_test(at.gradient, scores @ scores.T, len(part))


class _Maximum(NamedTuple):
    """Where the highest of some climbs ended (theta of the larger model), and the log-likelihood there."""

    theta: np.ndarray
    log_likelihood: float


def _maximum(larger: _Larger, left_out: list[int], starts: list[np.ndarray]) -> _Maximum:
    """The highest maximum that Newton reaches; its log-likelihood is NaN where that is none."""
    problem, kept = _restricted(larger, left_out)
    ends = [_climb(problem, start[kept]) for start in starts]
    at, decrement, _ = max(ends, key=lambda end: end[0].objective)
    theta = np.zeros_like(larger.theta)
    theta[kept] = at.theta
    return _Maximum(theta, at.log_likelihood if decrement < STALLED else np.nan)


def _climb(problem: Problem, theta: np.ndarray) -> tuple[Evaluation, float, bool]:
    """(where, decrement, converged)."""
    options = Options(max_iter=200)
    found = newton(problem, theta, tol=options.tol, max_iter=options.max_iter)
    if not found.converged:
        return found.at, found.decrement, False
    return over_kinks(problem, found.at, found.decrement, options)


def _ratio(restricted: _Maximum, full: _Maximum, df: int) -> ChiSquare:
    if np.isnan(restricted.log_likelihood) or np.isnan(full.log_likelihood):
        return ChiSquare(np.nan, df, np.nan)
    return likelihood_ratio(restricted.log_likelihood, full.log_likelihood, df)
