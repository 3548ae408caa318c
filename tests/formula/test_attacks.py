"""Hostile formulas: each is refused by a FormulaError, quickly, on both sides of '~', and nothing in it is run."""

import builtins
import pickle
import time

import numpy as np
import pandas as pd
import pytest

from mixstat.exceptions import FormulaError
from mixstat.formula import Schema, split_gate

MARK = "__mixstat_touched__"
TOUCH = f"__import__('builtins').__dict__.setdefault('{MARK}', 1)"
LETTERS = "+".join("abcdefgh")

ATTACKS = [
    f"{{{TOUCH}}}",
    f"{{{TOUCH} or x}}",
    f"{{x + {TOUCH}}}",
    f"I({TOUCH})",
    f"I(x + {TOUCH})",
    f"I(x if {TOUCH} else x)",
    f"I((lambda: {TOUCH})() + x)",
    f"I((k := {TOUCH}) + x)",
    "(k := 3)",
    "k := 3",
    f"I([{TOUCH} for i in x])",
    f"I(sum({TOUCH} for i in x))",
    f"I({{1: {TOUCH}}}[1] + x)",
    "I(f'{" + TOUCH + "}' == x)",
    f"I(x[{TOUCH}])",
    f"I(x.__class__({TOUCH}))",
    "I(x.__class__.__mro__[1].__subclasses__())",
    "I(().__class__.__bases__[0] == x)",
    f"eval({TOUCH!r}, x)",
    f"exec(x, {TOUCH!r})",
    "open('/etc/passwd', x)",
    f"getattr(x, {TOUCH!r})",
    f"np.load(x, {TOUCH!r})",
    "np.linalg.norm(x)",
    "np.__loader__(x)",
    "x.to_csv('/tmp/mixstat_out')",
    "log.__globals__(x)",
    "contr.__class__(x)",
    "C(x, contr.__class__)",
    f"C(x, {TOUCH})",
    f"C(x, levels=[{TOUCH}])",
    f"bs(x, df={TOUCH})",
    f"bs(x, extrapolation='\") or {TOUCH} or (\"')",
    f"poly(x, degree=(lambda: {TOUCH})())",
    "log(*[x])",
    "log(**{'x': x})",
    "log(x, out=x)",
    "log(x, x)",
    "I('a' * 1000000000 == x)",
    "I(x + 10 ** 10 ** 10)",
    "I(x + 9 ** 9 ** 9 ** 9)",
    "I(x ** (x ** x))",
    "I(x + 999999 * 999999)",
    "I(x + 1e300)",
    "I(x + " + "9" * 5000 + ")",
    "I([1] * 1000000000 == x)",
    "I(x << 100000000000)",
    "I('%1000000000d' % x)",
    "I(x in x)",
    "I(x @ x)",
    "I(await x)",
    "I((yield x))",
    "I(" + "-" * 5000 + "x)",
    "I(" + "(" * 300 + "x" + ")" * 300 + ")",
    "I(" + "x+" * 3000 + "x)",
    "I(" + "lambda:" * 1000 + "x)",
    '\\"'.join(["I("] * 2000),
    f"(({LETTERS})**3)**3",
    f"((({LETTERS})**2)**2)**2",
    f"({LETTERS})**8",
    f"({LETTERS})**(2)",
    f"({LETTERS})**x",
    f"({LETTERS})**-1",
    "*".join(f"v{i}" for i in range(14)),
    ":".join(f"({LETTERS}+v{i}+w{i})" for i in range(12)),
    ":".join(f"v{i}" for i in range(40)),
    "(" + "+".join(f"v{i}" for i in range(900)) + ")**3",
    "/".join(f"({LETTERS}+v{i})" for i in range(12)),
    "(" * 4000 + "x",
    "+".join(["x"] * 6000),
    "x" * 20_000,
    "hashed(x, levels=10)",
    "Q('x')",
    f"offset(I({TOUCH}) + x)",
    "offset(x):x",
    "__import__",
    "I(__builtins__)",
    "np",
    "I(np)",
    "log",
    "\x00",
    "x\x00",
    "`",
    "``",
    "'x'",
    "%x%",
    "x %in% x",
    "x in x",
    "x = 3",
    "x; x",
    "x\\",
    "@x",
    "🐍(x)",
]


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    return pd.DataFrame(rng.normal(size=(30, 12)), columns=["y", "x", *"abcdefgh", "log2x", "k"])


@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{i:02d}" for i in range(len(ATTACKS))])
@pytest.mark.parametrize("side", ["right", "left", "part", "gate"])
def test_refused_and_not_run(frame, attack, side):
    start = time.perf_counter()
    with pytest.raises((FormulaError, ValueError)) as caught:  # noqa: PT012
        if side == "right":
            Schema.learn(frame, main={"m": f"y ~ x + {attack}"})
        elif side == "left":
            Schema.learn(frame, main={"m": f"{attack} ~ x"})
        elif side == "part":
            Schema.learn(frame, main={"m": "y ~ x"}, parts={"gate": f"~ {attack}"})
        else:
            main, gate = split_gate(f"y ~ x | {attack}")
            Schema.learn(frame, main={"m": main}, parts={"gate": gate or "~ x |"})
    assert time.perf_counter() - start < 2
    assert type(caught.value).__module__ == "mixstat.exceptions"
    assert isinstance(caught.value, FormulaError)
    assert len(str(caught.value)) < 1500
    assert not hasattr(builtins, MARK)


@pytest.mark.parametrize(
    "formula",
    [
        "poly(x, 100000)",
        "poly(x, degree=100000)",
        "poly(x, 100000, raw=True)",
        "bs(x, df=1000000)",
        "bs(x, df=5, degree=1000000)",
        "cr(x, df=1000000)",
        "cs(x, df=1000000)",
        "cc(x, df=1000000)",
        "bs(x, df=True)",
        "bs(x, knots=[" + ",".join(["0.5"] * 200) + "])",
        "C(g, levels=[" + ",".join(["1"] * 2000) + "])",
        "I(g * 1000000000)",
        "I(x * g)",
        "I(I(g) * 1000000000)",
        "I(C(g) * 1000000000)",
        "I(where(x > 0, 'a', 'b') * 1000000000)",
        "minimum(poly(x, 1), x)",
        "I(poly(x, 1) + x)",
    ],
)
def test_memory_through_arguments(frame, formula):
    frame["g"] = np.where(frame.x > 0, "u", "v")
    with pytest.raises(FormulaError):
        Schema.learn(frame, main={"m": f"y ~ {formula}"})


def test_interactions_of_many_levels_are_refused_before_they_are_made():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({k: rng.integers(0, 500, 5000).astype(str) for k in "gh"} | {"y": rng.normal(size=5000)})
    for name in "gh":
        data[name] = data[name].astype("category")
    start = time.perf_counter()
    with pytest.raises(FormulaError, match="columns"):
        Schema.learn(data, main={"m": "y ~ g:h"})
    assert time.perf_counter() - start < 2


def test_second_line_of_defence_checks_again(frame):
    """A tampered schema is refused when it is used: the expression is checked each time it is evaluated."""
    schema, _ = Schema.learn(frame, main={"m": "y ~ log(I(x**2))"})
    schema = pickle.loads(pickle.dumps(schema))
    term = schema.rights["m"].terms[1]
    object.__setattr__(term[0], "text", f"I({TOUCH})")
    with pytest.raises(FormulaError):
        schema.transform(frame)
    assert not hasattr(builtins, MARK)


@pytest.mark.parametrize(
    "formula", [None, 3, b"y ~ x", ["y ~ x"], "", "   ", "y", "~", "y ~", "~ x", "y ~ ~ x", "~ ~ x"]
)
def test_not_a_main_formula(frame, formula):
    with pytest.raises(FormulaError):
        Schema.learn(frame, main={"m": formula})
