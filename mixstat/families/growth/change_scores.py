"""Latent change scores: a curve as the sum of its changes in the intervals between waves.

    f(t_j) = eta0 + sum_{l < j} dy_l (t_{l+1} - t_l),    u_l = (t_l + t_{l+1}) / 2

    change_scores          dy_l = r_l eta1,  r_1 = 1                a rate in every interval
    change_quadratic       dy_l = eta1 + 2 u_l eta2                 the quadratic curve
    change_exponential     dy_l = rate exp(-rate u_l) eta1          the negative exponential, by its slope at u_l
    change_jenss_bayley    dy_l = eta1 + rate exp(rate u_l) eta2    the Jenss-Bayley curve, likewise

eta0 is the value at the first wave, the other coefficients are those of the curves (McArdle, 2001; Grimm, Zhang,
Hamagami and Mazzocco, 2013, Multivariate Behavioral Research 48). After the coefficients, the functions take exposures:
the durations of all intervals up to an occasion, 0 for those that are still to come, and their middles, (interval,
occasion, subject) each, one after the other. Between waves an interval ends at the occasion.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

Array = Any
Candidates = Callable[[np.ndarray], np.ndarray]
PACES = (0.5, 0.7, 1.0, 1.4, 2.0)
"""By how much a rate may exceed the one before: where searches begin."""


class Changes(NamedTuple):
    """The function of a curve of change scores, its growth factors and its other coefficients."""

    function: Callable[..., Array]
    factors: tuple[str, ...]
    nonlinear: tuple[str, ...] = ()


def _rates(t: Array, intercept: Array, slope: Array, *others: Array) -> Array:
    *rates, exposure = others
    duration = exposure[: len(rates) + 1]
    reached = duration[0] + sum(rate * part for rate, part in zip(rates, duration[1:], strict=True))
    return intercept + slope * reached


def _quadratic(t: Array, intercept: Array, slope: Array, quadratic: Array, exposure: Array) -> Array:
    duration, middle = jnp.split(exposure, 2)
    return intercept + slope * jnp.sum(duration, axis=0) + quadratic * jnp.sum(2.0 * middle * duration, axis=0)


def _exponential(t: Array, intercept: Array, change: Array, rate: Array, exposure: Array) -> Array:
    duration, middle = jnp.split(exposure, 2)
    return intercept + change * jnp.sum(rate * jnp.exp(-rate * middle) * duration, axis=0)


def _jenss_bayley(t: Array, intercept: Array, slope: Array, distance: Array, rate: Array, exposure: Array) -> Array:
    duration, middle = jnp.split(exposure, 2)
    bent = jnp.sum(rate * jnp.exp(rate * middle) * duration, axis=0)
    return intercept + slope * jnp.sum(duration, axis=0) + distance * bent


FORMS = {
    "change_quadratic": Changes(_quadratic, ("intercept", "slope", "quadratic")),
    "change_exponential": Changes(_exponential, ("intercept", "change"), ("rate",)),
    "change_jenss_bayley": Changes(_jenss_bayley, ("intercept", "slope", "distance"), ("rate",)),
}
NONPARAMETRIC = "change_scores"
NAMES = (NONPARAMETRIC, *FORMS)


def changes(name: str, intervals: int) -> Changes:
    """The curve of this name over so many intervals."""
    if name in FORMS:
        return FORMS[name]
    return Changes(_rates, ("intercept", "slope"), tuple(f"rate{number}" for number in range(2, intervals + 1)))


def rate_candidates(intervals: int) -> Candidates:
    """Rates that grow or fall at a steady pace."""
    return partial(_paced, intervals)


def _paced(intervals: int, times: np.ndarray) -> np.ndarray:
    return np.array([pace ** np.arange(1, intervals) for pace in PACES])


def exposures(bounds: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Durations and middles (2 x interval, row) of the intervals between `bounds` (wave, row or 1), up to times (row,).

    The first interval goes on before them, and the last one after.
    """
    inner, edge = bounds[1:-1], np.full((1, bounds.shape[1]), np.inf)
    low, high = np.concatenate([-edge, inner]), np.concatenate([inner, edge])
    end, begin = np.clip(times, low, high), np.clip(bounds[:1], low, high)
    return np.concatenate([end - begin, 0.5 * (end + begin)])


def exposures_inside(columns: np.ndarray, intervals: int, centre: float, scale: float) -> np.ndarray:
    """Exposures in times t' = (t - centre) / scale."""
    return np.concatenate([columns[:intervals], columns[intervals:] - centre]) / scale


def count_of_exposures(name: str, intervals: int) -> int:
    """How many columns the curve reads."""
    return intervals if name == NONPARAMETRIC else 2 * intervals
