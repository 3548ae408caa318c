"""How the coefficients of a curve change with the origin and the unit of time.

Of t' = (t - c) / s, a curve with coefficients eta' is the same curve of t with coefficients eta = m(eta'; c, s).
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np

from mixstat.families.growth.curves import Curve

Map = Callable[[np.ndarray, float, float], np.ndarray]


class Move(NamedTuple):
    """m (analytic, so that its derivative may be taken by complex steps), and whether it is affine in all coefficients;
    it is always linear in the growth factors."""

    function: Map
    affine: bool = True


def _polynomial(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    """sum_p a_p ((t - c) / s)^p, by the binomial theorem."""
    powers = range(len(values))
    turn = [[comb(p, q) * (-centre) ** (p - q) / scale**p if p >= q else 0.0 for p in powers] for q in powers]
    return np.array(turn) @ values


def _segments(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    """Broken lines: the first one is prolonged to t = 0, slopes are scaled, knots move."""
    count = len(values) // 2
    slopes, knots = values[1 : 1 + count] / scale, centre + scale * values[1 + count :]
    return np.concatenate([values[:1] - centre * slopes[:1], slopes, knots])


def _exponential(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    intercept, change, rate = values[0], values[1], values[2] / scale
    return np.array([intercept - change * np.expm1(rate * centre), change * np.exp(rate * centre), rate])


def _jenss_bayley(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    slope, distance, rate = values[1] / scale, values[2], values[3] / scale
    intercept = values[0] - centre * slope + distance * np.expm1(-rate * centre)
    return np.array([intercept, slope, distance * np.exp(-rate * centre), rate])


def _rates(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    """Of change scores, the first rate; the others are relative to it."""
    return np.concatenate([values[:1], values[1:2] / scale, values[2:]])


def _change_quadratic(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    slope, quadratic = values[1] / scale, values[2] / scale**2
    return np.array([values[0], slope - 2.0 * centre * quadratic, quadratic])


def _change_exponential(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    rate = values[2] / scale
    return np.array([values[0], values[1] * np.exp(rate * centre), rate])


def _change_jenss_bayley(values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    rate = values[3] / scale
    return np.array([values[0], values[1] / scale, values[2] * np.exp(-rate * centre), rate])


MOVES = {
    "linear": Move(_polynomial),
    "quadratic": Move(_polynomial),
    "polynomial": Move(_polynomial),
    "bilinear": Move(_segments),
    "trilinear": Move(_segments),
    "negative_exponential": Move(_exponential, affine=False),
    "jenss_bayley": Move(_jenss_bayley, affine=False),
    "change_scores": Move(_rates),
    "change_quadratic": Move(_change_quadratic),
    "change_exponential": Move(_change_exponential, affine=False),
    "change_jenss_bayley": Move(_change_jenss_bayley, affine=False),
}
"""By the name of the curve; curves that are not here have an origin and a unit of their own."""


def derivative(curve: Curve, values: np.ndarray, centre: float, scale: float) -> np.ndarray:
    """dm / d eta' at `values`, of an affine map exactly; else the columns of the growth factors, rates being scaled."""
    move, size = MOVES[curve.name], len(values)
    linear = size if move.affine else len(curve.factors)
    base = values.copy()
    base[:linear] = 0.0
    there, unit = move.function(base, centre, scale), np.eye(size)
    columns = [move.function(base + unit[j], centre, scale) - there for j in range(linear)]
    return np.stack([*columns, *(unit[j] / scale for j in range(linear, size))], axis=1)
