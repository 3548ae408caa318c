"""maximize: from data to a Solution. Starts, a short EM on all, the best carried to a maximum, a verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
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
from mixstat.fit.scores import score_products
from mixstat.fit.search import FITTED, GIVEN, Candidate, Search
from mixstat.fit.softening import JUMPS, follow, over_jumps, settled, softened, stages
from mixstat.fit.solution import Solution, Start
from mixstat.fit.ties import Ties
from mixstat.fit.verdict import judge, judge_em

FRACTIONS = tuple(sign * size for size in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0) for sign in (-1, 1))
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
    return Found(_conclude(search, starts or search.table(), _smooth(model, problem)), interrupted, problem)


def _smooth(model: Model, problem: Problem) -> Problem:
    """The problem whose curvature and scores tell of uncertainty: the same, or with the smoothest likelihood."""
    if not stages(model.mixture):
        return problem
    return Problem(model.mixture, softened(model.mixture, model.data, 0), model.ties, model.penalty)


def _run(model: Model, search: Search, rng: np.random.Generator, start: np.ndarray | None) -> tuple[Start, ...]:
    """Fill the search; the table of starts."""
    if start is None:
        return _sharpen(model, search, rng) if stages(model.mixture) else _explore(model, search, rng)
    search.begin(*_given(search.problem, model.data, start))
    return _carry(model, search)


def _explore(model: Model, search: Search, rng: np.random.Generator) -> tuple[Start, ...]:
    options, units = search.options, len(model.data.weight)
    single = model.mixture.classes == 1 and variants(model.mixture, model.data) == 1
    if single:
        search.begin_all(model.data, rng)
    elif units * _occasions(model) > options.screen_above:
        return _screen(model, search, rng)
    else:
        search.begin_all(model.data, rng)
    return _carry(model, search)


def _carry(model: Model, search: Search) -> tuple[Start, ...]:
    if search.options.algorithm == "newton":
        search.carry(search.options.carried(len(model.data.weight) * search.problem.ties.size))
    return search.table()


def _sharpen(model: Model, search: Search, rng: np.random.Generator) -> tuple[Start, ...]:
    """A likelihood that jumps: search the smoothest one, and follow its maxima."""
    smooth = model._replace(data=softened(model.mixture, model.data, 0))
    small = Search(_smooth(model, search.problem), search.options, search.bar, search.order)
    with _kept(small, search):
        _explore(smooth, small, rng)
        found = [optimum.at.theta for optimum in small.optima] or [small.best().theta]
        found = follow(search.problem, model.data, found, search.options)
    _hand_over(found, search)
    if search.options.algorithm == "newton":
        search.carry(len(found))
    return _screened_table(small, search, "short EM only, not carried on")


@contextmanager
def _kept(small: Search, search: Search) -> Iterator[None]:
    """What another search has found is handed over if it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        _hand_over([small.best().theta] if small.candidates else [], search)
        raise


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
    with _kept(small, search):
        small.begin_all(part, rng)
        small.carry(options.carried(0))
    _hand_over([optimum.at.theta for optimum in small.optima] or [small.best().theta], search)
    if options.algorithm == "newton":
        search.carry(options.carry_large)
    return _screened_table(small, search, "short EM on a subset, not carried on")


def _hand_over(found: list[np.ndarray], search: Search) -> None:
    """What another search has found as candidates of this one."""
    for theta in found:
        at = search.problem.expect(theta)
        search.candidates.append(Candidate("subset", at.theta, at.objective, at.log_likelihood, 0))


def _screened_table(small: Search, search: Search, words: str) -> tuple[Start, ...]:
    """The starts of another search with what their optimum became in this one; `words` are for those without."""
    full = search.table()
    homes = [search.candidates[c.optimum].optimum if c.optimum >= 0 else -1 for c in small.candidates]
    rows = []
    for candidate, home in zip(small.candidates, homes, strict=True):
        if candidate.optimum < 0:
            at = search.problem.expect(candidate.theta)
            rows.append(Start(candidate.kind, at.log_likelihood, at.objective, words, 0, candidate.iterations))
            continue
        row = full[candidate.optimum]
        hits = homes.count(home) if home >= 0 else 0
        rows.append(row._replace(kind=candidate.kind, hits=hits, iterations=row.iterations + candidate.iterations))
    return tuple(rows)


def _conclude(search: Search, starts: tuple[Start, ...], smooth: Problem) -> Solution:
    """The best optimum (after an interrupt perhaps only the best start), judged by the unpenalised information of the
    `smooth` problem."""
    if search.options.algorithm != "newton":
        return _conclude_em(search, starts)
    problem, best = search.problem, search.best()
    if best.optimum >= 0:
        at, decrement, converged, _ = search.optima[best.optimum]
        if converged:
            at, decrement, converged = over_kinks(problem, at, decrement, search.options)
        if converged and smooth is not problem:
            at, decrement, converged = over_jumps(problem, smooth, (at, decrement, converged), search.options)
    else:
        found = newton(problem, search.order.canonical(best.theta), tol=search.options.tol, max_iter=0)
        at, decrement, converged = found.at, found.decrement, found.converged
    limited = at_limits(problem, at, decrement, converged, search.options)
    at, decrement = limited.at, limited.decrement
    penalised = problem.penalty.epsilon > 0 or problem.penalty.ridge.any()
    where = at.theta if smooth is problem else settled(smooth, at.theta, search.options)
    plain = smooth.evaluate_likelihood(where) if penalised or smooth is not problem else at
    held = limited.held | problem.penalty.zeroed(at.theta)
    free = np.outer(~held, ~held)
    information = plain.information * free
    words = (*limited.words, *([JUMPS] if smooth is not problem else []))
    return Solution(
        at.theta,
        problem.ties.expand(at.theta),
        at.log_likelihood,
        at.objective,
        stationarity(problem, at),
        decrement,
        information,
        at.class_weight,
        judge(problem, at, information, limited.converged, decrement, held, words),
        _led_on(starts, best.objective, at),
        best.iterations,
        free * score_products(smooth, where) if _is_approximate(problem) else None,
    )


def _led_on(starts: tuple[Start, ...], objective: float, at: Evaluation) -> tuple[Start, ...]:
    """The table of starts: those that reached the best optimum of the search are led on to where it was carried."""
    return tuple(
        s._replace(log_likelihood=at.log_likelihood, objective=at.objective)
        if s.hits and s.objective == objective
        else s
        for s in starts
    )


def _is_approximate(problem: Problem) -> bool:
    outcomes = [outcome for group in problem.mixture.groups for outcome in group.outcomes]
    return any(outcome.family.approximate for outcome in outcomes)


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
