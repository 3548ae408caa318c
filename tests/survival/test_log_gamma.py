"""Tails of standardised log-gamma variables: log S and log H with derivatives against mpmath, and far out."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from mixstat.families.survival import GeneralizedGamma, log_gamma
from tests.survival import exact

Q = (-4.0, -1.0, -0.1, 0.02, 0.3, 1.0, 2.0, 4.0)
W = (-12.0, -3.0, -0.2, 0.0, 1.0, 4.0)


def log_total(w, q):
    return mp.log(-exact.log_gamma_tail(w, q))


@pytest.fixture(scope="module")
def found() -> log_gamma.Tails:
    with jax.enable_x64(True):
        q, w = (jnp.asarray(part.ravel()) for part in np.meshgrid(Q, W, indexing="ij"))
        return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(len(Q), len(W)), jax.jit(log_gamma.tails)(w, q))


def known(w: float, q: float) -> bool:
    """Whether 120 digits and their differences can tell S from 1 and from 0."""
    log_s = exact.log_gamma_tail(w, q)
    return mp.mpf(10) ** -40 < abs(log_s) < 1e4


@pytest.mark.parametrize("q", Q)
def test_values_and_first_derivatives(found, q):
    """To 5e-9 (1 + |value|), most of them to 1e-12."""
    row, count = Q.index(q), 0
    with mp.workdps(exact.DIGITS):
        for column, w in enumerate(W):
            if not known(w, q):
                continue
            count += 1
            for tail, function in ((found.survival, exact.log_gamma_tail), (found.total, log_total)):
                by_w, by_q = exact.first(function, w, q)
                for mine, reference in ((tail.value, function(w, q)), (tail.by_w, by_w), (tail.by_q, by_q)):
                    assert abs(mine[row, column] - reference) < 5e-9 * (1 + abs(reference)), w
    assert count >= 3


@pytest.mark.parametrize("q", Q[::2])
def test_second_derivatives(found, q):
    """To 2e-8 (1 + |value|)."""
    row = Q.index(q)
    with mp.workdps(exact.DIGITS):
        for column, w in enumerate(W[1:5], start=1):
            if not known(w, q):
                continue
            for tail, function in ((found.survival, exact.log_gamma_tail), (found.total, log_total)):
                references = exact.second(function, w, q)
                for mine, reference in zip((tail.by_ww, tail.by_wq, tail.by_qq), references, strict=True):
                    assert abs(mine[row, column] - reference) < 2e-8 * (1 + abs(reference)), w


def test_the_normal_is_the_limit(found):
    with jax.enable_x64(True):
        w = jnp.asarray(np.array([-15.0, -8.0, -1.0, 0.0, 2.0, 8.0]))
        normal, near = log_gamma.normal_tails(w), log_gamma.tails(w, 0.0 * w)
    np.testing.assert_allclose(normal.survival.value, stats.norm.logsf(w), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(normal.total.value[:2], stats.norm.logcdf(w[:2]), rtol=1e-12)
    for one, other in zip(normal, near, strict=True):
        for name in ("value", "by_w", "by_ww"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("q", [-2.0, -0.07, 0.0, 0.4, 3.0])
def test_nothing_is_undefined_far_out(q):
    """Where the density has fallen by any power of e, compiled or not."""
    with jax.enable_x64(True):
        w = jnp.asarray(np.array([-2e4, -950.0, -60.0, 60.0, 950.0]))
        for function in (log_gamma.tails, jax.jit(log_gamma.tails)):
            tails = function(w, 0.0 * w + q)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tails))
            assert (np.asarray(tails.survival.value) <= 0).all()


@pytest.mark.parametrize(
    ("case", "eta", "frozen"),
    [
        ("lognormal", (0.4, -0.3), stats.lognorm(np.exp(-0.3), scale=np.exp(0.4))),
        ("gamma", (0.4, -0.3), stats.gamma(np.exp(0.6), scale=np.exp(0.4 - 0.6))),
        (
            "generalized_gamma",
            (0.4, -0.3, 0.6),
            stats.gengamma(1 / 0.36, 0.6 / np.exp(-0.3), scale=np.exp(0.4) * 0.36 ** (np.exp(-0.3) / 0.6)),
        ),
        (
            "generalized_gamma",
            (0.4, -0.3, -0.6),
            stats.gengamma(1 / 0.36, -0.6 / np.exp(-0.3), scale=np.exp(0.4) * 0.36 ** (-np.exp(-0.3) / 0.6)),
        ),
        ("generalized_gamma", (0.4, -0.3, 1.0), stats.weibull_min(np.exp(0.3), scale=np.exp(0.4))),
    ],
)
def test_laws_of_scipy(case, eta, frozen):
    """Distribution, density, mean and quantiles of the laws that rest on these tails."""
    t = np.array([0.05, 0.7, 1.5, 4.0, 9.0])
    family = GeneralizedGamma(case=case)
    with jax.enable_x64(True):
        rows = [jnp.full(len(t), value) for value in eta]
        logs = family.logs(rows, jnp.log(t), jnp.zeros((0, 1)))
        back = family.log_time(rows, logs.cumulative, jnp.zeros((0, 1)))
        mean = float(family.mean([jnp.array([value]) for value in eta])[0])
    np.testing.assert_allclose(-np.exp(logs.cumulative), frozen.logsf(t), rtol=1e-9)
    np.testing.assert_allclose(logs.hazard, frozen.logpdf(t) - frozen.logsf(t), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back, np.log(t), rtol=1e-9, atol=1e-9)
    assert mean == pytest.approx(frozen.mean(), rel=1e-9)
