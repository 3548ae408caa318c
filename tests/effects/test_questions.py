"""What may be asked and how: steps of covariates, tables of every kind, missing errors, and clear refusals."""

import pickle
from copy import copy

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.effects.models import DATA, ROWS, fitted
from tests.estimators.data import SIZE, frame, mixture, regression


@pytest.fixture(scope="module")
def line():
    """One expert whose contrasts are known: y = a + 2 x + level of g, exactly linear."""
    data = frame().assign(h=lambda d: d.x > 0)
    data["y"] = 2 * data.x + data.g.map({"a": 0.0, "b": 1.0, "c": 4.0}) + 0.5 * data.h + 0.01 * data.y
    return regression("y ~ x + g + h").fit(data), data


@pytest.mark.parametrize(
    ("step", "size"),
    [
        (None, lambda x: 1.0),
        (-2.5, lambda x: -2.5),
        ((1, 4), lambda x: 3.0),
        ("sd", lambda x: x.std()),
        ("iqr", lambda x: x.quantile(0.75) - x.quantile(0.25)),
        ("minmax", lambda x: x.max() - x.min()),
    ],
)
def test_steps_of_numbers(line, step, size):
    model, data = line
    slope = model.tidy().set_index("term").loc["x"]
    table = model.contrasts(data, {"x": step})
    assert table["estimate"][0] == pytest.approx(slope["estimate"] * size(data.x), rel=1e-10)
    assert table["std_error"][0] == pytest.approx(slope["std_error"] * abs(size(data.x)), rel=1e-9)
    labels = {None: "+1", -2.5: "-2.5", (1, 4): "4 - 1"}
    assert table["contrast"][0] == labels.get(step, step)


@pytest.mark.parametrize(
    ("step", "labels"),
    [
        (None, ["b - a", "c - a"]),
        ("reference", ["b - a", "c - a"]),
        ("sequential", ["b - a", "c - b"]),
        ("pairwise", ["b - a", "c - a", "c - b"]),
        (("c", "b"), ["b - c"]),
    ],
)
def test_steps_of_categories(line, step, labels):
    model, data = line
    value = {"a": 0.0} | model.tidy().set_index("term")["estimate"].filter(like="g[").rename(lambda t: t[-2]).to_dict()
    table = model.contrasts(data, {"g": step})
    assert list(table["contrast"]) == labels
    np.testing.assert_allclose(table["estimate"], [value[label[0]] - value[label[-1]] for label in labels], rtol=1e-9)


def test_a_covariate_of_an_awkward_name(line):
    data = line[1].rename(columns={"x": "self"})
    model = regression("y ~ log1p(self + 9)").fit(data)
    slope = model.tidy()["estimate"][1] * (1 / (10 + data["self"])).mean()
    assert model.marginal_effects(data)["estimate"][0] == pytest.approx(slope, rel=1e-10)
    assert model.contrasts(data)["contrast"][0] == "+1"


def test_all_covariates(line):
    model, data = line
    table = model.contrasts(data)
    assert list(table["term"]) == ["x", "g", "g", "h"]
    assert list(table["contrast"]) == ["+1", "b - a", "c - a", "True - False"]
    assert list(model.contrasts(data, ["h", "x"], comparison="difference")["term"]) == ["h", "x"]


def test_logarithms_of_categories():
    model = fitted("offset")
    rows = ROWS.assign(x=(ROWS.x > 0).astype(int))
    table = model.marginal_effects(rows, "x", elasticity="eyex")
    high, low = (model.predict(rows.assign(x=value)) for value in (1, 0))
    assert table["contrast"][0] == "ln(1) - ln(0)"
    assert table["estimate"][0] == pytest.approx(np.mean(np.log(high / low)), rel=1e-10)
    as_slope = model.marginal_effects(rows, "x", discrete=[])
    assert as_slope["contrast"][0] == "dY/dx"


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "dictionary", "categorical"])
def test_tables_of_every_kind(kind):
    """Texts as texts or categories, numeric categories and flags that may be missing."""
    data = frame().assign(c=lambda d: np.arange(SIZE) % 3 * 10, h=lambda d: d.z > 0)
    data = data.assign(c=pd.Categorical(data.c), h=data.h.astype("boolean"))
    model = regression("y ~ x + g + c + h").fit(data)
    expected = model.marginal_effects(data, by="g")
    if kind == "categorical":
        table = data.assign(g=data.g.astype("category"))
    elif kind == "dictionary":
        table = {name: data[name] for name in data}
    else:
        plain = data.astype({"c": int, "h": bool})
        table = pytest.importorskip("polars").from_pandas(plain)
        table = table.to_arrow() if kind == "pyarrow" else table
    pd.testing.assert_frame_equal(model.marginal_effects(table, by="g"), expected)
    assert list(expected.query("g == 'a' and term == 'c'")["contrast"]) == ["10 - 0", "20 - 0"]


def test_training_rows_without_the_missing_ones():
    data = DATA.assign(x=DATA.x.where(np.arange(SIZE) != 7), g=DATA.g.where(np.arange(SIZE) != 9))
    model = regression("y ~ x + g").fit(data)
    complete = data.dropna().reset_index(drop=True)
    pd.testing.assert_frame_equal(model.predictions(), model.predictions(complete))
    pd.testing.assert_frame_equal(model.contrasts(by="g"), model.contrasts(complete, by="g"))
    with pytest.raises(ms.DataError, match=r"missing values.*'x' \(1\)"):
        model.predictions(data)
    with pytest.raises(ms.DataError, match="by= column 'h' is missing in 2 rows"):
        model.predictions(complete.assign(h=complete.x.where(complete.index > 1)), by="h")


def test_a_saved_model_asks_for_the_table():
    model = pickle.loads(pickle.dumps(fitted("tied")))
    with pytest.raises(ms.DataError, match="the data are needed: give them"):
        model.predictions()
    pd.testing.assert_frame_equal(model.predictions(ROWS), fitted("tied").predictions(ROWS))


def test_unknown_errors_matter_only_where_they_count():
    """A gate coefficient without a standard error hides none of the experts' means, nor slopes of x alone."""
    model = copy(fitted("tied"))
    covariance = model._inner_covariance(None).copy()
    labels = model.tidy()["parameter"].to_numpy()
    place = np.flatnonzero(labels == "gate")[-1]
    covariance[place] = covariance[:, place] = np.nan
    model._inner_covariance = lambda kind: covariance
    assert model.predictions(ROWS, target="expert_mean")["std_error"].notna().all()
    assert model.predictions(ROWS, target="gate")["std_error"].isna().all()
    assert model.predictions(ROWS)["std_error"].isna().all()
    slopes = model.marginal_effects(ROWS, "z", target="expert_mean")
    pd.testing.assert_frame_equal(slopes, fitted("tied").marginal_effects(ROWS, "z", target="expert_mean"))


def test_fixed_coefficients_have_no_error():
    model = fitted("tied")
    table = model.contrasts(ROWS, "f", target="expert_mean")
    np.testing.assert_allclose(table["estimate"], 0.1, rtol=1e-12)
    np.testing.assert_array_equal(table["std_error"], 0.0)


def test_logit_intervals_stay_inside():
    table = fitted("noise").predictions(DATA, target="gate", transform="logit", level=0.999999)
    assert table[["conf_low", "conf_high"]].stack().between(0, 1).all()
    assert (table["conf_low"] < table["estimate"]).all()


QUESTIONS = {
    "target": (lambda m: m.predictions(ROWS, target="median"), "target must be one of"),
    "slope": (lambda m: m.marginal_effects(ROWS, target="responsibility"), "target must be one of"),
    "covariance": (lambda m: m.predictions(ROWS, covariance="bootstrap"), "kind must be one of"),
    "transform": (lambda m: m.predictions(ROWS, transform="probit"), "transform must be one of"),
    "range": (lambda m: m.predictions(ROWS, transform="logit"), "logit scale need estimates between 0 and 1"),
    "level": (lambda m: m.predictions(ROWS, level=95), "level must be"),
    "weight": (lambda m: m.predictions(ROWS, weight=np.ones(len(ROWS))), "weight= weighs averages"),
    "negative": (lambda m: m.predictions(ROWS, by=True, weight=-np.ones(len(ROWS))), "weight is negative"),
    "length": (lambda m: m.predictions(ROWS, by=True, weight=[1.0]), "weight has shape"),
    "nothing": (lambda m: m.predictions(ROWS, by="g", weight=(ROWS.g == "a") * 1.0), "zero in all rows of a level"),
    "by": (lambda m: m.predictions(ROWS, by="region"), "no column 'region'"),
    "by name": (lambda m: m.predictions(ROWS.assign(term=1), by="term"), "by= column 'term' has the name"),
    "by kind": (lambda m: m.predictions(ROWS, by=3), "by must be None, True"),
    "variable": (lambda m: m.contrasts(ROWS, "age"), "'age' is no covariate of the model"),
    "discrete": (lambda m: m.marginal_effects(ROWS, discrete=["age"]), "'age' is no covariate"),
    "comparison": (lambda m: m.contrasts(ROWS, comparison="odds"), "comparison must be one of"),
    "elasticity": (lambda m: m.marginal_effects(ROWS, elasticity="dxdy"), "elasticity must be one of"),
    "none": (lambda m: m.contrasts(ROWS, {}), "no covariate to change"),
    "step": (lambda m: m.contrasts(ROWS, {"x": "double"}), "a contrast of 'x' is a number to add"),
    "level step": (lambda m: m.contrasts(ROWS, {"f": "all"}), "pair of levels or one of 'reference'"),
    "pair": (lambda m: m.contrasts(ROWS, {"x": (1, 2, 3)}), "pair .low, high."),
    "words": (lambda m: m.contrasts(ROWS, {"x": ("a", "b")}), "pair of numbers"),
    "unknown level": (lambda m: m.contrasts(ROWS, {"f": (False, 7)}), "7 is no level of 'f'"),
    "spread": (lambda m: m.contrasts(ROWS[:1], {"x": "sd"}), "'sd' needs two rows"),
    "ratio": (lambda m: m.contrasts(ROWS, {"x": (-9, 9)}, target="expert_mean", comparison="ratio"), "log scale need"),
    "logarithm": (lambda m: m.marginal_effects(ROWS.assign(x=-99.0), "f", elasticity="eydx"), "positive means"),
    "no rows": (lambda m: m.predictions(ROWS[:0], by=True), "no rows"),
    "missing column": (lambda m: m.predictions(ROWS.drop(columns="x")), "no column 'x'"),
    "response": (lambda m: m.predictions(ROWS.drop(columns="y"), target="responsibility"), "response is needed"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_refusals(question):
    ask, message = QUESTIONS[question]
    with pytest.raises((ms.OptionError, ms.DataError), match=message):
        ask(fitted("tied"))


def test_models_that_cannot_be_asked():
    with pytest.raises(ms.OptionError, match="no covariate to change"):
        regression("y ~ 1").fit(DATA).marginal_effects(DATA)
    lagged = regression("y ~ x + lag(x, 1)").fit(DATA)
    with pytest.raises(ms.DataError, match="A lagged column misses its first rows"):
        lagged.contrasts(DATA, "x")
    with pytest.raises(Exception, match="not fitted"):
        mixture().predictions(DATA)
