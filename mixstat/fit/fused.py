"""Fused paths: ordinal models whose slopes are built of penalised parts, along a path of penalties.

    Q(a, psi) = -(1/W) sum_i w_i log f(y_i | eta_i) + lam sum_mj c_mj [rho |psi_mj| + (1 - rho) psi_mj^2 / 2]
    eta_ik = a_k + sum_m T_km z_i' psi_m

With T the lower triangle of ones, slopes change from cut to cut by differences psi_2, psi_3, ... (Faletto and Bien,
2023, ICML); one column of ones are parallel slopes, the identity separate ones, both side by side a common vector and
what each cut departs from it. Each point of the path is found by proximal Newton steps on a working set: the quadratic
model with its kinks by coordinate descent and, once signs settle, one factorisation; a step that lets cuts cross
between which somebody is has an infinite loss and is halved. A point carries its certificate: the KKT residual and, for
the logistic lasso, the duality gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import xlogy

from mixstat.core.design import bucket
from mixstat.families.ordinal import Ordinal

NEWTON, SWEEPS, HALVINGS = 60, 200, 40
EXACT = 1e-14
"""Tolerance of the null model, from which the largest lam follows."""
ROUNDING = 1e-21
"""Predicted decrease, relative to the objective, that is none."""
SUFFICIENT = 1e-4
"""Share of the predicted decrease that a step has to bring."""
NOTHING = 1e-12
"""What a duality gap may be below 0 by rounding."""
SETTLED = 2
"""Sweeps without a change of sign after which the active set is solved at once."""


class Rows(NamedTuple):
    """Data of a fit: standardised columns z (row, column), each best contiguous; codes 0, 1, ... and weights (row,)
    that sum to 1."""

    z: np.ndarray
    code: np.ndarray
    weight: np.ndarray


class Shrinkage(NamedTuple):
    """The penalty apart from lam: rho, and factors c (part, column)."""

    rho: float
    factor: np.ndarray


class Point(NamedTuple):
    """A solution on the standardised scale, with what certifies it.

    `intercept` (cut,), `psi` (part, column), `loss` the mean loss without the penalty. `gap` is NaN where the dual is
    not known.
    """

    lam: float
    intercept: np.ndarray
    psi: np.ndarray
    objective: float
    loss: float
    kkt: float
    gap: float
    iterations: int


class _State(NamedTuple):
    """A point with its loss, predictors (cut, row) and derivatives of the loss by them (cut, row), (cut, cut, row)."""

    intercept: np.ndarray
    psi: np.ndarray
    loss: float
    eta: np.ndarray
    slope: np.ndarray
    bend: np.ndarray


@dataclass(frozen=True)
class Fused:
    """A problem: its law, whose predictors are the cuts alone, its rows, and T (cut, part)."""

    family: Ordinal
    rows: Rows
    build: np.ndarray
    shrinkage: Shrinkage
    tol: float = 1e-11

    def null(self) -> Point:
        """No effects: what the path begins with."""
        totals = np.bincount(self.rows.code.astype(int), self.rows.weight, len(self.family.levels))
        start = self.family.cuts_at(totals)
        zero = np.zeros_like(self.shrinkage.factor)
        return replace(self, tol=min(self.tol, EXACT)).solve(np.inf, _Warm(start, zero))

    def largest(self) -> float:
        """The least lam at which no penalised coefficient moves (with unpenalised ones at their maximum)."""
        null = self.null()
        gradient = self.gradient_at(self.state_at(null.intercept, null.psi))[1]
        factor = self.shrinkage.factor
        penalised = factor > 0
        if not penalised.any():
            return 0.0
        return float((np.abs(gradient[penalised]) / factor[penalised]).max() / max(self.shrinkage.rho, 0.01))

    def path(self, lams: Sequence[float] | np.ndarray) -> list[Point]:
        """Solutions for decreasing lams, each from the one before."""
        points: list[Point] = []
        last = self.null()
        for lam in lams:
            last = self.solve(float(lam), _Warm(last.intercept, last.psi), before=last.lam)
            points.append(last)
        return points

    def solve(self, lam: float, warm: "_Warm", *, before: float = np.inf) -> Point:
        """The minimiser at `lam` from a warm start; `before` is the lam that this solves, for the strong rule."""
        state = self.state_at(*warm)
        working = self._screen(state, lam, before)
        iteration = 0
        while iteration < NEWTON:
            iteration += 1
            intercepts, gradient = self.gradient_at(state)
            residual = self._residual(state, intercepts, gradient, lam)
            worst = max(float(np.abs(intercepts).max()), float(residual.max(initial=0.0)))
            if worst <= self.tol:
                break
            working |= residual > self.tol
            following = self._step(state, working, intercepts, gradient, lam)
            if following is None:
                break
            state = following
        return self._point(state, lam, iteration)

    def _screen(self, state: _State, lam: float, before: float) -> np.ndarray:
        """Coordinates that may move: those that have, and by the strong rule (Tibshirani et al., 2012, JRSS-B 74)."""
        factor, rho = self.shrinkage.factor, self.shrinkage.rho
        free = (factor == 0) | (state.psi != 0)
        if np.isinf(lam):
            return factor == 0
        if rho == 0 or np.isinf(before):
            return free | (rho == 0)
        gradient = self.gradient_at(state)[1]
        return free | (np.abs(gradient) >= factor * rho * (2 * lam - before))

    def penalties_at(self, lam: float) -> tuple[np.ndarray, np.ndarray]:
        """Lasso and ridge weights (part, column); an infinite lam leaves penalised coefficients at 0."""
        if np.isinf(lam):
            return np.where(self.shrinkage.factor > 0, np.inf, 0.0), np.zeros_like(self.shrinkage.factor)
        return lam * self.shrinkage.rho * self.shrinkage.factor, lam * (1 - self.shrinkage.rho) * self.shrinkage.factor

    def state_at(self, intercept: np.ndarray, psi: np.ndarray) -> _State:
        eta = intercept[:, None] + (self.build @ psi) @ self.rows.z.T
        value, slope, bend = derivatives(self.family, eta, self.rows.code)
        weight = self.rows.weight
        return _State(intercept, psi, -float(weight @ value), eta, -weight * slope, -weight * bend)

    def _loss(self, intercept: np.ndarray, psi: np.ndarray) -> float:
        """The loss alone, infinite where cuts cross beside somebody's category."""
        eta = intercept[:, None] + (self.build @ psi) @ self.rows.z.T
        value = log_densities(self.family, eta, self.rows.code)
        loss = -float(self.rows.weight @ np.where(self.rows.weight > 0, value, 0.0))
        return loss if np.isfinite(loss) else np.inf

    def gradient_at(self, state: _State) -> tuple[np.ndarray, np.ndarray]:
        """By the intercepts (cut,) and by psi (part, column)."""
        return state.slope.sum(axis=1), self.build.T @ (state.slope @ self.rows.z)

    def _residual(self, state: _State, intercepts: np.ndarray, gradient: np.ndarray, lam: float) -> np.ndarray:
        """Distance of the gradient from the subdifferential, (part, column)."""
        lasso, ridge = self.penalties_at(lam)
        smooth = gradient + ridge * state.psi
        with np.errstate(invalid="ignore"):
            active = np.abs(smooth + lasso * np.sign(state.psi))
        return np.where(state.psi != 0, active, np.maximum(np.abs(smooth) - lasso, 0.0))

    def _step(
        self, state: _State, working: np.ndarray, intercepts: np.ndarray, gradient: np.ndarray, lam: float
    ) -> _State | None:
        """One proximal Newton step with a line search; None where nothing decreases any more."""
        lasso, ridge = self.penalties_at(lam)
        part, column = np.nonzero(working)
        hessian, cross, own = second_derivatives(state.bend, self.build, self.rows.z, part, column)
        hessian = hessian + np.diag(ridge[part, column])
        slope = gradient[part, column] + ridge[part, column] * state.psi[part, column]
        lead = cho_factor(own + 1e-14 * np.eye(len(own)) * np.trace(own))
        reduced = hessian - cross.T @ cho_solve(lead, cross)
        shifted = slope - cross.T @ cho_solve(lead, intercepts)
        psi = state.psi[part, column]
        moved = quadratic(reduced, shifted, psi, lasso[part, column]) if len(psi) else psi
        change = moved - psi
        move = -cho_solve(lead, intercepts + cross @ change)
        step = np.zeros_like(state.psi)
        step[part, column] = change
        used = lasso[part, column]
        gain = intercepts @ move + slope @ change + used @ (np.abs(moved) - np.abs(psi))
        here = state.loss + self._penalty(state.psi, lam)
        if not -gain > ROUNDING * abs(here):
            return None
        full = self.state_at(state.intercept + move, state.psi + step)
        if full.loss + self._penalty(full.psi, lam) <= here + SUFFICIENT * gain + 1e-15 * abs(here):
            return full
        for halving in range(1, HALVINGS):
            share = 0.5**halving
            there = state.intercept + share * move, state.psi + share * step
            value = self._loss(*there) + self._penalty(there[1], lam)
            if value <= here + SUFFICIENT * share * gain + 1e-15 * abs(here):
                return self.state_at(*there)
        return None

    def _penalty(self, psi: np.ndarray, lam: float) -> float:
        if np.isinf(lam):
            return 0.0
        lasso, ridge = self.penalties_at(lam)
        return float((lasso * np.abs(psi) + 0.5 * ridge * psi**2).sum())

    def _point(self, state: _State, lam: float, iterations: int) -> Point:
        intercepts, gradient = self.gradient_at(state)
        residual = self._residual(state, intercepts, gradient, lam)
        kkt = max(float(np.abs(intercepts).max()), float(residual.max(initial=0.0)))
        objective = state.loss + self._penalty(state.psi, lam)
        gap = duality_gap(self, state.slope, gradient, objective, lam)
        return Point(lam, state.intercept, state.psi, objective, state.loss, kkt, gap, iterations)


class _Warm(NamedTuple):
    intercept: np.ndarray
    psi: np.ndarray


def second_derivatives(
    bend: np.ndarray, build: np.ndarray, z: np.ndarray, part: np.ndarray, column: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the loss by the chosen psi, by the intercepts and these, and by the intercepts."""
    by_part = np.einsum("kln,lm->kmn", bend, build)
    both = np.einsum("kmn,kj->jmn", by_part, build)
    count = len(part)
    hessian, cross = np.empty((count, count)), np.empty((len(bend), count))
    groups = [(m, mine) for m in range(build.shape[1]) if len(mine := np.flatnonzero(part == m))]
    columns = {m: z.T[column[mine]] for m, mine in groups}
    for place, (m, mine) in enumerate(groups):
        cross[:, mine] = by_part[:, m] @ columns[m].T
        for other, theirs in groups[place:]:
            block = (columns[m] * both[m, other]) @ columns[other].T
            hessian[np.ix_(mine, theirs)] = block
            hessian[np.ix_(theirs, mine)] = block.T
    return hessian, cross, bend.sum(axis=2)


def duality_gap(fused: Fused, slope: np.ndarray, gradient: np.ndarray, objective: float, lam: float) -> float:
    """Objective minus that of the dual point made of the slopes, scaled into the dual's domain; NaN where not known."""
    factor, parts = fused.shrinkage.factor, fused.build.shape[1]
    known = fused.family.kind == "cumulative" and fused.family.link == "logit" and parts in (1, len(fused.build))
    if not known or fused.shrinkage.rho != 1 or not (factor > 0).all() or np.isinf(lam):
        return np.nan
    with np.errstate(divide="ignore"):
        shrink = min(1.0, float((lam * factor / np.abs(gradient)).min(initial=np.inf)))
    weight = np.where(fused.rows.weight > 0, fused.rows.weight, 1.0)
    gap = objective + float(fused.rows.weight @ conjugate(shrink * slope / weight, fused.rows.code))
    return 0.0 if -NOTHING < gap < 0 else gap


def conjugate(slope: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Conjugate (row,) of the logistic loss at dual points, slopes (cut, row) by eta."""
    last, place = len(slope), np.arange(len(code))
    upper = slope[np.minimum(code, last - 1).astype(int), place]
    lower = slope[np.maximum(code - 1, 0).astype(int), place]
    total, gap = 1.0 + upper + lower, lower - upper
    inside = np.maximum(total * (2.0 - total), 1e-300)
    spread = inside / (gap + np.sqrt(gap**2 + inside))
    high, low = np.clip((total + spread) / 2, 1e-300, 1.0), np.clip((total - spread) / 2, 1e-300, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = upper * np.log(high / (1 - high)) + lower * np.log(low / (1 - low)) + np.log(spread)
        size = np.clip(np.where(code == 0, -upper, lower), 0.0, 1.0)
        ends = xlogy(size, size) + xlogy(1 - size, 1 - size)
    return np.where((code == 0) | (code == last), ends, inner)


def quadratic(hessian: np.ndarray, slope: np.ndarray, at: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """argmin over v of slope'(v - at) + (v - at)' H (v - at) / 2 + lasso'|v|."""
    value, residual = at.copy(), slope.copy()
    diagonal = np.maximum(np.diag(hessian), 1e-300)
    signs, settled = np.sign(value), 0
    for _ in range(SWEEPS):
        largest = 0.0
        for j in range(len(value)):
            target = diagonal[j] * value[j] - residual[j]
            new = np.sign(target) * max(abs(target) - lasso[j], 0.0) / diagonal[j]
            change = new - value[j]
            if change:
                value[j] = new
                residual += hessian[:, j] * change
                largest = max(largest, abs(change) * diagonal[j])
        settled = settled + 1 if np.array_equal(np.sign(value), signs) else 0
        signs = np.sign(value)
        if largest < 1e-14:
            break
        if settled >= SETTLED:
            solved = _on_signs(hessian, slope, at, lasso, signs)
            if solved is not None:
                return solved
            settled = 0
    return value


def _on_signs(
    hessian: np.ndarray, slope: np.ndarray, at: np.ndarray, lasso: np.ndarray, signs: np.ndarray
) -> np.ndarray | None:
    """The solution if these are its signs, else None. Coordinates without a penalty are free in either sign."""
    active = (signs != 0) | (lasso == 0)
    inner = hessian[np.ix_(active, active)]
    right = (
        inner @ at[active]
        - slope[active]
        - lasso[active] * signs[active]
        + hessian[np.ix_(active, ~active)] @ at[~active]
    )
    try:
        solved = cho_solve(cho_factor(inner), right)
    except np.linalg.LinAlgError:
        return None
    kept = (lasso[active] == 0) | (np.sign(solved) == signs[active])
    value = np.zeros_like(at)
    value[active] = solved
    gradient = slope + hessian @ (value - at)
    fits = np.abs(gradient[~active]) <= lasso[~active] * (1 + 1e-9) + 1e-15
    return value if kept.all() and fits.all() else None


def derivatives(family: Ordinal, eta: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log f (row,) and its derivatives by the cuts' predictors, (cut, row) and (cut, cut, row)."""
    value, slope, bend = _padded(_kernels(family)[1], eta, code)
    return value, slope, bend


def log_densities(family: Ordinal, eta: np.ndarray, code: np.ndarray) -> np.ndarray:
    """log f (row,), NaN where cuts cross."""
    return _padded(_kernels(family)[0], eta, code)[0]


def probabilities(family: Ordinal, eta: np.ndarray) -> np.ndarray:
    """(category, row); negative where cuts cross."""
    return _padded(_kernels(family)[2], eta, np.zeros(eta.shape[1]))[0]


def _padded(kernel: Any, eta: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, ...]:
    rows = eta.shape[1]
    extra = bucket(rows) - rows
    with jax.enable_x64(True):
        found = kernel(np.pad(eta, ((0, 0), (0, extra)), mode="edge"), np.pad(code, (0, extra), mode="edge"))
        return tuple(np.asarray(part)[..., :rows] for part in found)


@lru_cache(maxsize=64)
def _kernels(family: Ordinal) -> tuple[Any, Any, Any]:
    def value(eta: Any, code: Any) -> tuple:
        return (family.log_density(tuple(eta), code[None]),)

    def all_of_them(eta: Any, code: Any) -> tuple:
        return (family.log_density(tuple(eta), code[None]), *family.score_and_curvature(eta, code[None]))

    def chances(eta: Any, code: Any) -> tuple:
        return (family.mean(tuple(eta)),)

    return jax.jit(value), jax.jit(all_of_them), jax.jit(chances)
