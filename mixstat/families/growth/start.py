"""Where a growth model may begin: pooled least squares over a grid of nonlinear coefficients, on the host."""

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.families.growth.curves import Curve
from mixstat.families.growth.proportional import contract

if TYPE_CHECKING:
    from mixstat.families.growth.family import Growth
    from mixstat.families.growth.mixed import Occasions

EM_STEPS = 20
LEAST, TINY = 1e-6, 1e-300
"""What a variance may shrink to in a step, relative; what stands for 0 in a division."""


class Mixed(NamedTuple):
    """A linear mixed model: coefficients (p,), random covariance (q, q), residual variance."""

    coefficients: np.ndarray
    covariance: np.ndarray
    variance: float


def start(family: "Growth", at: "Occasions", weight: np.ndarray) -> np.ndarray:
    """Constant predictors (P,) near the weighted sample: knots and rates by pooled least squares, the rest by EM."""
    coefficients, kappa, variance, nonlinear = _pooled(family, at, weight)
    loadings = np.array(_loadings(family, at, np.concatenate([coefficients, nonlinear]))).reshape(-1, *at.y.shape)
    pooled = Mixed(np.concatenate([coefficients, kappa]), _spread(loadings, at.seen * weight, variance), variance)
    mixed = _mixed(family, at, weight, _columns(family, at, nonlinear), loadings, pooled)
    factor = _factor(family, mixed.covariance)
    split = len(coefficients)
    curve = np.concatenate([mixed.coefficients[:split], nonlinear])
    moved = np.zeros(len(family.parameters) - len(curve) - len(kappa) - len(factor) - len(family.residual_parameters))
    return np.concatenate([curve, moved, mixed.coefficients[split:], factor, _residual(family, at, mixed.variance)])


def _spread(loadings: np.ndarray, seen: np.ndarray, variance: float) -> np.ndarray:
    """A diagonal covariance of the random coefficients, whose parts of the response's variance are equal."""
    size = (seen * loadings**2).sum(axis=(1, 2)) / max(seen.sum(), TINY)
    return np.diag(0.5 * variance / max(len(size), 1) / np.maximum(size, TINY))


def _mixed(
    family: "Growth", at: "Occasions", weight: np.ndarray, columns: np.ndarray, loadings: np.ndarray, model: Mixed
) -> Mixed:
    """Steps of EM, generalised least squares within (Laird and Ware, 1982, Biometrics 38)."""
    if not len(loadings):
        return model
    alive = weight > 0
    weight, seen, y = weight[alive], at.seen[:, alive], at.y[:, alive]
    columns, loadings = columns[..., alive], loadings[..., alive]
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
    return model


def _factor(family: "Growth", covariance: np.ndarray) -> np.ndarray:
    """Entries of the Cholesky factor, the diagonal in logs."""
    if not len(covariance):
        return np.zeros(0)
    scale = np.sqrt(np.diag(covariance))
    lower = scale[:, None] * np.linalg.cholesky(covariance / np.outer(scale, scale) + LEAST * np.eye(len(scale)))
    entries = np.array([np.log(lower[j, i]) if i == j else lower[j, i] for j, i in family.pairs])
    return contract(entries, family.pairs) if family.proportional else entries


def features(family: "Growth", at: "Occasions") -> np.ndarray:
    """(feature, subject): shrunken deviations of each subject's coefficients from the pooled curve, standardised.

    Without random coefficients, those of intercept and slope.
    """
    weight = np.ones(at.y.shape[1])
    coefficients, kappa, _, nonlinear = _pooled(family, at, weight)
    both = np.concatenate([coefficients, nonlinear])
    columns = _columns(family, at, nonlinear)
    residual = at.y - np.tensordot(np.concatenate([coefficients, kappa]), columns, axes=1)
    basis = np.stack(_loadings(family, at, both) or [np.ones_like(at.y), at.time])
    scale = np.sqrt((basis**2 * at.seen).sum(axis=(1, 2)) / max(at.seen.sum(), 1.0))
    basis = basis / np.where(scale > 0, scale, 1.0)[:, None, None]
    gram = np.einsum("ajn,bjn,jn->nab", basis, basis, at.seen) + 0.5 * np.eye(len(basis))
    cross = np.einsum("ajn,jn,jn->na", basis, residual, at.seen)
    found: np.ndarray = np.linalg.solve(gram, cross[..., None])[..., 0].T
    return found


def _pooled(family: "Growth", at: "Occasions", weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """(growth factors, kappa, residual variance, nonlinear coefficients) of least squares over all occasions."""
    seen = at.seen * weight
    times = at.time[seen > 0]
    grid = np.zeros((1, 0)) if family.curve is None else family.curve.starts(times)
    split = 0 if family.curve is None else len(family.curve.factors)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for nonlinear in grid:
        columns = _columns(family, at, nonlinear)
        solution, square = _least_squares(columns, at.y, seen)
        if best is None or square < best[0]:
            best = square, solution, nonlinear
    assert best is not None
    variance = best[0] / max(seen.sum(), TINY)
    floor = 1e-12 * (float((seen * at.y**2).sum() / max(seen.sum(), TINY)) or 1.0)
    return best[1][:split], best[1][split:], max(variance, floor), best[2]


def _least_squares(columns: np.ndarray, y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float]:
    root = np.sqrt(seen).ravel()
    design = columns.reshape(len(columns), -1).T * root[:, None]
    if not design.shape[1]:
        return np.zeros(0), float((seen * y**2).sum())
    solution = np.linalg.lstsq(design, y.ravel() * root, rcond=1e-10)[0]
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
    """The constant column of a formula (if any) takes the log standard deviation; structures share the variance."""
    log_sigma = 0.5 * np.log(max((0.5 if family.structure.parameters else 1.0) * variance, TINY))
    if family.levels:
        scale = [log_sigma] * len(family.scale_columns)
    elif family.scale_columns:
        constant = [float(np.ptp(at.columns[c][at.seen > 0]) == 0) for c in family.scale_columns]
        scale = [log_sigma * flag for flag in constant] if any(constant) else [log_sigma] * len(constant)
    else:
        scale = [log_sigma]
    times = at.time[at.seen > 0]
    reach = max(float(np.ptp(times)), TINY) if len(times) else 1.0
    brownian = log_sigma - 0.5 * np.log(max(float(np.mean(np.abs(times))), TINY)) if len(times) else log_sigma
    rest = {"ar_sd": log_sigma, "ar_rate": np.log(3.0 / reach), "brownian_sd": brownian}
    return np.array([*scale, *(rest[name] for name in family.structure.parameters)])
