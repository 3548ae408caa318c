"""Kaplan-Meier (late entries, weights), Turnbull, residuals and calibration, by hand and by other packages."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import mixstat as ms
from mixstat.families.survival.times import Times
from mixstat.inference import kaplan_meier
from tests.survival import brute_force as bf
from tests.survival.brute_force import Law


def times(lower, upper, entry=None) -> Times:
    lower, upper = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    zero = np.zeros(len(lower))
    return Times(zero if entry is None else np.asarray(entry, dtype=float), lower, upper, zero)


@cache
def sample() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    x, g = rng.normal(size=400), rng.integers(0, 2, 400)
    return bf.simulate(rng, Law(np.exp(-0.4 * x + 0.3 * g), 1.0, 1.4, 1.0), 4.0, 0.4, x=x, g=g)


@cache
def model() -> ms.SurvivalRegression:
    return ms.SurvivalRegression("Surv(entry, time, event) ~ x + g", verbose=0).fit(sample())


@cache
def seen_between() -> pd.DataFrame:
    left = np.floor(4 * sample()["time"]) / 4
    event = sample()["event"] == 1
    return sample().assign(left=np.where(event, left, sample()["time"]), right=np.where(event, left + 0.25, np.inf))


@cache
def interval_model() -> ms.SurvivalRegression:
    return ms.SurvivalRegression("Surv(left, right, type='interval') ~ x + g", verbose=0).fit(seen_between())


def test_product_limit_by_hand():
    """Ties, censoring at an event's time (still at risk), late entry at an event's time (not yet at risk)."""
    end, event = [1, 2, 2, 2, 3, 4, 5], [1, 1, 1, 0, 0, 1, 0]
    entry = [0, 0, 1, 0, 2, 0, 3]
    steps = kaplan_meier.kaplan_meier(times(end, np.where(event, end, np.inf), entry), np.ones(7))
    np.testing.assert_array_equal(steps.time, [1, 2, 4])
    np.testing.assert_array_equal(steps.at_risk, [4, 4, 2])
    np.testing.assert_array_equal(steps.events, [1, 2, 1])
    np.testing.assert_allclose(steps.survival, np.cumprod([3 / 4, 2 / 4, 1 / 2]))
    variance = np.cumsum([1 / (4 * 3), 2 / (4 * 2), 1 / (2 * 1)])
    log_s = np.log(steps.survival)
    half = stats.norm.ppf(0.975) * np.sqrt(variance) / np.abs(log_s)
    np.testing.assert_allclose(steps.conf_low, np.exp(log_s * np.exp(half)))
    np.testing.assert_allclose(steps.conf_high, np.exp(log_s * np.exp(-half)))
    np.testing.assert_allclose(steps.at(np.array([0.5, 1.0, 3.9, 9.0])), [1, 0.75, 0.375, 0.1875])


def test_weights_are_copies():
    weight = np.array([1, 2, 3, 1, 2])
    end, event = np.array([1.0, 2, 2, 3, 4]), np.array([1, 0, 1, 1, 0])
    one = kaplan_meier.kaplan_meier(times(end, np.where(event, end, np.inf)), weight)
    end, event = np.repeat(end, weight), np.repeat(event, weight)
    other = kaplan_meier.kaplan_meier(times(end, np.where(event, end, np.inf)), np.ones(len(end)))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs)


def test_everybody_dies():
    steps = kaplan_meier.kaplan_meier(times([1, 2], [1, 2]), np.ones(2))
    np.testing.assert_allclose(steps.survival, [0.5, 0.0])
    assert np.isnan(steps.conf_low[-1])


def test_the_method_is_the_function():
    table = model().kaplan_meier(by="g")
    for level, own in table.groupby("g"):
        rows = sample()[sample()["g"] == level]
        seen = times(rows["time"], np.where(rows["event"] == 1, rows["time"], np.inf), rows["entry"])
        steps = kaplan_meier.kaplan_meier(seen, np.ones(len(rows)))
        np.testing.assert_allclose(own["survival"], steps.survival)
        np.testing.assert_allclose(own["at_risk"], steps.at_risk)


def test_lifelines_agrees():
    lifelines = pytest.importorskip("lifelines")
    table = model().kaplan_meier()
    fitter = lifelines.KaplanMeierFitter()
    fitter.fit(sample()["time"], sample()["event"], entry=sample()["entry"])
    np.testing.assert_allclose(table["survival"], fitter.predict(table["time"]), rtol=1e-10)


def test_turnbull_is_the_greatest_likelihood():
    """Against a general optimiser over the masses of the innermost intervals."""
    lower, upper = np.array([0.0, 1, 2, 2, 4, 0, 3]), np.array([2.0, 3, 5, np.inf, 6, 1, np.inf])
    weight = np.array([1.0, 2, 1, 1, 1, 1, 2])
    steps = kaplan_meier.turnbull(times(lower, upper), weight)
    ends = np.array([1.0, 2, 3, 5, 6, np.inf])
    starts = np.array([0.0, 1, 2, 4, 4, 3])
    inside = (lower[:, None] <= starts) & (ends <= upper[:, None])

    def minus(free: np.ndarray) -> float:
        mass = np.exp(free) / np.exp(free).sum()
        return -float(weight @ np.log(inside @ mass))

    best = optimize.minimize(minus, np.zeros(len(ends)), method="BFGS", options={"gtol": 1e-9})
    assert mine_log_likelihood(steps, lower, upper, weight) == pytest.approx(-best.fun, abs=1e-5)


def mine_log_likelihood(steps: kaplan_meier.Steps, lower: np.ndarray, upper: np.ndarray, weight: np.ndarray) -> float:
    survival = steps.at(np.where(np.isinf(upper), 0.0, upper))
    before = steps.at(lower)
    return float(weight @ np.log(before - np.where(np.isinf(upper), 0.0, survival)))


def test_turnbull_of_exact_times_is_kaplan_meier():
    end, event = np.array([1.0, 2, 3, 4, 5, 6]), np.array([1, 0, 1, 1, 0, 1])
    seen = times(end, np.where(event, end, np.inf))
    plain, other = kaplan_meier.kaplan_meier(seen, np.ones(6)), kaplan_meier.turnbull(seen, np.ones(6))
    np.testing.assert_allclose(other.survival, plain.survival, atol=1e-6)


def test_residuals_of_right_censored_rows():
    theta = bf.coefficients(model())
    x, g = sample()["x"].to_numpy(), sample()["g"].to_numpy()
    phi = np.exp(theta["1:phi:Intercept"] + theta["1:phi:x"] * x + theta["1:phi:g"] * g)
    law = Law(phi, 1.0, np.exp(theta["1:gamma:Intercept"]), float(np.expm1(theta["1:kappa1:Intercept"])))
    event = sample()["event"].to_numpy()
    r = law.total(sample()["time"].to_numpy()) - law.total(sample()["entry"].to_numpy())
    np.testing.assert_allclose(model().survival_residuals(), r, rtol=1e-9)
    np.testing.assert_allclose(model().survival_residuals(kind="martingale"), event - r, rtol=1e-9, atol=1e-12)
    m = event - r
    deviance = np.sign(m) * np.sqrt(-2 * (m + event * np.log(np.where(event, r, 1))))
    np.testing.assert_allclose(model().survival_residuals(kind="deviance"), deviance, rtol=1e-7, atol=1e-9)
    assert abs(m.sum()) < 0.01 * event.sum() + 1e-6


def test_quantile_residuals_are_normal_and_exact_where_the_event_was_seen():
    residual = model().survival_residuals(kind="quantile", random_state=1)
    seen = sample()["event"].to_numpy() == 1
    r = model().survival_residuals()[seen]
    np.testing.assert_allclose(residual[seen], stats.norm.ppf(-np.expm1(-r)), rtol=1e-8, atol=1e-10)
    assert stats.kstest(residual, "norm").pvalue > 0.01
    assert (residual[~seen] > stats.norm.ppf(-np.expm1(-model().survival_residuals()[~seen])) - 1e-9).all()
    intervals = interval_model().survival_residuals(kind="quantile", random_state=1)
    assert stats.kstest(intervals, "norm").pvalue > 0.01


def test_residuals_of_intervals():
    """Of an interval the expected hazard given the interval: r + 1 - gap / (e^gap - 1)."""
    residual = interval_model().survival_residuals()
    theta = bf.coefficients(interval_model())
    x, g = sample()["x"].to_numpy(), sample()["g"].to_numpy()
    phi = np.exp(theta["1:phi:Intercept"] + theta["1:phi:x"] * x + theta["1:phi:g"] * g)
    law = Law(phi, 1.0, np.exp(theta["1:gamma:Intercept"]), float(np.expm1(theta["1:kappa1:Intercept"])))
    left, right = (seen_between()[name].to_numpy() for name in ("left", "right"))
    low = np.where(left > 0, law.total(np.maximum(left, 1e-9)), 0.0)
    gap = law.total(np.where(np.isinf(right), left + 1, right)) - low
    expected = np.where(np.isinf(right), low, low + 1 - gap / np.expm1(gap))
    np.testing.assert_allclose(residual, expected, rtol=1e-8, atol=1e-12)
    assert residual.mean() == pytest.approx((sample()["event"] == 1).mean(), abs=0.05)


def test_calibration():
    """Groups of equal size by prediction; observed is Kaplan-Meier within each."""
    table = model().calibration(1.0, groups=4)
    predicted = model().predict(sample(), kind="survival", times=[1.0])[:, 0]
    assert list(table["group"]) == [1, 2, 3, 4]
    assert table["n"].sum() == len(sample())
    order = np.argsort(predicted)
    first = order[: table["n"][0]]
    assert table["predicted"][0] == pytest.approx(predicted[first].mean(), rel=1e-9)
    rows = sample().iloc[first]
    steps = kaplan_meier.kaplan_meier(
        times(rows["time"], np.where(rows["event"] == 1, rows["time"], np.inf), rows["entry"]), np.ones(len(rows))
    )
    assert table["observed"][0] == pytest.approx(float(steps.at(np.array([1.0]))[0]), rel=1e-12)
    assert (table["conf_low"] <= table["observed"]).all()
    assert np.abs(table["predicted"] - table["observed"]).max() < 0.12


def test_scores_of_scikit_survival():
    metrics = pytest.importorskip("sksurv.metrics")
    plain = ms.SurvivalRegression("Surv(time, event) ~ x + g", verbose=0).fit(sample())
    grid = np.array([0.3, 0.6, 1.0, 1.5])
    row = plain.survival_scores(times=grid).iloc[0]
    y = np.array(
        list(zip(sample()["event"] == 1, sample()["time"], strict=True)), dtype=[("event", bool), ("time", float)]
    )
    survival = plain.predict(sample(), kind="survival", times=grid)
    assert row["integrated_brier"] == pytest.approx(metrics.integrated_brier_score(y, y, survival, grid), rel=1e-9)
    assert row["log_score"] == pytest.approx(plain.log_likelihood_ / len(sample()), rel=1e-9)
    assert 0.5 < row["concordance"] < 1
    with pytest.raises(ms.OptionError, match="late entries"):
        model().survival_scores()
