"""Tables of every kind give the same matrices; what cannot be used is refused by name."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mixstat.exceptions import DataError
from mixstat.formula import Schema

FORMULA = "y ~ x * g + C(i) + poly(x, 2) + b + cr(x, df=3) + lag(x, 1)"
PARTS = {"gate": "~ x + i + b", "sigma": "~ g"}


@pytest.fixture
def frame():
    rng = np.random.default_rng(11)
    n = 80
    data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "i": rng.integers(0, 3, n)})
    data["g"] = rng.choice(["beta", "alpha", "gamma"], n)
    data["b"] = rng.random(n) > 0.5
    data["id"] = np.repeat(np.arange(20), 4)
    data["who"] = [f"p{v}" for v in data.id]
    data.loc[5, "x"] = np.nan
    data.loc[9, "g"] = None
    return data


def arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


TABLES = {
    "polars": pl.from_pandas,
    "pyarrow": arrow,
    "dict": lambda f: {k: f[k].to_numpy() for k in f},
    "dict of lists": lambda f: {
        k: f[k].astype(object).where(f[k].notna(), None).tolist() if k == "g" else f[k] for k in f
    },
    "records": lambda f: f.to_records(index=False),
    "structured": lambda f: np.asarray(f.to_records(index=False)),
    "odd index": lambda f: f.set_axis(["same"] * len(f)),
    "nullable": lambda f: f.convert_dtypes(),
    "arrow types": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "big-endian": lambda f: f.assign(x=f.x.to_numpy().astype(">f8")),
    "categorical": lambda f: f.assign(g=f.g.astype("category")),
    "polars categorical": lambda f: pl.from_pandas(f).with_columns(pl.col("g").cast(pl.Categorical)),
    "polars enum": lambda f: pl.from_pandas(f).with_columns(pl.col("g").cast(pl.Enum(["alpha", "beta", "gamma"]))),
    "arrow dictionary": lambda f: (t := arrow(f)).set_column(3, "g", t["g"].dictionary_encode()),
    "sparse": lambda f: f.assign(x=pd.arrays.SparseArray(f.x)),
    "reversed categories": lambda f: f.assign(g=pd.Categorical(f.g, ["alpha", "beta", "gamma", "none"])),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_table_gives_the_same(frame, kind):
    _, expected = Schema.learn(frame, main={"m": FORMULA}, parts=PARTS, variables=["id", "who"])
    schema, made = Schema.learn(TABLES[kind](frame), main={"m": FORMULA}, parts=PARTS, variables=["id", "who"])
    for key in ("m", "gate", "sigma"):
        assert made.matrices[key].names == expected.matrices[key].names
        assert np.array_equal(made.matrices[key].values, expected.matrices[key].values)
    assert np.array_equal(made.responses[0].values, expected.responses[0].values)
    assert list(made.variables["who"]) == list(expected.variables["who"])
    assert np.array_equal(made.variables["id"], expected.variables["id"])
    assert np.array_equal(made.kept, expected.kept)
    again = schema.transform(frame, missing="drop")
    assert np.array_equal(again.matrices["m"].values, expected.matrices["m"].values)
    crossed = schema.transform(pl.from_pandas(frame), missing="drop")
    assert np.array_equal(crossed.matrices["m"].values, expected.matrices["m"].values)


@pytest.mark.parametrize(
    "convert",
    [
        lambda s: s.astype("Int64"),
        lambda s: s.astype("int64[pyarrow]"),
        lambda s: s.astype("UInt8"),
        lambda s: s.astype("int8"),
        lambda s: s.astype("float32"),
        lambda s: s.astype("Float64"),
    ],
)
def test_number_types(frame, convert):
    _, expected = Schema.learn(frame, main={"m": "y ~ i + C(i)"})
    _, made = Schema.learn(frame.assign(i=convert(frame.i)), main={"m": "y ~ i + C(i)"})
    assert made.matrices["m"].names == expected.matrices["m"].names
    assert np.array_equal(made.matrices["m"].values, expected.matrices["m"].values)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64", "int64[pyarrow]", "bool[pyarrow]"])
def test_nullable_missing_values_drop(frame, dtype):
    values = (frame.i > 0).astype(int).astype(dtype)
    values[3] = pd.NA
    _, made = Schema.learn(frame.assign(v=values), main={"m": "y ~ v"})
    assert made.n_dropped == 1
    assert np.array_equal(made.matrices["m"].values[:, 1], (frame.i > 0).drop(3).to_numpy(float))


@pytest.mark.parametrize("values", [[True, None], [False, True]])
def test_object_booleans(frame, values):
    data = frame.assign(v=pd.Series(values * 40, dtype=object))
    _, made = Schema.learn(data, main={"m": "y ~ v"})
    assert made.n_dropped == (40 if None in values else 0)
    assert made.matrices["m"].names == ("Intercept", "v")


def test_masked_arrays_are_missing():
    x = np.ma.masked_array(np.arange(10.0), mask=[True] + [False] * 9)
    i = np.ma.masked_array(np.arange(10), mask=[False] * 9 + [True])
    _, made = Schema.learn({"y": np.arange(10.0), "x": x, "i": i}, main={"m": "y ~ x + i"})
    assert np.array_equal(made.kept, np.arange(1, 9))


def test_only_used_columns_are_looked_at(frame):
    frame["bad"] = [object()] * len(frame)
    frame["inf"] = np.inf
    frame["when"] = pd.Timestamp("2020-01-01")
    frame["missing"] = np.nan
    _, made = Schema.learn(frame, main={"m": "y ~ x"}, variables=["when"])
    assert made.n_dropped == 1
    assert made.variables["when"].dtype.kind == "M"


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (pl.LazyFrame({"y": [1.0], "x": [2.0]}), "collect"),
        (np.ones((3, 2)), "set_output"),
        (np.ones(3), "set_output"),
        ([[1, 2]], "expected a data frame"),
        (None, "expected a data frame"),
        ("y", "expected a data frame"),
        (pd.Series([1.0]), "expected a data frame"),
        ({"y": [1.0, 2.0], "x": [1.0]}, "lengths differ"),
        ({"y": [[1.0]], "x": [[1.0]]}, "one-dimensional"),
        ({"y": 1.0, "x": 1.0}, "one-dimensional"),
        (pd.DataFrame({"y": [], "x": []}), "no rows"),
        ({}, "no rows"),
        (pd.DataFrame({"y": [1.0], "x": [np.nan]}), "missing"),
        (pd.DataFrame({"y": [1.0, np.nan], "x": [np.nan, 1.0]}), "2 of 2 rows"),
        (pd.DataFrame({"y": [1.0], "x": [None]}), "missing"),
        (pd.DataFrame({"y": [1.0], 0: [2.0]}), "no column 'x'"),
        (pl.DataFrame({"y": [1.0], "x": [[1, 2]]}), "'x'"),
    ],
)
def test_refused_data(data, hint):
    with pytest.raises(DataError, match=hint):
        Schema.learn(data, main={"m": "y ~ x"})


def test_decimals_are_hinted_at():
    import decimal

    data = pl.DataFrame({"y": [1.0, 2.0], "x": [decimal.Decimal("1.5"), decimal.Decimal("2")]})
    with pytest.raises(DataError, match="to_numeric"):
        Schema.learn(data, main={"m": "y ~ x"})


def test_names_of_every_kind():
    names = [
        "my col",
        "a'b\"c",
        "<script>alert(1)</script>",
        "größe",
        "日本 語",
        "class",
        "ﬁ",
        "x.y",
        "1st",
        "a|b~c",
        "new\nline",
    ]
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.uniform(1, 2, (30, len(names))), columns=names).assign(y=rng.normal(size=30))
    for name in names:
        _, made = Schema.learn(data, main={"m": f"y ~ `{name}` + log(`{name}`) + I(`{name}` ** 2)"})
        expected = np.stack([np.ones(30), data[name], np.log(data[name]), data[name] ** 2.0], axis=1)
        assert made.matrices["m"].names[1] == name
        assert np.array_equal(made.matrices["m"].values, expected)
    _, made = Schema.learn(data, main={"m": "y ~ größe * x.y + `my col`:class"})
    assert made.matrices["m"].names == ("Intercept", "größe", "x.y", "größe:x.y", "my col:class")


def test_names_that_are_not_texts():
    data = pd.DataFrame({"y": [1.0, 2.0, 3.0], 0: [1.0, 2.0, 4.0]})
    with pytest.raises(DataError, match="astype"):
        Schema.learn(data, main={"m": "y ~ ."})
