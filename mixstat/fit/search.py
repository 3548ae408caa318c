"""Search: a short EM from every start, then the best carried to maxima; interruptible, nothing found is lost.

A start whose path comes near a maximum already found (squared distance below JOIN in the metric of its information,
which is twice the gap of log-likelihood there) belongs to that maximum and is not followed further.
"""

from typing import NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.fit.around import around, one_class
from mixstat.fit.em import em
from mixstat.fit.initial import from_labels, variants
from mixstat.fit.newton import newton
from mixstat.fit.options import Options
from mixstat.fit.order import Order
from mixstat.fit.problem import Evaluation, Problem
from mixstat.fit.progress import Progress
from mixstat.fit.solution import Start, Verdict
from mixstat.fit.starts import AROUND, PARTITIONS, REPEATED_SCHEDULE, SCHEDULE, features
from mixstat.fit.verdict import degeneracies, judge

JOIN = 0.1
MOMENTS = "moments"
"""Kind of the starts of one expert."""
GIVEN, FITTED = "given partition", "given parameters"
"""Kinds of starts that the user gave, as labels or as a fitted model."""


class Candidate(NamedTuple):
    """A start after its short EM; `optimum` is the place of its maximum in `Search.optima`, or -1."""

    kind: str
    theta: np.ndarray
    objective: float
    log_likelihood: float
    iterations: int
    optimum: int = -1


class Optimum(NamedTuple):
    """A point where Newton stopped, whether it converged there, and the verdict (a spike may be a maximum too)."""

    at: Evaluation
    decrement: float
    converged: bool
    verdict: Verdict


class Search:
    """The candidates and optima of one problem."""

    def __init__(self, problem: Problem, options: Options, bar: Progress, order: Order):
        self.problem, self.options, self.bar, self.order = problem, options, bar, order
        self.candidates: list[Candidate] = []
        self.optima: list[Optimum] = []

    def begin(self, kind: str, theta: np.ndarray) -> None:
        """A short EM from `theta`. A start that the user gave has no rival, so that it is only noted down."""
        if kind in (GIVEN, FITTED):
            self.candidates.append(Candidate(kind, theta, np.nan, np.nan, 0))
            return
        steps = self.options.short_em if self.problem.mixture.classes > 1 else 2
        result = em(self.problem, theta, tol=self.options.short_tol, max_iter=steps)
        self.candidates.append(
            Candidate(kind, result.theta, result.objective, result.log_likelihood, result.iterations)
        )

    def begin_all(self, data: Data, rng: np.random.Generator) -> None:
        """All starts in turn. One that fails has a log-likelihood of nan in the table and is no error."""
        if self.problem.mixture.classes == 1:
            everybody = np.zeros(len(data.weight), dtype=np.int64)
            for variant in range(variants(self.problem.mixture, data)):
                self.begin(MOMENTS, from_labels(self.problem, data, everybody, variant=variant))
            return
        points = features(self.problem.mixture, data)
        several = self.problem.dear and self.options.n_init > 1
        one = one_class(self.problem, data) if several else None
        schedule = REPEATED_SCHEDULE if one else SCHEDULE
        self.bar.begin("starts", self.options.n_init)
        for index in range(self.options.n_init):
            kind = schedule[index % len(schedule)]
            if one and kind == AROUND:
                theta = around(one, self.problem, rng)
            else:
                labels = PARTITIONS[kind](rng, points, data.weight, self.problem.mixture.experts)
                theta = from_labels(self.problem, data, labels, variant=index)
            self.begin(kind, theta)
            self.bar.advance(self.best_log_likelihood)

    def carry(self, budget: int) -> None:
        """Follow the best `budget` candidates to maxima; the others are only recognised near one already found."""
        ranked = sorted(range(len(self.candidates)), key=lambda i: -rank(self.candidates[i].objective))
        self.bar.begin("Newton", len(ranked))
        for place, index in enumerate(ranked):
            self.bar.advance(self.best_log_likelihood)
            candidate = self.candidates[index]
            theta = self.order.canonical(candidate.theta)
            home = self.near(theta, candidate.objective)
            steps = 0
            if home < 0:
                if place >= budget:
                    continue
                home, steps = self._follow(theta, candidate.kind)
            best = self.optima[home].at
            self.candidates[index] = candidate._replace(
                theta=best.theta,
                objective=best.objective,
                log_likelihood=best.log_likelihood,
                iterations=candidate.iterations + steps,
                optimum=home,
            )

    def _follow(self, theta: np.ndarray, kind: str) -> tuple[int, int]:
        """Some EM, then Newton, until it stops or joins a known optimum: (its place, steps)."""
        joined: list[int] = []

        def join(at: Evaluation) -> bool:
            place = self.near(self.order.canonical(at.theta), at.objective)
            joined.append(place)
            return place >= 0 or bool(degeneracies(self.problem, at.theta))

        options, warming = self.options, 0
        if kind != FITTED and self.problem.mixture.classes > 1:
            longer = em(self.problem, theta, tol=options.short_tol, max_iter=options.longer_em)
            theta, warming = longer.theta, longer.iterations
        found = newton(self.problem, theta, tol=options.tol, max_iter=options.max_iter, stop=join)
        steps = warming + found.iterations
        if joined and joined[-1] >= 0:
            return joined[-1], steps
        at = found.at._replace(theta=self.order.canonical(found.at.theta))
        if not np.array_equal(at.theta, found.at.theta):
            at = self.problem.evaluate(at.theta)
        known = -1 if found.converged else self._same_end(at.objective)
        if known >= 0:
            return known, steps
        verdict = judge(self.problem, at, at.information, found.converged, found.decrement)
        self.optima.append(Optimum(at, found.decrement, found.converged, verdict))
        return len(self.optima) - 1, steps

    def near(self, theta: np.ndarray, objective: float) -> int:
        """The known converged optimum in whose neighbourhood `theta` lies, or -1."""
        for place, optimum in enumerate(self.optima):
            gap = theta - optimum.at.theta
            close = abs(optimum.at.objective - objective) < JOIN
            if close and optimum.converged and gap @ optimum.at.information @ gap < JOIN:
                return place
        return -1

    def _same_end(self, objective: float) -> int:
        """The known end of an unconverged path (a boundary at infinity) with this objective, or -1."""
        for place, optimum in enumerate(self.optima):
            if not optimum.converged and abs(optimum.at.objective - objective) < 1e-6 * (1 + abs(objective)):
                return place
        return -1

    @property
    def best_log_likelihood(self) -> float:
        return max((c.log_likelihood for c in self.candidates if np.isfinite(c.log_likelihood)), default=np.nan)

    def best(self) -> Candidate:
        """The highest objective among ends that are not spurious, else of all; a certified maximum wins a tie."""
        judged = [c for c in self.candidates if c.optimum >= 0] or self.candidates
        sound = [c for c in judged if c.optimum < 0 or not self.optima[c.optimum].verdict.spurious] or judged
        top = max(rank(c.objective) for c in sound)
        ties = [c for c in sound if rank(c.objective) >= top - 1e-6 * (1 + abs(top))]
        certified = [c for c in ties if c.optimum >= 0 and self.optima[c.optimum].converged]
        return max(certified or ties, key=lambda c: rank(c.objective))

    def table(self) -> tuple[Start, ...]:
        """One row a start; `hits` counts the starts of the same optimum."""
        homes = [candidate.optimum for candidate in self.candidates]
        return tuple(
            Start(
                c.kind,
                c.log_likelihood,
                c.objective,
                self.optima[c.optimum].verdict.status if c.optimum >= 0 else "short EM only, not carried on",
                homes.count(c.optimum) if c.optimum >= 0 else 0,
                c.iterations,
            )
            for c in self.candidates
        )


def rank(objective: float) -> float:
    """A key that puts failed starts last."""
    return objective if np.isfinite(objective) else -np.inf
