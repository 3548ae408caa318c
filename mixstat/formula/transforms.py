"""The functions a formula may call, with the arguments each of them takes and caps on what they may allocate."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mixstat.exceptions import FormulaError

MAX_DF = 100
MAX_DEGREE = 20
MAX_LEVELS = 1000


@dataclass(frozen=True)
class Function:
    """A callable of formulas. `kind`: elementwise, transform (may keep a state), categorical, contrast or user.

    `arity` bounds the positional arguments; `keywords=None` accepts any. With `stateful` it receives `_state`, a
    dictionary kept with the schema: empty while learning, as left by it afterwards.
    """

    name: str
    call: Callable[..., Any]
    kind: str
    arity: tuple[int, int]
    keywords: frozenset[str] | None = frozenset()
    stateful: bool = False


RESPONSES = ("cbind", "parallel", "waves", "ordered", "Surv")
RESERVED = frozenset({"np", "contr", "offset", "Intercept", *RESPONSES})
CONSTANTS = {"np.pi": np.pi, "np.e": np.e}
HINTS = {
    "ns": "use cr(x, df=4), a natural cubic spline",
    "s": "use bs(x, df=5) or cr(x, df=5)",
    "te": "tensor products are not available; use bs(x, df=4):bs(z, df=4)",
    "hashed": "hashing is not available; merge rare levels in the data frame",
    "Q": "put the column's name in back-quotes: `my column`",
    "factor": "use C(x)",
    "as.factor": "use C(x)",
    "as.numeric": "convert the column in the data frame",
    "ifelse": "use where(condition, a, b)",
    "pmin": "use minimum(a, b)",
    "pmax": "use maximum(a, b)",
    "ln": "use log(x)",
    "pow": "use I(x**2)",
    "power": "use I(x**2)",
}


def is_contrast(name: str) -> bool:
    """Whether the name is one of a contrast, `Treatment` or `contr.sum`."""
    return name in FUNCTIONS and FUNCTIONS[name].kind == "contrast"


def find(name: str, text: str) -> Function:
    """The registered function; FormulaError with a hint when there is none of that name."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if not name:
        raise FormulaError(f"in the expression {text[:120]!r}: only registered functions can be called, by their name.")
    if name in RESPONSES:
        raise FormulaError(f"{name}(...) describes a response: it stands alone on the left of '~'.")
    if name == "offset":
        raise FormulaError("offset(...) stands alone as a term of the right side: 'y ~ x + offset(log(e))'.")
    hint = HINTS.get(name, "add it with mixstat.register_transform(name, function), or make the column beforehand")
    known = ", ".join(sorted(n for n in FUNCTIONS if "." not in n))
    raise FormulaError(f"in the expression {text[:120]!r}: no function {name!r} is registered; {hint}. Known: {known}.")


def register_transform(name: str, fn: Callable[..., Any]) -> None:
    """Make `fn` callable in formulas under `name` (an existing registration of yours is replaced).

    `fn` receives each column as a float64 array (categorical columns as a pandas Series) and returns an array (row,) or
    (row, column) that is finite. If it has a parameter `_state` it also receives a dictionary kept with the fitted
    schema: empty in fit, filled afterwards, to hold what new data need (a mean, knots). The registration is not
    stored with a saved model: register again before loading it.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise FormulaError(f"the name of a transform has to be an identifier, got {name!r}.")
    if name in RESERVED or name.startswith("_") or (name in FUNCTIONS and FUNCTIONS[name].kind != "user"):
        raise FormulaError(f"{name!r} is reserved or belongs to the package; choose another name.")
    if not callable(fn):
        raise FormulaError(f"register_transform({name!r}, ...) expects a function, got {type(fn).__name__}.")
    try:
        stateful = "_state" in inspect.signature(fn).parameters
    except (TypeError, ValueError):
        stateful = False
    FUNCTIONS[name] = Function(name, fn, "user", (1, 50), None, stateful)


def _whole(function: str, name: str, value: Any, high: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value <= high:
        raise FormulaError(f"{function}: {name} has to be a whole number from 0 to {high}, got {value!r}.")


def _knots(function: str, knots: Any) -> None:
    if isinstance(knots, (list, tuple)) and len(knots) > MAX_DF:
        raise FormulaError(f"{function}: at most {MAX_DF} knots, got {len(knots)}.")


def _formulaic(name: str) -> Callable[..., Any]:
    from mixstat.formula import compat

    return compat.transform(name)


def _spline(name: str, x: Any, df: Any = None, knots: Any = None, **options: Any) -> Any:
    """Cubic regression splines; centred by default so that they do not contain the intercept."""
    _whole(name, "df", df, MAX_DF)
    _knots(name, knots)
    if options.setdefault("constraints", "center") not in ("center", None):
        raise FormulaError(f"{name}: constraints is 'center' or None, got {options['constraints']!r}.")
    return _formulaic(name)(x, df=df, knots=knots, **options)


def _bs(x: Any, df: Any = None, knots: Any = None, degree: Any = 3, **options: Any) -> Any:
    _whole("bs", "df", df, MAX_DF)
    _whole("bs", "degree", degree, MAX_DEGREE)
    _knots("bs", knots)
    return _formulaic("bs")(x, df=df, knots=knots, degree=degree, **options)


def _poly(x: Any, degree: Any = 1, raw: bool = False, _state: dict[str, Any] | None = None) -> Any:
    _whole("poly", "degree", degree, MAX_DEGREE)
    if degree is None or degree < 1:
        raise FormulaError(f"poly: degree has to be at least 1, got {degree!r}.")
    if raw:
        return np.stack([x**power for power in range(1, degree + 1)], axis=1)
    return _formulaic("poly")(x, degree, _state=_state)


def _plain(name: str, x: Any, *arguments: Any, **options: Any) -> Any:
    return _formulaic(name)(x, *arguments, **options)


def _identity(x: Any) -> Any:
    return x


def _where(condition: Any, if_true: Any, if_false: Any) -> Any:
    return np.where(np.asarray(condition, dtype=bool), if_true, if_false)


def _categorical(x: Any, *arguments: Any, **options: Any) -> Any:
    return _formulaic("C")(x, *arguments, **options)


def _contrast(name: str, *arguments: Any, **options: Any) -> Any:
    return _formulaic(name)(*arguments, **options)


_ONE = ("log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tanh", "floor")
_TWO = ("minimum", "maximum")
_SPLINE_OPTIONS = frozenset({"df", "knots", "lower_bound", "upper_bound", "constraints", "extrapolation"})
_BS_OPTIONS = frozenset({"df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound", "extrapolation"})
_CONTRASTS: Mapping[str, tuple[int, frozenset[str]]] = {
    "Treatment": (1, frozenset({"reference"})),
    "Sum": (0, frozenset()),
    "Helmert": (0, frozenset({"reverse", "scale"})),
    "Diff": (0, frozenset({"backward"})),
    "Poly": (0, frozenset({"scores"})),
    "contr.treatment": (1, frozenset({"base"})),
    "contr.SAS": (1, frozenset({"base"})),
    "contr.sum": (0, frozenset()),
    "contr.helmert": (0, frozenset({"reverse", "scale"})),
    "contr.diff": (0, frozenset({"backward"})),
    "contr.poly": (0, frozenset({"scores"})),
}


def _builtin() -> dict[str, Function]:
    made = [Function(p + n, getattr(np, n), "elementwise", (1, 1)) for n in _ONE for p in ("", "np.")]
    made += [Function("np.square", np.square, "elementwise", (1, 1)), Function("I", _identity, "elementwise", (1, 1))]
    made += [Function(p + n, getattr(np, n), "elementwise", (2, 2)) for n in _TWO for p in ("", "np.")]
    made += [Function(p + "where", _where, "elementwise", (3, 3)) for p in ("", "np.")]
    made += [Function(n, partial(_spline, n), "transform", (1, 3), _SPLINE_OPTIONS, True) for n in ("cr", "cs", "cc")]
    scale = frozenset({"center", "scale", "ddof"})
    standardize = frozenset({"center", "rescale", "ddof"})
    made += [
        Function("bs", _bs, "transform", (1, 4), _BS_OPTIONS, True),
        Function("poly", _poly, "transform", (1, 3), frozenset({"degree", "raw"}), True),
        Function("center", partial(_plain, "center"), "transform", (1, 1), frozenset(), True),
        Function("scale", partial(_plain, "scale"), "transform", (1, 4), scale, True),
        Function("standardize", partial(_plain, "standardize"), "transform", (1, 4), standardize, True),
        Function("lag", _identity, "transform", (1, 2), frozenset({"k"})),
        Function("C", _categorical, "categorical", (1, 2), frozenset({"contrasts", "levels", "spans_intercept"})),
    ]
    made += [Function(n, partial(_contrast, n), "contrast", (0, a), k) for n, (a, k) in _CONTRASTS.items()]
    return {function.name: function for function in made}


FUNCTIONS: dict[str, Function] = _builtin()
