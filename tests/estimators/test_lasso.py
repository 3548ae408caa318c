"""A lasso's zeros: no parameters, no standard errors, constants for those of the others."""

import numpy as np
import pytest

import mixstat as ms
from tests.estimators.data import frame, mixture, regression

DATA = frame(w=np.random.default_rng(5).normal(size=120))
DATA["r"] = 1 + DATA.z + np.random.default_rng(6).normal(size=120)


@pytest.fixture(scope="module")
def sparse() -> ms.Regression:
    return regression("r ~ x + z + w", penalty=0.2, l1_ratio=1.0).fit(DATA)


def test_zeros_are_no_parameters(sparse):
    table = sparse.tidy()
    assert table["term"].tolist() == ["Intercept", "z", "Intercept"]
    assert sparse.n_parameters_ == 3
    assert sparse.aic() == pytest.approx(-2 * sparse.log_likelihood_ + 6)
    assert sparse.bic() == pytest.approx(-2 * sparse.log_likelihood_ + 3 * np.log(120))
    assert "zero, and not counted as parameters: 1:mean:x, 1:mean:w" in str(sparse.summary())


def test_errors_of_the_others_are_conditional_on_zeros(sparse):
    """Of a Gaussian with log sigma: second derivatives by hand, over what is not zero alone."""
    intercept, slope, log_sigma = sparse.tidy()["estimate"]
    design = np.column_stack([np.ones(120), DATA.z])
    residual, variance = DATA.r - design @ [intercept, slope], np.exp(2 * log_sigma)
    cross = 2 * design.T @ residual / variance
    scale = np.array([[2 * residual @ residual / variance]])
    information = np.block([[design.T @ design / variance, cross[:, None]], [cross[None], scale]])
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(sparse.tidy()["std_error"], expected, rtol=1e-8)
    missing = np.isnan(np.diag(sparse.covariance("robust")))
    assert np.array_equal(missing, np.isnan(np.diag(sparse.covariance())))
    assert missing.sum() == 2


def test_what_is_computed_from_a_sparse_fit_is_finite(sparse):
    draws = sparse.laplace_draws(20, random_state=0)
    assert np.isfinite(draws).all()
    assert np.ptp(draws, axis=0)[np.isnan(np.diag(sparse.covariance()))].max() < 1e-12
    assert np.isfinite(sparse.predictions(DATA[:5])[["estimate", "std_error"]].to_numpy(float)).all()
    assert sparse.wald_test("1:mean:z = 0")["p_value"][0] < 1e-3


def test_newton_and_em_agree_on_zeros_and_errors():
    options = {"gate_penalty": 0.15, "l1_ratio": 1.0, "n_init": 2}
    expert = regression("y ~ x + w", penalty=0.3, l1_ratio=1.0)
    newton = mixture(expert, "~ z + w", **options).fit(DATA)
    em = mixture(expert, "~ z + w", algorithm="em", tol=1e-12, max_iter=4000, **options).fit(DATA)
    assert newton.n_parameters_ == em.n_parameters_ == len(newton.tidy()) < 11
    np.testing.assert_allclose(em.tidy()["std_error"], newton.tidy()["std_error"], rtol=1e-4)


def test_a_ridge_sets_nothing_to_zero():
    model = regression("y ~ x + z + w", penalty=0.3).fit(DATA)
    assert model.n_parameters_ == len(model.tidy()) == 5
