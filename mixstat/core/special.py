"""Special functions free of cancellation, whose first and second derivatives are exact and cheap.

`delta(x) = log Gamma(x) - [(x - 1/2) log x - x + log(2 pi)/2]` (Stirling's error) carries every gamma function of
the families: the rest of a log-density is then a sum of non-negative deviances (Loader, 2000, "Fast and accurate
computation of binomial probabilities"), so that nothing of the size of `log y!` is ever subtracted. jax's lgamma,
digamma and polygamma are slow and not used.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Polynomial

Array = Any

HALF_LOG_TWO_PI = 0.9189385332046727
FLAT = 300.0
"""Where the log of a shape parameter is cut: its density has long reached its limit (Poisson, Gaussian)."""

_SHIFT = 10
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_STIRLING_SLOPE = tuple(-(2 * k + 1) * c for k, c in enumerate(_STIRLING))
_STIRLING_BEND = tuple((2 * k + 1) * (2 * k + 2) * c for k, c in enumerate(_STIRLING))
_R = Polynomial.fromroots(np.arange(1 - _SHIFT, 0))
_RISING = tuple(_R.coef.tolist())
"""Coefficients of r(x) = (x + 1) ... (x + 9), of r' and of r'^2 - r r'': all positive whole numbers."""
_RISING_SLOPE = tuple(_R.deriv().coef.tolist())
_RISING_BEND = tuple((_R.deriv() ** 2 - _R * _R.deriv(2)).coef[: 2 * _SHIFT - 3].tolist())
_EXPONENTIAL = tuple(1 / f for f in (2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600, 6227020800))
_ARTANH = tuple(1 / (2 * k + 3) for k in range(13))


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


@jax.custom_jvp
def expm1(x: Array) -> Array:
    """`e^x - 1`, whose derivative keeps its relative precision where `e^x` is tiny (jax's own does not)."""
    return jnp.expm1(x)


expm1.defjvps(lambda dx, out, x: jnp.exp(x) * dx)


@jax.custom_jvp
def exp_remainder(x: Array) -> Array:
    """`e^x - 1 - x`, non-negative."""
    near = jnp.abs(x) < 0.5
    s = jnp.where(near, x, 0.0)
    return jnp.where(near, s * s * polynomial(_EXPONENTIAL, s), jnp.exp(x) - 1.0 - x)


exp_remainder.defjvps(lambda dx, out, x: expm1(x) * dx)


@jax.custom_jvp
def sigmoid(x: Array) -> Array:
    """`1 / (1 + e^-x)`, with derivative `sigmoid(x) sigmoid(-x)`."""
    return 1.0 / (1.0 + jnp.exp(-x))


sigmoid.defjvps(lambda dx, out, x: out * sigmoid(-x) * dx)


@jax.custom_jvp
def softplus(x: Array) -> Array:
    """`log(1 + e^x)`."""
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


softplus.defjvps(lambda dx, out, x: sigmoid(x) * dx)


@jax.custom_jvp
def log1mexp(x: Array) -> Array:
    """`log(1 - e^-x)`, x > 0."""
    small = x < 0.6931471805599453
    near, far = jnp.where(small, x, 1.0), jnp.where(small, 1.0, x)
    return jnp.where(small, jnp.log(-jnp.expm1(-near)), jnp.log1p(-jnp.exp(-far)))


log1mexp.defjvps(lambda dx, out, x: dx * jnp.exp(-x) / -expm1(-x))


@jax.custom_jvp
def log1p_excess(q: Array) -> Array:
    """`log(1 + q) - q / (1 + q)` for q >= 0: of order q^2 / 2 near 0."""
    s = jnp.where(q < 0.5, q, 0.0)
    s = s / (2.0 + s)
    near = 2.0 * s * s * (1.0 / (1.0 + s) + s * polynomial(_ARTANH, s * s))
    return jnp.where(q < 0.5, near, jnp.log1p(q) - q / (1.0 + q))


log1p_excess.defjvps(lambda dq, out, q: q / (1.0 + q) / (1.0 + q) * dq)


@jax.custom_jvp
def scaled_log1p(log_x: Array, w: Array) -> Array:
    """`x log(1 + w / x)` for w >= 0, which tends to w as x grows."""
    return jnp.exp(log_x) * jnp.log1p(w * jnp.exp(-log_x))


@scaled_log1p.defjvp
def _scaled_log1p_jvp(primals: tuple, tangents: tuple) -> tuple:
    (log_x, w), (d_log_x, dw) = primals, tangents
    q = w * jnp.exp(-log_x)
    return scaled_log1p(log_x, w), jnp.exp(log_x) * log1p_excess(q) * d_log_x + dw / (1.0 + q)


def _small(x: Array, xp: Any) -> tuple[Array, Array, Array]:
    """(x < shift, the argument of the series, x or 1 where it is not small)."""
    small = x < _SHIFT
    return small, xp.where(small, x + _SHIFT, x), xp.where(small, x, 1.0)


def _stirling_value(x: Array, log_x: Array, xp: Any) -> Array:
    small, z, x = _small(x, xp)
    inverse = 1.0 / z
    log_x = xp.where(small, log_x, 0.0)
    near = 1.0 / (x + _SHIFT)
    shift = (x + 0.5) * (xp.log(x + _SHIFT) - log_x) - _SHIFT - xp.log(polynomial(_RISING, x) * near ** (_SHIFT - 1))
    return inverse * polynomial(_STIRLING, inverse * inverse) + xp.where(small, shift, 0.0)


@jax.custom_jvp
def _stirling(x: Array, log_x: Array) -> Array:
    """As a function of x and log x, so that nothing is divided by a small x."""
    return _stirling_value(x, log_x, jnp)


@jax.custom_jvp
def _stirling_slope(x: Array, log_x: Array) -> Array:
    """Derivative of `_stirling` in x at fixed log x."""
    small, z, x = _small(x, jnp)
    square = 1.0 / (z * z)
    near = 1.0 / (x + _SHIFT)
    log_x = jnp.where(small, log_x, 0.0)
    rising = polynomial(_RISING_SLOPE, x) / polynomial(_RISING, x)
    shift = jnp.log(x + _SHIFT) - log_x + (x + (_SHIFT - 0.5)) * near - rising
    return square * polynomial(_STIRLING_SLOPE, square) + jnp.where(small, shift, 0.0)


def _stirling_bend(x: Array) -> Array:
    """Derivative of `_stirling_slope` in x at fixed log x."""
    small, z, x = _small(x, jnp)
    inverse = 1.0 / z
    near = 1.0 / (x + _SHIFT)
    rising = polynomial(_RISING, x)
    shift = near + 0.5 * near * near + polynomial(_RISING_BEND, x) / (rising * rising)
    series = inverse * inverse * inverse * polynomial(_STIRLING_BEND, inverse * inverse)
    return series + jnp.where(small, shift, 0.0)


@_stirling.defjvp
def _stirling_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x, log_x), (dx, d_log_x) = primals, tangents
    by_log = jnp.where(x < _SHIFT, -(x + 0.5), 0.0)
    return _stirling(x, log_x), _stirling_slope(x, log_x) * dx + by_log * d_log_x


@_stirling_slope.defjvp
def _stirling_slope_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x, log_x), (dx, d_log_x) = primals, tangents
    return _stirling_slope(x, log_x), _stirling_bend(x) * dx + jnp.where(x < _SHIFT, -1.0, 0.0) * d_log_x


def stirling_error(x: Array, log_x: Array | None = None, xp: Any = jnp) -> Array:
    """Stirling's error `log Gamma(x) - [(x - 1/2) log x - x + log(2 pi)/2]`, x > 0.

    Give `log_x` where it is known: then x may be as small as 1e-300. `xp` is jax.numpy, or numpy on the host.
    """
    log_x = xp.log(x) if log_x is None else log_x
    return _stirling(x, log_x) if xp is jnp else _stirling_value(x, log_x, xp)
