"""The adapted power generalised Weibull hazard, uniformly in its shape (Burke, Jones and Noufaily, 2020, JRSS-C 69).

    H0(z) = (k+1)/k [(1 + z/(k+1))^k - 1],      h0(z) = (1 + z/(k+1))^(k-1),      z > 0, k > -1

With u = log z, nu = log(k+1) and w = exp(-nu) = 1/(k+1),

    b = log1p(w z)/w,      log H0 = log b + psi((1-w) b),      log h0 = (1-2w) b,      psi(c) = log[(e^c - 1)/c]

has no cancellation at the limits: w = 0 (Gompertz), 1/2 (Weibull), 1 (log-logistic), above 1 (cure). Derivatives over
(u, nu) are closed forms of the same kind, from b_u = z/(1 + wz), b_nu = b - b_u = [log1p(wz) - wz/(1 + wz)]/w and, of
c = (1-w) b, c_nu = b_nu + w b_u, so that second derivatives are as good as values.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.core.special import log1p_excess, polynomial

Array = Any

LOG2 = (float.fromhex("0x1.62e42fefa0000p-1"), float.fromhex("0x1.cf79abc9e3b3ap-40"))
"""log 2 in two parts: nu - log 2 keeps its digits near the Weibull."""
_BERNOULLI = (
    1 / 24,
    -1 / 2880,
    1 / 181440,
    -1 / 9676800,
    1 / 479001600,
    -691 / 15692092416000,
    1 / 1046139494400,
    -3617 / 170729965486080000,
    43867 / 91963695909076992000,
    -174611 / 16057153253965824000000,
)
"""B_2n / (2n (2n)!): psi(c) - c/2 = sum of these times c^2n, |c| < 2 pi."""
_SLOPE = tuple(2 * (n + 1) * c for n, c in enumerate(_BERNOULLI))
_BEND = tuple((2 * n + 1) * c for n, c in enumerate(_SLOPE))
NEAR = 1.0
FAR = 690.0
"""Logs above it are not exponentiated."""


class Psi(NamedTuple):
    """psi and its first two derivatives."""

    value: Array
    slope: Array
    bend: Array


def psi(c: Array) -> Psi:
    """log[(e^c - 1)/c] at any real c."""
    near = jnp.abs(c) < NEAR
    s, far = jnp.where(near, c, 0.0), jnp.where(near, 1.0, jnp.abs(c))
    square, a = s * s, jnp.exp(-far)
    value = jnp.where(
        near, 0.5 * s + square * polynomial(_BERNOULLI, square), jnp.maximum(c, 0.0) + jnp.log1p(-a) - jnp.log(far)
    )
    odd = 1.0 / (1.0 - a) - 1.0 / far
    slope = jnp.where(near, 0.5 + s * polynomial(_SLOPE, square), jnp.where(c > 0, odd, 1.0 - odd))
    bend = jnp.where(near, polynomial(_BEND, square), 1.0 / (far * far) - a / ((1.0 - a) * (1.0 - a)))
    return Psi(value, slope, bend)


class _Parts(NamedTuple):
    """b and its derivatives; `share` = wz/(1 + wz); `rate` = b_u/b and `turn` = b_nu/b, which exist where b is 0."""

    log_b: Array
    b: Array
    by_u: Array
    by_nu: Array
    share: Array
    rest: Array
    rate: Array
    turn: Array


def _parts(u: Array, nu: Array) -> _Parts:
    x = u - nu
    small = x <= 0
    q = jnp.exp(-jnp.abs(x))
    log_q = jnp.log1p(q)
    one, other = 1.0 / (1.0 + q), q / (1.0 + q)
    tiny = q < 1e-290
    safe = jnp.where(tiny, 1.0, q)
    relative = jnp.where(tiny, 1.0 - 0.5 * q, log_q / safe)
    excess = jnp.where(tiny, 0.5 * q, log1p_excess(safe) / safe)
    soft = jnp.maximum(x, 0.0) + log_q
    scale = jnp.exp(jnp.where(small, u, nu))
    unit = jnp.where(small, relative, soft)
    by_u = one
    by_nu = jnp.where(small, excess, soft - one)
    return _Parts(
        jnp.where(small, u, nu) + jnp.log(unit),
        scale * unit,
        scale * by_u,
        scale * by_nu,
        jnp.where(small, other, one),
        jnp.where(small, one, other),
        by_u / unit,
        by_nu / unit,
    )


class Logs(NamedTuple):
    """log H0 and log h0."""

    cumulative: Array
    hazard: Array


class Slopes(NamedTuple):
    """First derivatives of log H0 and log h0 by u and nu."""

    cumulative_u: Array
    cumulative_nu: Array
    hazard_u: Array
    hazard_nu: Array


def _one_minus(nu: Array) -> tuple[Array, Array, Array]:
    """w, 1 - w and 1 - 2w."""
    return jnp.exp(-nu), -jnp.expm1(-nu), -jnp.expm1(LOG2[1] - (nu - LOG2[0]))


@jax.custom_jvp
def logs(u: Array, nu: Array) -> Logs:
    """log H0 and log h0 at log z = u and nu = log(k+1), elementwise."""
    b = _parts(u, nu)
    _, linear, double = _one_minus(nu)
    return Logs(b.log_b + psi(linear * b.b).value, double * b.b)


@jax.custom_jvp
def slopes(u: Array, nu: Array) -> Slopes:
    """First derivatives of `logs`."""
    b = _parts(u, nu)
    w, linear, double = _one_minus(nu)
    slope = psi(linear * b.b).slope
    return Slopes(
        b.rate + slope * linear * b.by_u,
        b.turn + slope * (b.by_nu + w * b.by_u),
        double * b.by_u,
        b.by_nu + 2.0 * w * b.by_u,
    )


class Bends(NamedTuple):
    """Second derivatives of log H0 and log h0."""

    cumulative_uu: Array
    cumulative_unu: Array
    cumulative_nunu: Array
    hazard_uu: Array
    hazard_unu: Array
    hazard_nunu: Array


def bends(u: Array, nu: Array) -> Bends:
    """Second derivatives of `logs`."""
    b = _parts(u, nu)
    w, linear, double = _one_minus(nu)
    found = psi(linear * b.b)
    by_uu, by_unu = b.by_u * b.rest, b.by_u * b.share
    by_nunu = b.by_nu - by_unu
    c_u, c_nu = linear * b.by_u, b.by_nu + w * b.by_u
    c_uu, c_unu, c_nunu = linear * by_uu, by_unu + w * by_uu, by_nunu - w * by_uu
    return Bends(
        b.rate * (b.rest - b.rate) + found.bend * c_u * c_u + found.slope * c_uu,
        b.rate * (b.share - b.turn) + found.bend * c_u * c_nu + found.slope * c_unu,
        b.turn * (1.0 - b.turn) - b.rate * b.share + found.bend * c_nu * c_nu + found.slope * c_nunu,
        double * by_uu,
        by_unu + 2.0 * w * by_uu,
        by_nunu - 2.0 * w * by_uu,
    )


@logs.defjvp
def _logs_jvp(primals: tuple, tangents: tuple) -> tuple[Logs, Logs]:
    (u, nu), (du, dnu) = primals, tangents
    by = slopes(u, nu)
    return logs(u, nu), Logs(by.cumulative_u * du + by.cumulative_nu * dnu, by.hazard_u * du + by.hazard_nu * dnu)


@slopes.defjvp
def _slopes_jvp(primals: tuple, tangents: tuple) -> tuple[Slopes, Slopes]:
    (u, nu), (du, dnu) = primals, tangents
    by = bends(u, nu)
    return slopes(u, nu), Slopes(
        by.cumulative_uu * du + by.cumulative_unu * dnu,
        by.cumulative_unu * du + by.cumulative_nunu * dnu,
        by.hazard_uu * du + by.hazard_unu * dnu,
        by.hazard_unu * du + by.hazard_nunu * dnu,
    )


def inverse(log_h: Array, nu: Array) -> Array:
    """u with log H0(exp u) = `log_h`; inf where H0 never comes so far (w > 1, a cured share)."""
    w, linear, _ = _one_minus(nu)
    y = jnp.exp(jnp.minimum(log_h, FAR))
    step = linear * y
    cured = step <= -1.0
    safe = jnp.where(cured | (jnp.abs(step) < 1e-290), 1.0, step)
    relative = jnp.where(jnp.abs(step) < 1e-290, 1.0 - 0.5 * step, jnp.log1p(safe) / safe)
    log_b = log_h + jnp.log(relative)
    far = log_h > FAR
    log_b = jnp.where(far & (linear > 0), _far_inverse(log_h, linear), log_b)
    u = log_b + psi(w * jnp.exp(jnp.minimum(log_b, FAR))).value
    return jnp.where(cured | (far & (linear < 0)), jnp.inf, u)


def _far_inverse(log_h: Array, linear: Array) -> Array:
    """log b of `inverse` where H0 would overflow."""
    positive = jnp.where(linear > 0, linear, 1.0)
    return jnp.log(jnp.log(positive) + log_h) - jnp.log(positive)
