"""Intervals from the draws of a bootstrap; `draws` (replicate, coefficient), the ends (2, coefficient).

    percentile   the quantiles a/2 and 1 - a/2 of the draws
    basic        2 estimate - those quantiles, exchanged
    normal       estimate -+ z standard deviations of the draws
    bca          the quantiles Phi(z0 + (z0 + z) / (1 - c (z0 + z))), z at a/2 and 1 - a/2

The quantile p of B draws is the (B + 1) p-th smallest, so that 39, 199 or 999 draws have a 95% interval without
interpolation; p B would cover too little with few draws.

Bias-corrected and accelerated intervals (Efron, 1987, Journal of the American Statistical Association 82) have z0 =
Phi^-1(share of draws below the estimate, ties half) and the acceleration c = sum u^3 / (6 (sum u^2)^(3/2)) of the
units' influence values u. They undo the estimates' bias and skewness to second order, which percentiles double.
"""

import numpy as np
from scipy.stats import norm

INTERVALS = ("bca", "percentile", "basic", "normal")


def ends(kind: str, draws: np.ndarray, estimate: np.ndarray, *, acceleration: np.ndarray, level: float) -> np.ndarray:
    """One of `INTERVALS`; "bca" is NaN for a coefficient that has all draws on one side of its estimate."""
    z = norm.ppf([[0.5 - level / 2], [0.5 + level / 2]])
    if kind == "normal":
        return estimate + z * (draws.std(axis=0, ddof=1) if len(draws) > 1 else np.nan)
    if kind == "bca":
        return _quantiles(draws, corrected(_bias(draws, estimate), acceleration, z))
    quantiles = np.quantile(draws, norm.cdf(z[:, 0]), axis=0, method="weibull")
    return quantiles if kind == "percentile" else 2 * estimate - quantiles[::-1]


def accelerations(influence: np.ndarray) -> np.ndarray:
    """c (coefficient,) from influence values (coefficient, unit); 0, no acceleration, where these are 0 or unknown."""
    cubes, squares = (influence**3).sum(axis=1), (influence**2).sum(axis=1)
    return np.divide(cubes, 6 * squares**1.5, out=np.zeros_like(cubes), where=squares > 0)


def corrected(bias: np.ndarray, acceleration: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The quantiles' probabilities from z0 and c (coefficient,) and z (2, 1); 0 or 1 beyond the formula's pole.

    NaN where z0 is infinite: the draws do not reach from one side of the estimate to the other.
    """
    known = np.isfinite(bias)
    shifted = np.where(known, bias, 0.0) + z
    room = 1 - acceleration * shifted
    inner = norm.cdf(bias + np.divide(shifted, room, out=np.zeros_like(room), where=room > 0))
    return np.where(known, np.where(room > 0, inner, np.where(shifted > 0, 1.0, 0.0)), np.nan)


def _bias(draws: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """z0 (coefficient,)."""
    return norm.ppf(0.5 * ((draws < estimate).mean(axis=0) + (draws <= estimate).mean(axis=0)))


def _quantiles(draws: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(2, coefficient), NaN where the probability is."""
    columns = zip(draws.T, probability.T, strict=True)
    found = [np.quantile(column, at, method="weibull") if not np.isnan(at).any() else at for column, at in columns]
    return np.array(found).T.reshape(probability.shape)
