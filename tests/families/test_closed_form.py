"""The closed-form M-step is weighted least squares, also where the columns or the weights degenerate."""

import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.core.expert import gram, unfold
from mixstat.families import DiagonalGaussian, Gaussian, Lognormal, MultivariateGaussian
from mixstat.fit.linear_algebra import least_squares

RNG = np.random.default_rng(5)
N = 60
COLUMNS = np.stack([np.ones(N), RNG.normal(size=N), 1e4 * RNG.normal(size=N)])
WEIGHT = RNG.uniform(0, 1, N)


def m_step(family, columns: np.ndarray, weight: np.ndarray, eta: tuple, data: np.ndarray):
    """(step (d, c), other predictors) by the route of the fit: one weighted gram of columns and residuals."""
    count = len(columns)
    rows = jnp.concatenate([columns, family.residuals(eta, data)])
    moments = np.asarray(gram(weight[None], rows))[0][unfold(len(rows))]
    step = least_squares(moments[:count, :count], moments[:count, count:])
    total = moments[count:, count:]
    scatter = total - moments[:count, count:].T @ step
    return step.T, family.fit_scatter(scatter, np.diag(total), float(weight.sum()))


def direct(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and residual covariance of y (row, d) by numpy's least squares."""
    root = np.sqrt(WEIGHT)[:, None]
    beta = np.linalg.lstsq(COLUMNS.T * root, y * root, rcond=None)[0]
    error = y - COLUMNS.T @ beta
    return beta.T, (error * WEIGHT[:, None]).T @ error / WEIGHT.sum()


@pytest.mark.parametrize("family", [Gaussian(), Lognormal()], ids=lambda f: f.name)
def test_one_response_equals_weighted_least_squares(family: Gaussian) -> None:
    y = np.exp(0.3 * RNG.normal(size=N) + 0.4 * COLUMNS[1])
    begin = np.array([0.3, -0.2, 1e-5])
    step, constants = m_step(family, COLUMNS, WEIGHT, (begin @ COLUMNS, np.zeros(1)), family.encode(y, "y"))
    beta, covariance = direct((y if family == Gaussian() else np.log(y))[:, None])
    np.testing.assert_allclose(begin + step[0], beta[0], rtol=1e-10)
    np.testing.assert_allclose(constants, 0.5 * np.log(covariance[0]), rtol=1e-10)


@pytest.mark.parametrize("kind", [MultivariateGaussian, DiagonalGaussian])
def test_several_responses_equal_weighted_least_squares(kind: type[MultivariateGaussian]) -> None:
    family = kind(("a", "b", "c"))
    y = RNG.normal(size=(N, 3)) @ RNG.normal(size=(3, 3)) + COLUMNS[1][:, None]
    begin = np.array([[0.1, 0.2, 0.0], [0.0, 0.0, 0.0], [1.0, -1.0, 1e-4]])
    eta = (*(begin @ COLUMNS), *np.zeros((len(family.parameters) - 3, 1)))
    step, constants = m_step(family, COLUMNS, WEIGHT, eta, family.encode(y, "y"))
    beta, covariance = direct(y)
    np.testing.assert_allclose(begin + step, beta, rtol=1e-9, atol=1e-11)
    found = family.covariance_matrix([*np.zeros((3, 1)), *constants[:, None]])
    expected = np.diag(np.diag(covariance)) if kind is DiagonalGaussian else covariance
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weight", [0.0, 1e-300, 1.0])
@pytest.mark.parametrize("response", ["zero", "exact", "huge", "noise"])
@pytest.mark.parametrize("columns", ["twice", "zero"])
def test_degenerate_moments_give_finite_steps(weight: float, response: str, columns: str) -> None:
    x = {"twice": COLUMNS[[0, 1, 1]], "zero": 0 * COLUMNS}[columns]
    y = {"zero": np.zeros(N), "exact": 3 * COLUMNS[1], "huge": 1e100 * COLUMNS[1], "noise": COLUMNS[2]}[response]
    for family in (Gaussian(), MultivariateGaussian(("a", "b"))):
        data = np.stack([y, 2 * y])[: family.dimension]
        eta = (np.zeros(N),) * len(family.parameters)
        step, constants = m_step(family, x, np.full(N, weight), eta, data)
        assert step.shape == (family.dimension, len(x))
        assert np.isfinite(step).all()
        assert np.isfinite(constants).all()
        if columns == "twice" and response == "exact" and weight == 1.0:
            np.testing.assert_allclose(step[0], [0, 1.5, 1.5], atol=1e-6)


def test_a_perfect_fit_shrinks_sigma_step_by_step_and_stays_finite() -> None:
    family, beta, log_sigma = Gaussian(), np.zeros(3), np.zeros(1)
    data = (np.array([1.0, 2.0, -1e-3]) @ COLUMNS)[None]
    for _ in range(6):
        step, log_sigma = m_step(family, COLUMNS, np.ones(N), (beta @ COLUMNS, log_sigma), data)
        beta = beta + step[0]
        assert np.isfinite(family.log_density((beta @ COLUMNS, log_sigma), data)).all()
    assert log_sigma[0] < -25
