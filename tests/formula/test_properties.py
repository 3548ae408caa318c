"""Random formulas agree with formulaic's own result on clean data; random texts raise nothing but our errors."""

import contextlib
import time

import formulaic
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixstat.exceptions import DataError, FormulaError
from mixstat.formula import Schema, split_gate
from mixstat.formula.grammar import parse_right
from mixstat.formula.terms import parse_left

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def make_frame(n=40):
    rng = np.random.default_rng(5)
    data = pd.DataFrame(rng.uniform(1, 3, (n, 4)), columns=["y", "a", "b", "c"])
    data["g"] = np.resize(list("pqr"), n)
    data["h"] = rng.permutation(np.resize(["u", "v"], n))
    data["my x"] = rng.normal(size=n)
    return data


FRAME = make_frame()
PLAIN = ["a", "b", "c", "g", "h", "`my x`", "log(a)", "I(a * b + 1)", "poly(b, 2)", "scale(c)", "C(g)", "bs(a, df=4)"]
CODED = ["C(h, contr.sum)", "C(g, Treatment('q'))", "np.sqrt(c)", "C(g, contr.helmert)", "center(`my x`)"]
ATOMS = st.sampled_from([*PLAIN, *CODED])
NUMBERS = st.sampled_from(["a", "b", "c", "`my x`"])


def compound(children):
    pairs = st.tuples(children, st.sampled_from([" + ", " * ", ":", " / "]), children).map("".join)
    powers = children.map(lambda text: f"({text})**2")
    return st.one_of(pairs.map(lambda text: f"({text})"), pairs, powers)


FORMULAS = st.recursive(ATOMS, compound, max_leaves=5)


def same_as_formulaic(right):
    expected = formulaic.Formula(f"y ~ {right}").get_model_matrix(FRAME, output="numpy").rhs
    schema, made = Schema.learn(FRAME, main={"m": f"y ~ {right}"})
    matrix = made.matrices["m"]
    assert matrix.values.shape == expected.shape
    assert list(matrix.names) == list(expected.model_spec.column_names)
    assert np.array_equal(matrix.values, np.asarray(expected, dtype=float))
    assert len(matrix.terms) == len(matrix.names)
    assert np.array_equal(schema.transform(FRAME).matrices["m"].values, matrix.values)
    assert np.array_equal(schema.transform(FRAME.iloc[7:9]).matrices["m"].values, matrix.values[7:9])


CAPS = ("exponents", "'*'", "interaction of more than")


@QUICK
@given(FORMULAS)
def test_random_formulas_equal_formulaic(right):
    try:
        parse_right(f"y ~ {right}")
    except FormulaError as error:
        if not any(cap in str(error) for cap in CAPS):
            raise
        return
    same_as_formulaic(right)


@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from(["+", "-"]), st.sampled_from(["a", "b", "g", "1", "0", "a:b", "g:h"])), max_size=6
    )
)
def test_signs_and_intercepts_equal_formulaic(parts):
    right = "a + b + g + a:b + g:h " + " ".join(sign + " " + name for sign, name in parts)
    try:
        parse_right(f"y ~ {right}")
    except FormulaError as error:
        if "removes nothing" not in str(error):
            raise
        return
    if "- 0" not in right:
        same_as_formulaic(right)


@QUICK
@given(st.lists(NUMBERS, min_size=1, max_size=4), st.booleans())
def test_direct_path_equals_formulaic_path_to_the_bit(names, intercept):
    """`+ g` sends the same columns through formulaic."""
    right = " + ".join([*names, "1" if intercept else "0"])
    _, direct = Schema.learn(FRAME, main={"m": f"y ~ {right}"})
    _, other = Schema.learn(FRAME, main={"m": f"y ~ {right} + log(a):g"})
    size = direct.matrices["m"].values.shape[1]
    assert direct.matrices["m"].names == other.matrices["m"].names[:size]
    assert direct.matrices["m"].terms == other.matrices["m"].terms[:size]
    assert np.array_equal(direct.matrices["m"].values, other.matrices["m"].values[:, :size])


PIECES = [
    "a",
    "y",
    "g",
    "~",
    "+",
    "-",
    "*",
    ":",
    "/",
    "**",
    "(",
    ")",
    "|",
    ".",
    "0",
    "1",
    "2",
    "log(",
    "I(",
    "C(",
    "np.",
    ",",
]
PIECES += [
    "'",
    '"',
    "`",
    "[",
    "]",
    "{",
    "}",
    "=",
    "==",
    "<",
    "lambda ",
    ":=",
    "\\",
    "%",
    " ",
    "\n",
    "offset(",
    "cbind(",
    "x",
]
PIECES += [
    "poly(",
    "lag(",
    "-1",
    "1e9",
    "for ",
    "in ",
    "if ",
    "else ",
    "yield ",
    "f'",
    "\x00",
    "é",
    "😀",
    "\ud800",
    "^",
    "@",
]


@settings(QUICK, max_examples=300)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
def test_random_texts_raise_only_our_errors(text):
    start = time.perf_counter()
    for source in (text, f"y ~ {text}", f"{text} ~ a", f"y ~ log({text})", f"y ~ I({text})"):
        for read in (parse_right, parse_left, split_gate):
            with contextlib.suppress(FormulaError):
                read(source)
        with contextlib.suppress(FormulaError, DataError):
            Schema.learn(FRAME, main={"m": source}, parts={"p": f"~ {text}"})
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    "piece",
    ["(", "log(", "-", "a**", "a:", "a.", "not ", "`", "\\", "a,", "[", "{", "lambda:", '"', "1_", "a if a else "],
)
@pytest.mark.parametrize("size", [50, 3000])
def test_long_repetitions_do_not_hang(piece, size):
    start = time.perf_counter()
    for source in (f"y ~ {piece * size}a", f"y ~ I({piece * size}a)", f"y ~ I({piece * size}a{')' * size})"):
        for read in (parse_right, split_gate):
            with contextlib.suppress(FormulaError):
                read(source)
    assert time.perf_counter() - start < 2
