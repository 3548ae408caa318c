"""Fused models: one ordinal expert with penalised slopes is maximised by the fused path, which certifies its points.

There is no information: standard errors of penalised slopes would be naive.
"""

from typing import NamedTuple

import numpy as np

from mixstat.families.ordinal import Ordinal
from mixstat.families.ordinal.form import DIFFERENCE
from mixstat.fit.fused import Fused, Point, Rows, Shrinkage
from mixstat.fit.maximize import Found, Model
from mixstat.fit.problem import Problem
from mixstat.fit.solution import Solution, Start, Verdict

CERTIFIED = 1e-8
"""KKT residual up to which a point counts as the optimum."""
FEW = 200
"""Slopes that need no longer path to their penalty."""
CONVEX = ("logit", "probit", "cloglog", "loglog")
"""Links of a log-concave density."""


class Placed(NamedTuple):
    """A fused problem, its lam, where its parts stand in theta: `cuts` (cut,), `slopes` (part, column), which rows of
    the data are its own: `used` (row,), and the means of their columns, at which its columns are centred."""

    fused: Fused
    lam: float
    cuts: np.ndarray
    slopes: np.ndarray
    used: np.ndarray
    centre: np.ndarray

    def theta(self, point: Point) -> np.ndarray:
        """Free parameters; slopes of the house are those of high categories, the path's those of low ones."""
        theta = np.zeros(len(self.cuts) + self.slopes.size)
        theta[self.cuts] = point.intercept - (self.fused.build @ point.psi) @ self.centre
        theta[self.slopes] = -point.psi
        return theta

    def point(self, solution: Solution) -> Point:
        """The point that a solution of `maximize_fused` stands for."""
        assert solution.certificate is not None
        psi = -solution.theta[self.slopes]
        intercept = solution.theta[self.cuts] + (self.fused.build @ psi) @ self.centre
        objective, kkt, gap = solution.certificate
        return Point(self.lam, intercept, psi, objective, np.nan, kkt, gap, solution.iterations)


def placed(model: Model) -> Placed | None:
    """The fused problem of a model, or None where it is of another form.

    It is one ordinal expert without a scale, with a link of log-concave density and penalised slopes, nothing shared
    or fixed but what has no intercept, and without offsets.
    """
    mixture, data = model.mixture, model.data
    if mixture.classes != 1 or len(mixture.groups) != 1 or len(mixture.groups[0].outcomes) != 1:
        return None
    outcome = mixture.groups[0].outcomes[0]
    family = outcome.family
    if not isinstance(family, Ordinal) or family.scaled or family.link not in CONVEX:
        return None
    if data.offsets.any() or not (model.penalty.lasso + model.penalty.ridge).any():
        return None
    ends = np.cumsum([len(columns) for columns in outcome.columns])
    index = np.split(model.ties.index, ends)[: len(outcome.columns)]
    slopes, cuts = index[: -family.cuts], np.concatenate(index[-family.cuts :])
    columns = {tuple(places) for places in outcome.columns[: -family.cuts]}
    if len(cuts) != family.cuts or len(columns) != 1 or cuts.min() < 0 or not model.ties.is_injective:
        return None
    free = np.array(slopes) >= 0
    kept = np.flatnonzero(free.all(axis=0))
    if model.ties.value.any() or not np.array_equal(free.any(axis=0), free.all(axis=0)) or 0 in kept:
        return None
    places = np.array(slopes)[:, kept]
    lasso, ridge = model.penalty.lasso[places], model.penalty.ridge[places]
    total, shares = lasso + ridge, lasso.sum() / (lasso + ridge).sum()
    if not np.allclose(lasso, shares * total, rtol=1e-12, atol=0.0):
        return None
    rows, used, centre, weight = _rows(model, outcome.data, np.array(next(iter(columns)))[kept])
    lam = float(total.max()) / weight
    bare = Ordinal(levels=family.levels, kind=family.kind, link=family.link, common=False)
    fused = Fused(bare, rows, _build(family), Shrinkage(float(shares), total / weight / lam))
    return Placed(fused, lam, cuts, places, used, centre)


def maximize_fused(model: Model, place: Placed) -> Found:
    """The penalised maximum as the house's solution, with the certificate as its status."""
    problem = Problem(model.mixture, model.data, model.ties, model.penalty)
    point = place.fused.path(_approach(place))[-1]
    return certified(problem, place.theta(point), point)


def certified(problem: Problem, theta: np.ndarray, point: Point, where: str = "") -> Found:
    """A point as the house's solution; `where` its cuts are held from crossing."""
    at = problem.expect(theta)
    start = Start("path", at.log_likelihood, at.objective, "converged", 1, point.iterations)
    solution = Solution(
        theta,
        problem.ties.expand(theta),
        at.log_likelihood,
        at.objective,
        None,
        np.nan,
        None,
        np.array([float(np.asarray(problem.design.weight).sum())]),
        Verdict(point.kkt <= CERTIFIED, False, _words(problem, point, where), 0.0),
        (start,),
        point.iterations,
        certificate=(point.objective, point.kkt, point.gap),
    )
    return Found(solution, False, problem)


def _approach(place: Placed) -> list[float]:
    """Penalties that lead to the one asked for, by factors of 2 at most; of few slopes, its double alone."""
    if place.slopes.size <= FEW:
        return [2 * place.lam, place.lam]
    largest = place.fused.largest()
    steps = int(np.ceil(np.log2(max(largest / place.lam, 1.0))))
    return [*(largest * 0.5**step for step in range(1, steps)), place.lam]


def _words(problem: Problem, point: Point, where: str) -> str:
    gap = "" if np.isnan(point.gap) else f", duality gap {max(point.gap, 0.0):.1e}"
    penalised = "penalised " if (problem.penalty.lasso + problem.penalty.ridge).any() else ""
    held = f" among fits whose cumulative probabilities cross nowhere {where}" if where else ""
    if point.kkt <= CERTIFIED:
        return f"converged: the {penalised}maximum{held}, KKT residual {point.kkt:.1e}{gap}"
    return f"not converged{held}: KKT residual {point.kkt:.1e}{gap}; a larger penalty is easier"


def _rows(model: Model, response: int, columns: np.ndarray) -> tuple[Rows, np.ndarray, np.ndarray, float]:
    """The rows that count, centred, with weights that sum to 1; which they are; the centre; the total weight."""
    data = model.data
    weight = data.weight if data.unit is None else data.weight[data.unit]
    seen = data.observed[response]
    used = weight > 0 if seen is None else (weight > 0) & np.asarray(seen, dtype=bool).reshape(len(weight))
    total = float(data.weight.sum())
    z = (data.columns[columns] if used.all() else data.columns[np.ix_(columns, np.flatnonzero(used))]).T
    code, share = data.responses[response].reshape(-1, len(used))[0, used], weight[used] / total
    centre = share @ z / share.sum()
    z -= centre
    return Rows(z, code, share), used, centre, total


def _build(family: Ordinal) -> np.ndarray:
    """T (cut, part): which penalised vectors each cut's slopes are the sum of."""
    size = family.cuts
    own = np.tril(np.ones((size, size))) if family.own == DIFFERENCE else np.eye(size)
    return np.hstack([np.ones((size, int(family.common))), own if family.own else np.zeros((size, 0))])
