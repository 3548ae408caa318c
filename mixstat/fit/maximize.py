"""maximize: from data to a Solution. Starts, a short EM on all, the best carried to a maximum, a verdict."""

from typing import NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.core.mixture import Mixture, posterior
from mixstat.fit.em import em, squarem
from mixstat.fit.initial import from_labels
from mixstat.fit.newton import newton, stationarity
from mixstat.fit.options import Options
from mixstat.fit.order import order_classes
from mixstat.fit.penalty import Penalty
from mixstat.fit.problem import Problem
from mixstat.fit.progress import progress
from mixstat.fit.solution import Solution, Start, Verdict
from mixstat.fit.starts import SCHEDULE
from mixstat.fit.ties import Ties
from mixstat.fit.verdict import judge

SAME = 1e-6
"""Objectives within SAME x (1 + |objective|) x 0.01 are one optimum."""


class Candidate(NamedTuple):
    """A point of the search: a start after its short EM, or after Newton."""

    kind: str
    theta: np.ndarray
    objective: float
    log_likelihood: float
    verdict: Verdict | None
    iterations: int


class Model(NamedTuple):
    """What is maximised: the mixture, its data, ties and penalty, and the features that k-means starts use."""

    mixture: Mixture
    data: Data
    ties: Ties
    penalty: Penalty
    features: np.ndarray


class Found(NamedTuple):
    """A solution, whether the search was interrupted, the problem, and (unit, class) responsibilities."""

    solution: Solution
    interrupted: bool
    problem: Problem
    responsibility: np.ndarray


def maximize(
    model: Model,
    options: Options,
    rng: np.random.Generator,
    *,
    start: np.ndarray | None = None,
    keep_order: bool = False,
) -> Found:
    """Search from many starts, or from `start` alone: theta, or labels (unit,) of integers."""
    problem = Problem(model.mixture, model.data, model.ties, model.penalty)
    interrupted, candidates = False, []
    bar = progress(options)
    try:
        if model.mixture.classes == 1 or start is not None:
            theta = _given(problem, model.data, start)
            candidates.append(_short(problem, "given" if start is not None else "moments", theta, options))
        elif len(model.data.weight) > options.screen_above:
            _screen(model, problem, options, rng, candidates, bar)
        else:
            _search(problem, model, options, rng, candidates, bar)
        candidates = _carry(problem, candidates, options, bar)
    except KeyboardInterrupt:
        interrupted = True
        if not candidates:
            raise
    finally:
        bar.close()
    solution = _conclude(problem, candidates, options, interrupted=interrupted, keep_order=keep_order)
    return Found(solution, interrupted, problem, _responsibility(problem, solution))


def _responsibility(problem: Problem, solution: Solution) -> np.ndarray:
    return problem.layout.read_units(posterior(problem.mixture, solution.phi, problem.design).responsibility).T


def _given(problem: Problem, data: Data, start: np.ndarray | None) -> np.ndarray:
    if start is not None and not np.issubdtype(start.dtype, np.integer):
        return start
    labels = np.zeros(len(data.weight), dtype=np.int64) if start is None else start
    return from_labels(problem, data, labels)


def _short(problem: Problem, kind: str, theta: np.ndarray, options: Options) -> Candidate:
    steps = options.short_em if problem.mixture.classes > 1 else 2
    result = em(problem, theta, tol=1e-3, max_iter=steps)
    return Candidate(kind, result.theta, result.objective, result.log_likelihood, None, result.iterations)


def _search(
    problem: Problem,
    model: Model,
    options: Options,
    rng: np.random.Generator,
    candidates: list[Candidate],
    bar,
) -> None:
    """A short EM from every start; a start that fails is a row of the table, never an error."""
    bar.begin("starts", options.n_init)
    for index in range(options.n_init):
        kind, partition = SCHEDULE[index % len(SCHEDULE)]
        labels = partition(rng, model.features, model.data.weight, model.mixture.experts)
        theta = from_labels(problem, model.data, labels)
        candidates.append(_short(problem, kind, theta, options))
        bar.advance(max(c.log_likelihood for c in candidates))


def _screen(
    model: Model,
    problem: Problem,
    options: Options,
    rng: np.random.Generator,
    candidates: list[Candidate],
    bar,
) -> None:
    """Many units: search a random subset to its maxima, then evaluate each distinct one on all units."""
    alive = np.flatnonzero(model.data.weight > 0)
    units = np.sort(rng.permutation(alive)[: options.screen_units])
    part = model.data.take(units)
    ratio = model.data.weight.sum() / part.weight.sum()
    penalty = Penalty(
        model.penalty.ridge / ratio, model.penalty.lasso / ratio, model.penalty.epsilon * ratio**2
    )
    small = Problem(model.mixture, part, model.ties, penalty)
    found: list[Candidate] = []
    subset = model._replace(data=part, penalty=penalty, features=model.features[units])
    _search(small, subset, options, rng, found, bar)
    for candidate in _carry(small, found, options, bar):
        same = next((c for c in candidates if np.array_equal(c.theta, candidate.theta)), None)
        at = same or problem.expect(candidate.theta)
        candidates.append(
            candidate._replace(objective=at.objective, log_likelihood=at.log_likelihood, verdict=None)
        )


def _carry(problem: Problem, candidates: list[Candidate], options: Options, bar) -> list[Candidate]:
    """Carry the best candidates to a maximum, best first; those that follow an optimum already found count as hits."""
    if options.algorithm != "newton":
        return _carry_by_em(problem, candidates, options)
    order = sorted(range(len(candidates)), key=lambda i: -_rank(candidates[i]))
    size = np.count_nonzero(np.asarray(problem.design.weight)) * problem.ties.size
    budget = len(candidates) if size <= options.polish_size else options.carry
    result, seen = list(candidates), {}
    bar.begin("Newton", min(budget, len(candidates)))
    for index in order:
        candidate = candidates[index]
        key = candidate.theta.tobytes()
        if key in seen:
            result[index] = seen[key]._replace(kind=candidate.kind)
            continue
        if len(seen) >= budget:
            continue
        result[index] = seen[key] = _polish(problem, candidate, options)
        bar.advance(max(c.log_likelihood for c in result if c.verdict is not None))
    return result


def _rank(candidate: Candidate) -> float:
    return candidate.objective if np.isfinite(candidate.objective) else -np.inf


def _polish(problem: Problem, candidate: Candidate, options: Options) -> Candidate:
    found = newton(problem, candidate.theta, tol=options.tol, max_iter=options.max_iter)
    at = found.at
    verdict = judge(problem, at, at.information, found.converged, found.decrement)
    return Candidate(
        candidate.kind,
        at.theta,
        at.objective,
        at.log_likelihood,
        verdict,
        candidate.iterations + found.iterations,
    )


def _carry_by_em(problem: Problem, candidates: list[Candidate], options: Options) -> list[Candidate]:
    """The best candidate alone, by EM or SQUAREM to `tol` on the mean log-likelihood."""
    best = max(range(len(candidates)), key=lambda i: _rank(candidates[i]))
    driver = {"em": em, "squarem": squarem}[options.algorithm]
    total = float(np.asarray(problem.design.weight).sum())
    result = driver(problem, candidates[best].theta, tol=options.tol * total, max_iter=options.max_iter)
    done = result.change <= options.tol * total
    words = "converged by EM: the mean log-likelihood gained less than tol" if done else "EM reached max_iter"
    polished = candidates[best]._replace(
        theta=result.theta,
        objective=result.objective,
        log_likelihood=result.log_likelihood,
        verdict=Verdict(done, False, words),
        iterations=candidates[best].iterations + result.iterations,
    )
    return [polished if i == best else c for i, c in enumerate(candidates)]


def _is_same(a: Candidate, b: Candidate) -> bool:
    return abs(a.objective - b.objective) <= 0.01 * SAME * (1 + abs(a.objective))


def _best(candidates: list[Candidate]) -> Candidate:
    """The highest objective among clean maxima; else among those that are not spurious; else of all."""
    judged = [c for c in candidates if c.verdict is not None] or candidates
    tiers = (
        [c for c in judged if c.verdict is not None and c.verdict.converged],
        [c for c in judged if c.verdict is not None and not c.verdict.spurious],
        judged,
    )
    return max(next(tier for tier in tiers if tier), key=_rank)


def _table(candidates: list[Candidate]) -> tuple[Start, ...]:
    rows = []
    for candidate in candidates:
        judged = candidate.verdict is not None
        hits = sum(_is_same(candidate, other) for other in candidates if other.verdict is not None) if judged else 0
        status = candidate.verdict.status if candidate.verdict is not None else "short EM only, not carried on"
        rows.append(
            Start(
                candidate.kind, candidate.log_likelihood, candidate.objective, status, hits, candidate.iterations
            )
        )
    return tuple(rows)


def _conclude(
    problem: Problem, candidates: list[Candidate], options: Options, *, interrupted: bool, keep_order: bool
) -> Solution:
    """Order the experts, settle in the ordered parametrisation, and judge with the unpenalised information."""
    best = _best(candidates)
    theta = best.theta if keep_order else order_classes(problem, best.theta)
    if options.algorithm == "newton":
        found = newton(problem, theta, tol=options.tol, max_iter=0 if interrupted else options.max_iter)
        at, decrement, converged = found.at, found.decrement, found.converged
    else:
        at = problem.evaluate(theta)
        decrement, converged = np.nan, bool(best.verdict and best.verdict.converged)
    penalised = problem.penalty.epsilon > 0 or problem.penalty.ridge.any()
    plain = problem.evaluate_likelihood(at.theta) if penalised else at
    verdict = judge(problem, at, plain.information, converged, decrement)
    if options.algorithm != "newton" and best.verdict is not None and not verdict.spurious:
        verdict = best.verdict
    return Solution(
        at.theta,
        problem.ties.expand(at.theta),
        at.log_likelihood,
        at.objective,
        stationarity(problem, at),
        decrement,
        plain.information,
        at.class_weight,
        verdict,
        _table(candidates),
        best.iterations,
    )
