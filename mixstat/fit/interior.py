"""Interior point: a smooth function, lassos and linear inequalities that may hold absolute values, by a primal-dual
barrier.

    minimise f(x) + lasso'|x|   subject to   C x - H |E x| >= margin

With u >= |F x|, F = (E, the rows of the lasso), all constraints are linear and none has a kink. Newton steps of the
barrier problem with slacks s and multipliers z, s z = mu, as mu falls; u is eliminated from every system. Reference:
Boyd and Vandenberghe (2004), Convex Optimization, section 11.7; Nocedal and Wright (2006), chapter 19 (line search).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, vstack

Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]
"""f, its gradient and its Hessian; f is infinite or NaN outside its domain."""
FIRST, LAST = 0.1, 1e-13
"""Barrier weights mu: the first, of all constraints together, and the last, of each."""
STEPS, HALVINGS = 200, 40
SLOWER, FASTER = 0.2, 1.5
"""mu becomes the less of SLOWER mu and mu^FASTER."""
BOUNDARY = 0.995
"""Share of the way to the boundary that a step may go."""
SUFFICIENT = 1e-4


class Constraints(NamedTuple):
    """C x - H |E x| >= margin: `linear` (constraint, x), `absolute` (constraint, e) >= 0 and `inner` (e, x)."""

    linear: csr_matrix
    absolute: csr_matrix
    inner: csr_matrix
    margin: float

    def slack(self, x: np.ndarray) -> np.ndarray:
        """(constraint,) positive inside."""
        return self.linear @ x - self.absolute @ np.abs(self.inner @ x) - self.margin

    def towards(self, inside: np.ndarray, x: np.ndarray) -> np.ndarray:
        """A point inside, from one that is on the way to `x`."""
        share = 1.0
        while share > 1e-12:
            there = inside + share * (x - inside)
            if (self.slack(there) > 0).all():
                return inside + 0.5 * share * (x - inside)
            share *= 0.7
        return inside


class Interior(NamedTuple):
    """The minimiser, f + lasso there, the multipliers of the constraints and the KKT residual: the largest of the
    Lagrangian's gradient and the products of slacks and multipliers."""

    x: np.ndarray
    objective: float
    multipliers: np.ndarray
    kkt: float
    iterations: int


class _At(NamedTuple):
    x: np.ndarray
    u: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    gap: np.ndarray
    """Slacks of the constraints, with u in the place of absolute values."""
    low: np.ndarray
    """Slacks of u + F x >= 0."""
    high: np.ndarray
    """Slacks of u - F x >= 0."""


def interior_point(evaluate: Evaluate, lasso: np.ndarray, constraints: Constraints, start: np.ndarray) -> Interior:
    """Minimise from a `start` strictly inside."""
    return _Barrier(evaluate, lasso, constraints).minimize(start)


class _Barrier:
    """The problem in (x, u)."""

    def __init__(self, evaluate: Evaluate, lasso: np.ndarray, constraints: Constraints):
        self.evaluate = evaluate
        kinked = np.flatnonzero(lasso > 0)
        rows = csr_matrix((np.ones(len(kinked)), (np.arange(len(kinked)), kinked)), shape=(len(kinked), len(lasso)))
        self.linear, self.margin = constraints.linear, constraints.margin
        self.inner = csr_matrix(vstack([constraints.inner, rows]))
        none = csr_matrix((constraints.absolute.shape[0], len(kinked)))
        self.absolute = np.hstack([constraints.absolute.toarray(), none.toarray()])
        self.price = np.concatenate([np.zeros(constraints.inner.shape[0]), lasso[kinked]])
        self.bounding = np.flatnonzero(self.absolute.any(axis=1))

    def minimize(self, start: np.ndarray) -> Interior:
        at = self._at(start, self._inside(start))
        mu = FIRST / max(1, sum(map(len, at[5:])))
        z = [mu / part for part in (at.gap, at.low, at.high)]
        iterations = 0
        while iterations < STEPS:
            iterations += 1
            while mu > LAST and self._residual(at, z, mu) <= 10 * mu:
                mu = max(LAST, min(SLOWER * mu, mu**FASTER))
            if mu <= LAST and self._residual(at, z, mu) <= 10 * mu:
                break
            found = self._step(at, z, mu)
            if found is None:
                if mu <= LAST:
                    break
                mu = max(LAST, SLOWER * mu)
                continue
            at, z = found
        size = len(self.price)
        tail = self.price * np.abs(self.inner @ at.x) if size else np.zeros(0)
        return Interior(at.x, at.value + float(tail.sum()), z[0], self._residual(at, z, 0.0), iterations)

    def _inside(self, x: np.ndarray) -> np.ndarray:
        """u above |F x|, by less than would break a constraint."""
        inner = np.abs(self.inner @ x)
        room = (self.linear @ x - self.absolute @ inner - self.margin)[self.bounding]
        wide = self.absolute[self.bounding].sum(axis=1)
        share = float((room / np.maximum(wide, 1e-300)).min(initial=1.0))
        return inner + 0.5 * min(share, 0.1)

    def _at(self, x: np.ndarray, u: np.ndarray) -> _At:
        inner = self.inner @ x
        gap = self.linear @ x - self.absolute @ u - self.margin
        return _At(x, u, *self.evaluate(x), gap, u + inner, u - inner)

    def _residual(self, at: _At, z: list[np.ndarray], mu: float) -> float:
        by_x = at.gradient - self.linear.T @ z[0] - self.inner.T @ (z[1] - z[2])
        by_u = self.price + self.absolute.T @ z[0] - z[1] - z[2]
        products = [part * multiplier - mu for part, multiplier in zip((at.gap, at.low, at.high), z, strict=True)]
        return max(float(np.abs(part).max(initial=0.0)) for part in (by_x, by_u, *products))

    def _step(self, at: _At, z: list[np.ndarray], mu: float) -> tuple[_At, list[np.ndarray]] | None:
        """One Newton step of the barrier problem, None where its line search finds nothing."""
        slacks = (at.gap, at.low, at.high)
        weight = [multiplier / part for multiplier, part in zip(z, slacks, strict=True)]
        pull = [mu / part for part in slacks]
        by_x = at.gradient - self.linear.T @ pull[0] - self.inner.T @ (pull[1] - pull[2])
        by_u = self.price + self.absolute.T @ pull[0] - pull[1] - pull[2]
        dx, du = self._solve(at.hessian, weight, by_x, by_u)
        inner = self.inner @ dx
        moves = [self.linear @ dx - self.absolute @ du, du + inner, du - inner]
        dz = [p - m - w * move for p, m, w, move in zip(pull, z, weight, moves, strict=True)]
        longest = min(_room(part, move) for part, move in zip(slacks, moves, strict=True))
        slope = float(by_x @ dx + by_u @ du)
        here = self._merit(at, mu)
        for halving in range(HALVINGS):
            share = longest * 0.5**halving
            there = self._at(at.x + share * dx, at.u + share * du)
            usable = np.isfinite(there.value) and min(part.min(initial=1.0) for part in there[5:]) > 0
            if usable and self._merit(there, mu) <= here + SUFFICIENT * share * slope + 1e-14 * (1 + abs(here)):
                stretch = min(_room(part, move) for part, move in zip(z, dz, strict=True))
                moved = [part + stretch * move for part, move in zip(z, dz, strict=True)]
                return there, _safe(moved, there[5:], mu)
        return None

    def _merit(self, at: _At, mu: float) -> float:
        logs = sum(float(np.log(part).sum()) for part in at[5:])
        return at.value + float(self.price @ at.u) - mu * logs

    def _solve(
        self, hessian: np.ndarray, weight: list[np.ndarray], by_x: np.ndarray, by_u: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The step (dx, du), u eliminated: its block is diagonal and a term for each constraint that holds u."""
        total, tilt = weight[1] + weight[2], weight[1] - weight[2]
        matrix = hessian + (self.linear.T.multiply(weight[0]) @ self.linear).toarray()
        if not len(total):
            return -cho_solve(_factor(matrix), by_x), np.zeros(0)
        matrix += (self.inner.T.multiply(total) @ self.inner).toarray()
        absolute, own = self.absolute[self.bounding], weight[0][self.bounding]
        lead = self.linear[self.bounding].toarray()
        cross = self.inner.multiply(tilt[:, None]).toarray() - absolute.T @ (own[:, None] * lead)
        small = np.diag(1 / own) + (absolute / total) @ absolute.T

        def invert(value: np.ndarray) -> np.ndarray:
            scaled = (value.T / total).T
            return scaled - (absolute / total).T @ np.linalg.solve(small, absolute @ scaled)

        solved = invert(np.column_stack([cross, by_u]))
        reduced = matrix - cross.T @ solved[:, :-1]
        dx = -cho_solve(_factor(0.5 * (reduced + reduced.T)), by_x - cross.T @ solved[:, -1])
        return dx, -(solved[:, -1] + solved[:, :-1] @ dx)


def _factor(matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    """Cholesky factor, of a matrix made positive definite where it is not."""
    size = float(np.abs(np.diag(matrix)).mean())
    for power in range(-14, 4):
        try:
            return cho_factor(matrix + (10.0**power if power > -14 else 0.0) * size * np.eye(len(matrix)))
        except np.linalg.LinAlgError:
            continue
    return np.sqrt(size) * np.eye(len(matrix)), False


def _room(value: np.ndarray, move: np.ndarray) -> float:
    """Share of a move, at most 1, that keeps values positive."""
    falling = move < 0
    return min(1.0, BOUNDARY * float((value[falling] / -move[falling]).min(initial=np.inf)))


def _safe(z: list[np.ndarray], slacks: tuple[np.ndarray, ...], mu: float) -> list[np.ndarray]:
    """Multipliers within a wide factor of mu / slack."""
    return [np.clip(part, 1e-10 * mu / slack, 1e10 * mu / slack) for part, slack in zip(z, slacks, strict=True)]
