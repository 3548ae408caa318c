"""Schema: what is learnt, what new data give, responses, rows, persistence, speed of the direct path."""

import copy
import json
import pickle
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from mixstat.exceptions import DataError, FormulaError, UnseenLevelError
from mixstat.formula import Schema, register_transform
from mixstat.formula.persist import from_dict, to_dict

RICH = "y ~ g * x + C(i, Sum) + bs(z, df=5) + cr(w, df=4) + scale(x) + poly(z, 3) + b + offset(log(e)) + I(x > 0):z"


@pytest.fixture
def frame():
    rng = np.random.default_rng(2)
    n = 90
    data = pd.DataFrame(rng.normal(size=(n, 4)), columns=["y", "x", "z", "w"])
    data["e"] = rng.uniform(1, 2, n)
    data["g"] = np.resize(list("pqr"), n)
    data["i"] = rng.integers(0, 4, n)
    data["b"] = rng.random(n) > 0.5
    data["k"] = rng.integers(0, 5, n)
    data["size"] = 5
    return data


def learn(data, formula, **options):
    schema, made = Schema.learn(data, main={"m": formula}, **options)
    return schema, made, made.matrices["m"]


def response(data, formula, **options):
    return learn(data, formula, **options)[1].responses[0]


def round_trips(schema):
    return [
        pickle.loads(pickle.dumps(schema)),
        from_dict(json.loads(json.dumps(to_dict(schema)))),
        copy.deepcopy(schema),
    ]


def test_new_rows_are_encoded_as_in_fit_and_schemas_can_be_stored(frame):
    schema, made, matrix = learn(frame, RICH)
    for again in [schema, *round_trips(schema)]:
        for rows in (slice(None), slice(0, 1), slice(40, 47)):
            new = again.transform(frame.iloc[rows], response=True)
            assert new.matrices["m"].names == matrix.names
            assert new.matrices["m"].terms == matrix.terms
            if rows == slice(None):
                assert np.array_equal(new.matrices["m"].values, matrix.values)
            assert np.allclose(new.matrices["m"].values, matrix.values[rows], rtol=1e-13, atol=1e-15)
            assert np.array_equal(new.offsets["m"], made.offsets["m"][rows])
            assert np.array_equal(new.responses[0].values, frame.y[rows])
        assert again.raw_columns == ("g", "x", "i", "z", "w", "b", "e")
        assert again.response_columns == ("y",)
        assert again.formulas == {"m": RICH}
        with pytest.raises(UnseenLevelError):
            again.transform(frame.assign(g="new"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("formulas", "m"), "{__import__('os')} ~ x"),
        (("rights", "m", "terms"), [[["__import__('os').getcwd() + I(x)", True]]]),
        (("rights", "m", "terms"), [[["eval(x)", True]]]),
        (("rights", "m", "offsets"), [["lambda: x", True]]),
        (("rights", "m", "terms"), 3),
        (("transforms",), {"array": ["x"], "dtype": "O"}),
        (("version",), 99),
        (("columns",), {}),
        (("seen",), {"x": 1}),
        (("other",), 1),
    ],
)
def test_a_tampered_file_is_refused(frame, path, value):
    stored = to_dict(learn(frame, RICH)[0])
    inner = stored
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(FormulaError):
        from_dict(stored)


def test_transform_does_not_change_what_was_learnt(frame):
    schema, _, _ = learn(frame, RICH)
    before = json.dumps(to_dict(schema))
    schema.transform(frame.iloc[:7])
    assert json.dumps(to_dict(schema)) == before


def test_shapes_and_labels(frame):
    schema, made, matrix = learn(frame, "y ~ g * x", parts={"gate": "~ w", "none": "~ 0", "one": "~ 1"})
    assert matrix.names == ("Intercept", "g[T.q]", "g[T.r]", "x", "g[T.q]:x", "g[T.r]:x")
    assert matrix.terms == schema.term_labels("m") == ("1", "g", "g", "x", "g:x", "g:x")
    assert schema.column_names("gate") == ("Intercept", "w")
    assert made.matrices["none"].values.shape == (90, 0)
    assert np.array_equal(made.matrices["one"].values, np.ones((90, 1)))
    for part in made.matrices.values():
        assert part.values.dtype == np.float64
    assert made.kept.dtype.kind == "i"


def test_equal_right_sides_share_memory(frame):
    _, made = Schema.learn(frame, main={"m": "y ~ x + z"}, parts={"gate": "~ x + z"})
    assert made.matrices["m"].values is made.matrices["gate"].values
    with pytest.raises(ValueError, match="read-only"):
        made.matrices["m"].values[0, 0] = 3


def test_dot_is_every_other_column(frame):
    small = frame[["y", "x", "g", "i", "w"]]
    schema, made = Schema.learn(small, main={"m": "log(I(y**2)) ~ . - w"}, parts={"gate": "~ .:x"}, variables=["i"])
    assert made.matrices["m"].names == ("Intercept", "x", "g[T.q]", "g[T.r]")
    assert schema.raw_columns == ("x", "g", "w")
    assert np.array_equal(schema.transform(small.assign(extra=1.0)).matrices["m"].values, made.matrices["m"].values)


def test_responses(frame):
    assert response(frame, "y ~ x").kind == "numeric"
    assert np.array_equal(response(frame, "y ~ x").values, frame.y)
    assert np.array_equal(response(frame, "log(e) ~ x").values, np.log(frame.e))
    assert response(frame, "log(e) ~ x").names == ("log(e)",)
    vector = response(frame, "cbind(y, log(e), I(x + 1)) ~ x")
    assert (vector.kind, vector.names) == ("vector", ("y", "log(e)", "I(x + 1)"))
    assert np.array_equal(vector.values, np.stack([frame.y, np.log(frame.e), frame.x + 1], axis=1))
    quotient = response(frame, "k / size ~ x")
    assert (quotient.kind, quotient.names, quotient.values.shape) == ("quotient", ("k", "size"), (90, 2))
    assert np.array_equal(quotient.values[:, 1], frame["size"])
    assert response(frame, "I(k / size) ~ x").kind == "numeric"


def test_categorical_responses(frame):
    texts = response(frame, "g ~ x")
    assert (texts.kind, texts.levels, texts.ordered) == ("categorical", ("p", "q", "r"), False)
    assert np.array_equal(texts.values, frame.g.map({"p": 0, "q": 1, "r": 2}))
    flags = response(frame, "b ~ x")
    assert (flags.kind, flags.levels) == ("categorical", (False, True))
    assert np.array_equal(flags.values, frame.b.astype(float))
    grades = pd.Categorical(frame.g, ["r", "p", "absent", "q"], ordered=True)
    ranked = response(frame.assign(g=grades), "g ~ x")
    assert (ranked.levels, ranked.ordered) == (("r", "p", "q"), True)
    schema, made, _ = learn(frame, "ordered(k) ~ x")
    assert (made.responses[0].levels, made.responses[0].ordered) == ((0, 1, 2, 3, 4), True)
    for again in round_trips(schema):
        assert np.array_equal(again.transform(frame.iloc[:3], response=True).responses[0].values, frame.k[:3])
    with pytest.raises(DataError, match="no order"):
        response(frame, "ordered(g) ~ x")
    with pytest.raises(DataError, match="not there in fit"):
        schema.transform(frame.assign(k=77), response=True)


@pytest.mark.parametrize(
    "left", ["g/k", "cbind(g, y)", "log(g)", "cbind()", "y/k/x", "ordered(y, k)", "1", "cbind(y)(x)", "y:k", "."]
)
def test_refused_left_sides(frame, left):
    with pytest.raises((FormulaError, DataError)):
        learn(frame, f"{left} ~ x")


def test_missing_responses_may_be_kept(frame):
    frame.loc[[0, 1], "y"] = np.nan
    frame.loc[[1, 2], "e"] = np.nan
    frame["g"] = frame.g.astype(object)
    frame.loc[1, "g"] = None
    frame.loc[4, "x"] = np.nan
    main = {"a": "y ~ x", "b": "log(e) ~ x", "c": "g ~ 1"}
    schema, made = Schema.learn(frame, main=main, keep_missing_response=True)
    assert made.n_dropped == 2
    assert np.array_equal(made.kept, np.delete(np.arange(90), [1, 4]))
    assert [int(np.isnan(r.values).sum()) for r in made.responses] == [1, 1, 0]
    assert np.isnan(made.responses[0].values[0])
    again = schema.transform(frame, response=True, missing="drop")
    for one, two in zip(made.responses, again.responses, strict=True):
        assert np.array_equal(one.values, two.values, equal_nan=True)
    _, strict = Schema.learn(frame, main=main)
    assert strict.n_dropped == 4


def test_new_data_with_missing_values(frame):
    schema, _, matrix = learn(frame, "y ~ x + g")
    new = frame.assign(x=frame.x.where(frame.index != 3))
    with pytest.raises(DataError, match=r"1 of 90 rows.*'x' \(1\)"):
        schema.transform(new)
    made = schema.transform(new, missing="drop", variables=["i"])
    assert np.array_equal(made.kept, np.delete(np.arange(90), 3))
    assert np.array_equal(made.matrices["m"].values, np.delete(matrix.values, 3, axis=0))
    assert len(made.variables["i"]) == 89
    with pytest.raises(ValueError, match="missing"):
        schema.transform(new, missing="ignore")


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"x": "text"}, "held numbers in fit"),
        ({"b": 3}, "held booleans in fit"),
        ({"g": 3}, "'g' holds levels"),
        ({"x": np.inf}, "infinite"),
    ],
)
def test_new_data_of_another_kind(frame, change, hint):
    schema, _, _ = learn(frame, "y ~ x + b + g")
    with pytest.raises(DataError, match=hint):
        schema.transform(frame.assign(**change))
    with pytest.raises(DataError, match="no column 'x'"):
        schema.transform(frame.drop(columns="x"))
    assert np.array_equal(
        schema.transform(frame.assign(b=frame.b.astype(int))).matrices["m"].values,
        schema.transform(frame).matrices["m"].values,
    )


def test_subset(frame):
    mask = np.arange(90) % 2 == 0
    frame.loc[4, "x"] = np.nan
    for subset in (mask, np.flatnonzero(mask)):
        _, made, matrix = learn(frame, "y ~ x + g", subset=subset)
        assert (made.n_given, made.n_dropped) == (45, 1)
        assert np.array_equal(made.kept, np.setdiff1d(np.flatnonzero(mask), [4]))
        assert np.array_equal(matrix.values[:, 1], frame.x[made.kept])
    with pytest.raises(DataError, match="subset"):
        learn(frame, "y ~ x", subset=mask[:5])
    with pytest.raises(DataError, match="subset"):
        learn(frame, "y ~ x", subset=np.array([0.5]))


def test_lags_are_made_before_rows_drop(frame):
    frame.loc[10, "z"] = np.nan
    schema, _, matrix = learn(frame, "y ~ lag(x, 2) + lag(x, -1) + z + log(I(lag(x) ** 2))")
    lagged = frame.assign(a=frame.x.shift(2), b=frame.x.shift(-1), c=frame.x.shift(1)).dropna()
    assert matrix.names == ("Intercept", "lag(x, 2)", "lag(x, -1)", "z", "log(I(`lag(x, 1)` ** 2))")
    assert np.array_equal(matrix.values[:, 1], lagged.a)
    assert np.array_equal(matrix.values[:, 2], lagged.b)
    assert np.array_equal(matrix.values[:, 4], np.log(lagged.c**2))
    assert schema.raw_columns == ("x", "z")
    with pytest.raises(DataError, match="lagged"):
        schema.transform(frame)
    assert np.array_equal(schema.transform(frame, missing="drop").matrices["m"].values, matrix.values)
    with pytest.raises(FormulaError, match="constant"):
        learn(frame, "y ~ lag(x, z)")
    with pytest.raises(DataError, match="numbers can be lagged"):
        learn(frame, "y ~ lag(g)")


def test_expressions(frame):
    _, _, matrix = learn(
        frame,
        "y ~ I(x > 0 and not (z < 0)) + I(-1 < x < 1) + where(g == 'p', x, -1) + I(b & (x > 0)) + I(x % 2 // 1 - np.pi)"
        " + maximum(x, 0) + abs(x) + I(x ** -1) + I(b + b) + C(where(x > 0, 'up', 'down'))",
    )
    x, z, b = frame.x, frame.z, frame.b
    expected = [
        (x > 0) & ~(z < 0),
        (x > -1) & (x < 1),
        np.where(frame.g == "p", x, -1),
        b & (x > 0),
        x % 2 // 1 - np.pi,
    ]
    expected += [np.maximum(x, 0), np.abs(x), x**-1.0, 2 * b.astype(float), x > 0]
    for column, values in zip(matrix.names[1:], expected, strict=True):
        if "down" in column:
            column = "C(where(x > 0, 'up', 'down'))[T.up]"
        assert np.array_equal(matrix.values[:, matrix.names.index(column)], np.asarray(values, dtype=float)), column


def test_integers_do_not_overflow_in_arithmetic(frame):
    frame["n"] = 10**9
    _, _, matrix = learn(frame, "y ~ I(n ** 3) + n:i")
    assert np.all(matrix.values[:, 1] == 1e27)


def test_registered_transforms(frame):
    register_transform("test_twice", lambda x: np.stack([x, 2 * x], axis=1))
    register_transform("test_short", lambda x: x[:3])
    register_transform("test_nan", lambda x: x * np.nan)
    register_transform("test_fails", lambda x: 1 / 0)
    _, _, matrix = learn(frame, "y ~ test_twice(x)")
    assert matrix.names == ("Intercept", "test_twice(x)[1]", "test_twice(x)[2]")
    with pytest.raises(FormulaError, match="90 numbers"):
        learn(frame, "y ~ test_short(x)")
    with pytest.raises(DataError, match="finite"):
        learn(frame, "y ~ test_nan(x)")
    with pytest.raises(FormulaError, match="division"):
        learn(frame, "y ~ test_fails(x)")
    for name in ("log", "np", "not a name", "class", "offset", "_x", 3):
        with pytest.raises(FormulaError):
            register_transform(name, np.log)
    with pytest.raises(FormulaError):
        register_transform("fine", 3)


def test_raw_polynomials_are_numbered_like_orthogonal_ones(frame):
    _, _, matrix = learn(frame, "y ~ poly(x, 2, raw=True)")
    assert matrix.names == ("Intercept", "poly(x, 2, raw=True)[1]", "poly(x, 2, raw=True)[2]")
    assert np.array_equal(matrix.values[:, 2], frame.x**2)


def test_keys_and_sides(frame):
    with pytest.raises(FormulaError, match="main and in parts"):
        Schema.learn(frame, main={"m": "y ~ x"}, parts={"m": "~ x"})
    with pytest.raises(FormulaError, match="one-sided"):
        Schema.learn(frame, main={"m": "y ~ x"}, parts={"gate": "y ~ x"})
    _, made = Schema.learn(frame, main={"mu[2]": "y ~ g"}, parts={"mu[1]": "~ g"})
    assert set(made.matrices) == {"mu[1]", "mu[2]"}
    with pytest.raises(DataError, match="no column 'nothere'"):
        Schema.learn(frame, main={"m": "y ~ x"}, variables=["nothere"])


def test_a_factor_of_the_second_formula_is_remembered_too(frame):
    schema, made = Schema.learn(frame, main={"m": "y ~ C(i) + x"}, parts={"gate": "~ C(i):x", "s": "~ C(i)"})
    new = schema.transform(frame[frame.i == 2])
    for key, matrix in made.matrices.items():
        assert np.array_equal(new.matrices[key].values, matrix.values[frame.i == 2])


def test_the_direct_path_is_quick_and_needs_no_formulaic():
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(2000, 6)), columns=list("yabcde"))
    arguments = {"main": {"m": "y ~ a+b+c+d+e"}, "parts": {"gate": "~ a+b+c+d+e", "sigma": "~ 1"}}
    Schema.learn(data, **arguments)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        Schema.learn(data, **arguments)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.003
    code = (
        "import sys, numpy as np\nfrom mixstat.formula import Schema\n"
        "Schema.learn({'y': np.ones(3), 'x': np.arange(3.0)}, main={'m': 'y ~ x'})\n"
        "assert 'formulaic' not in sys.modules, 'formulaic was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
