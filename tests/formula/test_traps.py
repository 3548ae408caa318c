"""The table of traps (conventions, section 1.3): each is normalised or refused, one test a row."""

import warnings

import numpy as np
import pandas as pd
import pytest

from mixstat.exceptions import DataError, FormulaError, UnknownColumnError, UnseenLevelError
from mixstat.formula import Schema, register_transform, split_gate


@pytest.fixture
def frame():
    rng = np.random.default_rng(7)
    n = 60
    data = pd.DataFrame(rng.normal(size=(n, 4)), columns=["y", "x", "z", "w"])
    data["g"] = np.resize(list("bac"), n)
    data["i"] = np.resize([3, 1, 2], n)
    return data


def learn(data, formula, **options):
    schema, made = Schema.learn(data, main={"m": formula}, **options)
    return schema, made, made.matrices["m"]


@pytest.mark.parametrize(
    "call", ["scale(x)", "center(x)", "standardize(x)", "poly(x, 2)", "bs(x, df=4)", "cr(x, df=3)"]
)
def test_missing_values_drop_their_own_rows_only(frame, call):
    frame.loc[[3, 8], "x"] = np.nan
    _, made, matrix = learn(frame, f"y ~ {call}")
    assert (made.n_given, made.n_dropped, len(matrix.values)) == (60, 2, 58)
    assert np.array_equal(made.kept, np.delete(np.arange(60), [3, 8]))
    _, _, clean = learn(frame.dropna(), f"y ~ {call}")
    assert np.array_equal(matrix.values, clean.values)


def test_rows_drop_together_over_all_parts(frame):
    frame.loc[1, "x"] = np.nan
    frame.loc[2, "z"] = np.nan
    frame.loc[4, "y"] = np.nan
    frame["id"] = np.arange(60.0)
    frame.loc[5, "id"] = np.nan
    _, made = Schema.learn(frame, main={"m": "y ~ x"}, parts={"gate": "~ z"}, variables=["id"])
    assert made.n_dropped == 4
    assert len(made.matrices["m"].values) == len(made.matrices["gate"].values) == len(made.variables["id"]) == 56


@pytest.mark.parametrize("name", ["x", "y"])
def test_infinite_values_are_refused_by_name_and_count(frame, name):
    frame.loc[[0, 9], name] = [np.inf, -np.inf]
    with pytest.raises(DataError, match=f"'{name}'.* 2 infinite"):
        learn(frame, "y ~ x")


def test_unseen_level_is_an_error(frame):
    schema, _, _ = learn(frame, "y ~ g + x")
    new = frame.head(4).assign(g=["a", "b", "d", "d"])
    with pytest.raises(UnseenLevelError, match=r"'g'.*'d' \(in 2 rows\).*'a', 'b', 'c'"):
        schema.transform(new)


@pytest.mark.parametrize("term", ["C(i)", "C(g, Sum)", "C(I(i + 1))"])
def test_unseen_level_in_a_call_is_an_error(frame, term):
    schema, _, _ = learn(frame, f"y ~ {term}")
    new = frame.head(2).assign(i=[1, 9], g=["a", "d"])
    with pytest.raises(UnseenLevelError, match="not there in fit"):
        schema.transform(new)


def test_unused_levels_are_dropped(frame):
    frame["g"] = pd.Categorical(frame.g, categories=["c", "unused", "b", "a"])
    _, _, matrix = learn(frame, "y ~ g")
    assert matrix.names == ("Intercept", "g[T.b]", "g[T.a]")
    assert matrix.terms == ("1", "g", "g")


def test_levels_of_dropped_rows_are_not_learnt(frame):
    frame.loc[0, "g"] = "only-here"
    frame.loc[0, "x"] = np.nan
    schema, _, matrix = learn(frame, "y ~ g + x")
    assert (
        schema.column_names("m") == matrix.names == ("Intercept", "g[T.b]", "g[T.c]", "x")
        or "a" in schema.seen["g"].levels
    )
    assert "only-here" not in schema.seen["g"].levels


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "object", "str", "category"])
def test_every_text_type_gives_the_same(frame, dtype):
    _, _, expected = learn(frame, "y ~ g")
    _, _, matrix = learn(frame.assign(g=frame.g.astype(dtype)), "y ~ g")
    assert matrix.names == expected.names
    assert np.array_equal(matrix.values, expected.values)


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ([object() for _ in range(60)], "mixed"),
        ([1, 2, 3] * 20, "to_numeric"),
        ([1.5, 2.5, None] * 20, "to_numeric"),
        ([1, "a", 2.5] * 20, "mixed"),
        ([(1, 2)] * 60, "mixed"),
    ],
)
def test_objects_are_refused_with_a_hint(frame, values, hint):
    with pytest.raises(DataError, match=hint):
        learn(frame.assign(g=pd.Series(values, dtype=object)), "y ~ g")


def test_numbers_written_as_texts_are_hinted_at(frame):
    with pytest.raises(DataError, match="to_numeric"):
        learn(frame.assign(g=frame.x.astype(str)), "y ~ g")


def test_level_count_is_capped():
    data = pd.DataFrame({"y": np.arange(1500.0), "g": [f"level {i}" for i in range(1500)]})
    with pytest.raises(DataError, match=r"'g' has 1500 levels"):
        learn(data, "y ~ g")
    with pytest.raises(DataError, match="levels"):
        learn(data, "y ~ C(y)")


@pytest.mark.parametrize("call", ["cr(x, df=4)", "cs(x, df=4)", "cc(x, df=4)"])
def test_splines_do_not_contain_the_intercept(frame, call):
    _, _, matrix = learn(frame, f"y ~ {call}")
    assert matrix.values.shape[1] == np.linalg.matrix_rank(matrix.values) == 5


def test_splines_out_of_range(frame):
    new = frame.head(1).assign(x=100.0)
    schema, _, _ = learn(frame, "y ~ bs(x, df=5)")
    with pytest.raises(DataError, match="extrapolation="):
        schema.transform(new)
    schema, _, _ = learn(frame, "y ~ bs(x, df=5, extrapolation='clip')")
    highest = frame.loc[[frame.x.idxmax()]]
    assert np.array_equal(schema.transform(new).matrices["m"].values, schema.transform(highest).matrices["m"].values)


def test_duplicate_index_with_missing_values(frame):
    frame.loc[2, "x"] = np.nan
    again = pd.concat([frame, frame])
    _, made, matrix = learn(again, "y ~ x * g + bs(z, df=4)")
    assert made.n_dropped == 2
    assert len(matrix.values) == 118
    assert np.array_equal(made.kept, np.delete(np.arange(120), [2, 62]))


def test_duplicate_and_multiindex_columns_are_refused(frame):
    twice = pd.concat([frame, frame[["x"]]], axis=1)
    with pytest.raises(DataError, match="'x' stands 2 times"):
        learn(twice, "y ~ x")
    learn(twice, "y ~ z")
    deep = frame.copy()
    deep.columns = pd.MultiIndex.from_product([["a"], frame.columns])
    with pytest.raises(DataError, match="MultiIndex"):
        learn(deep, "y ~ x")


def test_a_column_named_like_a_function(frame):
    frame["log"] = np.arange(60.0)
    frame["Sum"] = 2 * frame["log"]
    frame["np"] = 3.0 * frame["log"]
    _, _, matrix = learn(frame, "y ~ log(I(x**2)) + log + Sum + np + C(g, Sum)")
    assert np.array_equal(matrix.values[:, matrix.names.index("log")], frame["log"])
    assert np.array_equal(matrix.values[:, matrix.names.index("Sum")], frame["Sum"])
    assert np.allclose(matrix.values[:, matrix.names.index("log(I(x ** 2))")], np.log(frame.x**2), rtol=0, atol=0)
    assert "C(g, Sum)[S.a]" in matrix.names


def test_every_formula_has_its_intercept(frame):
    _, made = Schema.learn(frame, main={"mu": "y ~ x"}, parts={"sigma": "~ z", "gate": "~ 0 + w"})
    assert made.matrices["mu"].names == ("Intercept", "x")
    assert made.matrices["sigma"].names == ("Intercept", "z")
    assert made.matrices["gate"].names == ("w",)


def test_registered_transforms_need_no_context_at_predict(frame):
    def shifted(x, _state):
        return x - _state.setdefault("mean", float(x.mean()))

    register_transform("test_shifted", shifted)
    schema, _, matrix = learn(frame, "y ~ test_shifted(x)")
    assert abs(matrix.values[:, 1].mean()) < 1e-12
    assert np.array_equal(schema.transform(frame.head(5)).matrices["m"].values, matrix.values[:5])


def test_new_data_need_no_response(frame):
    schema, _, matrix = learn(frame, "y ~ x + g")
    made = schema.transform(frame.drop(columns="y"))
    assert made.responses is None
    assert np.array_equal(made.matrices["m"].values, matrix.values)


@pytest.mark.parametrize(
    ("formula", "hint"),
    [
        ("y ~ ns(x, 3)", "cr"),
        ("y ~ te(x, z)", "tensor"),
        ("y ~ (1 | g)", "unit="),
        ("y ~ x | z", "gate="),
        ("y ~ (x ~ z)", "nested"),
        ("y ~ x ~ z", "nested"),
        ("y ~ x + nothere", "no column 'nothere'"),
        ("y ~ gg", "Did you mean 'g'"),
        ("y ~ x.__class__", "attributes are not allowed"),
        ("y ~ np.__dict__", "attributes are not allowed"),
        ("y.values ~ x", "attributes are not allowed"),
        ("y ~ unknown(x)", "register_transform"),
        ("y + x ~ z", "cbind"),
        ("y ~ cbind(x, z)", "left"),
        ("y ~ offset(x) * z", "offset"),
        ("y ~ x - z", "removes nothing"),
        ("y ~ (x - 1)", "removes nothing"),
        ("y ~ (0 + x)", "parentheses"),
        ("y ~ 2 * x", "I\\(2"),
        ("y ~ g == 'a'", "I\\(x == 1\\)"),
        ("y ~ C(g, levels=['a', 'b'])", "levels"),
    ],
)
def test_what_is_absent_says_so(frame, formula, hint):
    with pytest.raises((FormulaError, DataError), match=hint):
        learn(frame, formula)


def test_a_column_that_is_absent_is_an_error_of_the_formula_and_of_the_data(frame):
    with pytest.raises(UnknownColumnError) as caught:
        learn(frame, "y ~ x + nothere")
    assert isinstance(caught.value, FormulaError)
    assert isinstance(caught.value, DataError)
    schema, *_ = learn(frame, "y ~ x")
    with pytest.raises(UnknownColumnError, match="no column 'x'"):
        schema.transform(frame.drop(columns="x"))


def test_offset_is_split_out(frame):
    frame["e"] = np.exp(frame.x)
    _, made = Schema.learn(frame, main={"m": "y ~ z + offset(log(e)) + offset(w)"}, parts={"gate": "~ offset(x)"})
    assert made.matrices["m"].names == ("Intercept", "z")
    assert made.matrices["gate"].names == ("Intercept",)
    assert np.allclose(made.offsets["m"], frame.x + frame.w)
    assert np.array_equal(made.offsets["gate"], frame.x)
    _, plain, _ = learn(frame, "y ~ z")
    assert plain.offsets == {}


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]", "complex128", "period[D]"])
def test_types_that_a_formula_cannot_use(frame, kind):
    days = pd.date_range("2020-01-01", periods=60)
    values = {
        "datetime64[ns]": days,
        "timedelta64[ns]": days - days[0],
        "complex128": frame.x.to_numpy() + 1j,
        "period[D]": days.to_period("D"),
    }[kind]
    with pytest.raises(DataError, match="'t' is of type"):
        learn(frame.assign(t=values), "y ~ t")
    _, made, _ = learn(frame.assign(t=values), "y ~ x")
    assert made.n_dropped == 0


def test_large_integers_are_refused(frame):
    frame["big"] = np.int64(2**53 + 1)
    with pytest.raises(DataError, match=r"2\*\*53"):
        learn(frame, "y ~ big")
    frame["big"] = pd.Series([2**70] * 60, dtype=object)
    with pytest.raises(DataError, match="'big'"):
        learn(frame, "y ~ big")


def test_no_part_of_a_formula_is_lost():
    assert split_gate("y ~ x1 | z1") == ("y ~ x1", "~ z1")
    assert split_gate("y ~ x1") == ("y ~ x1", None)
    assert split_gate("y ~ I((a > 1) | (b > 1)) | `a|b`") == ("y ~ I((a > 1) | (b > 1))", "~ `a|b`")
    assert split_gate("y ~ (1 | g)") == ("y ~ (1 | g)", None)
    for formula in ("y ~ x | z | w", "y ~ x |", "y ~ | z", "y ~ x | | z"):
        with pytest.raises(FormulaError):
            split_gate(formula)


def test_a_term_with_one_level_is_not_lost_silently(frame):
    with pytest.raises(DataError, match="'g' gives no column"):
        learn(frame.assign(g="a"), "y ~ g")


def test_not_finite_results_are_refused_by_name(frame):
    frame["p"] = np.abs(frame.x)
    frame.loc[[4, 5], "p"] = [0.0, -1.0]
    with pytest.raises(DataError, match=r"'log\(p\)' is not a finite number below 1e\+150 in 2 of 60 rows"):
        learn(frame, "y ~ log(p)")
    with pytest.raises(DataError, match=r"log\(p\)"):
        learn(frame, "log(p) ~ x")
    with pytest.raises(DataError, match=r"log\(p\)"):
        learn(frame, "y ~ offset(log(p))")
    with pytest.raises(DataError, match="scale"):
        learn(frame.assign(p=1.0), "y ~ scale(p)")
    with pytest.raises(DataError, match="overflow"):
        learn(frame.assign(p=1e200, q=1e200), "y ~ p:q")


def test_a_column_named_like_a_call_is_not_mixed_up(frame):
    frame["log(x)"] = 5.0
    frame["x"] = np.abs(frame.x)
    with pytest.raises(FormulaError, match="rename"):
        learn(frame, "y ~ `log(x)` + log(x)")
    _, _, matrix = learn(frame, "y ~ `log(x)`")
    assert np.all(matrix.values[:, 1] == 5)


def test_no_warning_reaches_the_user(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(frame, "y ~ I(x**2 > 1 and z < 1) + C(g) + np.log(I(x**2))")
