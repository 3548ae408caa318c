"""Kernels against brute force: log-likelihood by scipy, derivatives by jax over all parameters at once."""

from functools import lru_cache

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import bernoulli, nbinom, norm

from mixstat.core.mixture import diagnostics, log_likelihood, posterior
from mixstat.core.statistics import louis, unit_scores
from mixstat.fit.information import observed_information
from mixstat.fit.precision import double
from tests.core.models import mixed_joint, two_gaussians

MIXTURE, DATA = mixed_joint()
PHI = 0.4 * np.random.default_rng(2).normal(size=MIXTURE.size)


def pack(data=DATA, block_rows: int = 2048):
    layout = data.layout(block_rows)
    return layout, jax.device_put(data.pack(layout))


def brute_force() -> tuple[np.ndarray, np.ndarray]:
    """(class, unit) joint log densities and log gate of the joint model, by scipy row by row."""
    (pair, single), gate = MIXTURE.split(PHI)
    x = DATA.columns
    y, count, items = DATA.responses[0][0, 0], DATA.responses[1][0, 0], DATA.responses[2][:, 0]
    units = len(DATA.weight)
    rows = []
    for theta in pair:
        density = norm.logpdf(y, theta[:3] @ x, np.exp(theta[3]))
        mean, size = np.exp(theta[4:6] @ x[:2]), np.exp(-theta[6])
        density = density + nbinom.logpmf(count, size, size / (size + mean))
        for item, logit in enumerate(theta[7:10]):
            seen = DATA.observed[2][item]
            density = density + seen * bernoulli.logpmf(items[item], 1 / (1 + np.exp(-logit)))
        rows.append(density)
    theta = single[0]
    rows.append(norm.logpdf(y, theta[0], np.exp(theta[1])))
    expert = np.array([np.bincount(DATA.unit, row, minlength=units) for row in rows])
    eta = np.concatenate([np.zeros((1, units)), gate @ DATA.gate])
    log_gate = eta - logsumexp(eta, axis=0)
    return log_gate + np.concatenate([expert, DATA.extra]), log_gate


@double
def test_log_likelihood_and_responsibilities_equal_scipy() -> None:
    joint, _ = brute_force()
    marginal = logsumexp(joint, axis=0)
    layout, design = pack()
    assert float(log_likelihood(MIXTURE, PHI, design)) == pytest.approx(DATA.weight @ marginal, rel=1e-12)
    found = posterior(MIXTURE, PHI, design)
    np.testing.assert_allclose(layout.read_units(found.responsibility), np.exp(joint - marginal), atol=1e-12)


@lru_cache
@double
def automatic() -> tuple[np.ndarray, np.ndarray]:
    """(gradient, Hessian) of the log-likelihood over all parameters at once."""
    whole = pack()[1]
    gradient = jax.grad(lambda phi: log_likelihood(MIXTURE, phi, whole))
    return np.asarray(gradient(PHI)), np.asarray(jax.jacfwd(gradient)(PHI))


@double
@pytest.mark.parametrize("block_rows", [2048, 40])
def test_information_gradient_and_scores_equal_automatic_derivatives(block_rows: int) -> None:
    layout, design = pack(block_rows=block_rows)
    gradient, hessian = automatic()
    parts = jax.tree.map(np.asarray, louis(MIXTURE, PHI, design, 0.0))
    information = observed_information(MIXTURE, parts)
    np.testing.assert_allclose(information, -hessian, atol=1e-11 * np.abs(hessian).max())
    np.testing.assert_allclose(parts.gradient, gradient, atol=1e-11 * np.abs(gradient).max())
    scores = layout.read_units(unit_scores(MIXTURE, PHI, design))
    np.testing.assert_allclose(scores @ DATA.weight, gradient, atol=1e-11 * np.abs(gradient).max())


@double
def test_diagnostics_equal_sums_over_the_posterior() -> None:
    joint, log_gate = brute_force()
    responsibility = np.exp(joint - logsumexp(joint, axis=0))
    found = diagnostics(MIXTURE, PHI, pack()[1], 0.5)
    entropy = DATA.weight @ (responsibility * np.log(responsibility)).sum(axis=0)
    assert float(found.entropy) == pytest.approx(entropy, rel=1e-11)
    separated = np.abs(log_gate - log_gate[0]).max(axis=0) > 0.5
    assert float(found.separated) == pytest.approx(DATA.weight[separated].sum())


@double
def test_many_blocks_equal_one() -> None:
    mixture, data = two_gaussians(5000)
    phi = 0.3 * np.random.default_rng(0).normal(size=mixture.size)
    one = float(log_likelihood(mixture, phi, pack(data, 8192)[1]))
    assert float(log_likelihood(mixture, phi, pack(data, 256)[1])) == pytest.approx(one, rel=1e-13)


@double
def test_known_classes_and_weights_of_zero_enter_exactly() -> None:
    mixture, data = two_gaussians(300)
    phi = 0.3 * np.random.default_rng(0).normal(size=mixture.size)
    prior = np.zeros((2, 300))
    prior[1, :10] = -np.inf
    weight = np.where(np.arange(300) < 50, 1.0, 0.0)
    changed = data._replace(prior=prior, weight=weight)
    found = posterior(mixture, phi, pack(data)[1])
    log_gate, log_expert = np.asarray(found.log_gate)[0], np.asarray(found.log_expert)[0]
    joint = (log_gate + log_expert)[:, :300]
    expected = joint[0, :10].sum() + logsumexp(joint[:, 10:50], axis=0).sum()
    assert float(log_likelihood(mixture, phi, pack(changed)[1])) == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(np.asarray(louis(mixture, phi, pack(changed)[1], 0.0).mixed)).all()
