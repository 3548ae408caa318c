"""Constructor arguments: each is checked when `fit` begins, with an error that names it."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from mixstat.exceptions import OptionError


def number(name: str, value: Any, *, low: float = 0.0, high: float = np.inf) -> float:
    """A finite number in [low, high]."""
    known = _as_float(value)
    if not (low <= known <= high and np.isfinite(known)):
        span = "" if low == -np.inf else f" of at least {low:g}" if high == np.inf else f" from {low:g} to {high:g}"
        raise OptionError(f"{name} must be a finite number{span}, got {value!r}")
    return known


def _as_float(value: Any) -> float:
    """NaN where it is no number; booleans are none."""
    return float(value) if isinstance(value, Real) and not isinstance(value, bool | np.bool_) else np.nan


def integer(name: str, value: Any, low: int) -> int:
    """A whole number, not below `low` (numpy's integers count, booleans do not)."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral) or value < low:
        raise OptionError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in options:
        raise OptionError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def column_name(name: str, value: Any) -> str | None:
    """The name of a column, or None."""
    if value is not None and not isinstance(value, str):
        raise OptionError(f"{name} must be the name of a column (a string) or None, got {type(value).__name__}")
    return value


def boolean(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def level(value: Any) -> float:
    """A confidence level strictly between 0 and 1."""
    known = _as_float(value)
    if not 0 < known < 1:
        raise OptionError(f"level must be a number between 0 and 1, such as 0.95, got {value!r}")
    return known


def verbosity(value: Any) -> int:
    """0, 1 or 2; booleans count."""
    return int(value) if isinstance(value, bool | np.bool_) else integer("verbose", value, 0)
