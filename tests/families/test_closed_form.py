"""The closed-form M-step is weighted least squares, also where the columns or the weights degenerate."""

import jax
import numpy as np
import pytest

from mixstat.families import DiagonalGaussian, Gaussian, Lognormal, MultivariateGaussian

RNG = np.random.default_rng(5)
N = 60
COLUMNS = np.stack([np.ones(N), RNG.normal(size=N), 1e4 * RNG.normal(size=N)])
WEIGHT = RNG.uniform(0, 1, N)


def least_squares(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and residual covariance of y (row, d)."""
    root = np.sqrt(WEIGHT)[:, None]
    beta = np.linalg.lstsq(COLUMNS.T * root, y * root, rcond=None)[0]
    error = y - COLUMNS.T @ beta
    return beta.T, (error * WEIGHT[:, None]).T @ error / WEIGHT.sum()


@pytest.mark.parametrize("family", [Gaussian(), Lognormal()], ids=lambda f: f.name)
def test_one_response_equals_weighted_least_squares(family: Gaussian) -> None:
    y = np.exp(0.3 * RNG.normal(size=N) + 0.4 * COLUMNS[1])
    begin = np.array([0.3, -0.2, 1e-5])
    moments = jax.jit(family.moments)(WEIGHT, COLUMNS, (begin @ COLUMNS, np.zeros(1)), family.encode(y, "y"))
    step, constants = family.maximize([np.asarray(m) for m in moments])
    beta, covariance = least_squares((y if family == Gaussian() else np.log(y))[:, None])
    assert step.shape == (1, 3)
    np.testing.assert_allclose(begin + step[0], beta[0], rtol=1e-10)
    np.testing.assert_allclose(constants, 0.5 * np.log(covariance[0]), rtol=1e-10)


@pytest.mark.parametrize("kind", [MultivariateGaussian, DiagonalGaussian])
def test_several_responses_equal_weighted_least_squares(kind: type[MultivariateGaussian]) -> None:
    family = kind(("a", "b", "c"))
    y = RNG.normal(size=(N, 3)) @ RNG.normal(size=(3, 3)) + COLUMNS[1][:, None]
    begin = np.array([[0.1, 0.2, 0.0], [0.0, 0.0, 0.0], [1.0, -1.0, 1e-4]])
    eta = (*(begin @ COLUMNS), *np.zeros((len(family.parameters) - 3, 1)))
    moments = jax.jit(family.moments)(WEIGHT, COLUMNS, eta, family.encode(y, "y"))
    step, constants = family.maximize([np.asarray(m) for m in moments])
    beta, covariance = least_squares(y)
    np.testing.assert_allclose(begin + step, beta, rtol=1e-9, atol=1e-11)
    found = family.covariance_matrix([*np.zeros((3, 1)), *constants[:, None]])
    expected = np.diag(np.diag(covariance)) if kind is DiagonalGaussian else covariance
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_moments_vmap_over_experts_and_take_constant_predictors() -> None:
    family = MultivariateGaussian(("a", "b"))
    data = family.encode(RNG.normal(size=(N, 2)), "y")
    weights = np.stack([WEIGHT, 1 - WEIGHT])
    eta = tuple(RNG.normal(size=(5, 2, 1)))
    stacked = jax.vmap(lambda w, *e: family.moments(w, COLUMNS, e, data))(weights, *eta)
    for k in range(2):
        for both, one in zip(stacked, family.moments(weights[k], COLUMNS, tuple(e[k] for e in eta), data), strict=True):
            np.testing.assert_allclose(both[k], one, rtol=1e-12)
    assert [m.shape for m in stacked] == [(2, 3, 3), (2, 3, 2), (2, 2, 2), (2,)]


@pytest.mark.parametrize("weight", [0.0, 1e-300, 1.0])
@pytest.mark.parametrize("response", ["zero", "exact", "huge", "noise"])
@pytest.mark.parametrize("columns", ["twice", "none", "zero"])
def test_degenerate_moments_give_finite_steps(weight: float, response: str, columns: str) -> None:
    x = {"twice": COLUMNS[[0, 1, 1]], "none": COLUMNS[:0], "zero": 0 * COLUMNS}[columns]
    y = {"zero": np.zeros(N), "exact": 3 * COLUMNS[1], "huge": 1e100 * COLUMNS[1], "noise": COLUMNS[2]}[response]
    for family in (Gaussian(), MultivariateGaussian(("a", "b"))):
        d = family.dimension
        data = np.stack([y, 2 * y])[:d]
        eta = (np.zeros(1),) * len(family.parameters)
        step, constants = family.maximize([np.asarray(m) for m in family.moments(np.full(N, weight), x, eta, data)])
        assert step.shape == (d, len(x))
        assert np.isfinite(step).all()
        assert np.isfinite(constants).all()
        if columns == "twice" and response == "exact" and weight == 1.0:
            np.testing.assert_allclose(step[0], [0, 1.5, 1.5], atol=1e-9)


def test_a_perfect_fit_shrinks_sigma_step_by_step_and_stays_finite() -> None:
    family, beta, log_sigma = Gaussian(), np.zeros(3), np.zeros(1)
    data = (np.array([1.0, 2.0, -1e-3]) @ COLUMNS)[None]
    for _ in range(6):
        moments = family.moments(np.ones(N), COLUMNS, (beta @ COLUMNS, log_sigma), data)
        step, log_sigma = family.maximize([np.asarray(m) for m in moments])
        beta = beta + step[0]
        assert np.isfinite(family.log_density((beta @ COLUMNS, log_sigma), data)).all()
    assert log_sigma[0] < -25
