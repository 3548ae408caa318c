"""The tail of a standardised log-gamma variable, log P(W > w) and log[-log P(W > w)], with two derivatives each.

    log f(w; q) = c(q) - [exp(qw) - 1 - qw] / q^2,      c(q) = - log(2 pi)/2 - delta(1/q^2),      delta Stirling's error

is normal at q = 0, log-Weibull at q = 1, and f(w; -q) = f(-w; q) (Prentice, 1974, Biometrika 61). The tail away from
the centre, in which the density falls, is summed by Gauss-Legendre over the stretch where it falls by exp(-40), and so
are its derivatives over q.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.special import HALF_LOG_TWO_PI, polynomial, stirling_error

Array = Any

DEPTH = 40.0
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(28)[0] + 1) / 2, np.polynomial.legendre.leggauss(28)[1] / 2
FACTORIALS = np.cumprod(np.arange(1.0, 25.0))
_VALUE = tuple(1 / FACTORIALS[1:14])
_SLOPE = tuple((k + 1) / FACTORIALS[k + 2] for k in range(13))
_BEND = tuple((k + 1) * (k + 2) / FACTORIALS[k + 3] for k in range(13))
_SMALL = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
LARGEST = 150.0


class Tail(NamedTuple):
    """log P(W > w), or the log of its negative, and its derivatives by w and q."""

    value: Array
    by_w: Array
    by_q: Array
    by_ww: Array
    by_wq: Array
    by_qq: Array


class Tails(NamedTuple):
    """log S = log P(W > w) and log H = log(-log S), which is not lost where S rounds to 1."""

    survival: Tail
    total: Tail


class _Excess(NamedTuple):
    """r(x) = (e^x - 1 - x) / x^2 and its derivatives."""

    value: Array
    slope: Array
    bend: Array


def _excess(x: Array) -> _Excess:
    near = jnp.abs(x) < 0.5
    s, far = jnp.where(near, x, 0.0), jnp.where(near, 1.0, jnp.minimum(x, LARGEST))
    e, square = jnp.exp(far), far * far
    return _Excess(
        jnp.where(near, polynomial(_VALUE, s), (e - 1.0 - far) / square),
        jnp.where(near, polynomial(_SLOPE, s), (e * (far - 2.0) + far + 2.0) / (square * far)),
        jnp.where(near, polynomial(_BEND, s), (e * (square - 4.0 * far + 6.0) - 2.0 * far - 6.0) / (square * square)),
    )


def constant(q: Array) -> Array:
    """c(q), q >= 0."""
    near = q < 0.3
    s, far = jnp.where(near, q, 0.0) ** 2, jnp.where(near, 1.0, q)
    series = s * polynomial(_SMALL, s * s)
    return -HALF_LOG_TWO_PI - jnp.where(near, series, stirling_error(1.0 / (far * far), -2.0 * jnp.log(far)))


def _constants(q: Array) -> tuple[Array, Array, Array]:
    """c, c' and c''."""
    ones = jnp.ones_like(q)

    def slope(at: Array) -> tuple[Array, Array]:
        value, by = jax.jvp(constant, (at,), (ones,))
        return by, value

    by, bend, value = jax.jvp(slope, (q,), (ones,), has_aux=True)
    return value, by, bend


def log_density(w: Array, q: Array) -> Array:
    """log f(w; q)."""
    sign = jnp.where(q < 0, -1.0, 1.0)
    a, u = jnp.abs(q), sign * w
    return constant(a) - u * u * _excess(a * u).value


def _stretch(u: Array, a: Array, up: Array) -> Array:
    """How far from u the density has fallen by exp(-DEPTH), upwards or downwards; a >= 0."""
    normal = jnp.sqrt(u * u + 2.0 * DEPTH) - jnp.abs(u)
    safe = jnp.maximum(a, 1e-8)
    length = normal
    for _ in range(3):
        rise = (DEPTH + length / safe) * safe * safe * jnp.exp(-safe * jnp.maximum(u, 0.0))
        length = jnp.where(up, jnp.minimum(normal, jnp.log1p(rise) / safe), length)
    slope = -jnp.expm1(jnp.minimum(a * u, 0.0)) / safe
    steep = DEPTH / jnp.maximum(jnp.where(a > 1e-8, slope, jnp.abs(u)), 1e-8)
    down = jnp.minimum(steep, (1.0 + DEPTH * safe * safe) / safe + jnp.sqrt(2.0 * DEPTH))
    length = jnp.where(up, length, jnp.maximum(down, normal))
    sign = jnp.where(up, 1.0, -1.0)
    for _ in range(6):
        s = u + sign * length
        rate = sign * jnp.where(a > 1e-8, jnp.expm1(jnp.minimum(a * s, LARGEST)) / safe, s)
        above = _fall(u, a, sign * length) - DEPTH
        length = jnp.maximum(length - above / jnp.maximum(rate, 1e-8), 1e-3 * length)
    return length


def _fall(u: Array, a: Array, step: Array) -> Array:
    """log f(u) - log f(u + step): two terms of one sign, away from the centre."""
    return jnp.exp(jnp.minimum(a * u, LARGEST)) * step * step * _excess(a * step).value + step * u * _slope_ratio(a, u)


def tails(w: Array, q: Array) -> Tails:
    """log S and log H with derivatives, elementwise."""
    sign = jnp.where(q < 0, -1.0, 1.0)
    a, u = jnp.abs(q), sign * w
    up = u >= 0
    side = jnp.where(up, 1.0, -1.0)
    length = _stretch(u, a, up)
    value, by_a, by_aa = _constants(a)
    nodes, weights = _graded(a * length)
    step = side * length * nodes
    s = u + step
    excess = _excess(a * s)
    weight = jnp.exp(-_fall(u, a, step)) * weights
    mass = jnp.sum(weight, axis=0)
    slope = by_a - s**3 * excess.slope
    first = jnp.sum(weight * slope, axis=0) / mass
    second = jnp.sum(weight * (slope * slope + by_aa - s**4 * excess.bend), axis=0) / mass
    log_f = value - u * u * _excess(a * u).value
    density_w = -sign * u * _slope_ratio(a, u)
    density_q = sign * (by_a - u**3 * _excess(a * u).slope)
    return _from_side(_Side(up == (q >= 0), log_f, jnp.log(length * mass), sign * first, second), density_w, density_q)


class _Side(NamedTuple):
    """The side that was summed (S itself, or 1 - S): log f, the log of the side over f, its log's derivative by q, and
    its second derivative by q over itself."""

    is_survival: Array
    log_f: Array
    log_ratio: Array
    first: Array
    second: Array


def _from_side(side: _Side, density_w: Array, density_q: Array) -> Tails:
    """Both logs, given the derivatives of log f."""
    direct, log_side = side.is_survival, jnp.minimum(side.log_f + side.log_ratio, -1e-300)
    log_s = jnp.where(direct, log_side, jnp.log1p(-jnp.exp(jnp.where(direct, -1.0, log_side))))
    log_h = jnp.where(direct, jnp.log(-log_side), log_minus_log1p(jnp.where(direct, -1.0, log_side)))
    other = jnp.where(direct, 0.0, log_side - log_s)
    share = jnp.where(direct, 1.0, -jnp.exp(other))
    scaled = jnp.where(direct, 1.0 / log_side, jnp.exp(other - log_h))
    rate = jnp.exp(-side.log_ratio)
    hazard, relative, by_q = jnp.abs(share) * rate, jnp.abs(scaled) * rate, share * side.first
    turn_w, turn_q, total_q = density_w + hazard, density_q - by_q, scaled * side.first
    return Tails(
        Tail(log_s, -hazard, by_q, -hazard * turn_w, -hazard * turn_q, share * side.second - by_q * by_q),
        Tail(
            log_h,
            relative,
            total_q,
            relative * (turn_w - relative),
            relative * (turn_q - total_q),
            scaled * (side.second - share * side.first * side.first) - total_q * total_q,
        ),
    )


def log_minus_log1p(log_p: Array) -> Array:
    """log[-log(1 - p)] from log p < 0."""
    tiny = log_p < -18.0
    p = jnp.exp(jnp.where(tiny, -1.0, log_p))
    return jnp.where(tiny, log_p + 0.5 * jnp.exp(log_p), jnp.log(-jnp.log1p(-p)))


def normal_tails(w: Array) -> Tails:
    """`tails` at q = 0, without derivatives by q."""
    up, zero = w >= 0, jnp.zeros_like(w)
    log_f = -0.5 * w * w - HALF_LOG_TWO_PI
    side = jax.scipy.special.log_ndtr(-jnp.abs(w))
    return _from_side(_Side(up, log_f, side - log_f, zero, zero), -w, zero)


def _graded(scales: Array) -> tuple[Array, Array]:
    """Nodes and weights (node, ...) on (0, 1), denser near 0 the more scales the density changes on."""
    rate = jnp.log1p(scales) + 1e-3
    shape = (-1, *(1,) * jnp.ndim(scales))
    grid, whole = rate * jnp.asarray(NODES).reshape(shape), jnp.expm1(rate)
    return jnp.expm1(grid) / whole, jnp.asarray(WEIGHTS).reshape(shape) * rate * jnp.exp(grid) / whole


def _slope_ratio(a: Array, u: Array) -> Array:
    """(e^(au) - 1) / (au)."""
    x = jnp.minimum(a * u, LARGEST)
    near = jnp.abs(x) < 1e-8
    return jnp.where(near, 1.0 + 0.5 * x, jnp.expm1(x) / jnp.where(near, 1.0, x))


@jax.custom_jvp
def log_tails(w: Array, q: Array) -> tuple[Array, Array]:
    """log S and log H."""
    found = tails(w, q)
    return found.survival.value, found.total.value


@log_tails.defjvp
def _log_tails_jvp(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    found = tails(*primals)
    return tuple(t.value for t in found), tuple(t.by_w * tangents[0] + t.by_q * tangents[1] for t in found)


@jax.custom_jvp
def log_normal_tails(w: Array) -> tuple[Array, Array]:
    """`log_tails` at q = 0."""
    found = normal_tails(w)
    return found.survival.value, found.total.value


@log_normal_tails.defjvp
def _log_normal_tails_jvp(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    found = normal_tails(*primals)
    return tuple(t.value for t in found), tuple(t.by_w * tangents[0] for t in found)
