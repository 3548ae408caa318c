"""Wide tables become long ones: against pandas, for every kind of table, and with errors that say what to do."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixstat as ms

SCORES = st.one_of(st.none(), st.integers(-50, 50).map(float))


def wide():
    return pd.DataFrame(
        {
            "id": ["c2", "c1", "c3"],
            "Y1": [10, 20, 30],
            "Y2": [11.5, np.nan, 31.5],
            "Y10": [12.5, 22.5, np.nan],
            "T1": [0.0, 0.1, 0.2],
            "T2": [1.1, np.nan, 0.1],
            "T10": [2.2, 2.3, np.nan],
            "A1": [0, 1, 2],
            "A2": [3, 4, 5],
            "A10": [6, 7, 8],
            "sex": pd.Categorical(["f", "m", "f"], categories=["m", "f"]),
            "age": pd.array([7, None, 9], dtype="Int64"),
        }
    )


def convert(table=None, **options):
    given = {"unit": "id", "outcomes": {"y": "Y*"}, "times": {"t": "T*"}, "time_varying": {"a": "A*"}}
    return ms.wide_to_long(wide() if table is None else table, **(given | options))


def test_every_cell_goes_to_its_place():
    expected = pd.DataFrame(
        {
            "id": ["c2", "c2", "c2", "c1", "c1", "c3", "c3"],
            "t": [0.0, 1.1, 2.2, 0.1, 2.3, 0.1, 0.2],  # the second wave of c3 was before the first
            "y": [10.0, 11.5, 12.5, 20.0, 22.5, 31.5, 30.0],
            "a": [0, 3, 6, 1, 7, 5, 2],
            "sex": pd.Categorical(["f", "f", "f", "m", "m", "f", "f"], categories=["m", "f"]),
            "age": pd.array([7, 7, 7, None, None, 9, 9], dtype="Int64"),
        }
    )
    pd.testing.assert_frame_equal(convert(), expected)


def test_all_rows_on_request():
    long = convert(drop_missing=False)
    assert len(long) == 9
    assert long["t"].isna().tolist() == [False, False, False, False, False, True, False, False, True]
    assert long.loc[5, "a"] == 4


@given(
    st.lists(st.tuples(st.lists(SCORES, min_size=4, max_size=4), st.booleans()), min_size=1, max_size=8),
    st.permutations([0, 1, 3, 7]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_pivot_leads_back(children, times):
    scores = np.array([values for values, _ in children], dtype=float)
    table = pd.DataFrame(scores, columns=list("pqrs")).assign(flag=[flag for _, flag in children])
    table.insert(0, "name", [f"n{i}" for i in range(len(table))])
    if np.isnan(scores).all():
        with pytest.raises(ms.DataError, match="no outcome is observed"):
            ms.wide_to_long(table, unit="name", outcomes={"y": list("pqrs")}, times={"t": times})
        return
    long = ms.wide_to_long(table, unit="name", outcomes={"y": list("pqrs")}, times={"t": times})
    assert len(long) == np.isfinite(scores).sum()
    assert long["t"].dtype == np.int64
    assert long["flag"].dtype == bool
    assert long.groupby("name", sort=False)["t"].apply(lambda t: t.is_monotonic_increasing).all()
    back = long.pivot(index="name", columns="t", values="y").reindex(index=table["name"], columns=times)
    np.testing.assert_array_equal(back.to_numpy(), scores)
    flags = long.groupby("name")["flag"].first()
    assert (flags == table.set_index("name")["flag"].loc[flags.index]).all()


def test_the_achievement_study_there_and_back():
    study = ms.datasets.load_achievement()
    study = study[study[["math", "reading"]].notna().any(axis=1)].reset_index(drop=True)
    waved = study.assign(wave=study["grade"].round().astype(int) + 1)
    pivoted = waved.pivot(index="child", columns="wave", values=["grade", "math", "reading", "absences"])
    pivoted.columns = [f"{name}_{wave}" for name, wave in pivoted.columns]
    subject = study.columns[5:]
    table = pivoted.reset_index().merge(study.drop_duplicates("child")[["child", *subject]], on="child")
    long = ms.wide_to_long(
        table,
        unit="child",
        outcomes={"math": "math_*", "reading": "reading_*"},
        times={"grade": "grade_*"},
        time_varying={"absences": "absences_*"},
    )
    pd.testing.assert_frame_equal(long, study, check_dtype=False)
    assert (long.dtypes[subject] == study.dtypes[subject]).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda table: pl.DataFrame(table.drop(columns="sex").to_dict("list")),
        lambda table: pa.table(table.drop(columns="sex").to_dict("list")),
        lambda table: {name: table[name].to_numpy() for name in table.columns if name != "sex"},
        lambda table: table.drop(columns="sex").set_index(np.array([9, 9, 4])),
    ],
    ids=["polars", "pyarrow", "dictionary", "row labels"],
)
def test_any_table_gives_the_same(make):
    table = wide().assign(age=[7, 8, 9])
    pd.testing.assert_frame_equal(convert(make(table)), convert(table).drop(columns="sex"), check_dtype=False)


def test_units_are_numbered_when_no_column_is_named():
    long = convert(wide().drop(columns="id"), unit=None, keep=[])
    assert list(long.columns) == ["unit", "t", "y", "a"]
    assert long["unit"].tolist() == [1, 1, 1, 2, 2, 3, 3]


def test_several_outcomes_and_waves_not_measured():
    outcomes = {"y": ["Y1", "Y2", "Y10"], "z": ["A1", None, "A2"]}
    long = convert(outcomes=outcomes, times={"t": [1, 2, 3]}, time_varying=None, keep=["age"])
    assert list(long.columns) == ["id", "t", "y", "z", "age"]
    assert long["id"].tolist() == ["c2", "c2", "c2", "c1", "c1", "c3", "c3", "c3"]
    assert long["z"].fillna(-1).tolist() == [0, -1, 3, 1, 4, 2, -1, 5]
    assert long["y"].fillna(-1).tolist() == [10, 11.5, 12.5, 20, 22.5, 30, 31.5, -1]


def test_two_time_scales_and_the_first_orders():
    long = convert(times={"t": "T*", "wave": [1, 2, 3]})
    assert list(long.columns[:3]) == ["id", "t", "wave"]
    assert long.loc[long["id"] == "c3", "wave"].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [
        ({"a1": [1, 2], "a2": [3, 4]}, "int64"),
        ({"a1": [True, False], "a2": [True, True]}, "bool"),
        ({"a1": pd.Categorical(["u", "v"]), "a2": pd.Categorical(["v", "u"])}, "category"),
        ({"a1": pd.array([1, None], dtype="Int64"), "a2": pd.array([2, 3], dtype="Int64")}, "Int64"),
        ({"a1": ["u", "v"], "a2": [np.nan, np.nan]}, "text"),
        ({"a1": [1, 2], "a2": [1.5, 2.5]}, "float64"),
    ],
)
def test_types_are_kept(columns, dtype):
    table = pd.DataFrame(columns)
    long = ms.wide_to_long(table, outcomes={"a": ["a1", "a2"]}, times={"t": [0, 1]}, drop_missing=False)
    assert long["a"].dtype == (table["a1"].dtype if dtype == "text" else dtype)
    expected = table[["a1", "a2"]].astype(object).to_numpy().ravel()
    pd.testing.assert_series_equal(long["a"].astype(object), pd.Series(expected, dtype=object), check_names=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": {"t": [0, 1]}}, "waves differ: times 't' 2, outcomes 'y' 3, time_varying 'a' 3"),
        ({"times": {"t": []}}, "times 't' must list columns"),
        ({"times": {"t": ["T1", 1, 2]}}, "must list columns \\(texts\\) or finite numbers, got"),
        ({"times": {"t": [0, 1, np.nan]}}, "finite numbers"),
        ({"times": {}}, "times is empty"),
        ({"times": "T*"}, "times must be a dictionary"),
        ({"outcomes": {"y": "Y"}}, "a pattern holds one \\*"),
        ({"outcomes": {"y": [None, None, None]}}, "must list columns"),
        ({"outcomes": {"y": 3}}, "must be a list of columns or a pattern"),
        ({"outcomes": {"y": ["Y1", "Y1", "Y2"]}}, "'Y1' is used twice, in outcomes 'y'"),
        (
            {"outcomes": {"y": "Y*", "z": ["A1", "A2", "A10"]}},
            "'A1' is used twice, in outcomes 'z' and time_varying 'a'",
        ),
        ({"outcomes": {"sex": "Y*"}}, "would be named 'sex'; rename one, or leave a column out by keep"),
        ({"outcomes": {"t": "Y*"}}, "would be named 't'"),
        ({"keep": ["Y1"]}, "keep names column 'Y1'"),
        ({"keep": "sex"}, "keep must be a list"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ms.OptionError, match=message):
        convert(**options)


def test_patterns_must_agree_on_the_waves():
    with pytest.raises(ms.OptionError, match=r"times 't' has \[1, 2, 9\], outcomes 'y' has \[1, 2, 10\]"):
        convert(wide().rename(columns={"T10": "T9"}))
    with pytest.raises(ms.OptionError, match="two of one number"):
        convert(wide().assign(Y01=1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcomes": {"y": ["Y1", "Y2", "Y3"]}}, "no column 'Y3' in the data."),
        ({"outcomes": {"y": "score*"}}, "no column fits 'score\\*'"),
        ({"unit": "idd"}, "no column 'idd' in the data. Did you mean 'id'"),
        ({"keep": ["sexe"]}, "no column 'sexe'"),
        ({"times": {"t": ["sex", "T2", "T10"]}, "keep": []}, "do not go together: {'sex': 'category', 'T2'"),
    ],
)
def test_columns_are_checked(options, message):
    with pytest.raises(ms.DataError, match=message):
        convert(**options)


def test_units_have_one_row_and_a_name():
    with pytest.raises(
        ms.DataError, match="unit c1 has 2 rows \\(1 rows of column 'id' repeat a unit\\); expected one"
    ):
        convert(wide().assign(id=["c2", "c1", "c1"]))
    with pytest.raises(ms.DataError, match="'id' is missing in 1 rows \\(first: row 2\\)"):
        convert(wide().assign(id=["c2", "c1", None]))


def test_times_of_observed_outcomes_are_needed():
    table = wide()
    table.loc[[0, 2], "T2"] = [np.nan, np.inf]
    table.loc[0, "T10"] = np.nan
    message = (
        "times 't': column 'T2' is missing or infinite in 2 rows where an outcome is observed \\(first: unit c2; 3 in"
    )
    with pytest.raises(ms.DataError, match=message):
        convert(table)
    with pytest.raises(ms.DataError, match="times must be numbers"):
        convert(wide().assign(T1=list("abc"), T2=list("abc"), T10=list("abc")))
