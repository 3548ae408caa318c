"""The log-posterior against scipy, its gradient against Louis' identity, and its invariance under relabelling."""

import warnings
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import mixstat as ms
from mixstat.fit.order import permute
from mixstat.fit.precision import double
from mixstat.inference.posterior import log_posterior, normal_draws, unit_log_likelihoods
from mixstat.inference.prior import MULTIPLIERS, kinds, make_prior
from tests.bayes.library import lines, three_counts
from tests.estimators.data import frame as small_frame
from tests.estimators.data import mixture, regression
from tests.identity.models import fitted
from tests.identity.oracle import scipy_log_likelihood

pytestmark = pytest.mark.slow


def prior_of(model):
    mixture = model._problem.mixture
    return make_prior(model._problem, np.array([MULTIPLIERS[kind] for kind in kinds(mixture)]))


def at(model, theta):
    return log_posterior(model._problem, prior_of(model), theta)


def weighted(frame, name):
    mean = np.average(frame[name], weights=frame.w)
    return mean, np.sqrt(np.average((frame[name] - mean) ** 2, weights=frame.w))


def test_equals_scipy_density_and_normal_priors():
    """Weights, an offset, a formula for log sigma and a gate covariate; the prior is written out on centred data."""
    model, frame = fitted("gaussian")
    table = model.tidy()
    rng = np.random.default_rng(0)
    step = 0.1 * rng.normal(size=len(table))
    theta = model.fitted_.solution.theta + np.linalg.solve(model.fitted_.jacobian, step)
    table["estimate"] += step
    value = {(row.expert, row.parameter, row.term): row.estimate for row in table.itertuples()}
    y_mean, y_sd = weighted(frame, "y")
    offset = np.average(frame.o, weights=frame.w)
    expected = scipy_log_likelihood("gaussian", table, frame)
    for expert, parameter, column, centre, level, slope in [
        (1, "mean", "x", y_mean - offset, 2.5 * y_sd, 2.5 * y_sd),
        (2, "mean", "x", y_mean - offset, 2.5 * y_sd, 2.5 * y_sd),
        (1, "sigma", "s", np.log(y_sd), 1.5, 2.5),
        (2, "sigma", "s", np.log(y_sd), 1.5, 2.5),
        (2, "gate", "v", 0.0, 2.5, 2.5),
    ]:
        mean, deviation = weighted(frame, column)
        b = value[expert, parameter, column]
        expected += norm.logpdf(b * deviation, 0, slope)
        expected += norm.logpdf(value[expert, parameter, "Intercept"] + b * mean, centre, level)
    assert at(model, theta)[0] == pytest.approx(expected, rel=1e-10)


def test_gate_prior_of_three_experts_is_correlated_one_half():
    model, _ = three_counts()
    theta = model.fitted_.solution.theta
    experts = [place for place, row in enumerate(model.tidy().itertuples()) if row.parameter != "gate"]
    gate = [place for place, row in enumerate(model.tidy().itertuples()) if row.parameter == "gate"]
    prior = prior_of(model)
    covariance = np.linalg.inv(prior.precision[np.ix_(gate, gate)])
    half = 2.5**2 * np.array([[1.0, 0.5], [0.5, 1.0]])
    assert np.allclose(covariance, np.kron(half, np.eye(2)))
    assert not prior.precision[np.ix_(gate, experts)].any()
    difference = at(model, theta)[0] - model.log_likelihood_
    rest = norm.logpdf(theta[experts], prior.centre[experts], 2.5).sum()
    assert difference == pytest.approx(rest + multivariate_normal.logpdf(theta[gate], cov=covariance), rel=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "categorical", "multivariate_gaussian"])
def test_gradient_is_the_score_plus_that_of_the_prior(family):
    model, _ = fitted(family)
    theta = model.fitted_.solution.theta + 0.1
    prior = prior_of(model)
    expected = double(model._problem.evaluate_likelihood)(theta).gradient - prior.precision @ (theta - prior.centre)
    assert np.allclose(at(model, theta)[1], expected, rtol=1e-8, atol=1e-6)


def test_gradient_over_several_blocks():
    model = ms.Regression("y ~ x", verbose=0).fit(lines(5000))
    assert model._problem.layout.blocks > 1
    theta = model.fitted_.solution.theta + 0.05
    prior = prior_of(model)
    expected = double(model._problem.evaluate_likelihood)(theta)
    value, gradient = at(model, theta)
    assert np.allclose(gradient, expected.gradient - prior.precision @ (theta - prior.centre), rtol=1e-9)
    assert value - expected.log_likelihood == pytest.approx(
        multivariate_normal.logpdf(theta, prior.centre, np.linalg.inv(prior.precision)), rel=1e-8
    )


@pytest.mark.parametrize("extra", [(), (ms.Noise(),)])
def test_experts_are_exchangeable(extra):
    """Any permutation of three experts, beside a class that stays, leaves the log-posterior as it is."""
    model = mixture(regression("y ~ x"), "~ z", 3, extra=list(extra), n_init=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(small_frame())
    problem = model._problem
    theta = model.fitted_.solution.theta + 0.2 * np.random.default_rng(1).normal(size=problem.ties.size)
    value = at(model, theta)[0]
    for order in permutations(range(3)):
        full = np.array([*order, *range(3, problem.mixture.classes)])
        moved = problem.ties.contract(permute(problem.mixture, problem.ties.expand(theta), full))
        assert at(model, moved)[0] == pytest.approx(value, rel=1e-10)


def test_prior_units_of_two_responses():
    """Means in units of each response, dependence in units of their ratio, log sigma in its own."""
    model, frame = fitted("multivariate_gaussian")
    prior = prior_of(model)
    deviation = np.sqrt(np.diag(prior.precision) ** -1.0)
    names = [(row.parameter, row.term, row.expert) for row in model.tidy().itertuples()]
    y, z = weighted(frame, "y")[1], weighted(frame, "z")[1]
    assert deviation[names.index(("mean[y]", "x", 1))] == pytest.approx(2.5 * y, rel=1e-10)
    assert deviation[names.index(("mean[z]", "Intercept", 2))] == pytest.approx(2.5 * z)
    assert deviation[names.index(("dependence[z,y]", "Intercept", 1))] == pytest.approx(1.5 * z / y)
    assert deviation[names.index(("sigma[z]", "Intercept", 1))] == pytest.approx(1.5)


def test_shared_coefficients_have_one_prior():
    model = mixture(regression("y ~ x", shared="sigma"), "~ z").fit(small_frame())
    prior, theta = prior_of(model), model.fitted_.solution.theta
    assert len(prior.centre) == model.n_parameters_
    expected = multivariate_normal.logpdf(theta, prior.centre, np.linalg.inv(prior.precision))
    assert at(model, theta)[0] - model.log_likelihood_ == pytest.approx(expected, rel=1e-8)


def test_unit_log_likelihoods_are_weighted_log_densities():
    model, frame = fitted("gaussian")
    theta = model.fitted_.solution.theta
    by_unit = unit_log_likelihoods(model._problem, np.stack([theta, theta + 0.1]))
    expected = frame.w * model.predict(frame, kind="log_density")
    assert np.allclose(by_unit[0], expected, rtol=1e-9)
    assert by_unit[1].sum() < by_unit[0].sum()
    assert by_unit.shape == (2, len(frame))


def test_normal_draws_have_mean_and_covariance_on_any_scale():
    scale = np.array([1e-6, 1.0, 1e6])
    correlation = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])
    draws = normal_draws(np.random.default_rng(0), 5 * scale, correlation * np.outer(scale, scale), 40_000) / scale
    assert np.allclose(draws.mean(axis=0), 5.0, atol=0.02)
    assert np.allclose(np.cov(draws.T), correlation, atol=0.03)
