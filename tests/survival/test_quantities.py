"""What a fit says over time: values by direct formulas, errors by differences of these and the delta method."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import mixstat as ms
from tests.survival import brute_force as bf
from tests.survival.brute_force import Law

TIMES = [0.3, 1.0, 2.5]
Z = norm.ppf(0.975)


@cache
def sample() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    x, g = rng.normal(size=300), rng.integers(0, 2, 300)
    law = Law(np.exp(-0.4 * x + 0.3 * g), 1.0, np.exp(0.3 + 0.2 * g), 0.4)
    return bf.simulate(rng, law, 4.0, x=x, g=g)


@cache
def model() -> ms.SurvivalRegression:
    """AFT and power."""
    return ms.SurvivalRegression("Surv(time, event) ~ x + g", power="~ g", verbose=0).fit(sample())


@cache
def with_cure() -> ms.SurvivalRegression:
    """kappa below 0: a share never has the event."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    table = bf.simulate(rng, Law(1.0, np.exp(-0.2 + 0.5 * x), 1.6, -0.5), 25.0, x=x)
    return ms.SurvivalRegression("Surv(time, event) ~ x", scale="ph", time_scale=1.0, verbose=0).fit(table)


def law_at(theta: np.ndarray, x: np.ndarray | float, g: np.ndarray | float) -> Law:
    """The law of `model()` at coefficients in the order of its table."""
    found = dict(zip(model().coefficient_names_, theta, strict=True))
    phi = np.exp(found["1:phi:Intercept"] + found["1:phi:x"] * x + found["1:phi:g"] * g)
    gamma = np.exp(found["1:gamma:Intercept"] + found["1:gamma:g"] * g)
    return Law(phi, 1.0, gamma, float(np.expm1(found["1:kappa1:Intercept"])))


def cure_at(theta: np.ndarray, x: float) -> float:
    found = dict(zip(with_cure().coefficient_names_, theta, strict=True))
    kappa = np.expm1(found["1:kappa1:Intercept"])
    return float(np.exp(np.exp(found["1:lambda:Intercept"] + found["1:lambda:x"] * x) * (kappa + 1) / kappa))


def by_delta(function: Callable[[np.ndarray], np.ndarray], fitted: ms.SurvivalRegression) -> tuple:
    """Value and standard error of a function of the coefficients."""
    at, covariance = fitted.tidy()["estimate"].to_numpy(), fitted.covariance()
    step = 1e-5
    slope = np.stack([(function(at + h) - function(at - h)) / (2 * step) for h in step * np.eye(len(at))])
    return function(at), np.sqrt(np.einsum("p...,pq,q...->...", slope, covariance, slope))


def assert_table(table: pd.DataFrame, expected: tuple, scale: str) -> None:
    """Estimates, errors, and Wald intervals on a scale."""
    value, error = (np.ravel(part) for part in expected)
    np.testing.assert_allclose(table["estimate"], value, rtol=1e-8)
    np.testing.assert_allclose(table["std_error"], error, rtol=1e-5, atol=1e-10)
    if scale == "cloglog":
        inner, width = np.log(-np.log(value)), Z * error / np.abs(value * np.log(value))
        low, high = np.exp(-np.exp(inner + width)), np.exp(-np.exp(inner - width))
    elif scale == "log":
        low, high = value * np.exp(-Z * error / value), value * np.exp(Z * error / value)
    else:
        low, high = value - Z * error, value + Z * error
    np.testing.assert_allclose(table["conf_low"], low, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(table["conf_high"], high, rtol=1e-4, atol=1e-8)


def profiles() -> pd.DataFrame:
    return pd.DataFrame({"x": [0.0, 1.0, -0.5], "g": [0, 1, 1]})


def over_times(quantity: Callable[[Law, float], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """theta -> (time, row) at the profiles."""
    x, g = profiles()["x"].to_numpy(), profiles()["g"].to_numpy()
    return lambda theta: np.stack([quantity(law_at(theta, x, g), time) for time in TIMES])


CURVES = {
    "survival": (lambda law, t: np.exp(-law.total(t)), "cloglog"),
    "cumulative_hazard": (lambda law, t: law.total(t), "log"),
    "hazard": (lambda law, t: np.exp(law.log_hazard(t)), "log"),
    "density": (lambda law, t: np.exp(law.log_hazard(t) - law.total(t)), "log"),
}


@pytest.mark.parametrize("kind", CURVES)
def test_curves(kind):
    quantity, scale = CURVES[kind]
    expected = by_delta(over_times(quantity), model())
    assert_table(model().curves(profiles(), TIMES, kind=kind), expected, scale)
    np.testing.assert_allclose(model().predict(profiles(), kind=kind, times=TIMES), expected[0].T, rtol=1e-10)


def test_a_robust_covariance_moves_errors_alone():
    plain, robust = (model().curves(profiles(), TIMES, covariance=kind) for kind in ("information", "robust"))
    np.testing.assert_allclose(robust["estimate"], plain["estimate"], rtol=1e-12)
    assert (robust["std_error"] / plain["std_error"] - 1).abs().max() > 1e-3


def test_standardised_survival():
    """The average over the rows of the fit, and over those of each level of a column."""
    x, g = sample()["x"].to_numpy(), sample()["g"].to_numpy()

    def average(theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        law = law_at(theta, x[rows], g[rows])
        return np.array([np.exp(-law.total(time)).mean() for time in TIMES])

    everybody = np.ones(len(x), dtype=bool)
    assert_table(model().curves(times=TIMES), by_delta(lambda t: average(t, everybody), model()), "cloglog")
    table = model().curves(times=TIMES, by="g")
    for level in (0, 1):
        expected = by_delta(lambda t, level=level: average(t, g == level), model())
        assert_table(table[table["g"] == level], expected, "cloglog")


def test_survival_given_survival():
    expected = by_delta(over_times(lambda law, t: np.exp(law.total(0.2) - law.total(t))), model())
    assert_table(model().curves(profiles(), TIMES, given=0.2), expected, "cloglog")
    first = model().curves(profiles(), [0.2], given=0.2)
    np.testing.assert_allclose(first["estimate"], 1.0, rtol=1e-12)


def restricted(law: Law, limit: float) -> float:
    return quad(lambda t: float(np.exp(-law.total(t))), 0, limit, epsabs=1e-12, epsrel=1e-12)[0]


def test_restricted_means():
    x, g = profiles()["x"].to_numpy(), profiles()["g"].to_numpy()

    def means(theta: np.ndarray, limit: float) -> np.ndarray:
        return np.array([restricted(law_at(theta, *row), limit) for row in zip(x, g, strict=True)])

    for limit in (0.5, 3.0):
        expected = by_delta(lambda t, limit=limit: means(t, limit), model())
        assert_table(model().rmst(limit, profiles(), by=None), expected, "log")

    def contrast(theta: np.ndarray) -> np.ndarray:
        sides = [np.mean([restricted(law_at(theta, v, level), 2.0) for v in x]) for level in (0, 1)]
        return np.array([sides[1] - sides[0]])

    assert_table(model().rmst(2.0, profiles(), variable="g"), by_delta(contrast, model()), "identity")


def test_quantiles():
    x, g = profiles()["x"].to_numpy(), profiles()["g"].to_numpy()
    levels = [0.1, 0.5, 0.8]
    expected = by_delta(lambda theta: np.stack([law_at(theta, x, g).quantile(q) for q in levels]), model())
    table = model().survival_quantiles(profiles(), levels)
    assert_table(table, expected, "log")
    np.testing.assert_allclose(model().quantile(profiles(), levels), expected[0].T, rtol=1e-10)
    for row in table.itertuples():
        there = model().predict(profiles().iloc[[row.rowid]], kind="survival", times=[row.estimate])
        assert there[0, 0] == pytest.approx(1 - row.q, rel=1e-10)


def test_hazard_ratios():
    x = profiles()["x"].to_numpy()

    def ratio(theta: np.ndarray) -> np.ndarray:
        return np.stack([np.exp(law_at(theta, x, 1).log_hazard(t) - law_at(theta, x, 0).log_hazard(t)) for t in TIMES])

    table = model().hazard_ratio("g", TIMES, profiles())
    assert_table(table.sort_values(["time", "rowid"]), by_delta(ratio, model()), "log")


def test_time_ratios():
    x = profiles()["x"].to_numpy()
    levels = [0.25, 0.5]

    def ratio(theta: np.ndarray) -> np.ndarray:
        return np.stack([law_at(theta, x, 1).quantile(q) / law_at(theta, x, 0).quantile(q) for q in levels])

    table = model().time_ratio("g", levels, profiles())
    assert_table(table.sort_values(["q", "rowid"]), by_delta(ratio, model()), "log")


def test_ratios_of_one_scale_are_their_slopes():
    """AFT alone: time ratios are exp(-slope) at every quantile; PH alone: hazard ratios exp(slope) at every time."""
    aft = ms.SurvivalRegression("Surv(time, event) ~ x + g", verbose=0).fit(sample())
    slope = aft.tidy().set_index(["parameter", "term"]).loc[("phi", "g")]
    found = aft.time_ratio("g", [0.1, 0.6])
    np.testing.assert_allclose(found["estimate"], np.exp(-slope["estimate"]), rtol=1e-9)
    np.testing.assert_allclose(found["std_error"], np.exp(-slope["estimate"]) * slope["std_error"], rtol=1e-6)
    ph = ms.SurvivalRegression("Surv(time, event) ~ x + g", scale="ph", verbose=0).fit(sample())
    slope = ph.tidy().set_index(["parameter", "term"]).loc[("lambda", "g")]
    found = ph.hazard_ratio("g", [0.1, 2.0])
    np.testing.assert_allclose(found["estimate"], np.exp(slope["estimate"]), rtol=1e-9)
    np.testing.assert_allclose(found["conf_high"], np.exp(slope["conf_high"]), rtol=1e-6)


def test_means_are_integrals_of_survival():
    theta = model().tidy()["estimate"].to_numpy()
    laws = [law_at(theta, *row) for row in profiles().itertuples(index=False)]
    expected = [quad(lambda t, law=law: float(np.exp(-law.total(t))), 0, np.inf, limit=500)[0] for law in laws]
    np.testing.assert_allclose(model().predict(profiles()), expected, rtol=1e-6)


def test_cure_fractions():
    new = pd.DataFrame({"x": [0.0, 1.0]})
    found = with_cure().tidy().set_index("parameter")["estimate"]
    assert found["kappa1"] < 0
    expected = by_delta(lambda theta: np.array([cure_at(theta, 0.0), cure_at(theta, 1.0)]), with_cure())
    assert_table(with_cure().cure_fraction(new), expected, "cloglog")
    far = with_cure().predict(new, kind="survival", times=[1e12])[:, 0]
    np.testing.assert_allclose(far, expected[0], rtol=1e-3)
    most = 1 - expected[0][0]
    assert np.isinf(with_cure().quantile(new.iloc[[0]], most + 0.01)).all()
    assert np.isfinite(with_cure().quantile(new.iloc[[0]], most - 0.01)).all()
    infinite = with_cure().survival_quantiles(new.iloc[[0]], [most + 0.01])
    assert np.isinf(infinite["estimate"]).all()
    assert infinite["std_error"].isna().all()


def test_nobody_is_cured_where_kappa_is_not_negative():
    assert (model().cure_fraction()["estimate"] == 0).all() or model().tidy()["estimate"].iloc[-1] < 0


@pytest.mark.parametrize(
    ("baseline", "scale"),
    [
        ("lognormal", "aft"),
        pytest.param("odds_spline", "po", marks=pytest.mark.slow),
        pytest.param("gompertz", "ph", marks=pytest.mark.slow),
        pytest.param("generalized_gamma", "aft", marks=pytest.mark.slow),
    ],
)
def test_curves_start_at_time_0_and_go_beyond_all_data(baseline, scale):
    """No NaN, whatever the law; errors at other times do not suffer."""
    fitted = ms.SurvivalRegression("Surv(time, event) ~ x", baseline=baseline, scale=scale, verbose=0).fit(sample())
    alone = fitted.curves(profiles(), [1.0])
    for kind in CURVES:
        table = fitted.curves(profiles(), [0.0, 1.0, 1e5], kind=kind)
        assert table["estimate"].notna().all()
        finite = np.isfinite(table["estimate"])
        assert table.loc[finite, ["std_error", "conf_low", "conf_high"]].notna().all(axis=None)
        if kind == "survival":
            assert (table.loc[table["time"] == 0, "estimate"] == 1).all()
            middle = table[table["time"] == 1.0]
            np.testing.assert_allclose(middle["std_error"], alone["std_error"], rtol=1e-9)


def test_chunks_give_what_single_rows_give():
    many = pd.concat([profiles()] * 400, ignore_index=True)
    grid = np.linspace(0.1, 3, 70)
    whole = model().predict(many, kind="survival", times=grid)
    assert whole.shape == (1200, 70)
    np.testing.assert_allclose(whole[:3], model().predict(profiles(), kind="survival", times=grid), rtol=1e-12)
    np.testing.assert_allclose(whole[-3:], whole[:3], rtol=1e-12)
