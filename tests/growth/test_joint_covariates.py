"""Covariates of subjects that are modelled jointly with their growth: certified maxima, class means, refusals."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.exceptions import DataError, FormulaError, OptionError
from tests.growth import fitted
from tests.growth.test_fits import FIXTURES, bilinear_places, stored, table_of


@cache
def certified_model(name: str) -> ms.MixtureOfExperts:
    """Of the stored table, whose fits nlpsem and a certified optimiser have made."""
    curve = ms.GrowthCurve("y ~ bilinear(time)", unit="id", between="~ ex1", covariates="joint", verbose=0)
    gate = "~ gx1 + gx2" if name == "full_joint" else None
    return ms.MixtureOfExperts(curve, gate=gate, n_init=4, random_state=1, verbose=0).fit(stored("bilinear_missing")[1])


@pytest.mark.reference
@pytest.mark.parametrize("name", ["full_joint", "expert_joint"])
def test_certified_maxima(name):
    expected, model = stored("bilinear_missing")[0][name], certified_model(name)
    assert model.converged_
    assert model.n_parameters_ == expected["n_parameters"]
    assert model.log_likelihood_ == pytest.approx(expected["loglik"], abs=1e-6)
    table = table_of(model)
    for expert, group in enumerate(("early", "late"), start=1):
        places = bilinear_places(group, effects=True) | {f"{group}.mean_ex1": (expert, "mean[ex1]", "Intercept")}
        for key, place in places.items():
            error = expected["se"][key]
            assert table.loc[place, "estimate"] == pytest.approx(expected["estimates"][key], abs=1e-3 * error), key
            assert table.loc[place, "std_error"] == pytest.approx(error, rel=1e-3), key
        sigma = table.loc[(expert, "sigma[ex1]", "Intercept"), "estimate"]
        assert np.exp(2 * sigma) == pytest.approx(expected["estimates"][f"{group}.var_ex1"], rel=1e-4)


@pytest.mark.reference
def test_class_means_of_nlpsem():
    """alpha + B mu_x, printed with four decimals; its standard errors come from a numeric Hessian."""
    printed = json.loads((FIXTURES / "growth_bilinear_missing.json").read_text(encoding="utf-8"))["nlpsem"]
    found = certified_model("full_joint").factor_means().set_index(["expert", "parameter"])
    for expert, group in enumerate(("early", "late"), start=1):
        for i, factor in enumerate(("intercept", "slope1", "slope2")):
            key = f"{group}.derived_total_mean_eta{i}"
            assert found.loc[(expert, factor), "estimate"] == pytest.approx(printed["estimates"][key], abs=2e-4)
            assert found.loc[(expert, factor), "std_error"] == pytest.approx(printed["se"][key], rel=0.01)
        knot = found.loc[(expert, "knot"), ["estimate", "std_error"]].astype(float)
        assert knot.tolist() == pytest.approx([printed[p][f"{group}.knot"] for p in ("estimates", "se")], rel=0.01)
    assert set(found["covariates"]) == {"modelled"}


def test_class_means_of_given_covariates():
    """At the averages of the covariates with responsibilities as weights, which count as known."""
    model, rows = fitted.mixture(), fitted.table()
    found = model.factor_means(level=0.9).set_index(["expert", "parameter"])
    children = rows.groupby("child", sort=False).first()
    share = model.responsibilities(rows)
    means = children["approach"].to_numpy() @ share / share.sum(axis=0)
    for k, (classes, mean) in enumerate(zip(fitted.values(model)[0], means, strict=True), start=1):
        expected = classes.factors @ np.array([1.0, mean])
        assert found.loc[k, "estimate"].iloc[:3].tolist() == pytest.approx(expected.tolist(), rel=1e-8)
        assert found.loc[(k, "knot"), "estimate"] == pytest.approx(classes.knot)
        places = [model.coefficient_names_.index(f"{k}:slope1:{term}") for term in ("Intercept", "approach")]
        variance = np.array([1.0, mean]) @ model.covariance()[np.ix_(places, places)] @ np.array([1.0, mean])
        assert found.loc[(k, "slope1"), "std_error"] == pytest.approx(np.sqrt(variance), rel=1e-8)
        width = found.loc[(k, "slope1"), "conf_high"] - found.loc[(k, "slope1"), "estimate"]
        assert width == pytest.approx(1.6448536 * np.sqrt(variance), rel=1e-6)
    assert set(found["covariates"]) == {"averaged"}
    assert set(fitted.plain().factor_means()["covariates"]) == {"none"}
    with pytest.raises(OptionError, match="named factors"):
        fitted.alone().factor_means()


def subjects(count: int = 40, occasions: int = 4) -> pd.DataFrame:
    """Lines with a random level; x and z act on it."""
    rng = np.random.default_rng(8)
    each = pd.DataFrame({"id": range(count), "x": rng.normal(size=count), "z": rng.normal(2, 3, count)})
    each["level"] = 1 + 0.8 * each.x + rng.normal(size=count)
    rows = each.loc[each.index.repeat(occasions)].reset_index(drop=True)
    rows["t"] = np.tile(np.arange(float(occasions)), count)
    rows["y"] = rows.level + 0.5 * rows.t + 0.4 * rng.normal(size=len(rows))
    rows["group"] = np.where(rows.z > 2, "high", "low")
    return rows.assign(twice=2 * rows.x, one=1.0)


def joint(between, formula: str = "y ~ linear(t)", **options) -> ms.GrowthCurve:
    options = {"unit": "id", "random": "intercept", "covariates": "joint", "verbose": 0, **options}
    return ms.GrowthCurve(formula, between=between, **options)


@pytest.mark.parametrize(
    ("between", "error", "message"),
    [
        (None, OptionError, "covariates='joint' models the covariates of between=.*it is not given"),
        ({"intercept": "~ x"}, OptionError, "one formula for all growth factors, but got formulas by coefficient"),
        ("~ group", OptionError, r"covariates='joint' models 'group' as normal.*categories \(high, low\).*0 and 1"),
        ("~ x + group", OptionError, "models 'group' as normal"),
        ("~ log(z)", OptionError, "covariates='joint' needs numeric columns"),
        ("~ x + x", OptionError, "a column twice"),
        ("", FormulaError, "between must be a one-sided formula"),
        ("~ one", DataError, "'one' is constant"),
        ("~ x + twice", DataError, "'x', 'twice' as normal together, but 'twice' is constant or a linear combination"),
    ],
)
def test_what_cannot_be_modelled_jointly(between, error, message):
    with pytest.raises(error, match=message):
        joint(between).fit(subjects())
    with pytest.raises(error, match=message):
        ms.MixtureOfExperts(joint(between), n_experts=2, verbose=0).fit(subjects())


def test_likelihoods_that_hold_other_densities_do_not_compare():
    rows = subjects()
    both = {name: joint("~ x", covariates=name).fit(rows) for name in ("fixed", "joint")}
    none = joint(None, covariates="fixed").fit(rows)
    with pytest.warns(UserWarning, match="do not compare.*fixed: y; joint: y, x"):
        ms.compare(both)
    with pytest.warns(UserWarning, match="do not compare"):
        ms.compare([none, both["joint"]])
    with pytest.raises(OptionError, match=r"of different responses, \(y\) and \(y, x\).*covariates='fixed'"):
        ms.likelihood_ratio_test(none, both["joint"])
    ratio = ms.likelihood_ratio_test(none, both["fixed"]).iloc[0]
    assert ratio["df"] == 2
    assert ratio["statistic"] == pytest.approx(2 * (both["fixed"].log_likelihood_ - none.log_likelihood_))
