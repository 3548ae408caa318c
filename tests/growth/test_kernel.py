"""Growth.log_density against dense normal densities; score and curvature in closed form against automatic ones."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from mixstat.families.growth import Growth
from mixstat.fit.precision import double
from tests.growth import brute_force as bf
from tests.growth.cases import COUNTS, Case

CASES = [
    Case("linear", ("intercept", "slope")),
    Case("linear", ("intercept", "slope"), blocks=(), fixed=(2,)),
    Case("quadratic", ("intercept", "slope", "quadratic"), proportional=True, fixed=(2,)),
    Case("bilinear", ("intercept", "slope1", "knot"), blocks=(("intercept", "knot"), ("slope1",)), proportional=True),
    Case("quadratic", ("intercept", "slope", "quadratic"), blocks=(("intercept", "slope"), ("quadratic",))),
    Case("polynomial", ("intercept", "slope", "power2", "power3"), fixed=(2,)),
    Case("negative_exponential", ("intercept", "change")),
    Case("negative_exponential", ("intercept", "change", "rate")),
    Case("negative_exponential", ("intercept", "rate"), effects=True, fixed=(2,)),
    Case("jenss_bayley", ("slope",)),
    Case("jenss_bayley", ("intercept", "slope", "distance", "rate"), effects=True),
    Case("bilinear", ("intercept", "slope1", "slope2"), fixed=(2,)),
    Case("bilinear", ()),
    Case("bilinear", ("intercept", "slope1", "slope2", "knot")),
    Case("bilinear", ("knot",), effects=True),
    Case("bilinear", ("intercept", "slope2", "knot"), smoothing=0.06),
    Case("trilinear", ("intercept", "knot1", "knot2"), smoothing=0.06),
    Case("trilinear", ("intercept", "slope2")),
    Case("latent_basis", ("intercept", "change"), residual="occasion"),
    Case("linear", ("intercept",), residual="formula", fixed=(2,)),
    Case("linear", ("intercept", "slope"), residual="ar1"),
    Case("linear", (), residual="ar1"),
    Case("bilinear", ("intercept",), residual="brownian"),
    Case("bilinear", ("intercept", "knot"), residual="ar1", effects=True),
    Case("", (0, 1), fixed=(0, 1, 2)),
    Case("", (0, 2), fixed=(0, 1)),
    Case("", (), fixed=(0,), residual="brownian"),
    Case("", (0,), residual="formula"),
]
EXTREME = [
    Case("linear", ("intercept", "slope"), log_sigma=-8.0, change={"level": 0.0}),
    Case("bilinear", ("intercept", "slope1", "slope2"), log_diagonal=-12.0, below=0.0),
    Case("quadratic", ("intercept", "slope"), log_diagonal=-9.0, below=2.0, change={"correlated": 1}),
    Case("linear", ("intercept", "slope"), change={"time": 1e3}, log_diagonal=-4.0),
    Case("negative_exponential", ("intercept", "change"), log_sigma=4.0),
    Case("linear", ("intercept",), residual="ar1", log_sigma=-6.0, change={"log_rate": -9.0}),
    Case("linear", ("intercept",), residual="ar1", change={"log_rate": 5.0, "log_process": -6.0}),
    Case("linear", ("intercept",), residual="brownian", change={"log_process": -9.0}),
]
COMPILED_SLOWLY = ("polynomial", "jenss_bayley", "trilinear")
density = jax.jit(lambda family, eta, data: family.log_density(tuple(eta), data), static_argnums=0)
closed = jax.jit(lambda family, eta, data: family.score_and_curvature(eta, data), static_argnums=0)
scored = jax.jit(lambda family, eta, data: family.score(eta, data), static_argnums=0)


@partial(jax.jit, static_argnums=0)
def automatic(family: Growth, eta: Any, data: Any) -> tuple[Any, Any]:
    """Derivatives of `log_density` alone."""
    gradient = jax.grad(lambda e: jnp.sum(family.log_density(tuple(e), data)))
    directions = jnp.broadcast_to(jnp.eye(len(eta))[:, :, None], (len(eta), *eta.shape))
    slope, push = jax.linearize(gradient, eta)
    return slope, jax.vmap(push)(directions)


def differentiated() -> list[Any]:
    """All cases; those that repeat what others hold and compile slowly are marked."""
    many = {1, 3, 4, 6, 7, 9, 11, 12, 13, 14, 15, 18, 20, 22, 23, 25, 27, 30, 32, 33, 34, 35}
    slow = [case.curve in COMPILED_SLOWLY or index in many for index, case in enumerate([*CASES, *EXTREME])]
    marks = [[pytest.mark.slow] if one else [] for one in slow]
    return [pytest.param(c, marks=m, id=str(c)) for c, m in zip([*CASES, *EXTREME], marks, strict=True)]


def drawn(case: Case) -> tuple[Growth, np.ndarray, np.ndarray]:
    """(family, predictors (P, subject), data)."""
    rng = np.random.default_rng(11)
    family, at, eta = case.family, case.occasions(rng), case.predictors(rng)
    assert len(family.parameters) == len(eta)
    return family, eta, family.write(at)


def exact_log_density(unit: bf.Unit, parameters: bf.GrowthClass) -> float:
    """The reference in 50 digits, the covariance put together in them."""
    with mpmath.workdps(50):
        loadings = bf.loading_matrix(parameters.trajectory, unit.times)
        mean = bf.mean_curve(parameters.trajectory, unit.times) + loadings @ (parameters.beta @ unit.x)
        lam = mpmath.matrix(loadings)
        lower = mpmath.cholesky(lam * mpmath.matrix(parameters.psi) * lam.T + mpmath.matrix(parameters.residual(unit)))
        scaled = mpmath.lu_solve(lower, mpmath.matrix(unit.y) - mpmath.matrix(mean))
        log_roots = sum(mpmath.log(lower[j, j]) for j in range(lower.rows))
        square = sum(value**2 for value in scaled)
        return float(-len(unit.y) * mpmath.log(2 * mpmath.pi) / 2 - log_roots - square / 2)


@pytest.mark.parametrize("case", [*CASES, *EXTREME], ids=str)
@double
def test_log_density(case):
    family, eta, data = drawn(case)
    found = np.asarray(density(family, eta, data))
    at = family.read(data)
    reference = exact_log_density if case in EXTREME else bf.unit_log_density
    for i in range(len(COUNTS)):
        unit, columns = case.subject(at, i)
        expected = reference(unit, case.reference(eta[:, i], columns))
        assert found[i] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", differentiated())
@double
def test_score_and_curvature(case):
    family, eta, data = drawn(case)
    score, curvature = (np.asarray(part) for part in closed(family, eta, data))
    expected_score, expected = (np.asarray(part) for part in automatic(family, eta, data))
    tol = 1e-6 if case in EXTREME else 1e-8
    rounding = 2e-14 * np.abs(expected).max(axis=(0, 1))
    size = np.sqrt(np.abs(np.einsum("ppn->pn", expected))) + (1.0 if case in EXTREME else 1e-3)
    np.testing.assert_array_less(np.abs(score - expected_score), tol * (size + np.abs(expected_score)) + rounding)
    bound = tol * (size[:, None] * size[None] + np.abs(expected)) + rounding
    np.testing.assert_array_less(np.abs(curvature - expected), bound)
    np.testing.assert_allclose(scored(family, eta, data), score, rtol=1e-8, atol=1e-8 * np.abs(score).max())


@double
def test_knot_at_an_observed_time():
    """One-sided derivatives at the kink, all finite; the density is continuous there."""
    case = Case("bilinear", ("intercept", "slope1", "slope2"), fixed=(2,))
    family, eta, data = drawn(case)
    eta[3] = family.read(data).time[1]
    score, curvature = closed(family, eta, data)
    assert np.isfinite(score).all()
    assert np.isfinite(curvature).all()
    near = eta.copy()
    near[3] += 1e-9
    np.testing.assert_allclose(density(family, eta, data), density(family, near, data), rtol=1e-7)


@double
def test_no_occasion_tells_nothing():
    case = Case("bilinear", ("intercept", "slope1"), fixed=(2,))
    family, eta, data = drawn(case)
    at = family.read(data)
    none = family.write(at._replace(seen=0 * at.seen, y=0 * at.y))
    np.testing.assert_array_equal(density(family, eta, none), 0.0)
    for part in closed(family, eta, none):
        np.testing.assert_allclose(part, 0.0, atol=1e-14)


@double
def test_padding_tells_nothing():
    """What stands where nothing was seen is of no consequence, nor are further places."""
    case = Case("negative_exponential", ("intercept", "change"), fixed=(2,))
    family, eta, data = drawn(case)
    at = family.read(data)
    unseen = at.seen == 0
    filled = at._replace(y=np.where(unseen, 1e3, at.y), columns=np.where(unseen, -7.0, at.columns))
    expected = np.asarray(density(family, eta, data))
    np.testing.assert_allclose(density(family, eta, family.write(filled)), expected, rtol=1e-14)
    longer = type(at)(*(np.concatenate([part, part[..., -1:, :] * (k != 1)], axis=-2) for k, part in enumerate(at)))
    np.testing.assert_allclose(density(family, eta, family.write(longer)), expected, rtol=1e-13)


MEANS = [
    Case("bilinear", ("intercept", "slope1", "slope2", "knot"), effects=True, fixed=(2,)),
    Case("latent_basis", ("change",), residual="occasion"),
    Case("linear", ("intercept", "slope"), residual="ar1"),
    Case("quadratic", ("intercept",), residual="brownian", fixed=(2,)),
    Case("", (0, 2), residual="formula", fixed=(0, 1)),
]


@pytest.mark.parametrize("case", MEANS, ids=str)
@double
def test_mean_and_random_effects(case):
    """E[zeta | y] = Psi Lam' V^-1 (y - mean), Cov = Psi - Psi Lam' V^-1 Lam Psi (Laird and Ware, 1982)."""
    family, eta, data = drawn(case)
    at = family.read(data)
    mean, (effects, covariance) = family.mean_given(eta, data), family.random_effects(eta, data)
    for i in range(len(COUNTS)):
        unit, columns = case.subject(at, i)
        parameters = case.reference(eta[:, i], columns)
        y, expected, dense = bf.unit_moments(unit, parameters)
        np.testing.assert_allclose(np.asarray(mean)[at.seen[:, i] > 0, i], expected, rtol=1e-10)
        through = parameters.psi @ bf.loading_matrix(parameters.trajectory, unit.times).T
        blup = through @ np.linalg.solve(dense, y - expected)
        left = parameters.psi - through @ np.linalg.solve(dense, through.T)
        kept = np.flatnonzero(np.diag(parameters.psi))  # in the order of the random coefficients
        np.testing.assert_allclose(np.asarray(effects)[:, i], blup[kept], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(np.asarray(covariance)[..., i], left[np.ix_(kept, kept)], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("case", MEANS, ids=str)
@double
def test_samples(case):
    """Mean and covariance of many draws of one subject, within 5 standard errors."""
    draws = 4000
    family, eta, data = drawn(case)
    i = 0
    drawn_data = np.repeat(data[:, i : i + 1], draws, axis=1)
    sample = family.sample(np.random.default_rng(5), list(np.repeat(eta[:, i : i + 1], draws, axis=1)), drawn_data)
    at = family.read(data)
    unit, columns = case.subject(at, i)
    _, mean, dense = bf.unit_moments(unit, case.reference(eta[:, i], columns))
    values = sample[:, at.seen[:, i] > 0]
    assert sample.shape == (draws, family.drawn(data))
    spread = np.sqrt(np.diag(dense))
    assert (np.abs(values.mean(axis=0) - mean) < 5 * spread / np.sqrt(draws)).all()
    bound = 5 * np.sqrt((np.outer(spread, spread) ** 2 + dense**2) / draws)
    assert (np.abs(np.cov(values.T) - dense) < bound).all()
    again = family.read(family.redrawn(drawn_data, sample))
    np.testing.assert_array_equal(again.y.T[:, at.seen[:, i] > 0], values)
    assert (again.y[at.seen[:, i] == 0] == 0).all()


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[3], CASES[4], CASES[16], CASES[18], CASES[20]], ids=str)
def test_natural_scale(case):
    """Covariances and variances of the predictors' logs and factors, and the derivative."""
    family = case.family
    eta = case.predictors(np.random.default_rng(0))[:, 0]
    places = [place for natural in family.natural for place in natural.parameters]
    first = len(eta) - len(case.entries) - len(case.scale)
    assert sorted(places) == list(range(first, len(eta)))
    for natural in family.natural:
        value = eta[list(natural.parameters), None]
        for j, step in enumerate(np.eye(len(value))[..., None]):
            numeric = (natural.to(value + 1e-6 * step) - natural.to(value - 1e-6 * step)) / 2e-6
            exact = natural.to(value + 1e-100j * step).imag / 1e-100
            np.testing.assert_allclose(exact, numeric, rtol=1e-7, atol=1e-9, err_msg=str(j))
    shown = np.concatenate([n.to(eta[list(n.parameters), None])[:, 0] for n in family.natural])
    covariances = np.array([case.psi[pair] for pair in case.entries])
    if case.proportional:
        covariances[1:] /= covariances[0]
    scale = eta[-len(case.scale) :]
    split = len(scale) - len(family.structure.parameters)
    np.testing.assert_allclose(shown, [*covariances, *np.exp(2 * scale[:split]), *np.exp(scale[split:])])
