"""Data that no model can use: one clear error naming column, rows and remedy; awkward data that it can."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.estimators.data import SIZE, frame, make_sound, mixture, regression

DATA = frame()
FIRST = np.arange(SIZE) < 5


def refused(model, data, match, **options):
    with pytest.raises(ms.DataError, match=match) as error:
        model.fit(data, **options)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"x": np.where(FIRST, np.inf, 0.0)}, "'x' holds 5 infinite"),
        ({"y": np.where(FIRST, -np.inf, 0.0)}, "'y' holds 5 infinite"),
        ({"x": DATA.x.astype(object)}, "'x' is an object column"),
        ({"y": DATA.y.astype(object)}, "'y' is an object column"),
        ({"y": DATA.y.astype(str)}, "'y' holds 120 different numbers written as texts"),
        ({"y": DATA.g}, "'y' holds categories"),
        ({"x": np.nan}, r"'x' \(120\)"),
        ({"y": np.nan}, r"'y' \(120\)"),
        ({"y": 2.0}, "'y' is 2 in all 120 rows"),
    ],
)
@pytest.mark.parametrize("model", [regression("y ~ x"), mixture()])
def test_columns(columns, match, model):
    refused(model, frame(**columns), match)


@pytest.mark.parametrize("model", [regression("y ~ x"), mixture()])
def test_too_few_rows(model):
    refused(model, DATA[:0], "no rows")
    refused(model, DATA[:1], "one row")
    refused(model, DATA[:2], "observations cannot inform")


def test_more_parameters_than_rows():
    refused(regression("y ~ x + z + g"), DATA[:3], "3 observations cannot inform 4 parameters")
    refused(mixture(regression("y ~ x + z")), DATA[:7], "7 observations cannot inform 9 parameters")


def test_fewer_units_than_experts():
    refused(mixture(unit="one"), frame(one=1), r"1 unit\(s\) cannot inform 2 experts")


def test_one_row_of_counts():
    assert make_sound(regression("n ~ 1", family="poisson").fit(DATA[:1])).log_likelihood_ < 0


@pytest.mark.parametrize(
    "family", ["poisson", "negative_binomial", "gamma", "lognormal", "inverse_gaussian", "beta", "binomial"]
)
def test_out_of_range(family):
    refused(regression("y ~ x", family=family), frame(y=DATA.y - 3), r"column 'y' holds .* \(first")


@pytest.mark.parametrize("family", ["gaussian", "student_t", "gamma", "lognormal", "inverse_gaussian", "beta"])
def test_constant_response(family):
    refused(regression("y ~ x", family=family), frame(y=0.5), "'y' is 0.5 in all 120 rows")


def test_one_category():
    refused(regression("k ~ x", family="categorical"), frame(k="a"), "two or more levels")


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.where(FIRST, -1.0, 1.0), "negative in 5 rows"),
        (np.where(FIRST, np.nan, 1.0), "missing or infinite in 5 rows"),
        (np.where(FIRST, np.inf, 1.0), "missing or infinite in 5 rows"),
        (np.zeros(SIZE), "zero in all 120 rows"),
        (np.ones(3), r"expected \(120,\)"),
        (np.ones((SIZE, 2)), r"expected \(120,\)"),
        (["a"] * SIZE, "must be numbers"),
        (2.0, r"expected \(120,\)"),
        ("nope", "no column 'nope'"),
    ],
)
def test_weights(weight, match):
    refused(regression("y ~ x"), DATA, match, sample_weight=weight)


@pytest.mark.parametrize(
    ("weight", "match"), [(np.where(FIRST, -1.0, 1.0), "'w' is negative in 5"), (0.0, "'w' is zero"), ("a", "'w' must")]
)
def test_weights_of_a_column(weight, match):
    refused(regression("y ~ x"), frame(w=weight), match, sample_weight="w")


def test_zero_weight_is_absence():
    without = regression("y ~ x").fit(DATA[5:])
    weighted = regression("y ~ x").fit(DATA, sample_weight=np.where(FIRST, 0.0, 1.0))
    missing = regression("y ~ x").fit(frame(w=np.where(FIRST, np.nan, 1.0)), sample_weight="w")
    for model in (weighted, missing):
        pd.testing.assert_frame_equal(model.tidy(), without.tidy())
        assert model.n_units_ == SIZE - 5
    assert "5 of 120 rows dropped" in str(missing.summary())


def test_what_varies_inside_a_unit():
    refused(mixture(gate="~ z", unit="u"), DATA, "gate column 'z' varies inside unit 0")
    refused(mixture(unit="u"), DATA, "varies inside unit 0", sample_weight=np.arange(SIZE) + 1.0)
    refused(mixture(unit="u", cluster="c"), frame(c=np.arange(SIZE)), "'c' varies inside unit 0")
    refused(mixture(unit="u", prior_classes=np.arange(SIZE) % 2 + 1), DATA, "prior_classes varies inside a unit")


def test_duplicate_columns():
    refused(regression("y ~ x"), pd.concat([DATA, DATA[["x"]]], axis=1), "'x' stands 2 times")
    plain = regression("y ~ x").fit(DATA).log_likelihood_
    assert regression("y ~ x").fit(pd.concat([DATA, DATA[["z"]]], axis=1)).log_likelihood_ == plain
    assert regression("y ~ x").fit(DATA.set_index(np.zeros(SIZE, int))).log_likelihood_ == plain


def test_array_for_a_formula():
    for X in (DATA[["x"]].to_numpy(), [[1.0], [2.0]]):
        with pytest.raises(ms.DataError, match="named columns"):
            regression("y ~ x").fit(X)
    for X in (None, [1, 2, 3], "a"):
        with pytest.raises(ms.DataError, match="expected a data frame"):
            regression("y ~ x").fit(X)


NAMES = ["a b", "<b>q</b>", "o'q", "été", "log", 'say "hi"', "a,b"]


def test_any_name():
    rng = np.random.default_rng(1)
    data = frame(**{name: rng.normal(size=SIZE) for name in NAMES}, **{"<i>": DATA.z, "my y, too": DATA.y})
    right = " + ".join(f"`{name}`" for name in NAMES)
    model = make_sound(mixture(regression(f"`my y, too` ~ x + {right}"), gate="~ `<i>`").fit(data))
    assert set(NAMES) <= set(model.tidy()["term"])
    shown = model.summary().to_html()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert model.predict(data).shape == (SIZE,)
    assert model.responsibilities(data).shape == (SIZE, 2)
    both = regression(f"cbind(`my y, too`, `{NAMES[0]}`) ~ x", family="multivariate_gaussian").fit(data)
    assert list(both.simulate(data, random_state=0).columns) == ["my y, too", "a b"]


def test_function_and_column_of_one_name():
    data = frame(log=DATA.x**2, w=np.exp(DATA.z))
    model = regression("y ~ log + log(w)").fit(data)
    assert list(model.tidy()["term"]) == ["Intercept", "log", "log(w)", "Intercept"]


@pytest.mark.parametrize(
    ("formula", "changed", "match"),
    [
        ("y ~ x", {"y": DATA.y * 1e200}, "column 'y' holds numbers of size up to .*e.200.*rescale"),
        ("y ~ x", {"y": DATA.y * 1e-200}, "column 'y' holds numbers of size up to .*e-2.*rescale"),
        ("y ~ x", {"x": DATA.x * 1e200}, "column 'x' holds numbers of size up to .*rescale"),
        ("I(y**2) ~ x", {"y": DATA.y * 1e100}, r"'I\(y \*\* 2\)' is not a finite number below 1e\+150"),
        ("y ~ x * z", {"x": DATA.x * 1e100, "z": DATA.z * 1e100}, "not finite numbers below .*product"),
    ],
)
def test_sizes_whose_squares_overflow(formula, changed, match):
    refused(regression(formula), frame(**changed), match)


def test_large_numbers_that_can_be_squared():
    plain, large = (mixture().fit(frame(y=DATA.y * scale, x=DATA.x * scale)) for scale in (1.0, 1e140))
    assert large.log_likelihood_ == pytest.approx(plain.log_likelihood_ - SIZE * np.log(1e140), rel=1e-10)
    with pytest.raises(ms.DataError, match="rescale"):
        plain.responsibilities(frame(y=1e200))


def test_a_response_that_no_class_can_give():
    """A unit known to be in an expert, whose response lies on the point mass."""
    data = frame(y=np.where(DATA.b == 0, 0.0, np.exp(DATA.y)), known=np.nan)
    gated = mixture(regression("y ~ x", family="gamma"), "~ z", extra=[ms.PointMass(0)], prior_classes="known")
    model = gated.fit(data)
    impossible = data.assign(known=np.where(DATA.b == 0, 2.0, np.nan))
    found = model.responsibilities(impossible)
    np.testing.assert_array_equal(found[DATA.b == 0], np.tile([0.0, 1.0, 0.0], (int((DATA.b == 0).sum()), 1)))
    assert np.isneginf(model.predict(impossible, kind="log_density")[DATA.b == 0]).all()
    assert np.isfinite(mixture().fit(DATA).responsibilities(frame(y=1e149))).all()


@pytest.fixture(scope="module")
def model():
    return regression("y ~ x + g").fit(DATA)


def test_new_data(model):
    for data, error, match in (
        (DATA.drop(columns="x"), ms.DataError, "no column 'x'"),
        (frame(g="zz"), ms.UnseenLevelError, "'zz'"),
        (frame(x=np.nan), ms.DataError, r"'x' \(120\)"),
        (frame(x=np.inf), ms.DataError, "'x' holds 120 infinite"),
        (frame(x="a"), ms.DataError, "'x' held numbers"),
        (DATA[:0], ms.DataError, "no rows"),
    ):
        with pytest.raises(error, match=match):
            model.predict(data)
    assert model.predict(DATA[:1]).shape == (1,)
    for call in (model.responsibilities, model.score, lambda d: model.predict(d, kind="density")):
        with pytest.raises(ms.DataError, match="'y' is not in the data"):
            call(DATA.drop(columns="y"))


def test_other_libraries():
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    plain = mixture(gate="~ z + g").fit(DATA)
    for data in (polars.from_pandas(DATA), arrow.Table.from_pandas(DATA), DATA.to_dict("series")):
        model = mixture(gate="~ z + g").fit(data)
        pd.testing.assert_frame_equal(model.tidy(), plain.tidy())
        np.testing.assert_array_equal(model.predict(data), plain.predict(DATA))
        np.testing.assert_array_equal(model.responsibilities(data), plain.responsibilities(DATA))
    joined = mixture(gate="~ z + g").fit(polars.from_pandas(DATA.drop(columns="y")), DATA["y"])
    assert joined.log_likelihood_ == plain.log_likelihood_
