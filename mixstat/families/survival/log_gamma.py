"""The tail of a standardised log-gamma variable, log P(W > w), with first and second derivatives.

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
LARGEST = 600.0


class Tail(NamedTuple):
    """log P(W > w) and its derivatives by w and q."""

    value: Array
    by_w: Array
    by_q: Array
    by_ww: Array
    by_wq: Array
    by_qq: Array


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
    start = u * u * _excess(a * u).value
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
        excess = s * s * _excess(a * s).value - start - DEPTH
        rate = sign * jnp.where(a > 1e-8, jnp.expm1(jnp.minimum(a * s, LARGEST)) / safe, s)
        length = jnp.maximum(length - excess / jnp.maximum(rate, 1e-8), 1e-3 * length)
    return length


def tail(w: Array, q: Array) -> Tail:
    """log P(W > w) and derivatives, elementwise."""
    sign = jnp.where(q < 0, -1.0, 1.0)
    a, u = jnp.abs(q), sign * w
    up = u >= 0
    side = jnp.where(up, 1.0, -1.0)
    length = _stretch(u, a, up)
    value, by_a, by_aa = _constants(a)
    here = u * u * _excess(a * u).value
    nodes, weights = _graded(a * length)
    s = u + side * length * nodes
    excess = _excess(a * s)
    weight = jnp.exp(here - s * s * excess.value) * weights
    mass = jnp.sum(weight, axis=0)
    slope = by_a - s**3 * excess.slope
    first = jnp.sum(weight * slope, axis=0) / mass
    second = jnp.sum(weight * (slope * slope + by_aa - s**4 * excess.bend), axis=0) / mass
    log_f = value - here
    log_mass = log_f + jnp.log(length * mass)
    direct = up == (q >= 0)
    inner = jnp.minimum(log_mass, -1e-300)
    log_tail = jnp.where(direct, log_mass, jnp.log1p(-jnp.exp(inner)))
    share = jnp.where(direct, 1.0, -jnp.exp(log_mass - log_tail))
    by_q = share * first
    hazard = jnp.exp(log_f - log_tail)
    density_w = -sign * u * _slope_ratio(a, u)
    density_q = by_a - u**3 * _excess(a * u).slope
    return Tail(
        log_tail,
        -hazard,
        sign * by_q,
        -hazard * (density_w + hazard),
        -hazard * sign * (density_q - by_q),
        share * second - by_q * by_q,
    )


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
def log_tail(w: Array, q: Array) -> Array:
    """log P(W > w)."""
    return tail(w, q).value


@log_tail.defjvp
def _log_tail_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    found = tail(*primals)
    return found.value, found.by_w * tangents[0] + found.by_q * tangents[1]
