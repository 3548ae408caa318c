"""Crossing: ordered categories whose cumulative probabilities fall from one to the next in some rows, and fits that
may not.

    eta_(k+1) - eta_k = a_(k+1) - a_k + x'd_k >= 0,   d_k the difference of two cuts' slopes

for every row of the data ("barrier": the limit of one whose weight falls to 0), or for every x in the box of the
columns' ranges ("constrain"), where the least of x'd_k is m'd_k - h'|d_k|, m the middle of the ranges and h their
halves. Both sets are convex, and so is the problem for links of log-concave density.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, vstack

from mixstat.core.expert import Experts, Outcome
from mixstat.exceptions import OptionError
from mixstat.families.ordinal import Ordinal
from mixstat.fit.fused import Fused, Point, second_derivatives
from mixstat.fit.fused_model import Placed, certified
from mixstat.fit.interior import LAST, Constraints, Evaluate, Interior, interior_point
from mixstat.fit.maximize import Found, Model
from mixstat.fit.problem import Problem

MARGIN = 1e-8
"""Distance that a fit keeps from crossing, in predictors, so that rounding does not cross either."""
NEAREST, MORE = 4000, 1000
"""Constraints of rows that are looked at first, and added at a time."""
ZERO = 1e4
"""Slopes with a lasso below this many barrier weights by their price are zero."""
ROOM = 1e-4
"""Between two cuts, below which a row's category is pressed between them."""
WAYS = {"constrain": "in the ranges of the covariates", "barrier": "in the rows of the data"}


class Steps(NamedTuple):
    """eta_(k+1) - eta_k as sums of `made` (step, column, parameter) x columns `z` (column, row); column 0 is 1."""

    made: np.ndarray
    z: np.ndarray

    def values(self, x: np.ndarray) -> np.ndarray:
        """(step, row) at parameters x."""
        return (self.made @ x) @ self.z

    def over_box(self) -> Constraints:
        """For all columns within their ranges."""
        count = len(self.made)
        low, high = self.z.min(axis=1), self.z.max(axis=1)
        middle, half = (low + high) / 2, (high - low) / 2
        moving = [np.flatnonzero(step.any(axis=1) & (half > 0)) for step in self.made]
        absolute = np.zeros((count, sum(map(len, moving))))
        ends = np.cumsum([0, *map(len, moving)])
        for step, columns in enumerate(moving):
            absolute[step, ends[step] : ends[step + 1]] = half[columns]
        inner = [csr_matrix(self.made[step][columns]) for step, columns in enumerate(moving)]
        linear = np.einsum("c,kcm->km", middle, self.made)
        return Constraints(csr_matrix(linear), csr_matrix(absolute), csr_matrix(vstack(inner)), MARGIN)

    def of_rows(self, chosen: tuple[np.ndarray, ...]) -> Constraints:
        """For chosen pairs of (step, row)."""
        step, row = chosen
        size = self.made.shape[-1]
        linear = np.empty((len(row), size))
        for k in range(len(self.made)):
            linear[step == k] = self.z[:, row[step == k]].T @ self.made[k]
        return Constraints(csr_matrix(linear), csr_matrix((len(row), 0)), csr_matrix((0, size)), MARGIN)


def solve_inside(
    evaluate: Evaluate, lasso: np.ndarray, steps: Steps, way: str, inside: np.ndarray, aim: np.ndarray
) -> Interior | None:
    """The minimum that does not cross, None where `aim`, that of all, does not; `inside` does not cross either."""
    if way == "constrain":
        box = steps.over_box()
        if (box.slack(aim) >= 0).all():
            return None
        return _tidied(interior_point(evaluate, lasso, box, box.towards(inside, aim)), lasso, box)
    if steps.values(aim).min() >= MARGIN:
        return None
    return _over_rows(evaluate, lasso, steps, inside, aim)


def _over_rows(evaluate: Evaluate, lasso: np.ndarray, steps: Steps, inside: np.ndarray, aim: np.ndarray) -> Interior:
    """With the constraints that are nearest to being broken, and those that then are, until none is."""
    near = steps.values(aim)
    chosen = np.zeros(near.shape, dtype=bool)
    chosen.flat[np.argsort(near, axis=None)[:NEAREST]] = True
    while True:
        rows = steps.of_rows(np.nonzero(chosen))
        found = _tidied(interior_point(evaluate, lasso, rows, rows.towards(inside, aim)), lasso, rows)
        there = np.where(chosen, np.inf, steps.values(found.x))
        if there.min() >= 0:
            return found
        chosen.flat[np.argsort(there, axis=None)[: min(MORE, int((there < MARGIN).sum()))]] = True


def _tidied(found: Interior, lasso: np.ndarray, constraints: Constraints) -> Interior:
    """With zeros where a lasso holds a slope, if that crosses nothing."""
    held = (lasso > 0) & (np.abs(found.x) <= np.minimum(ZERO * LAST / np.maximum(lasso, 1e-300), 1e-6))
    x = np.where(held, 0.0, found.x)
    return found._replace(x=x) if (constraints.slack(x) >= -MARGIN / 2).all() else found


def uncrossed(fused: Fused, point: Point, way: str) -> Point:
    """A point of the path, moved to the minimum that does not cross."""
    cuts, shape = len(point.intercept), point.psi.shape
    parts, columns = np.nonzero(np.ones(shape))
    lasso, ridge = fused.penalties_at(point.lam)

    def split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[:cuts], x[cuts:].reshape(shape)

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        intercept, psi = split(x)
        state = fused.state_at(intercept, psi)
        by_cuts, by_psi = fused.gradient_at(state)
        hessian, cross, own = second_derivatives(state.bend, fused.build, fused.rows.z, parts, columns)
        full = np.block([[own, cross], [cross.T, hessian + np.diag(ridge.ravel())]])
        value = state.loss + 0.5 * float((ridge * psi**2).sum())
        return value, np.concatenate([by_cuts, (by_psi + ridge * psi).ravel()]), full

    def joined(intercept: np.ndarray, psi: np.ndarray) -> np.ndarray:
        return np.concatenate([intercept, psi.ravel()])

    totals = np.bincount(fused.rows.code.astype(int), fused.rows.weight, cuts + 1)
    inside = joined(fused.family.cuts_at(totals), np.zeros(shape))
    kinks = np.concatenate([np.zeros(cuts), lasso.ravel()])
    found = solve_inside(evaluate, kinks, fused_steps(fused), way, inside, joined(point.intercept, point.psi))
    if found is None:
        return point
    intercept, psi = split(found.x)
    loss = found.objective - float((lasso * np.abs(psi) + 0.5 * ridge * psi**2).sum())
    return Point(
        point.lam, intercept, psi, found.objective, loss, found.kkt, np.nan, point.iterations + found.iterations
    )


def fused_steps(fused: Fused) -> Steps:
    """By intercepts and psi."""
    cuts, parts = fused.build.shape
    columns = fused.rows.z.shape[1]
    change = np.diff(fused.build, axis=0)
    made = np.zeros((cuts - 1, 1 + columns, cuts + parts * columns))
    place = cuts + np.arange(parts * columns).reshape(parts, columns)
    for k in range(cuts - 1):
        made[k, 0, k], made[k, 0, k + 1] = -1.0, 1.0
        for part in range(parts):
            made[k, 1 + np.arange(columns), place[part]] = change[k, part]
    return Steps(made, np.vstack([np.ones(len(fused.rows.z)), fused.rows.z.T]))


def without_crossing(model: Model, place: Placed | None, found: Found, way: str) -> Found:
    """A fit that does not cross: the one found, or the maximum among those that do not."""
    crossing = [outcome for outcome in _outcomes(model) if _may_cross(outcome)]
    if not crossing:
        return found
    if model.mixture.classes > 1 or len(_outcomes(model)) > 1:
        raise OptionError(
            f"crossing={way!r} is for one ordinal regression alone; in a mixture use slopes='parallel', or "
            "crossing='rearrange'"
        )
    if place is not None:
        return _fused_without(place, found, way)
    return _general_without(model, crossing[0], found, way)


def _fused_without(place: Placed, found: Found, way: str) -> Found:
    point = place.point(found.solution)
    moved = uncrossed(place.fused, point, way)
    if moved is point:
        return found
    return certified(found.problem, place.theta(moved), moved, WAYS[way])


def _general_without(model: Model, outcome: Outcome, found: Found, way: str) -> Found:
    """By the kernels of the mixture, for what the fused path does not take."""
    problem, total = found.problem, float(model.data.weight.sum())
    penalty = model.penalty
    made = made_of(outcome, np.arange(model.mixture.size)[None], len(model.data.columns))
    if (made @ model.ties.value).any():
        raise OptionError(f"crossing={way!r} has no fixed= slopes that differ from cut to cut")

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        at = problem.evaluate(x)
        smooth = at.log_likelihood - 0.5 * penalty.ridge @ x**2
        return -smooth / total, -at.gradient / total, at.information / total

    data = model.data
    weight = data.weight if data.unit is None else data.weight[data.unit]
    steps = Steps(made @ model.ties.matrix, data.columns[:, weight > 0])
    aim = found.solution.theta
    inner = solve_inside(evaluate, penalty.lasso / total, steps, way, _inside(model, outcome), aim)
    if inner is None:
        return found
    loss = -problem.expect(inner.x).log_likelihood / total
    point = Point(np.nan, inner.x, inner.x, inner.objective, loss, inner.kkt, np.nan, inner.iterations)
    return certified(problem, inner.x, point, WAYS[way])


def _inside(model: Model, outcome: Outcome) -> np.ndarray:
    """No effects, and cuts in order."""
    data = model.data
    weight = data.weight if data.unit is None else data.weight[data.unit]
    start = outcome.family.start(data.responses[outcome.data][0], weight)
    phi = np.where(outcome.column_of == 0, start[outcome.parameter_of], 0.0)
    return model.ties.contract(phi)


def made_of(outcome: Outcome, phi: np.ndarray, columns: int) -> np.ndarray:
    """(step, column, phi) what steps are made of, by numbers (1, width) of the coefficients of one expert."""
    assert isinstance(outcome.family, Ordinal)
    steps = outcome.family.steps
    made = np.zeros((len(steps), columns, phi.size))
    for place, (parameter, column) in enumerate(zip(outcome.parameter_of, outcome.column_of, strict=True)):
        made[:, column, phi.ravel()[place]] += steps[:, parameter]
    return made


def count_crossed(problem: Problem, phi: np.ndarray) -> int:
    """Rows of the data, of positive weight, in which cumulative probabilities of some expert cross."""
    design = problem.design
    crossed: np.ndarray | None = None
    for _, steps in _steps_of_experts(problem, phi):
        found = np.concatenate([(steps @ np.asarray(block) < 0).any(axis=0) for block in design.columns])
        crossed = found if crossed is None else crossed | found
    if crossed is None:
        return 0
    return int((crossed & (row_weight(problem).ravel() > 0)).sum())


def stopped(found: Found) -> Found:
    """Where a fit ended unconverged beside a crossing, beyond which the likelihood has no value, its status says so."""
    verdict = found.solution.verdict
    if verdict.converged or not has_ordered(found.problem):
        return found
    rows = count_pressed(found.problem, found.solution.phi)
    if not rows:
        return found
    words = (
        f"the fit stops where cumulative probabilities begin to cross, at the category of {rows} rows; beyond, an "
        "expert would give them a negative probability. Use slopes='parallel', slopes='shrunken' with a penalty, or "
        "fewer experts"
    )
    verdict = verdict._replace(status=f"{words}; {verdict.status}")
    return found._replace(solution=found.solution._replace(verdict=verdict))


def count_pressed(problem: Problem, phi: np.ndarray) -> int:
    """Rows, of positive weight, to whose own category some expert gives next to no room between its cuts."""
    design = problem.design
    pressed = np.zeros(row_weight(problem).shape, dtype=bool)
    for outcome, steps in _steps_of_experts(problem, phi):
        code = np.asarray(design.responses[outcome.data])[:, 0, 0].astype(int)
        room = steps @ np.asarray(design.columns)
        own = np.take_along_axis(room, np.clip(code - 1, 0, len(steps) - 1)[:, None], axis=1)[:, 0]
        pressed |= (code > 0) & (code <= len(steps)) & (own < ROOM)
    return int((pressed & (row_weight(problem) > 0)).sum())


def row_weight(problem: Problem) -> np.ndarray:
    """(block, row) weights of the rows' units."""
    weight, unit = np.asarray(problem.design.weight), problem.design.unit
    return weight if unit is None else np.take_along_axis(weight, np.asarray(unit), axis=1)


def has_ordered(problem: Problem) -> bool:
    """Whether an expert has ordered categories."""
    return any(isinstance(o.family, Ordinal) for group in problem.mixture.groups for o in group.outcomes)


def _steps_of_experts(problem: Problem, phi: np.ndarray) -> Iterator[tuple[Outcome, np.ndarray]]:
    """The outcome and (step, column) of each expert whose probabilities may cross."""
    columns = problem.design.columns.shape[1]
    for group, part in zip(problem.mixture.groups, problem.mixture.split(phi)[0], strict=True):
        for outcome, coefficients in zip(group.outcomes, group.split(part), strict=True):
            if _may_cross(outcome):
                made = made_of(outcome, np.arange(outcome.width)[None], columns)
                yield from ((outcome, made @ own) for own in coefficients.reshape(-1, outcome.width))


def _outcomes(model: Model) -> list[Outcome]:
    groups: tuple[Experts, ...] = model.mixture.groups
    return [outcome for group in groups for outcome in group.outcomes]


def _may_cross(outcome: Outcome) -> bool:
    return isinstance(outcome.family, Ordinal) and outcome.family.may_cross
