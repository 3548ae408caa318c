"""maximize: from data to a Solution. Starts, a short EM on all, the best carried to a maximum, a verdict."""

from typing import NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.core.mixture import Mixture
from mixstat.fit.em import em, squarem
from mixstat.fit.initial import from_labels, variants
from mixstat.fit.limits import at_limits
from mixstat.fit.linear_algebra import invert
from mixstat.fit.newton import newton, stationarity
from mixstat.fit.options import Options
from mixstat.fit.order import Order
from mixstat.fit.penalty import Penalty
from mixstat.fit.problem import Evaluation, Problem
from mixstat.fit.progress import progress
from mixstat.fit.search import FITTED, GIVEN, Candidate, Search
from mixstat.fit.solution import Solution, Start
from mixstat.fit.ties import Ties
from mixstat.fit.verdict import judge, judge_em

FRACTIONS = (-0.5, -0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3, 0.5)
ROUNDS = 6


class Model(NamedTuple):
    """What is maximised."""

    mixture: Mixture
    data: Data
    ties: Ties
    penalty: Penalty

    def weighted(self, factor: float) -> "Model":
        """The same model with weights `factor` times as large."""
        data = self.data._replace(weight=self.data.weight * factor)
        return self._replace(data=data, penalty=self.penalty.weighted(factor))


class Found(NamedTuple):
    """A solution, whether the search was interrupted, and the problem."""

    solution: Solution
    interrupted: bool
    problem: Problem


def maximize(
    model: Model,
    options: Options,
    rng: np.random.Generator,
    *,
    start: np.ndarray | None = None,
    keep_order: bool = False,
) -> Found:
    """Search from many starts, or from `start` alone: theta, or labels (unit,) of integers.

    Tolerances take the units that have weight to weigh about 1 on average.

    `keep_order` leaves the experts as they are numbered (classes are partly known). An interrupt returns the best
    point so far, or is passed on where there is none yet.
    """
    problem = Problem(model.mixture, model.data, model.ties, model.penalty)
    bar = progress(options)
    search = Search(problem, options, bar, Order(problem, keep_order))
    interrupted, starts = False, None
    try:
        starts = _run(model, search, rng, start)
    except KeyboardInterrupt:
        interrupted = True
        if not search.candidates:
            raise
    finally:
        bar.close()
    return Found(_conclude(search, starts or search.table()), interrupted, problem)


def _run(model: Model, search: Search, rng: np.random.Generator, start: np.ndarray | None) -> tuple[Start, ...]:
    """Fill the search; the table of starts."""
    options, units = search.options, len(model.data.weight)
    single = model.mixture.classes == 1 and variants(model.mixture, model.data) == 1
    if start is not None:
        search.begin(*_given(search.problem, model.data, start))
    elif single:
        search.begin_all(model.data, rng)
    elif units * _occasions(model) > options.screen_above:
        return _screen(model, search, rng)
    else:
        search.begin_all(model.data, rng)
    if options.algorithm != "newton":
        return search.table()
    search.carry(options.carried(units * search.problem.ties.size))
    return search.table()


def _occasions(model: Model) -> int:
    """Most observations of a row of the design: 1, or those of a subject with repeated measurements."""
    outcomes = [outcome for group in model.mixture.groups for outcome in group.outcomes]
    repeated = [o.family.drawn(model.data.responses[o.data][0]) for o in outcomes if o.family.repeated]
    return max(repeated, default=1)


def _given(problem: Problem, data: Data, start: np.ndarray) -> tuple[str, np.ndarray]:
    """(kind, theta) of the only start: the user's parameters or partition."""
    if np.issubdtype(start.dtype, np.integer):
        return GIVEN, from_labels(problem, data, start)
    return FITTED, start


def _screen(model: Model, search: Search, rng: np.random.Generator) -> tuple[Start, ...]:
    """Many units: search a random subset to its maxima; evaluate each on all units, carry the best on.

    The table shows each start's log-likelihood on all units.
    """
    options = search.options
    alive = np.flatnonzero(model.data.weight > 0)
    size = options.screen_units if _occasions(model) == 1 else options.screen_subjects
    units = np.sort(rng.permutation(alive)[:size])
    part = model.data.take(units)
    ratio = model.data.weight.sum() / part.weight.sum()
    old = model.penalty
    penalty = Penalty(old.ridge / ratio, old.lasso / ratio, old.epsilon * ratio**2)
    small = Search(
        Problem(model.mixture, part, model.ties, penalty),
        options,
        search.bar,
        Order(search.problem, search.order.keep),
    )
    try:
        small.begin_all(part, rng)
        small.carry(options.carried(0))
    except KeyboardInterrupt:
        _hand_over([small.best().theta] if small.candidates else [], search)
        raise
    _hand_over([optimum.at.theta for optimum in small.optima] or [small.best().theta], search)
    if options.algorithm == "newton":
        search.carry(options.carry_large)
    return _screened_table(small, search)


def _hand_over(found: list[np.ndarray], search: Search) -> None:
    """What was found on a subset as candidates on all units."""
    for theta in found:
        at = search.problem.expect(theta)
        search.candidates.append(Candidate("subset", at.theta, at.objective, at.log_likelihood, 0))


def _screened_table(small: Search, search: Search) -> tuple[Start, ...]:
    """The subset's starts with what their optimum became on all units."""
    full = search.table()
    homes = [search.candidates[c.optimum].optimum if c.optimum >= 0 else -1 for c in small.candidates]
    rows = []
    for candidate, home in zip(small.candidates, homes, strict=True):
        if candidate.optimum < 0:
            at = search.problem.expect(candidate.theta)
            words = "short EM on a subset, not carried on"
            rows.append(Start(candidate.kind, at.log_likelihood, at.objective, words, 0, candidate.iterations))
            continue
        row = full[candidate.optimum]
        hits = homes.count(home) if home >= 0 else 0
        rows.append(row._replace(kind=candidate.kind, hits=hits, iterations=row.iterations + candidate.iterations))
    return tuple(rows)


def _conclude(search: Search, starts: tuple[Start, ...]) -> Solution:
    """The best optimum (after an interrupt perhaps only the best start), judged by the unpenalised information."""
    if search.options.algorithm != "newton":
        return _conclude_em(search, starts)
    problem, best = search.problem, search.best()
    if best.optimum >= 0:
        at, decrement, converged, _ = search.optima[best.optimum]
        if converged:
            at, decrement, converged = over_kinks(problem, at, decrement, search.options)
    else:
        found = newton(problem, search.order.canonical(best.theta), tol=search.options.tol, max_iter=0)
        at, decrement, converged = found.at, found.decrement, found.converged
    limited = at_limits(problem, at, decrement, converged, search.options)
    at, decrement = limited.at, limited.decrement
    penalised = problem.penalty.epsilon > 0 or problem.penalty.ridge.any()
    plain = problem.evaluate_likelihood(at.theta) if penalised else at
    information = plain.information * np.outer(~limited.held, ~limited.held)
    return Solution(
        at.theta,
        problem.ties.expand(at.theta),
        at.log_likelihood,
        at.objective,
        stationarity(problem, at),
        decrement,
        information,
        at.class_weight,
        judge(problem, at, information, limited.converged, decrement, limited.held, limited.words),
        starts,
        best.iterations,
    )


def over_kinks(problem: Problem, at: Evaluation, decrement: float, options: Options) -> tuple[Evaluation, float, bool]:
    """The highest of the many maxima that a likelihood with kinks has near one: (where, decrement, converged).

    From each maximum the kinked parameters are moved by fractions of a standard error, the others with them along the
    profile; where the objective is higher, Newton goes on.
    """
    for _ in range(ROUNDS if len(problem.kinks) else 0):
        covariance = np.nan_to_num(invert(at.information)[0])
        moves = [covariance[place] / np.sqrt(max(covariance[place, place], 1e-300)) for place in problem.kinks]
        trials = [at.theta + step * move for move in moves for step in FRACTIONS]
        values = [problem.expect(theta).objective for theta in trials]
        if not max(values) > at.objective + 1e-9 * (1 + abs(at.objective)):
            break
        found = newton(problem, trials[int(np.argmax(values))], tol=options.tol, max_iter=options.max_iter)
        if not (found.converged and found.at.objective > at.objective):
            break
        at, decrement = found.at, found.decrement
    return at, decrement, True


def _conclude_em(search: Search, starts: tuple[Start, ...]) -> Solution:
    """EM or SQUAREM from the best start until the mean log-likelihood gains less than `tol`; no information."""
    problem, options, best = search.problem, search.options, search.best()
    total = float(np.asarray(problem.design.weight).sum())
    driver = {"em": em, "squarem": squarem}[options.algorithm]
    result = driver(problem, best.theta, tol=options.tol * total, max_iter=options.max_iter)
    verdict = judge_em(problem, result.theta, result.class_weight, result.change <= options.tol * total)
    theta = search.order.canonical(result.theta)
    order = search.order.permutation(result.theta)
    return Solution(
        theta,
        problem.ties.expand(theta),
        result.log_likelihood,
        result.objective,
        None,
        np.nan,
        None,
        result.class_weight[order],
        verdict,
        starts,
        best.iterations + result.iterations,
    )
