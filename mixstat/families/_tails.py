"""Logarithms of both tails of the gamma and beta laws, finite also where the probabilities underflow.

In the bulk they are scipy's regularised incomplete functions; below 1e-290 the power series (gamma, lower) and Lentz's
continued fractions (gamma, upper; beta) times the leading factor, in logs.
Reference: DiDonato and Morris (1986, 1992), ACM Transactions on Mathematical Software 12, 377-393 and 18, 360-373.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import betainc, betaincc, betaln, gammainc, gammaincc

from mixstat.core.family import Tails
from mixstat.core.special import HALF_LOG_TWO_PI, stirling_error

UNDERFLOW = 1e-290
STEPS = 20_000
CLOSE = 1e-15
FLOOR = 1e-300
"""What keeps denominators and ratios from zero."""


def from_probabilities(lower: np.ndarray, upper: np.ndarray) -> Tails:
    """Logs of two probabilities that add to one, each from the smaller."""
    with np.errstate(divide="ignore"):
        log_lower = np.where(lower < 0.5, np.log(lower), np.log1p(-np.minimum(upper, 1.0)))
        log_upper = np.where(upper < 0.5, np.log(upper), np.log1p(-np.minimum(lower, 1.0)))
    return Tails(log_lower, log_upper)


def outside(below: np.ndarray, tails: Tails) -> Tails:
    """`tails`, but nothing where y is `below` the support."""
    return Tails(np.where(below, -np.inf, tails.lower), np.where(below, 0.0, tails.upper))


def gamma_tails(shape: np.ndarray, x: np.ndarray) -> Tails:
    """log P(G <= x) and log P(G > x) of a gamma variable with this shape and rate 1, x >= 0."""
    shape, x = np.broadcast_arrays(np.asarray(shape, dtype=np.float64), x)
    lower = gammainc(shape, x)
    upper = _complement(lower, gammaincc, shape, x)
    tails = from_probabilities(lower, upper)
    return Tails(
        _replace(tails.lower, (lower < UNDERFLOW) & (x > 0), _far_gamma_lower, shape, x),
        _replace(tails.upper, (upper < UNDERFLOW) & (x < np.inf), _far_gamma_upper, shape, x),
    )


def beta_tails(a: np.ndarray, b: np.ndarray, x: np.ndarray, rest: np.ndarray) -> Tails:
    """log P(B <= x) and log P(B > x) of a beta variable; `rest` is 1 - x, so that both may be tiny."""
    a, b, x, rest = np.broadcast_arrays(np.asarray(a, dtype=np.float64), b, x, rest)
    swapped = x > 0.5
    first, second, near = np.where(swapped, b, a), np.where(swapped, a, b), np.where(swapped, rest, x)
    own = betainc(first, second, near)
    other = _complement(own, betaincc, first, second, near)
    lower, upper = np.where(swapped, other, own), np.where(swapped, own, other)
    tails = from_probabilities(lower, upper)
    return Tails(
        _replace(tails.lower, (lower < UNDERFLOW) & (x > 0), _far_beta, a, b, x, rest),
        _replace(tails.upper, (upper < UNDERFLOW) & (rest > 0), _far_beta, b, a, rest, x),
    )


def _complement(value: np.ndarray, function: Callable, *arguments: np.ndarray) -> np.ndarray:
    """1 - value, by the complementary `function` where digits would cancel."""
    return _replace(1.0 - value, value > 0.8, function, *arguments)


def _replace(values: np.ndarray, where: np.ndarray, function: Callable, *arguments: np.ndarray) -> np.ndarray:
    if where.any():
        values = values.copy()
        values[where] = function(*(argument[where] for argument in arguments))
    return values


def _log_leading(shape: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log of `x^shape e^-x / Gamma(shape + 1)`."""
    log_ratio = np.where(x < FLOOR * shape, np.log(x) - np.log(shape), np.log(np.maximum(x / shape, FLOOR)))
    deviance = shape * (np.expm1(log_ratio) - log_ratio)
    return -deviance - 0.5 * np.log(shape) - HALF_LOG_TWO_PI - stirling_error(shape, None, np)


def _far_gamma_lower(shape: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Series sum_n x^n / ((shape + 1) ... (shape + n)); what is left out is taken as geometric."""
    total, term = np.ones_like(x), np.ones_like(x)
    for n in range(1, STEPS):
        term = term * (x / (shape + n))
        total = total + term
        if (term <= CLOSE * total).all():
            break
    return _log_leading(shape, x) + np.log(total + term * x / np.maximum(shape + n + 1 - x, 1.0))


def _far_gamma_upper(shape: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Legendre's continued fraction of Gamma(shape, x)."""
    fraction = _lentz(lambda n: (-n * (n - shape), x + 2.0 * n + 1.0 - shape), x + 1.0 - shape)
    return _log_leading(shape, x) + np.log(shape) - np.log(fraction)


def _far_beta(a: np.ndarray, b: np.ndarray, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Continued fraction of I_x(a, b) for x below the mean."""

    def step(n: int) -> tuple[np.ndarray, np.ndarray]:
        m, odd = divmod(n, 2)
        if odd:
            numerator = -(a + m) / (a + 2 * m) * ((a + b + m) / (a + 2 * m + 1)) * x
        else:
            numerator = m / (a + 2 * m - 1) * ((b - m) / (a + 2 * m)) * x
        return numerator, np.ones_like(x)

    with np.errstate(divide="ignore"):
        log_x = np.where(x > 0.5, np.log1p(-rest), np.log(x))
        log_rest = np.where(rest > 0.5, np.log1p(-x), np.log(rest))
    return a * log_x + b * log_rest - np.log(a) - betaln(a, b) - np.log(_lentz(step, np.ones_like(x)))


def _lentz(step: Callable[[int], tuple[np.ndarray, np.ndarray]], first: np.ndarray) -> np.ndarray:
    """`first + a_1 / (b_1 + a_2 / (b_2 + ...))` by the modified method of Lentz, `step(n)` = (a_n, b_n)."""
    value = c = np.where(first == 0, FLOOR, first)
    d = np.zeros_like(first)
    for n in range(1, STEPS):
        a, b = step(n)
        d, c = b + a * d, b + a / c
        d = 1.0 / np.where(np.abs(d) < FLOOR, FLOOR, d)
        c = np.where(np.abs(c) < FLOOR, FLOOR, c)
        value = value * (c * d)
        if (np.abs(c * d - 1.0) <= 4 * CLOSE).all():
            break
    return value
