"""Where a growth model may begin: pooled least squares over a grid of nonlinear coefficients, on the host."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.families.growth.curves import Curve
from mixstat.families.growth.shown import entries_of_root

if TYPE_CHECKING:
    from mixstat.families.growth.family import Growth
    from mixstat.families.growth.mixed import Occasions

EM_STEPS = 20
LEAST, TINY = 1e-6, 1e-300
"""What a variance may shrink to in a step, relative; what stands for 0 in a division."""
RIVALS, APART = 3, 0.2
"""How many values of the nonlinear coefficients to begin from, and how far apart they are in the grid's range."""
SMALL = 0.02
"""The variance of random coefficients in a second start, as a part of that in the first."""


class Mixed(NamedTuple):
    """A linear mixed model: coefficients (p,), random covariance (q, q), residual variance."""

    coefficients: np.ndarray
    covariance: np.ndarray
    variance: float


class Pooled(NamedTuple):
    """Least squares over all occasions: growth factors, kappa, residual variance, nonlinear coefficients."""

    factors: np.ndarray
    kappa: np.ndarray
    variance: float
    nonlinear: np.ndarray

    @property
    def coefficients(self) -> np.ndarray:
        return np.concatenate([self.factors, self.nonlinear])


class Starts(Sequence[np.ndarray]):
    """Predictors (P,) to begin from, made when asked for: knots and rates by pooled least squares, the rest by EM.

    Further ones have other knots and rates; of curves without any, little variance of random coefficients.
    """

    def __init__(self, family: "Growth", at: "Occasions", weight: np.ndarray):
        self._family, self._at, self._weight = family, at, weight
        self._several = family.curve is not None and bool(family.curve.nonlinear)

    def __len__(self) -> int:
        return RIVALS if self._several else 1 + bool(self._family.random)

    def __getitem__(self, which: Any) -> Any:
        rank, part = (which, 1.0) if self._several else (0, SMALL**which)
        return _start(self._family, self._at, self._weight, _pooled(self._family, self._at, self._weight, rank), part)


def _start(family: "Growth", at: "Occasions", weight: np.ndarray, pooled: Pooled, part: float) -> np.ndarray:
    loadings = np.array(_loadings(family, at, pooled.coefficients)).reshape(-1, *at.y.shape)
    turn = _orthonormal(loadings, at.seen * weight, family.pairs)
    begin = part * 0.5 * pooled.variance / max(len(loadings), 1) * np.eye(len(loadings))
    known = Mixed(np.concatenate([pooled.factors, pooled.kappa]), begin, pooled.variance)
    columns = _columns(family, at, pooled.nonlinear)
    mixed = _mixed(family, at, weight, columns, np.tensordot(turn, loadings, axes=1), known)
    entries = _entries(family, turn, mixed.covariance)
    split = len(pooled.factors)
    curve = np.concatenate([mixed.coefficients[:split], pooled.nonlinear])
    moved = np.zeros(family.head - len(curve) - len(pooled.kappa))
    return np.concatenate([curve, moved, mixed.coefficients[split:], entries, _residual(family, at, mixed.variance)])


def _orthonormal(columns: np.ndarray, seen: np.ndarray, pairs: Sequence[tuple[int, int]] | None = None) -> np.ndarray:
    """T whose T x columns have the unit matrix as mean product, within groups of those that `pairs` connects."""
    size, root = len(columns), np.sqrt(seen).ravel() / np.sqrt(max(seen.sum(), TINY))
    design, turn = columns.reshape(size, len(root)).T * root[:, None], np.zeros((size, size))
    group = [j if pairs is None else min(i for k, i in pairs if k == j) for j in range(size)]
    for first in set(group if pairs is not None else [0] * size):
        own = [j for j in range(size) if pairs is None or group[j] == first]
        scale = np.maximum(np.sqrt((design[:, own] ** 2).sum(axis=0)), TINY)
        padded = np.concatenate([design[:, own] / scale, np.sqrt(TINY) * np.eye(len(own))])
        upper = np.linalg.qr(padded)[1]
        turn[np.ix_(own, own)] = np.linalg.inv(upper).T / scale
    return turn


def _mixed(
    family: "Growth", at: "Occasions", weight: np.ndarray, columns: np.ndarray, loadings: np.ndarray, model: Mixed
) -> Mixed:
    """Steps of EM, generalised least squares within (Laird and Ware, 1982, Biometrics 38)."""
    if not len(loadings):
        return model
    alive = weight > 0
    weight, seen, y = weight[alive], at.seen[:, alive], at.y[:, alive]
    turn = _orthonormal(columns[..., alive], seen * weight)
    columns, loadings = np.tensordot(turn, columns[..., alive], axes=1), loadings[..., alive]
    square = np.einsum("ajn,bjn,jn->nab", loadings, loadings, seen)
    across = np.einsum("pjn,ajn,jn->npa", columns, loadings, seen)
    together = np.einsum("ajn,jn,jn->na", loadings, y, seen)
    gram = np.einsum("pjn,qjn,jn,n->pq", columns, columns, seen, weight)
    moment = np.einsum("pjn,jn,jn,n->p", columns, y, seen, weight)
    mask = np.zeros(model.covariance.shape)
    for j, i in family.pairs:
        mask[j, i] = mask[i, j] = 1.0
    for _ in range(EM_STEPS):
        inner = np.linalg.inv(square / model.variance + np.linalg.inv(model.covariance))
        through = np.einsum("npa,nab,n->npb", across, inner, weight) / model.variance
        left = gram - np.einsum("npb,nqb->pq", through, across)
        coefficients = np.linalg.lstsq(left, moment - np.einsum("npb,nb->p", through, together), rcond=1e-10)[0]
        mode = np.einsum("nab,nb->na", inner, together - np.einsum("npa,p->na", across, coefficients)) / model.variance
        error = seen * (y - np.tensordot(coefficients, columns, axes=1) - np.einsum("na,ajn->jn", mode, loadings))
        second = np.einsum("na,nb,n->ab", mode, mode, weight) + np.einsum("nab,n->ab", inner, weight)
        rest = weight @ ((error**2).sum(axis=0) + np.einsum("nab,nab->n", square, inner))
        covariance = mask * second / weight.sum()
        scale = np.maximum(np.diag(covariance), LEAST * np.diag(model.covariance))
        covariance[np.diag_indices(len(scale))] = scale
        variance = max(rest / (weight @ seen.sum(axis=0)), LEAST * model.variance)
        model = Mixed(coefficients, covariance, variance)
    return model._replace(coefficients=turn.T @ model.coefficients)


def _entries(family: "Growth", turn: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Entries of the Cholesky factor of T' Psi T, the diagonal in logs."""
    if not len(covariance):
        return np.zeros(0)
    scale = np.sqrt(np.diag(covariance))
    lower = scale[:, None] * np.linalg.cholesky(covariance / np.outer(scale, scale) + LEAST * np.eye(len(scale)))
    return entries_of_root(family.covariance_form, turn.T @ lower)


def features(family: "Growth", at: "Occasions") -> np.ndarray:
    """(feature, subject): shrunken deviations of each subject's coefficients from the pooled curve, standardised.

    Without random coefficients, those of intercept and slope.
    """
    weight = np.ones(at.y.shape[1])
    pooled = _pooled(family, at, weight, 0)
    columns = _columns(family, at, pooled.nonlinear)
    residual = at.y - np.tensordot(np.concatenate([pooled.factors, pooled.kappa]), columns, axes=1)
    basis = np.stack(_loadings(family, at, pooled.coefficients) or [np.ones_like(at.y), at.time])
    basis = np.tensordot(_orthonormal(basis, at.seen), basis, axes=1)
    gram = np.einsum("ajn,bjn,jn->nab", basis, basis, at.seen) + 0.5 * np.eye(len(basis))
    cross = np.einsum("ajn,jn,jn->na", basis, residual, at.seen)
    found: np.ndarray = np.linalg.solve(gram, cross[..., None])[..., 0].T
    return found


def _pooled(family: "Growth", at: "Occasions", weight: np.ndarray, rank: int) -> Pooled:
    """At the best nonlinear coefficients of a grid, or at those of another rank among values that are apart."""
    seen = at.seen * weight
    times = at.time[seen > 0]
    grid = np.zeros((1, 0)) if family.curve is None else family.curve.starts(times)
    split = 0 if family.curve is None else len(family.curve.factors)
    fits = [_least_squares(_columns(family, at, nonlinear), at.y, seen) for nonlinear in grid]
    chosen = _ranked(grid, np.array([square for _, square in fits]))
    place = chosen[rank % len(chosen)]
    solution, square = fits[place]
    variance = square / max(seen.sum(), TINY)
    floor = 1e-12 * (float((seen * at.y**2).sum() / max(seen.sum(), TINY)) or 1.0)
    return Pooled(solution[:split], solution[split:], max(variance, floor), grid[place])


def _ranked(grid: np.ndarray, squares: np.ndarray) -> list[int]:
    """Rows of the grid (candidate, nonlinear), the best first, each apart from those before in the order of values."""
    levels = [np.unique(column, return_inverse=True)[1] for column in grid.T]
    where = np.array([level / max(level.max(), 1) for level in levels]).reshape(-1, len(grid)).T
    chosen: list[int] = []
    for row in np.argsort(squares, kind="stable"):
        if all(np.abs(where[row] - where[other]).max(initial=0.0) >= APART for other in chosen):
            chosen.append(int(row))
    return chosen[:RIVALS]


def _least_squares(columns: np.ndarray, y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float]:
    root = np.sqrt(seen).ravel()
    design = columns.reshape(len(columns), -1).T * root[:, None]
    if not design.shape[1]:
        return np.zeros(0), float((seen * y**2).sum())
    scale = np.maximum(np.sqrt((design**2).sum(axis=0)), TINY)
    solution = np.linalg.lstsq(design / scale, y.ravel() * root, rcond=1e-10)[0] / scale
    return solution, float(((y.ravel() * root - design @ solution) ** 2).sum())


def _columns(family: "Growth", at: "Occasions", nonlinear: np.ndarray) -> np.ndarray:
    """(factor and covariate, occasion, subject)."""
    fixed = np.array([at.columns[c] for c in family.fixed]).reshape(-1, *at.y.shape)
    if family.curve is None:
        return fixed
    count = len(family.curve.factors)
    there = np.concatenate([np.zeros(count), nonlinear])
    loadings = curve_loadings(family.curve, at.time, there, family.curve_constants(at))
    return np.concatenate([np.asarray(loadings)[:count], fixed])


def _loadings(family: "Growth", at: "Occasions", coefficients: np.ndarray) -> list[np.ndarray]:
    """Of the random coefficients, (occasion, subject) each."""
    of_curve = None
    if family.curve is not None:
        constants = family.curve_constants(at)
        of_curve = np.asarray(curve_loadings(family.curve, at.time, coefficients, constants))
    return [
        at.columns[name] if of_curve is None or not isinstance(name, str) else of_curve[family.coefficients.index(name)]
        for name in family.random
    ]


@partial(jax.jit, static_argnums=0)
def curve_loadings(curve: Curve, time: Any, coefficients: Any, constants: Any) -> Any:
    """Derivatives of a curve by all its (constant) coefficients, (coefficient, occasion, subject)."""
    values = [c * jnp.ones_like(time[0]) for c in coefficients]
    return jnp.stack([curve.loading(time, values, index, constants) for index in range(len(values))])


def _residual(family: "Growth", at: "Occasions", variance: float) -> np.ndarray:
    """Columns of a formula give the log standard deviation as well as they can; structures share the variance."""
    log_sigma = 0.5 * np.log(max((0.5 if family.structure.parameters else 1.0) * variance, TINY))
    if family.levels:
        scale = [log_sigma] * len(family.scale_columns)
    elif family.scale_columns:
        chosen = at.columns[list(family.scale_columns)][:, at.seen > 0]
        scale = list(np.linalg.lstsq(chosen.T, np.full(chosen.shape[1], log_sigma), rcond=1e-10)[0])
    else:
        scale = [log_sigma]
    times = at.time[at.seen > 0]
    reach = max(float(np.ptp(times)), TINY) if len(times) else 1.0
    brownian = log_sigma - 0.5 * np.log(max(float(np.mean(np.abs(times))), TINY)) if len(times) else log_sigma
    rest = {"ar_sd": log_sigma, "ar_rate": np.log(3.0 / reach), "brownian_sd": brownian}
    return np.array([*scale, *(rest[name] for name in family.structure.parameters)])
