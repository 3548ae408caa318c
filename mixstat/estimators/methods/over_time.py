"""Over time: the rows of a growth model with their time column set to given times, and averages of such rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.design import Data
from mixstat.estimators.methods.grids import plain_frame
from mixstat.estimators.methods.settings import data_of, replaced
from mixstat.estimators.model.occasions import TIME
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import training_of
from mixstat.estimators.model.units import number_units
from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth import Growth
from mixstat.formula.frame import Table

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

POINTS = 51
"""Times of a curve where none are given."""

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
    outcomes = fitted.plan.outcomes
    keys = [o.part_key(TIME) for o in outcomes if TIME in o.occasions]
    names = list(dict.fromkeys(name for key in keys for name in fitted.schema.rights[key].variables))
    if len(names) != 1:
        found = f"its times are made of {', '.join(map(repr, names))}" if names else "its formula names no time"
        raise OptionError(f"trajectories need one column of time, but {found}; give GrowthCurve(..., time='column')")
    return names[0]


def time_label(fitted: "Fitted") -> str:
    """The curve's time as the formula has it: the column's name, or what is made of it."""
    outcome = next(o for o in fitted.plan.outcomes if TIME in o.occasions)
    return outcome.occasions[TIME].removeprefix("~ 0 + ").strip("`")


def growth_families(fitted: "Fitted") -> list[Growth]:
    """Of each expert template."""
    families = [slots[0].family for template in fitted.assembled.stacks for slots in template]
    return [family for family in families if isinstance(family, Growth)]


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
    return np.linspace(float(np.min(known)), float(np.max(known)), POINTS)


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
    time, columns = time_column(fitted), {}
    for name in fitted.schema.raw_columns:
        if name == time or (not gate and name not in opened.names and _only_in_gate(fitted, name)):
            columns[name] = _neutral(fitted, name, opened.n_rows)
        else:
            values = opened.raw(name)[0]
            columns[name] = pd.Categorical(values) if values.dtype == object else values
    return pd.DataFrame(columns, index=range(opened.n_rows))


def _only_in_gate(fitted: "Fitted", name: str) -> bool:
    return not any(name in right.variables for key, right in fitted.schema.rights.items() if key != GATE)


def _neutral(fitted: "Fitted", name: str, rows: int) -> Any:
    seen = fitted.schema.seen[name]
    if seen.kind == "level":
        return pd.Categorical([seen.levels[0]] * rows, categories=list(seen.levels))
    return np.zeros(rows, dtype=bool) if seen.kind == "flag" else np.ones(rows)


def data_over_time(fitted: "Fitted", frame: pd.DataFrame, times: np.ndarray, average: Average) -> Data:
    """Rows of one occasion each, groups within times: the columns of `frame` at every time, averaged to groups.

    What formulas make of covariates is averaged, not the covariates: shares of a category, means of a product.
    """
    name = time_column(fitted)
    parts = [data_of(fitted, replaced(frame, name, float(time))) for time in times]
    columns = np.concatenate([average(part.columns) for part in parts], axis=-1)
    rows = columns.shape[-1]
    responses = [[average(response) for response in part.responses] for part in parts]
    joined = tuple(np.concatenate(alike, axis=-1) for alike in zip(*responses, strict=True))
    first = parts[0]
    return first._replace(
        columns=columns,
        offsets=np.concatenate([average(part.offsets) for part in parts], axis=-1),
        responses=joined,
        observed=tuple(None if seen is None else np.zeros((*seen.shape[:-1], rows)) for seen in first.observed),
        weight=np.ones(rows),
        prior=np.zeros((len(first.prior), rows)),
        extra=np.zeros((len(first.extra), rows)),
        atom=None,
    )
