"""Proposals: which covariates to put into a mixture's gate and which within its classes, one covariate at a time."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from mixstat.estimators.methods.score_tests import extended, values_by_name
from mixstat.estimators.mixture import MixtureOfExperts
from mixstat.estimators.model.checks import integer
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.fitting import prepare, standardize
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import Training, training_of
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.newton import newton
from mixstat.fit.penalty import Penalty
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula.grammar import parse_right
from mixstat.formula.whitelist import quoted
from mixstat.inference.hypotheses import ChiSquare, chi_square, likelihood_ratio, score_test
from mixstat.inference.information import weighted_scores

CLEAR = 2.0
"""Standard errors above 0 of an importance worth a test."""
TOLERANCE = 1e-9
"""Newton decrement of a refit."""


class Proposal(NamedTuple):
    """Where covariates would go: `table` has the tests, `gate` and `within` are formulas ("~ 1" where nothing goes)."""

    table: pd.DataFrame
    gate: str
    within: str

    def __repr__(self) -> str:
        return f"gate:   {self.gate}\nwithin: {self.within}\n\n{self.table.to_string(index=False)}"


class Placement(NamedTuple):
    """Tests of one covariate in the gate and within class: alone (score tests), and each beside the other."""

    gate_alone: ChiSquare
    within_alone: ChiSquare
    gate: ChiSquare
    within: ChiSquare


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
    targets = [within] if isinstance(within, str) else list(within)
    tests = [placement(mixture, quoted(name), targets) for name in names]
    bound = checked(level) / max(2 * len(tests), 1)
    table = chosen[["rank", "covariate", "importance"]].reset_index(drop=True)
    for part in Placement._fields:
        found = [getattr(test, part) for test in tests]
        table[f"{part}_statistic"] = [test.statistic for test in found]
        table[f"{part}_df"] = [test.df for test in found]
        table[f"{part}_p_value"] = [test.p_value for test in found]
    table["recommendation"] = [recommend(test, bound) for test in tests]
    return Proposal(table, _formula(table, "gate"), _formula(table, "within"))


def recommend(test: Placement, bound: float) -> str:
    """gate, within, gate + within, either (the data do not tell which) or neither."""
    parts = [name for name in ("gate", "within") if getattr(test, name).p_value < bound]
    if parts:
        return " + ".join(parts)
    return "either" if test.gate_alone.p_value < bound or test.within_alone.p_value < bound else "neither"


def _formula(table: pd.DataFrame, part: str) -> str:
    rows = [part in text.split(" + ") for text in table["recommendation"]]
    return "~ " + (" + ".join(quoted(name) for name in table["covariate"][rows]) or "1")


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
def placement(model: Any, term: str, within: list[str]) -> Placement:
    """The tests of `term` at a fitted mixture: score tests there, and likelihood ratios by Newton from there."""
    larger = _larger(model, term, within)
    gate, inner = larger.gate, larger.within
    both, with_gate, with_inner = (_maximum(larger, left_out) for left_out in ([], inner, gate))
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


def _larger(model: Any, term: str, within: list[str]) -> _Larger:
    training, fitted = training_of(model), model.fitted_
    request = model._request(training.formula)
    plan = request.plan
    for target in (GATE, *within):
        plan = extended(plan, term, target)
    prepared = prepare(training.table, request._replace(plan=plan), training.sample_weight)
    if len(prepared.sample.kept) != len(fitted.sample.kept):
        raise DataError(f"{term!r} is missing in some rows of the fit; drop them and refit before testing it")
    named, known = prepared.assembled.named, values_by_name(fitted)
    larger = standardize(request, prepared)
    phi = np.array([known.get(label.name, 0.0) for label in named.labels])
    theta = larger.ties.contract(np.linalg.solve(larger.jacobian, phi))
    places: dict[bool, set[int]] = {True: set(), False: set()}
    for label, place in zip(named.labels, larger.ties.index, strict=True):
        if label.name not in known and place >= 0:
            places[label.parameter == GATE].add(int(place))
    return _Larger(Problem(*larger.model), theta, sorted(places[True]), sorted(places[False]))


def _restricted(larger: _Larger, left_out: list[int]) -> tuple[Problem, np.ndarray]:
    """The problem with some parameters fixed at zero: the same kernels under other ties."""
    kept = np.setdiff1d(np.arange(len(larger.theta)), left_out)
    number = np.full(len(larger.theta) + 1, -1)
    number[kept] = np.arange(len(kept))
    ties, penalty = larger.problem.ties, larger.problem.penalty
    fewer = Ties(TieMap(number[ties.index], ties.value))
    lighter = Penalty(penalty.ridge[kept], penalty.lasso[kept], penalty.epsilon)
    problem = larger.problem.constrained(fewer, lighter)
    return problem, larger.theta[kept]


def _score(larger: _Larger, part: list[int], other: list[int]) -> ChiSquare:
    """The score test of one part; where the information is not positive definite, with the scores' cross-products."""
    problem, theta = _restricted(larger, other)
    at = problem.evaluate_likelihood(theta)
    found = score_test(at.gradient, at.information, len(part))
    if not part or not np.isnan(found.statistic):
        return found if part else chi_square(0.0, 0)
    scores = weighted_scores(problem, theta)
    return score_test(at.gradient, scores @ scores.T, len(part))


def _maximum(larger: _Larger, left_out: list[int]) -> float:
    """The log-likelihood that Newton reaches; NaN where that is no maximum."""
    problem, theta = _restricted(larger, left_out)
    found = newton(problem, theta, tol=TOLERANCE, max_iter=200)
    return found.at.log_likelihood if found.converged else np.nan


def _ratio(restricted: float, full: float, df: int) -> ChiSquare:
    if np.isnan(restricted) or np.isnan(full):
        return ChiSquare(np.nan, df, np.nan)
    return likelihood_ratio(restricted, full, df)
