"""Over time: the rows of a growth model with their time column set to given times, and averages of such rows."""

from collections.abc import Callable, Collection, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.design import Data
from mixstat.estimators.methods.grids import plain_frame
from mixstat.estimators.methods.settings import data_of, replaced
from mixstat.estimators.model.occasions import TIME, WAVE
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import training_of
from mixstat.estimators.model.units import first_rows, number_units
from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth.form import GrowthForm
from mixstat.families.growth.mixed import MixedModel
from mixstat.formula.frame import Table

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

POINTS = 51
"""Times of a curve where none are given."""
PART = 20_000
"""Rows of a table that are read at once."""

Average = Callable[[np.ndarray], np.ndarray]
"""(..., row) -> (..., group)."""


class Profiles(NamedTuple):
    """Rows of a table that stand for trajectories: their covariates, and the trajectory (row,) each belongs to."""

    frame: pd.DataFrame
    code: np.ndarray
    keys: pd.DataFrame

    @property
    def size(self) -> int:
        return len(self.keys)

    def average(self, values: np.ndarray) -> np.ndarray:
        """(..., row) -> (..., trajectory), the mean of its rows."""
        if self.size == len(self.code):
            return values
        flat, rows = values.reshape(-1, values.shape[-1]), np.bincount(self.code)
        sums = np.array([np.bincount(self.code, line, self.size) for line in flat]).reshape(len(flat), self.size)
        return (sums / rows).reshape(*values.shape[:-1], self.size)


def require_growth(fitted: "Fitted", what: str) -> None:
    """An error for models that have no trajectories."""
    if not fitted.plan.repeated:
        raise OptionError(f"{what} is for growth curves (ms.GrowthCurve); this model has no trajectories over time")


def time_column(fitted: "Fitted") -> str:
    """The one column of the data that times are made of."""
    keys = _keys(fitted, TIME)
    names = list(dict.fromkeys(name for key in keys for name in fitted.schema.rights[key].variables))
    if len(names) != 1:
        found = f"its times are made of {', '.join(map(repr, names))}" if names else "its formula names no time"
        raise OptionError(f"trajectories need one column of time, but {found}; give GrowthCurve(..., time='column')")
    return names[0]


def _keys(fitted: "Fitted", kind: str) -> list[str]:
    """Keys of the formulas of this kind, `TIME` or `WAVE`, of all outcomes."""
    outcomes = (own for outcome in fitted.plan.outcomes for own in outcome.own)
    return [own.part_key(kind) for own in outcomes if kind in own.occasions]


def time_label(fitted: "Fitted") -> str:
    """The curve's time as the formula has it: the column's name, or what is made of it."""
    outcomes = (own for outcome in fitted.plan.outcomes for own in outcome.own)
    outcome = next(own for own in outcomes if TIME in own.occasions)
    return outcome.occasions[TIME].removeprefix("~ 0 + ").strip("`")


def growth_families(fitted: "Fitted") -> list[GrowthForm]:
    """Of each expert template, those of all its outcomes."""
    families = [slots[0].family for template in fitted.assembled.stacks for slots in template]
    return [member for family in families if isinstance(family, MixedModel) for _, member in family.parts]


def outcome_names(fitted: "Fitted") -> tuple[str, ...]:
    """The responses whose growth is modelled."""
    return next(s[0].responses for s in fitted.assembled.stacks[0] if s[0].family.repeated)


def checked_times(fitted: "Fitted", times: Any, known: np.ndarray | None) -> np.ndarray:
    """Times as given; None: a grid over the `known` ones, or those that have a variance of their own."""
    if times is not None:
        given = np.atleast_1d(np.asarray(times, dtype=object))
        try:
            values = given.astype(np.float64)
        except (TypeError, ValueError):
            values = np.array([np.nan])
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise OptionError(f"times must be finite numbers in one dimension, such as [0, 1, 2], got {times!r}")
        return values
    levels = sorted({level for family in growth_families(fitted) for level in family.levels})
    if levels:
        return np.array(levels)
    if known is None or not len(known):
        raise OptionError("times= is needed: neither X nor a model that holds its data says which")
    return np.unique(np.linspace(float(np.min(known)), float(np.max(known)), POINTS))


def known_times(model: Any, X: Any) -> np.ndarray | None:
    """The values of the time column, of X if it has one, else of the data of the fit."""
    name = time_column(model.fitted_)
    if X is not None and name in Table(X).names:
        values = Table(X).column(name).numbers()
        return values[np.isfinite(values)]
    if getattr(model, "_training", None) is None:
        return None
    return plain_frame(training_of(model).table, [name], model.fitted_.sample.kept)[name].to_numpy(float)


def profiles(fitted: "Fitted", table: Any, *, gate: bool = True) -> Profiles:
    """Subjects where the table has the unit column, else each row a trajectory of its own.

    The time column is not needed; without `gate` neither are covariates of the gate alone.
    """
    opened = Table(table)
    if not opened.n_rows:
        raise DataError("the data have no rows")
    frame = _covariates(fitted, opened, gate)
    missing = {name: int(frame[name].isna().sum()) for name in frame if frame[name].isna().any()}
    if missing:
        raise DataError(f"rows with missing values have no trajectory; by column: {missing}; drop or fill them first")
    if fitted.unit_name is None or fitted.unit_name not in opened.names:
        rows = np.arange(opened.n_rows)
        return Profiles(frame, rows, pd.DataFrame({"rowid": rows}))
    code, labels = number_units(opened.raw(fitted.unit_name)[0])
    return Profiles(frame, code, pd.DataFrame({fitted.unit_name: labels}))


def _covariates(fitted: "Fitted", opened: Table, gate: bool) -> pd.DataFrame:
    """Raw columns as formulas read them; what does not matter is filled in."""
    time, waves, columns = time_column(fitted), _keys(fitted, WAVE), {}
    for name in fitted.schema.raw_columns:
        absent = name not in opened.names
        waived = _only_in(fitted, name, waves) or (not gate and absent and _only_in(fitted, name, {GATE}))
        if name == time or waived:
            columns[name] = _neutral(fitted, name, opened.n_rows)
        else:
            values = opened.raw(name)[0]
            columns[name] = pd.Categorical(values) if values.dtype == object else values
    return pd.DataFrame(columns, index=range(opened.n_rows))


def _only_in(fitted: "Fitted", name: str, keys: Collection[str]) -> bool:
    """Whether no formula but those with these keys has the column."""
    return not any(name in right.variables for key, right in fitted.schema.rights.items() if key not in keys)


def _neutral(fitted: "Fitted", name: str, rows: int) -> Any:
    seen = fitted.schema.seen[name]
    if seen.kind == "level":
        return pd.Categorical([seen.levels[0]] * rows, categories=list(seen.levels))
    return np.zeros(rows, dtype=bool) if seen.kind == "flag" else np.ones(rows)


def data_over_time(fitted: "Fitted", frame: pd.DataFrame, times: np.ndarray, average: Average) -> Data:
    """Rows of one occasion each, groups within times: the columns of `frame` at every time, averaged to groups.

    What formulas make of covariates is averaged, not the covariates: shares of a category, means of a product.
    """
    return _joined([_averaged(_at(fitted, frame, time), average) for time in times])


def sums_over_time(fitted: "Fitted", frame: pd.DataFrame, times: np.ndarray, weight: np.ndarray) -> Data:
    """`data_over_time` of few groups, each the sum over rows with its `weight` (row, group), as classes see the rows.

    Rows of equal covariates are one, and rows are read in parts: memory does not grow with times.
    """
    frame, weight = _distinct(fitted, frame, weight)

    def summed(time: float) -> Data:
        parts = (slice(first, first + PART) for first in range(0, len(frame), PART))
        found = (_averaged(_at(fitted, frame.iloc[p], time), partial(_weighted, weight[p])) for p in parts)
        return reduce(_plus, found)

    return _joined([summed(time) for time in times])


def _distinct(fitted: "Fitted", frame: pd.DataFrame, weight: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """A row for all that are equal in what matters, with their weights together."""
    time = time_column(fitted)
    names = [name for name in frame if name != time and not _only_in(fitted, name, {GATE})]
    if not names:
        return frame.iloc[:1], weight.sum(axis=0, keepdims=True)
    code = frame.groupby(names, sort=False, observed=True).ngroup().to_numpy()
    count = int(code.max()) + 1
    together = np.stack([np.bincount(code, column, count) for column in weight.T], axis=1)
    return frame.iloc[first_rows(code)], together


def _at(fitted: "Fitted", frame: pd.DataFrame, time: float) -> Data:
    return data_of(fitted, replaced(frame, time_column(fitted), float(time)))


def _averaged(data: Data, average: Average) -> Data:
    return data._replace(
        columns=average(data.columns),
        offsets=average(data.offsets),
        responses=tuple(average(response) for response in data.responses),
    )


def _weighted(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums (..., group) of values (..., row)."""
    return values @ weight


def _plus(one: Data, other: Data) -> Data:
    return one._replace(
        columns=one.columns + other.columns,
        offsets=one.offsets + other.offsets,
        responses=tuple(a + b for a, b in zip(one.responses, other.responses, strict=True)),
    )


def _joined(parts: Sequence[Data]) -> Data:
    """The rows of all parts, nothing of which is observed."""
    first, columns = parts[0], np.concatenate([part.columns for part in parts], axis=-1)
    rows, responses = columns.shape[-1], zip(*(part.responses for part in parts), strict=True)
    return first._replace(
        columns=columns,
        offsets=np.concatenate([part.offsets for part in parts], axis=-1),
        responses=tuple(np.concatenate(alike, axis=-1) for alike in responses),
        observed=tuple(None if seen is None else np.zeros((*seen.shape[:-1], rows)) for seen in first.observed),
        weight=np.ones(rows),
        prior=np.zeros((len(first.prior), rows)),
        extra=np.zeros((len(first.extra), rows)),
        atom=None,
    )
