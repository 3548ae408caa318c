"""Log-likelihood, gradient and information of a fitted mixture, recomputed from its published coefficients."""

import jax
import numpy as np
import pytest

from mixstat.families import FAMILIES
from tests.identity.models import fitted, mixture
from tests.identity.oracle import scipy_log_likelihood, textbook_log_likelihood

families = pytest.mark.parametrize("family", sorted(FAMILIES))


@families
def test_log_likelihood_equals_scipy(family):
    model, frame = fitted(family)
    assert model.converged_, model.status_
    expected = scipy_log_likelihood(family, model.tidy(), frame)
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-9)


def exact_hessian(function, theta: np.ndarray) -> np.ndarray:
    """jax.hessian column by column: without a batch axis the families share what jax compiles."""
    product = jax.linearize(jax.grad(function), theta)[1]
    return np.stack([np.asarray(product(unit)) for unit in np.eye(len(theta))])


@families
def test_information_equals_jax_hessian(family):
    model, frame = fitted(family)
    table = model.tidy()
    assert len(table) == model.n_parameters_
    with jax.enable_x64(True):
        function = textbook_log_likelihood(family, table, frame)
        hessian = exact_hessian(function, table["estimate"].to_numpy())
    error = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose(table["std_error"], error, rtol=1e-8)
    scaled = (model.covariance() - np.linalg.inv(-hessian)) / np.outer(error, error)
    np.testing.assert_allclose(scaled, 0.0, atol=1e-8)


@families
def test_gradient_vanishes_without_scale_penalty(family):
    start, frame = fitted(family)
    model = mixture(family, scale_penalty=0.0, start=start).fit(frame, sample_weight="w")
    table = model.tidy()
    with jax.enable_x64(True):
        function = textbook_log_likelihood(family, table, frame)
        gradient = np.asarray(jax.grad(function)(table["estimate"].to_numpy()))
    assert np.abs(gradient).max() / frame["w"].sum() < 1e-8
    assert model.log_likelihood_ >= start.log_likelihood_ - 1e-9
