"""Where a growth model may begin: pooled least squares over a grid of nonlinear coefficients, on the host."""

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.families.growth.curves import Curve

if TYPE_CHECKING:
    from mixstat.families.growth.family import Growth
    from mixstat.families.growth.form import Occasions

SHARE = 0.5
"""Share of the pooled residual variance that starts as residual, the rest as random coefficients."""


def start(family: "Growth", at: "Occasions", weight: np.ndarray) -> np.ndarray:
    """Constant predictors (P,) near the weighted sample."""
    coefficients, kappa, variance, nonlinear = _pooled(family, at, weight)
    loadings = _loadings(family, at, np.concatenate([coefficients, nonlinear]))
    seen = at.seen * weight
    size = [float((seen * loading**2).sum() / max(seen.sum(), 1e-300)) for loading in loadings]
    share = SHARE if loadings else 1.0
    spread = [np.sqrt((1 - share) * variance / len(size) / max(s, 1e-300)) for s in size]
    factor = [np.log(max(spread[j], 1e-300)) if i == j else 0.0 for j, i in family.pairs]
    curve = np.concatenate([coefficients, nonlinear])
    moved = np.zeros(len(family.parameters) - len(curve) - len(kappa) - len(factor) - len(family.residual_parameters))
    log_sigma = 0.5 * np.log(max(share * variance, 1e-300))
    return np.concatenate([curve, moved, kappa, factor, _residual(family, at, log_sigma, variance)])


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
    variance = best[0] / max(seen.sum(), 1e-300)
    floor = 1e-12 * (float((seen * at.y**2).sum() / max(seen.sum(), 1e-300)) or 1.0)
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
    loadings = curve_loadings(family.curve, at.time, np.concatenate([np.zeros(count), nonlinear]))
    return np.concatenate([np.asarray(loadings)[:count], fixed])


def _loadings(family: "Growth", at: "Occasions", coefficients: np.ndarray) -> list[np.ndarray]:
    """Of the random coefficients, (occasion, subject) each."""
    of_curve = None
    if family.curve is not None:
        of_curve = np.asarray(curve_loadings(family.curve, at.time, coefficients))
    return [
        at.columns[name] if of_curve is None or not isinstance(name, str) else of_curve[family.coefficients.index(name)]
        for name in family.random
    ]


@partial(jax.jit, static_argnums=0)
def curve_loadings(curve: Curve, time: Any, coefficients: Any) -> Any:
    """Derivatives of a curve by all its (constant) coefficients, (coefficient, occasion, subject)."""
    values = [c * jnp.ones_like(time[0]) for c in coefficients]
    return jnp.stack([curve.loading(time, values, index) for index in range(len(values))])


def _residual(family: "Growth", at: "Occasions", log_sigma: float, variance: float) -> np.ndarray:
    """The constant column of a formula (if any) takes the log standard deviation; structures share the variance."""
    if family.levels:
        scale = [log_sigma] * len(family.scale_columns)
    elif family.scale_columns:
        constant = [float(np.ptp(at.columns[c][at.seen > 0]) == 0) for c in family.scale_columns]
        scale = [log_sigma * flag for flag in constant] if any(constant) else [log_sigma] * len(constant)
    else:
        scale = [log_sigma]
    half = 0.5 * np.log(0.5 * variance)
    times = at.time[at.seen > 0]
    reach = max(float(np.ptp(times)), 1e-300) if len(times) else 1.0
    level = half - 0.5 * np.log(max(float(np.mean(np.abs(times))), 1e-300)) if family.residual == "brownian" else half
    rest = {"ar_sd": half, "ar_rate": np.log(3.0 / reach), "brownian_sd": level}
    return np.array([*scale, *(rest[name] for name in family.structure.parameters)])
