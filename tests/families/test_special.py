"""Special functions against mpmath at 80 digits: values, first and second derivatives."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixstat.core.special import (
    exp_remainder,
    expm1,
    log1p_excess,
    scaled_log1p,
    sigmoid,
    softplus,
    stirling_error,
)
from tests.families import exact

SCALES = np.concatenate([np.logspace(-10, 15, 76), [0.5, 1, 2, 5.5, 8.3, 9.999999, 10, 10.0001, 12]])
SIGNED = np.concatenate([-np.logspace(-8, 2.4, 40), np.logspace(-8, 2.4, 40), [0.5, -0.5, 0.499999]])


def relative(found: np.ndarray, expected: list) -> float:
    return max(float(abs((mp.mpf(float(f)) - e) / e)) for f, e in zip(np.asarray(found), expected, strict=True))


def three(function, x: np.ndarray) -> tuple:
    return tuple(
        jax.jit(jax.vmap(f))(jnp.asarray(x)) for f in (function, jax.grad(function), jax.jacfwd(jax.grad(function)))
    )


def test_stirling_error() -> None:
    xs = [mp.mpf(float(x)) for x in SCALES]
    half = mp.mpf(1) / 2
    value = [mp.loggamma(x) - ((x - half) * mp.log(x) - x + mp.log(2 * mp.pi) / 2) for x in xs]
    slope = [mp.digamma(x) - mp.log(x) + 1 / (2 * x) for x in xs]
    bend = [mp.psi(1, x) - 1 / x - 1 / (2 * x**2) for x in xs]
    for found, expected in zip(three(stirling_error, SCALES), (value, slope, bend), strict=True):
        assert relative(found, expected) < 1e-12
    host = stirling_error(SCALES, None, np)
    assert max(abs(float(mp.mpf(float(h)) - v)) for h, v in zip(host, value, strict=True)) < 2e-14


def test_stirling_error_of_a_tiny_argument_has_derivatives_in_its_logarithm() -> None:
    value, slope, bend = three(lambda u: stirling_error(jnp.exp(u), u), np.array([-300.0, -30.0, 300.0]))
    np.testing.assert_allclose(value[:2], [150 - 0.9189385332046727, 15 - 0.9189385332046727], rtol=1e-12)
    np.testing.assert_allclose(slope, [-0.5, -0.5, 0.0], atol=1e-11)
    np.testing.assert_allclose(bend, 0.0, atol=1e-11)


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (expm1, [mp.expm1, mp.exp, mp.exp]),
        (exp_remainder, [lambda x: mp.expm1(x) - x, mp.expm1, mp.exp]),
        (softplus, [lambda x: mp.log1p(mp.exp(x)), lambda x: 1 / (1 + mp.exp(-x)), None]),
        (sigmoid, [lambda x: 1 / (1 + mp.exp(-x)), lambda x: 1 / (1 + mp.exp(-x)) / (1 + mp.exp(x)), None]),
    ],
    ids=["expm1", "exp_remainder", "softplus", "sigmoid"],
)
def test_exponentials_keep_their_relative_precision(function, reference) -> None:
    xs = [mp.mpf(float(x)) for x in SIGNED]
    for found, expected in zip(three(function, SIGNED), reference, strict=True):
        assert np.isfinite(found).all()
        if expected is not None:
            assert relative(found, [expected(x) for x in xs]) < 2e-14
    if function is softplus:
        p = [1 / (1 + mp.exp(-x)) / (1 + mp.exp(x)) for x in xs]
        assert relative(three(function, SIGNED)[2], p) < 2e-14


def test_log1p_excess() -> None:
    xs = [mp.mpf(float(x)) for x in SCALES]
    value, slope, bend = three(log1p_excess, SCALES)
    assert relative(value, [mp.log1p(x) - x / (1 + x) for x in xs]) < 2e-15
    assert relative(slope, [x / (1 + x) ** 2 for x in xs]) < 2e-15
    assert float(log1p_excess(jnp.asarray(0.0))) == 0.0
    assert np.isfinite(bend).all()


def test_scaled_log1p_tends_to_its_limit() -> None:
    grid = [(u, w) for u in (-30.0, -2.0, 0.3, 9.0, 40.0) for w in (1e-8, 0.5, 3.0, 1e6)]
    u, w = np.array(grid).T
    found = jax.vmap(scaled_log1p)(u, w)
    slopes = jax.vmap(jax.grad(scaled_log1p, argnums=(0, 1)))(u, w)
    value = lambda a, b: mp.exp(a) * mp.log1p(b / mp.exp(a))  # noqa: E731
    pairs = [(mp.mpf(float(a)), mp.mpf(float(b))) for a, b in grid]
    assert relative(found, [value(a, b) for a, b in pairs]) < 2e-14
    first = [exact.derivatives(value, list(pair))[0] for pair in pairs]
    assert relative(slopes[0], [g[0] for g in first]) < 2e-14
    assert relative(slopes[1], [g[1] for g in first]) < 2e-14


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-8, 1e8))
def test_stirling_error_obeys_the_recurrence_of_gamma(x: float) -> None:
    here, there = (float(stirling_error(np.array(v), None, np)) for v in (x, x + 1.0))
    step = (mp.mpf(x) + mp.mpf(1) / 2) * mp.log1p(1 / mp.mpf(x)) - 1
    assert here - there == pytest.approx(float(step), abs=1e-14, rel=1e-13)
    assert 0 < there < here
