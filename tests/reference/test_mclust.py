"""mclust (R): a Gaussian mixture with full covariances ("VVV"); `mclust.R` made the numbers."""

import numpy as np
import pytest

import mixstat as ms
from tests.reference.values import coefficients, fit, stored

pytestmark = pytest.mark.reference

NAMES = ("a", "b", "c")


def covariance(model: ms.MixtureOfExperts, expert: int) -> np.ndarray:
    """The covariance of one expert from its published coefficients: y_j regressed on the responses before it."""
    sigma = np.array([np.exp(coefficients(model, f"sigma[{name}]", expert)[0]) for name in NAMES])
    regress = np.eye(3)
    for j in range(3):
        for i in range(j):
            regress[j, i] = -coefficients(model, f"dependence[{NAMES[j]},{NAMES[i]}]", expert)[0]
    factor = np.linalg.solve(regress, np.diag(sigma))
    return factor @ factor.T


def test_full_covariances():
    expert = ms.Regression("cbind(a, b, c) ~ 1", family="multivariate_gaussian")
    model = fit(expert, "clusters", n_experts=3)
    peer = stored("mclust")
    assert model.log_likelihood_ == pytest.approx(peer["log_likelihood"], abs=1e-7)
    means = np.array([[coefficients(model, f"mean[{name}]", k)[0] for name in NAMES] for k in (1, 2, 3)])
    order = np.argsort(means[:, 0])
    their_means = np.reshape(peer["means"], (3, 3))
    theirs = np.argsort(their_means[:, 0])
    np.testing.assert_allclose(means[order], their_means[theirs], atol=1e-4)
    covariances = np.stack([covariance(model, k + 1) for k in order])
    np.testing.assert_allclose(covariances, np.reshape(peer["covariances"], (3, 3, 3))[theirs], atol=1e-4)
    gate = np.array([0.0, coefficients(model, "gate", 2)[0], coefficients(model, "gate", 3)[0]])
    shares = np.exp(gate) / np.exp(gate).sum()
    np.testing.assert_allclose(shares[order], np.array(peer["shares"])[theirs], atol=1e-5)
