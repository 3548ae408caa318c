"""Settings: the covariates of rows as they are, changed for a contrast, or moved along a derivative."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.design import Data
from mixstat.estimators.model.new_data import read
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Table

LEVELS = ("reference", "pairwise", "sequential")
SPREADS = ("sd", "iqr", "minmax")


class Contrast(NamedTuple):
    """Two settings of one covariate: `low` and `high` (row,), and what tables call the step between them."""

    label: str
    low: Any
    high: Any


def covariates_of(fitted: Fitted, table: Any) -> pd.DataFrame:
    """The raw columns that the model's right sides use, as formulas read them again."""
    opened = Table(table)
    frame = {name: opened.raw(name)[0] for name in fitted.schema.raw_columns}
    objects = {name: pd.Categorical(values) for name, values in frame.items() if values.dtype == object}
    return pd.DataFrame({**frame, **objects}, index=range(opened.n_rows))


def data_of(fitted: Fitted, frame: pd.DataFrame) -> Data:
    """The design of rows without their response."""
    return read(fitted, frame, response=False, by_unit=False).data


def setting_of(fitted: Fitted, data: Data) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """What a covariate can change: columns, offsets and, of repeated outcomes, times and covariates of occasions."""
    return data.columns, data.offsets, data.responses if fitted.plan.repeated else ()


def replaced(frame: pd.DataFrame, variable: str, values: Any) -> pd.DataFrame:
    """The same rows with other values of one covariate, whatever its name."""
    other = frame.copy(deep=False)
    other[variable] = values
    return other


def kind_of(fitted: Fitted, variable: Any) -> str:
    """ "number", "flag" or "level"; an error where the model has no such covariate."""
    known = fitted.schema.raw_columns
    if variable not in known:
        raise OptionError(f"{variable!r} is no covariate of the model; expected one of: {', '.join(map(repr, known))}")
    return fitted.schema.seen[variable].kind


def is_discrete(fitted: Fitted, frame: pd.DataFrame, variable: str) -> bool:
    """Whether a covariate holds categories or flags, or no other numbers than 0 and 1."""
    return kind_of(fitted, variable) != "number" or bool(frame[variable].isin((0, 1)).all())


def change(fitted: Fitted, frame: pd.DataFrame, variable: str, values: Any) -> Data:
    """The design with one covariate set to `values` (row,) or to one value."""
    if kind_of(fitted, variable) == "level":
        values = pd.Categorical([values] * len(frame), categories=list(fitted.schema.seen[variable].levels))
    return data_of(fitted, replaced(frame, variable, values))


def contrasts_of(fitted: Fitted, frame: pd.DataFrame, variable: str, step: Any, label: str) -> list[Contrast]:
    """The settings that `step` asks for (None: the usual ones); `label` is a format such as "{high} - {low}"."""
    kind = kind_of(fitted, variable)
    if isinstance(step, tuple | list):
        return [_pair(fitted, variable, step, label)]
    if kind == "number" and not (step is None and is_discrete(fitted, frame, variable)):
        return [_numeric(frame[variable].to_numpy(dtype=np.float64), variable, step)]
    if kind == "number":
        return [Contrast(label.format(low=0, high=1), 0.0, 1.0)]
    levels = (False, True) if kind == "flag" else fitted.schema.seen[variable].levels
    pairs = _level_pairs(variable, levels, step)
    return [Contrast(label.format(low=low, high=high), low, high) for low, high in pairs]


def _pair(fitted: Fitted, variable: str, pair: Sequence[Any], label: str) -> Contrast:
    if len(pair) != 2:
        raise OptionError(f"a contrast of {variable!r} is a pair (low, high), got {pair!r}")
    kind = kind_of(fitted, variable)
    levels = (False, True) if kind == "flag" else fitted.schema.seen[variable].levels
    for value in pair:
        if kind != "number" and value not in levels:
            raise OptionError(f"{value!r} is no level of {variable!r}; expected two of: {', '.join(map(repr, levels))}")
        if kind == "number" and _number(value) is None:
            raise OptionError(f"a contrast of {variable!r} is a pair of numbers, got {pair!r}")
    low, high = pair
    shown = (f"{low:g}", f"{high:g}") if kind == "number" else (low, high)
    return Contrast(label.format(low=shown[0], high=shown[1]), low, high)


def _numeric(x: np.ndarray, variable: str, step: Any) -> Contrast:
    """From x to x + step (1 if None), or across a spread of the column: centred on the mean, quartiles, the range."""
    size = 1.0 if step is None else _number(step)
    if size is not None:
        return Contrast(f"{size:+g}", x, x + size)
    if step not in SPREADS:
        raise OptionError(
            f"a contrast of {variable!r} is a number to add, a pair (low, high) or one of "
            f"{', '.join(map(repr, SPREADS))}, got {step!r}"
        )
    if len(x) < 2:
        raise DataError(f"{step!r} needs two rows or more to learn the spread of {variable!r}; give a pair (low, high)")
    half = x.std(ddof=1) / 2
    low, high = {
        "sd": (x.mean() - half, x.mean() + half),
        "iqr": tuple(np.quantile(x, (0.25, 0.75))),
        "minmax": (x.min(), x.max()),
    }[step]
    return Contrast(step, low, high)


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return None
    return float(value) if np.isfinite(value) else None


def _level_pairs(variable: str, levels: Sequence[Any], step: Any) -> list[tuple[Any, Any]]:
    """(low, high) pairs of levels."""
    wanted = "reference" if step is None else step
    if wanted not in LEVELS:
        raise OptionError(
            f"a contrast of {variable!r} is a pair of levels or one of {', '.join(map(repr, LEVELS))}, got {step!r}"
        )
    if wanted == "reference":
        return [(levels[0], level) for level in levels[1:]]
    if wanted == "sequential":
        return list(pairwise(levels))
    return [(low, high) for i, low in enumerate(levels) for high in levels[i + 1 :]]
