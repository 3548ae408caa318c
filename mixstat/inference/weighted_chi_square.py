"""Tail of a weighted sum of chi-square variables, P(sum_j w_j Z_j^2 > x), by inversion of its Laplace transform.

    P = 1 / (2 pi i) int M(s) exp(-s x) ds / s,   M(s) = prod_j (1 - 2 w_j s)^(-1/2)

along a parabola through the saddlepoint, where the integrand falls off like a Gaussian and does not oscillate much
(Rice, 1980, SIAM J. Sci. Stat. Comput. 1, for the contour; Imhof, 1961, Biometrika 48, for the problem).
"""

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

SMALL = 1e-10
"""Weights below this share of the largest are dropped."""


def weighted_chi_square_sf(x: float, weights: np.ndarray) -> float:
    """Upper tail; weights may have either sign. Relative error about 1e-8 in the upper tail of positive x."""
    weights = np.asarray(weights, dtype=np.float64)
    scale = float(np.abs(weights).max(initial=0.0))
    weights = weights[np.abs(weights) > SMALL * scale]
    if (weights >= 0).all() and x < 0:
        return 1.0
    if (weights <= 0).all() and x >= 0:
        return 0.0
    if (weights > 0).all() and x == 0:
        return 1.0
    if x < 0:
        return 1.0 - weighted_chi_square_sf(-x, -weights)
    weights, x = weights / scale, x / scale
    place = _saddlepoint(x, weights)

    def integrand(u: float) -> float:
        s = place + u * u + 1j * u
        logs = -0.5 * np.log(1 - 2 * weights * s).sum() - s * x
        return float((np.exp(logs) / s * (2 * u + 1j)).imag)

    total = quad(integrand, 0.0, np.inf, epsabs=1e-300, epsrel=1e-10, limit=500)[0] / np.pi
    return float(np.clip(total if place > 0 else 1.0 + total, 0.0, 1.0))


def _saddlepoint(x: float, weights: np.ndarray) -> float:
    """Where the exponent is stationary on the real axis, kept off the pole at 0 and the branch points."""
    top = 0.5 / weights.max() if (weights > 0).any() else np.inf
    bottom = 0.5 / weights.min() if (weights < 0).any() else -np.inf
    low = 0.999 * bottom if np.isfinite(bottom) else -len(weights) / (2 * x) - 1.0
    high = 0.999 * top if np.isfinite(top) else len(weights) / (2 * x) + 1.0

    def slope(s: float) -> float:
        return float((weights / (1 - 2 * weights * s)).sum() - x)

    place = high if slope(high) < 0 else low if slope(low) > 0 else brentq(slope, low, high)
    away = 0.1 * min(high, -low if low < 0 else high)
    return float(place if abs(place) > away else away)
