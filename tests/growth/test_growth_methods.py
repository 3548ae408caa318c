"""Tests, profiles, scores, labels and refusals of methods that growth curves share with other models."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from scipy.stats import norm

import mixstat as ms
from mixstat.estimators.methods.interoperability import moved
from mixstat.exceptions import OptionError
from tests.growth import fitted


def test_covariates_modelled_jointly():
    """They inform membership: what the gate alone cannot tell is refused, predictions are weighted by both."""
    model, rows = fitted.joint(), fitted.table(60)
    profile = rows.iloc[[0, 300]].drop(columns=["child"])
    found = model.predict(profile, times=[3.0])
    assert_allclose(found["mean"], model.predict(profile.assign(grade=3.0)), rtol=1e-10)
    assert list(model.trajectories(profile, [0.0, 3.0])["expert"]) == [1] * 4 + [2] * 4
    assert len(model.random_effects()) == 60
    assert model.augment(rows)["fitted_subject"].notna().all()
    for ask in (lambda: model.trajectories(times=[0], by="overall"), lambda: model.predictions(rows)):
        with pytest.raises(OptionError, match="jointly"):
            ask()
    assert len(model.predictions(rows, target="expert_mean")) == 2 * len(rows)


def test_profile_of_a_variance():
    """Without random coefficients -2 log L(v), the rest at its maximum, is n (log v + s^2 / v) + constant."""
    model = fitted.plain()
    seen = fitted.table(60).dropna(subset="math")
    columns = np.column_stack([np.ones(len(seen)), seen["grade"]])
    variance = np.linalg.lstsq(columns, seen["math"], rcond=None)[1][0] / len(seen)

    def beyond(v):
        return len(seen) * (np.log(v / variance) + variance / v - 1) - norm.ppf(0.975) ** 2

    found = model.profile("1:residual_variance:Intercept").iloc[0]
    assert found["estimate"] == pytest.approx(variance, rel=1e-6)
    assert found["conf_low"] == pytest.approx(brentq(beyond, 0.5 * variance, variance), rel=1e-5)
    assert found["conf_high"] == pytest.approx(brentq(beyond, variance, 2 * variance), rel=1e-5)


def test_tests_of_terms():
    """Wald tests of what covariates do; variances, which have no regular test at zero, are not among them."""
    model = fitted.mixture()
    found = model.term_tests()
    assert set(found["parameter"]) == {"intercept", "slope1", "slope2", "mean", "gate"}
    zero = found.query("parameter == 'mean' and term == 'absences'").iloc[0]
    places = [model.coefficient_names_.index(f"{k}:mean:absences") for k in (1, 2)]
    estimate = model.tidy()["estimate"].to_numpy()[places]
    statistic = estimate @ np.linalg.solve(model.covariance()[np.ix_(places, places)], estimate)
    assert zero["statistic"] == pytest.approx(statistic, rel=1e-8)


def test_score_test_of_a_covariate_of_growth_factors():
    """Without random coefficients g'H^-1 g of a regression on (1, t, x, x t) with a log standard deviation."""
    seen = fitted.table(60).dropna(subset="math")
    constant, grade, ses = np.ones(len(seen)), seen["grade"].to_numpy(), seen["ses"].to_numpy()
    columns = np.column_stack([constant, grade, ses, ses * grade])
    residual = seen["math"] - columns[:, :2] @ np.linalg.lstsq(columns[:, :2], seen["math"], rcond=None)[0]
    variance = np.mean(residual**2)
    gradient = np.append(columns.T @ residual, 0.0) / variance
    cross = 2 * columns.T @ residual / variance
    information = np.block([[columns.T @ columns / variance, cross[:, None]], [cross[None], 2.0 * len(seen)]])
    found = fitted.plain().score_test("ses", to="location").iloc[0]
    assert found["statistic"] == pytest.approx(gradient @ np.linalg.solve(information, gradient), rel=1e-5)
    assert found["df"] == 2


def test_coefficients_moved_are_shown_ones():
    model = fitted.mixture()
    same = moved(model, model.fitted_.theta)
    assert_allclose(same.fitted_.phi, model.fitted_.phi, rtol=1e-9)


def test_draws_for_arviz_have_a_row_a_subject():
    pytest.importorskip("arviz")
    found = fitted.plain().to_arviz(fitted.plain().laplace_draws(5, random_state=1), kind="laplace")
    assert found["log_likelihood"]["math"].shape == (1, 5, 60)


def test_number_of_classes():
    """Parametric draws of whole subjects; the statistic is the difference of the fits."""
    rows = fitted.table(40)
    expert = ms.GrowthCurve("math ~ linear(grade)", unit="child", random="none")
    model = ms.MixtureOfExperts(expert, n_experts=1, n_init=2, random_state=1, verbose=0).fit(rows)
    found = ms.bootstrap_lrt(model, replicates=3, random_state=1)
    assert found.p_value == 0.25
    assert found.failed == 0
    assert found.statistic > max(found.replicates)
    table = ms.select(model, rows, n_experts=[1, 2]).table
    assert 2 * np.diff(table["log_likelihood"])[0] == pytest.approx(found.statistic, rel=1e-4)


def test_what_is_refused():
    model = fitted.mixture()
    with pytest.raises(OptionError, match="priors"):
        model.sample_posterior(10)
    with pytest.raises(OptionError, match="common to a class"):
        model.score_test("ses", to="random_covariance")
    with pytest.raises(OptionError, match="by must be"):
        model.trajectories(by="subject")
    with pytest.raises(OptionError, match="finite numbers"):
        model.trajectories(times=["a"])
    with pytest.raises(OptionError, match="'child'"):
        model.predict(fitted.table().drop(columns="child"), kind="subject")
    seen = fitted.table().dropna(subset="math")
    regression = ms.Regression("math ~ grade").fit(seen)
    for ask in (regression.random_effects, regression.trajectories, regression.plot_trajectories):
        with pytest.raises(OptionError, match="GrowthCurve"):
            ask()
    with pytest.raises(OptionError, match="GrowthCurve"):
        regression.predict(seen, times=[0])
