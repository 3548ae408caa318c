"""No result depends on the unit of time, nor on where covariates start and how they are scaled."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.survival import brute_force as bf
from tests.survival.brute_force import Law

YEAR = 365.25
UNITS = {"days": YEAR, "seconds": YEAR * 86400, "millennia": 1e-3}
MODELS = {
    "aft and power": {"power": "~ x"},
    "ph and power": {"scale": "ph", "power": "~ x"},
    "both scales": {"other_scale": "~ 1", "baseline": "burr"},
    "gompertz": {"scale": "ph", "baseline": "gompertz"},
    "generalized gamma": {"baseline": "generalized_gamma"},
    "hazard spline": {"scale": "ph", "baseline": "hazard_spline"},
}
SCALES = {"phi": -1, "lambda": 0, "mean_log": 1}
"""By how many logs of the unit the intercept moves; PH models hold phi at 1 / median."""


@cache
def years() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=(2, 220))
    law = Law(np.exp(-0.2 + 0.4 * x - 0.3 * z), 1.0, 1.5, 0.4)
    table = bf.simulate(rng, law, 5.0, 0.3, x=x, z=z)
    return table.assign(low=0.9 * table["time"], high=np.where(table["event"] == 1, 1.1 * table["time"], np.inf))


def fit(data: pd.DataFrame, formula: str = "Surv(entry, time, event) ~ x + z", **options) -> ms.SurvivalRegression:
    return ms.SurvivalRegression(formula, verbose=0, **options).fit(data)


@cache
def reference(name: str) -> ms.SurvivalRegression:
    return fit(years(), **MODELS[name])


SLOW = ("generalized gamma",)
NAMES = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in MODELS]


@pytest.mark.parametrize("name", NAMES)
def test_time_in_other_units(name):
    one = reference(name)
    assert one.converged_
    for factor in UNITS.values():
        times = {column: factor * years()[column] for column in ("entry", "time")}
        other = fit(years().assign(**times), **MODELS[name])
        events = years()["event"].sum()
        assert other.log_likelihood_ + events * np.log(factor) == pytest.approx(one.log_likelihood_, abs=1e-7)
        mine, theirs = one.tidy(), other.tidy()
        moved = np.array(
            [
                SCALES.get(p, 0) * np.log(factor) if t == "Intercept" else 0.0
                for p, t in mine[["parameter", "term"]].values
            ]
        )
        if name == "gompertz":
            moved = np.where((mine["parameter"] == "phi") & (mine["term"] == "Intercept"), -np.log(factor), 0.0)
        np.testing.assert_allclose(theirs["estimate"] - moved, mine["estimate"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(theirs["std_error"], mine["std_error"], rtol=1e-5)


def test_intervals_in_other_units():
    one = fit(years(), "Surv(low, high, type='interval') ~ x")
    other = fit(years().assign(low=1e7 * years()["low"], high=1e7 * years()["high"]), one.formula)
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=1e-7)
    np.testing.assert_allclose(other.tidy()["std_error"], one.tidy()["std_error"], rtol=1e-5)


@pytest.mark.parametrize("name", ["aft and power", "ph and power"])
def test_covariates_shifted_and_scaled(name):
    """Slopes are those of the new unit, the likelihood and predictions the same."""
    one = reference(name)
    other = fit(years().assign(x=1000 + 50 * years()["x"], z=-1e-4 * years()["z"]), **MODELS[name])
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=1e-7)
    mine = one.tidy().set_index(["parameter", "term"])
    theirs = other.tidy().set_index(["parameter", "term"])
    for term, factor in (("x", 50.0), ("z", -1e-4)):
        rows = mine.index.get_level_values("term") == term
        np.testing.assert_allclose(theirs["estimate"][rows] * factor, mine["estimate"][rows], rtol=1e-6)
        np.testing.assert_allclose(theirs["std_error"][rows] * abs(factor), mine["std_error"][rows], rtol=1e-6)
    at = [0.5, 1.0, 2.0]
    table = years().head(5)
    moved = table.assign(x=1000 + 50 * table["x"], z=-1e-4 * table["z"])
    kinds = ("survival", "hazard")
    for kind in kinds:
        np.testing.assert_allclose(
            other.predict(moved, kind=kind, times=at), one.predict(table, kind=kind, times=at), rtol=1e-6
        )


def test_the_unit_of_phi_is_shown_and_can_be_chosen():
    """PH models hold phi at 1 / median time, or at 1 / time_scale: another model unless kappa is 1."""
    model = reference("ph and power")
    assert f"{np.median(years()['time']):.5g}"[:5] in str(model.summary())
    chosen = fit(years(), scale="ph", time_scale=2.0)
    found = bf.coefficients(chosen)
    x, z = years()["x"].to_numpy(), years()["z"].to_numpy()
    law = Law(
        0.5,
        np.exp(found["1:lambda:Intercept"] + found["1:lambda:x"] * x + found["1:lambda:z"] * z),
        np.exp(found["1:gamma:Intercept"]),
        float(np.expm1(found["1:kappa1:Intercept"])),
    )
    seen = bf.Rows.right(years()["time"], years()["event"], years()["entry"])
    expected = (bf.log_term(law, seen) - bf.log_entry(law, seen)).sum()
    assert chosen.log_likelihood_ == pytest.approx(expected, abs=1e-8)
