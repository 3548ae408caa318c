"""Fits of growth mixtures against certified maxima and statsmodels, and what must not change them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

import mixstat as ms

FIXTURES = Path(__file__).parent / "fixtures"
Place = tuple[int, str, str]
SHARED = 0


@cache
def stored(name: str) -> tuple[dict, pd.DataFrame]:
    values = json.loads((FIXTURES / f"growth_{name}.json").read_text(encoding="utf-8"))
    return values["certified"], pd.read_csv(FIXTURES / f"growth_{name}.csv")


def table_of(model: Any) -> pd.DataFrame:
    """tidy() by expert (0: shared), parameter and term."""
    return model.tidy().assign(expert=lambda t: t["expert"].fillna(SHARED)).set_index(["expert", "parameter", "term"])


def assert_certified(model: Any, certified: dict, places: dict[str, Place]) -> None:
    """Log-likelihood, criteria, estimates within a thousandth of a standard error, standard errors within 0.1%."""
    assert model.converged_
    assert model.n_parameters_ == certified["n_parameters"]
    assert model.log_likelihood_ == pytest.approx(certified["loglik"], abs=1e-6)
    facts = model.glance().iloc[0]
    assert facts["aic"] == pytest.approx(certified["aic"], abs=1e-4)
    assert facts["bic"] == pytest.approx(certified.get("bic_persons", certified.get("bic")), abs=1e-4)
    if "entropy" in certified:
        assert facts["entropy"] == pytest.approx(certified["entropy"], abs=1e-5)
    table = table_of(model)
    assert sorted(places.values()) == sorted(table.index)
    assert list(places) == list(certified["estimates"])
    for name, place in places.items():
        value, error = certified["estimates"][name], certified["se"][name]
        if name == "sigma":  # a standard deviation there, a variance here
            value, error = value**2, 2 * value * error
        row = table.loc[place]
        assert row["estimate"] == pytest.approx(value, abs=1e-3 * error), name
        assert row["std_error"] == pytest.approx(error, rel=1e-3), name


def modal_counts(model: Any, table: pd.DataFrame) -> list[int]:
    modal = model.responsibilities(table).argmax(axis=1)
    return np.bincount(modal, minlength=2).tolist()


# Two bilinear classes, 500 subjects; everything is each class's own.

FACTORS = ("intercept", "slope1", "slope2")


def bilinear_places(name: str, *, effects: bool) -> dict[str, Place]:
    expert = {"early": 1, "late": 2}[name]
    places = {f"eta{i}": (expert, factor, "Intercept") for i, factor in enumerate(FACTORS)}
    places["knot"] = (expert, "knot", "Intercept")
    for j in range(3):
        for i in range(j + 1):
            term = FACTORS[j] if i == j else f"{FACTORS[j]},{FACTORS[i]}"
            places[f"psi{j}{i}"] = (expert, "random_covariance", term)
    places["theta"] = (expert, "residual_variance", "Intercept")
    if effects:
        places |= {f"beta_eta{i}_ex1": (expert, factor, "ex1") for i, factor in enumerate(FACTORS)}
    return {f"{name}.{key}": place for key, place in places.items()}


@pytest.fixture(scope="module")
def gate_only():
    _, table = stored("bilinear_missing")
    curve = ms.GrowthCurve("y ~ bilinear(time)", unit="id", verbose=0)
    return ms.MixtureOfExperts(curve, gate="~ gx1 + gx2", n_init=4, random_state=1, verbose=0).fit(table)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "between", "gate"),
    [
        ("gate_only", None, ["gx1", "gx2"]),
        ("finite_mixture", None, []),
        ("expert_fixed", "~ ex1", []),
        ("full_fixed", "~ ex1", ["gx1", "gx2"]),
    ],
)
def test_bilinear(name, between, gate, gate_only):
    certified, table = stored("bilinear_missing")
    model = gate_only
    if name != "gate_only":
        curve = ms.GrowthCurve("y ~ bilinear(time)", unit="id", between=between, verbose=0)
        labels = 1 + gate_only.responsibilities(table).argmax(axis=1)
        formula = f"~ {' + '.join(gate)}" if gate else None
        model = ms.MixtureOfExperts(curve, gate=formula, start=labels, verbose=0).fit(table)
    places = {}
    for group in ("early", "late"):
        places |= bilinear_places(group, effects=between is not None)
    places |= {f"gate_late.{term.lower()}": (2, "gate", term) for term in ["Intercept", *gate]}
    assert_certified(model, certified[name], places)
    assert modal_counts(model, table) == certified[name]["modal_counts"]
    assert model.n_units_ == 500
    assert model.n_rows_ == 4430


def test_every_start_carried_on_reaches_the_maximum(gate_only):
    """Random halves and k-means alike."""
    starts = gate_only.starts_
    assert len(starts) == 4
    carried = starts[starts["hits"] > 0]
    assert len(carried) >= 2
    np.testing.assert_allclose(carried["log_likelihood"], gate_only.log_likelihood_, atol=1e-6)


# Two lines, 300 subjects; by default all but the mean's intercept and slope in common.

IN_COMMON = {
    "var_intercept": (SHARED, "random_covariance", "Intercept"),
    "cov_intercept_time": (SHARED, "random_covariance", "time,Intercept"),
    "var_time": (SHARED, "random_covariance", "time"),
    "sigma": (SHARED, "residual_variance", "Intercept"),
    "bm_sd": (SHARED, "brownian_sd", "Intercept"),
    "ar_sd": (SHARED, "ar_sd", "Intercept"),
    "ar_rate": (SHARED, "ar_rate", "Intercept"),
    "x": (SHARED, "mean", "x"),
}
OPTIONS: dict[str, dict[str, str]] = {
    "": {"random": "1 + time"},
    "_idiag": {"random": "1 + time", "random_covariance": "diagonal"},
    "_bm": {"random": "1", "residual": "brownian"},
    "_ar": {"random": "none", "residual": "ar1"},
}
LINEAR = [
    "one_class",
    "one_class_idiag",
    "one_class_bm",
    "two_class",
    "two_class_idiag",
    "two_class_ar",
    "two_class_bm",
]


def linear_places(estimates: dict, two: bool) -> dict[str, Place]:
    """Class 1 has the larger intercept, so that it is expert 2."""
    places: dict[str, Place] = {}
    for name in estimates:
        kind, _, rest = name.partition(".")
        if kind == "gate_class1":
            places[name] = (2, "gate", {"intercept": "Intercept"}.get(rest, rest))
        elif name in IN_COMMON:
            places[name] = IN_COMMON[name] if two else (1, *IN_COMMON[name][1:])
        else:
            expert = 2 if kind == "class1" else 1
            places[name] = (expert, "mean", {"intercept": "Intercept"}.get(rest or kind, rest or kind))
    return places


@pytest.fixture(scope="module")
def two_class():
    return fit_lines("", n_init=4, random_state=1)


def fit_lines(options: str, **search: Any) -> ms.MixtureOfExperts:
    shared = ["x", "random_covariance", "residual_variance"]
    shared += {"_bm": ["brownian_sd"], "_ar": ["ar_sd", "ar_rate"]}.get(options, [])
    shared = [name for name in shared if not (options == "_ar" and name == "random_covariance")]
    curve = ms.GrowthCurve("y ~ time + x", unit="id", shared=shared, verbose=0, **OPTIONS[options])
    return ms.MixtureOfExperts(curve, gate="~ z1 + z2", verbose=0, **search).fit(stored("linear")[1])


@pytest.mark.reference
@pytest.mark.parametrize("name", LINEAR)
def test_lines(name, two_class):
    certified, table = stored("linear")
    two, options = name.startswith("two"), name.split("class")[1]
    if name == "two_class":
        model = two_class
    elif two:
        model = fit_lines(options, start=1 + two_class.responsibilities(table).argmax(axis=1))
    else:
        model = ms.GrowthCurve("y ~ time + x", unit="id", verbose=0, **OPTIONS[options]).fit(table)
    assert_certified(model, certified[name], linear_places(certified[name]["estimates"], two))
    if "modal_counts" in certified[name]:
        assert modal_counts(model, table) == certified[name]["modal_counts"][::-1]


@pytest.mark.reference
def test_proportional_covariances(two_class):
    """`nwg` of lcmm: w_1^2 B and B; here the variance of the intercept by class, and a shape in common."""
    certified, table = stored("linear")
    expected = certified["two_class_nwg"]
    shared = ["x", "residual_variance"]
    curve = ms.GrowthCurve("y ~ time + x", unit="id", random="1 + time", proportional=True, shared=shared, verbose=0)
    labels = 1 + two_class.responsibilities(table).argmax(axis=1)
    model = ms.MixtureOfExperts(curve, gate="~ z1 + z2", start=labels, verbose=0).fit(table)
    assert model.converged_
    assert model.n_parameters_ == expected["n_parameters"]
    assert model.log_likelihood_ == pytest.approx(expected["loglik"], abs=1e-6)
    assert modal_counts(model, table) == expected["modal_counts"][::-1]

    def theirs(b):
        first = b["1:random_covariance:Intercept"]
        return {
            "var_intercept": first,
            "cov_intercept_time": first * b["shared:random_shape:time,Intercept"],
            "var_time": first * b["shared:random_shape:time"],
            "w_class1": (b["2:random_covariance:Intercept"] / first) ** 0.5,
            "x": b["shared:mean:x"],
            "class1.time": b["2:mean:time"],
            "gate_class1.z1": b["2:gate:z1"],
        }

    for row in model.delta(theirs).itertuples():
        error = expected["se"][row.name]
        assert row.estimate == pytest.approx(expected["estimates"][row.name], abs=1e-3 * error), row.name
        assert row.std_error == pytest.approx(error, rel=1e-3), row.name
    other = model.reorder([2, 1])
    assert other.n_parameters_ == model.n_parameters_
    np.testing.assert_allclose(other.responsibilities(table)[:, ::-1], model.responsibilities(table), atol=1e-12)


def test_shared_is_one_row_without_expert(two_class):
    table = two_class.tidy()
    common = table["expert"].isna()
    assert set(table.loc[common, "parameter"]) == {"mean", "random_covariance", "residual_variance"}
    assert table.loc[common & (table["parameter"] == "mean"), "term"].tolist() == ["x"]
    assert len(table) == two_class.n_parameters_ == 12
    assert two_class.covariance().shape == (12, 12)


# One class is a mixed model.


@cache
def cohort() -> pd.DataFrame:
    """60 subjects of up to 6 occasions, with missing responses."""
    rng = np.random.default_rng(3)
    child, time = np.repeat(np.arange(60), 6), np.tile(np.arange(6.0), 60) * rng.uniform(0.9, 1.1, 360)
    effects = rng.normal([5, -1, 0.4], [1.5, 0.8, 0.5], (60, 3))
    y = (np.vander(time, 3, increasing=True) * effects[child]).sum(axis=1) + rng.normal(0, 0.7, 360)
    y[rng.random(360) < 0.1] = np.nan
    return pd.DataFrame({"child": child, "time": time, "y": y})


def fitted(table: pd.DataFrame, curve: str = "linear(time)") -> ms.GrowthCurve:
    return ms.GrowthCurve(f"y ~ {curve}", unit="child", verbose=0).fit(table)


@pytest.fixture(scope="module")
def line():
    return fitted(cohort())


@pytest.mark.reference
@pytest.mark.parametrize("degree", [1, 2])
def test_one_class_is_a_mixed_model(degree, line):
    """Estimates and log-likelihood of statsmodels; its standard errors are of expected information."""
    model = line if degree == 1 else fitted(cohort(), "quadratic(time)")
    used = cohort().dropna()
    design = np.vander(used["time"], degree + 1, increasing=True)
    expected = MixedLM(used["y"], design, used["child"], exog_re=design).fit(reml=False, method="lbfgs")
    assert model.log_likelihood_ == pytest.approx(expected.llf, abs=1e-6)
    table = model.tidy()
    fixed = table[table["term"] == "Intercept"].iloc[: degree + 1]
    np.testing.assert_allclose(fixed["estimate"], expected.fe_params, atol=2e-5)
    np.testing.assert_allclose(fixed["std_error"], expected.bse_fe, rtol=0.01)
    entries = table.loc[table["parameter"] == "random_covariance", "estimate"]
    scale = np.sqrt(np.diag(expected.cov_re))
    lower = np.tril_indices(degree + 1)
    np.testing.assert_allclose(
        entries / np.outer(scale, scale)[lower], (expected.cov_re / np.outer(scale, scale)).to_numpy()[lower], atol=2e-4
    )
    assert table["estimate"].iloc[-1] == pytest.approx(expected.scale, rel=1e-4)


@pytest.mark.parametrize("change", ["rows dropped", "rows in another order", "texts as ids", "a subject without y"])
def test_what_does_not_matter(change, line):
    table, rng = cohort(), np.random.default_rng(9)
    if change == "rows dropped":
        table = table.dropna()
    elif change == "rows in another order":
        table = table.iloc[rng.permutation(len(table))]
    elif change == "texts as ids":
        table = table.assign(child=[f"child {99 - c}" for c in table["child"]])
    else:
        table = pd.concat([table, pd.DataFrame({"child": 777, "time": [0.0, 1.0], "y": np.nan})])
    again = fitted(table)
    assert again.log_likelihood_ == pytest.approx(line.log_likelihood_, rel=1e-12)
    np.testing.assert_allclose(again.fitted_.theta, line.fitted_.theta, rtol=1e-9)
    np.testing.assert_allclose(again.covariance(), line.covariance(), rtol=1e-6, atol=1e-12)
    assert (again.n_units_, again.n_rows_) == (line.n_units_, line.n_rows_)


def test_weights_count_subjects(line):
    doubled = ms.GrowthCurve("y ~ linear(time)", unit="child", verbose=0).fit(cohort().assign(w=2.0), sample_weight="w")
    assert doubled.log_likelihood_ == pytest.approx(2 * line.log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(doubled.fitted_.theta, line.fitted_.theta, rtol=1e-7)
    np.testing.assert_allclose(doubled.covariance(), line.covariance() / 2, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "random", "groups"),
    [
        ("y ~ linear(time)", "all", [["intercept"], ["slope"]]),
        ("y ~ time", "1 + time", [["Intercept"], ["time"]]),
    ],
)
def test_groups_of_random_coefficients(formula, random, groups):
    """Groups of one each are a diagonal; one group of all is the full matrix."""
    table = cohort()
    options = {"unit": "child", "random": random, "verbose": 0}
    apart = ms.GrowthCurve(formula, random_covariance=groups, **options).fit(table)
    diagonal = ms.GrowthCurve(formula, random_covariance="diagonal", **options).fit(table)
    assert apart.log_likelihood_ == pytest.approx(diagonal.log_likelihood_, abs=1e-8)
    assert apart.n_parameters_ == diagonal.n_parameters_
    whole = ms.GrowthCurve(formula, random_covariance=[[name for (name,) in groups]], **options).fit(table)
    full = ms.GrowthCurve(formula, **options).fit(table)
    assert whole.log_likelihood_ == pytest.approx(full.log_likelihood_, abs=1e-8)
    assert whole.n_parameters_ == diagonal.n_parameters_ + 1
    with pytest.raises(ms.exceptions.OptionError, match=r"each of them once.*knot"):
        ms.GrowthCurve(formula, random_covariance=[*groups, ["knot"]], **options).fit(table)
