"""Cure: profile-likelihood intervals against root finding on brute-force likelihoods, and what is said of a plateau."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import mixstat as ms
from tests.survival import brute_force as bf
from tests.survival.brute_force import Law

DROP = stats.chi2.ppf(0.95, 1) / 2


@cache
def sample(kappa: float = -0.5, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, 400)
    return bf.simulate(rng, Law(1.0, np.exp(-0.2 + 0.5 * x), 1.6, kappa), 25.0 if kappa < 0 else 4.0, x=x)


@cache
def model(kappa: float = -0.5, seed: int = 3) -> ms.SurvivalRegression:
    options = {"scale": "ph", "time_scale": 1.0, "verbose": 0}
    return ms.SurvivalRegression("Surv(time, event) ~ x", **options).fit(sample(kappa, seed))


def log_likelihood(theta: np.ndarray, table: pd.DataFrame) -> float:
    """Of (log lambda, slope, log gamma, log(kappa + 1)); -inf outside."""
    x = table["x"].to_numpy()
    law = Law(1.0, np.exp(theta[0] + theta[1] * x), np.exp(theta[2]), float(np.expm1(theta[3])))
    with np.errstate(all="ignore"):
        time, event = table["time"].to_numpy(), table["event"].to_numpy()
        value = np.where(event == 1, law.log_hazard(time), 0.0) - law.total(time)
    return float(value.sum()) if np.isfinite(value).all() else -np.inf


def of_cure(target: float) -> Callable[[np.ndarray], np.ndarray]:
    """log lambda from the others, held where log(-log cure) = log lambda - log(1 / (kappa + 1) - 1) is `target`."""

    def held(free: np.ndarray) -> np.ndarray:
        slope, log_gamma, nu = free
        kappa = np.expm1(nu)
        return np.array([target + np.log(-kappa / (kappa + 1)) if kappa < 0 else np.nan, slope, log_gamma, nu])

    return held


def profile(constraint, inner: np.ndarray, table: pd.DataFrame | None = None) -> float:
    """The greatest log-likelihood where `constraint` maps three free numbers to all four."""
    found = optimize.minimize(
        lambda free: -log_likelihood(constraint(free), sample() if table is None else table),
        inner,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-10, "maxiter": 20000, "maxfev": 20000},
    )
    return -found.fun


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return model().cure_profile(pd.DataFrame({"x": [0.0]})).set_index("quantity")


def test_intervals_of_kappa_end_where_the_likelihood_has_dropped(table):
    at = model().tidy()["estimate"].to_numpy()
    row = table.loc["log(kappa + 1)"]
    assert row["estimate"] == pytest.approx(at[3], rel=1e-9)
    for end in ("conf_low", "conf_high"):
        value = profile(lambda free, e=row[end]: np.append(free, e), at[:3])
        assert model().log_likelihood_ - value == pytest.approx(DROP, abs=1e-3)


def test_intervals_of_the_cure_fraction_end_there_too(table):
    at = model().tidy()["estimate"].to_numpy()
    row = table.loc["cure_fraction"]
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    for end in ("conf_low", "conf_high"):
        value = profile(of_cure(np.log(-np.log(row[end]))), at[1:])
        assert model().log_likelihood_ - value == pytest.approx(DROP, abs=2e-3)


def test_no_cure_is_twice_the_loss_at_kappa_0(table):
    at = model().tidy()["estimate"].to_numpy()
    value = profile(lambda free: np.append(free, 0.0), at[:3])
    assert table["no_cure"].iloc[0] == pytest.approx(2 * (model().log_likelihood_ - value), abs=1e-3)
    assert table["no_cure"].iloc[0] > 2 * DROP
    assert "cure" in model().suggested_baseline()


def test_a_plateau_that_was_not_seen_is_no_cure():
    """Where everybody has the event in the end an estimate below kappa = 0 has a lower end of 0."""
    early = model(0.0, 2)
    found = early.cure_profile(pd.DataFrame({"x": [0.0]})).set_index("quantity")
    assert found.loc["log(kappa + 1)", "estimate"] < 0 < found.loc["log(kappa + 1)", "conf_high"]
    assert found.loc["cure_fraction", "estimate"] > 0
    assert found.loc["cure_fraction", "conf_low"] == 0
    assert 0 < found["no_cure"].iloc[0] < 2 * DROP
    assert "log-logistic" in early.suggested_baseline()


def test_no_estimated_cure_has_an_upper_end():
    """kappa is estimated above 0, and a share that is not 0 fits nearly as well."""
    certain = model(0.0, 7)
    row = certain.cure_profile(pd.DataFrame({"x": [0.0]})).set_index("quantity").loc["cure_fraction"]
    assert row["estimate"] == row["conf_low"] == 0
    at = certain.tidy()["estimate"].to_numpy()
    assert at[3] > 0
    value = profile(of_cure(np.log(-np.log(row["conf_high"]))), np.array([*at[1:3], -0.2]), sample(0.0, 7))
    assert certain.log_likelihood_ - value == pytest.approx(DROP, abs=2e-3)


def test_one_profile_and_one_kappa():
    with pytest.raises(ms.OptionError, match="one profile, got 2"):
        model().cure_profile(pd.DataFrame({"x": [0.0, 1.0]}))
    weibull = ms.SurvivalRegression("Surv(time, event) ~ x", baseline="weibull", verbose=0).fit(sample())
    with pytest.raises(ms.OptionError, match="kappa"):
        weibull.cure_profile(pd.DataFrame({"x": [0.0]}))
