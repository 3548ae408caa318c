"""Tests, profiles, scores, labels and refusals of methods that growth curves share with other models."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from scipy.stats import norm

import mixstat as ms
from mixstat.estimators.methods.extending import extended
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


def score_of_regression(columns: np.ndarray, y: np.ndarray, known: int) -> float:
    """g'H^-1 g of a regression with a log standard deviation, where the first `known` columns are fitted."""
    residual = y - columns[:, :known] @ np.linalg.lstsq(columns[:, :known], y, rcond=None)[0]
    variance = np.mean(residual**2)
    gradient = np.append(columns.T @ residual, 0.0) / variance
    cross = 2 * columns.T @ residual / variance
    information = np.block([[columns.T @ columns / variance, cross[:, None]], [cross[None], 2.0 * len(y)]])
    return gradient @ np.linalg.solve(information, gradient)


def test_score_tests_of_a_covariate_of_growth_factors():
    """Without random coefficients those of a regression on (1, t), with x and x t, or with x t alone."""
    seen = fitted.table(60).dropna(subset="math")
    constant, grade, ses, y = np.ones(len(seen)), *seen[["grade", "ses", "math"]].to_numpy(float).T
    for to, added in (("location", [ses, ses * grade]), ("slope", [ses * grade]), (["intercept"], [ses])):
        found = fitted.plain().score_test("ses", to=to).iloc[0]
        expected = score_of_regression(np.column_stack([constant, grade, *added]), y, known=2)
        assert found["statistic"] == pytest.approx(expected, rel=1e-5)
        assert found["df"] == len(added)
    both = fitted.plain().score_test("ses", to=["intercept", "slope"]).iloc[0]
    assert both["to"] == "intercept + slope"
    assert both["statistic"] == pytest.approx(fitted.plain().score_test("ses", to="location")["statistic"][0])


def test_score_test_of_a_covariate_of_the_knot():
    """By differences of the log-likelihood of a broken line without random coefficients."""
    rows = fitted.table(60).dropna(subset="math")
    model = ms.GrowthCurve("math ~ bilinear(grade)", unit="child", random="none", verbose=0).fit(rows)
    time, x, y = rows[["grade", "ses", "math"]].to_numpy(float).T

    def log_likelihood(b):
        knot = b[3] + b[5] * x
        mean = b[0] + b[1] * np.minimum(time, knot) + b[2] * np.maximum(time - knot, 0)
        return norm.logpdf(y, mean, np.exp(b[4])).sum()

    estimate = model.tidy()["estimate"].to_numpy()
    at = np.array([*estimate[:4], 0.5 * np.log(estimate[4]), 0.0])
    slope, curvature = differentiated(log_likelihood, at)
    found = model.score_test("ses", to="knot").iloc[0]
    assert found["df"] == 1
    assert found["statistic"] == pytest.approx(slope @ np.linalg.solve(-curvature, slope), rel=0.02)


def differentiated(function, at, step: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian by central differences, over steps wide enough to average over kinks."""
    steps = step * np.eye(len(at))
    slope = [(function(at + h) - function(at - h)) / (2 * step) for h in steps]
    curvature = [
        [
            (function(at + h + g) - function(at + h - g) - function(at - h + g) + function(at - h - g)) / (4 * step**2)
            for g in steps
        ]
        for h in steps
    ]
    return np.array(slope), np.array(curvature)


@pytest.mark.slow
def test_a_score_test_of_both_places_is_close_to_the_likelihood_ratio():
    """Of the gate and the growth factors together: the gate's single test and the factors' have fewer restrictions."""
    model, rows = fitted.mixture(), fitted.table()
    parts = {to: model.score_test("motivation", to=to).iloc[0] for to in ("gate", "location")}
    both = model.score_test("motivation", to=["gate", "location"]).iloc[0]
    assert both["df"] == parts["gate"]["df"] + parts["location"]["df"] == 7
    assert both["statistic"] > max(part["statistic"] for part in parts.values())
    expert = ms.GrowthCurve(fitted.FORMULA, unit="child", between="~ approach + motivation")
    full = ms.MixtureOfExperts(expert, gate="~ ses + motivation", n_init=2, random_state=1, verbose=0).fit(rows)
    ratio = ms.likelihood_ratio_test(model, full).iloc[0]
    assert ratio["df"] == 7
    assert both["statistic"] == pytest.approx(ratio["statistic"], rel=0.3)


def test_where_terms_can_be_tested():
    plan = fitted.mixture()._plan(None)
    outcome = extended(plan, "z", ["gate", "slope1"]).outcomes[0]
    assert extended(plan, "z", ["gate", "slope1"]).gate == "~ ses + z"
    assert (outcome.formula, outcome.parts["slope1"]) == ("math ~ approach", "~ approach + z")
    by_name = ms.GrowthCurve("y ~ bilinear(t)", unit="id", between={"slope1": "~ a", "knot": "~ b"})._plan(None)
    parts = extended(by_name, "z", "location").outcomes[0].parts
    assert [parts[n] for n in ("intercept", "slope1", "slope2", "knot")] == ["~ 1 + z", "~ a + z", "~ 1 + z", "~ b"]
    loose = ms.GrowthCurve("y ~ bilinear(t)", unit="id", random_knot=True)
    around = extended(loose._plan(None), "z", "location").outcomes[0]
    written = loose.set_params(between="~ z")._plan(None).outcomes[0]
    assert (around.formula, around.parts, around.family) == (written.formula, written.parts, written.family)
    joint = extended(fitted.joint()._plan(None), "z", "location").outcomes
    assert [o.formula for o in joint] == ["math ~ approach + z", "`approach` ~ 1"]
    with pytest.raises(OptionError, match=r"'gate', 'location'.*'slope1'.*got 'slope3'"):
        extended(plan, "z", "slope3")
    with pytest.raises(OptionError, match="different ones tested together"):
        extended(plan, "z", ["gate", "gate"])
    with pytest.raises(OptionError, match="common to a class"):
        extended(plan, "z", ["gate", "random_covariance"])


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
