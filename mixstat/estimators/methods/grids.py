"""Grids: rows in which one covariate takes many values while the others are held; rows of a fit as a plain frame."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.estimators.model import new_data
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.report import labels_of
from mixstat.estimators.model.state import training_of
from mixstat.estimators.model.units import first_rows, number_units
from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Column, Table
from mixstat.formula.whitelist import lag_of

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

POINTS = 80
"""Points of a grid over a continuous covariate."""
FEW = 12
"""Whole numbers with no more distinct values than this are a grid themselves."""


class Grid(NamedTuple):
    """`values` (point,) of the covariate, `position` (point,) on the axis, `levels` where these are codes of levels."""

    values: pd.Series
    position: np.ndarray
    levels: tuple[str, ...] | None


def rows_of(model: Any, data: Any, y: Any) -> tuple[Any, np.ndarray | None]:
    """(table, positions of the rows used or None for all): `data` as the user gave it, or the data of the fit."""
    if data is not None:
        return model._new_table(data, y), None
    return training_of(model).table, model.fitted_.sample.kept


def plain_frame(table: Any, names: Iterable[str], rows: np.ndarray | None = None) -> pd.DataFrame:
    """Some columns of any table as a pandas frame, restricted to `rows`."""
    opened = Table(table, rows)
    return pd.DataFrame({name: _series(opened.column(name, infinite=True)) for name in dict.fromkeys(names)})


def _series(column: Column) -> pd.Series:
    if column.kind == "number":
        return pd.Series(column.values if column.missing is None else column.numbers())
    series = column.series()
    return series if column.missing is None else series.where(~column.missing)


def by_unit(fitted: "Fitted", frame: pd.DataFrame) -> pd.DataFrame:
    """The first row of each unit, where the model has units and the frame names them."""
    if fitted.unit_name is None or fitted.unit_name not in frame:
        return frame
    return frame.iloc[first_rows(number_units(frame[fitted.unit_name].to_numpy())[0])].reset_index(drop=True)


def grid_over(frame: pd.DataFrame, name: str) -> Grid:
    """Values of a covariate: its levels, its few whole numbers, or points from its smallest to its largest value."""
    column = Table(frame).column(name).used_levels()
    if column.missing is not None:
        raise DataError(
            f"column {name!r} is missing in {int(column.missing.sum())} rows; drop or fill those rows first"
        )
    if column.kind == "level":
        values = pd.Series(list(column.levels))
        return Grid(values, np.arange(float(len(values))), tuple(str(level) for level in column.levels))
    distinct = np.unique(column.values)
    if column.kind == "flag" or len(distinct) <= 2:
        return Grid(pd.Series(distinct), np.arange(float(len(distinct))), tuple(f"{value}" for value in distinct))
    if len(distinct) > FEW or not np.equal(distinct, np.round(distinct)).all():
        distinct = np.linspace(distinct[0], distinct[-1], POINTS)
    return Grid(pd.Series(distinct), distinct.astype(float), None)


def positions(frame: pd.DataFrame, name: str, grid: Grid) -> np.ndarray:
    """Where each row stands on the grid's axis."""
    if grid.levels is None:
        return frame[name].to_numpy(float)
    places = dict(zip(grid.values, grid.position, strict=True))
    return frame[name].map(places).to_numpy(float)


def held(frame: pd.DataFrame, names: Iterable[str], covariate: str, grid: Grid) -> pd.DataFrame:
    """A row a grid point: `covariate` varies, other numbers stand at their median, levels at the most frequent one."""
    typical = {name: [_typical(Table(frame).column(name))] * len(grid.values) for name in names}
    return pd.DataFrame({**typical, covariate: grid.values})


def typical_row(table: Any, names: Iterable[str]) -> pd.DataFrame:
    """One row: numbers at their median, levels at the most frequent one."""
    opened = Table(table)
    return pd.DataFrame({name: [_typical(opened.column(name))] for name in names})


def varied(frame: pd.DataFrame, covariate: str, grid: Grid) -> Iterator[pd.DataFrame]:
    """The whole frame a grid point, with the covariate set to it."""
    return (frame.assign(**{covariate: pd.Series([value] * len(frame))}) for value in grid.values)


def _typical(column: Column) -> Any:
    """The median (one of the values where they are whole), or the most frequent level."""
    if column.kind == "level":
        return column.levels[int(np.bincount(column.values[column.values >= 0]).argmax())]
    whole = column.kind == "flag" or np.equal(column.values, np.round(column.values)).all()
    median = np.quantile(column.values.astype(float), 0.5, method="lower" if whole else "linear")
    return bool(median) if column.kind == "flag" else float(median)


def gate_covariates(fitted: "Fitted") -> list[str]:
    """Columns of the data that the gate's formula uses; empty for a gate without covariates."""
    if not fitted.assembled.mixture.has_gate:
        return []
    return list(dict.fromkeys(_source(name) for name in fitted.schema.rights[GATE].variables))


def location_covariates(fitted: "Fitted") -> list[str]:
    """Columns of the data that the first outcome's location uses."""
    return list(dict.fromkeys(_source(name) for name in fitted.schema.rights["0.0"].variables))


def _source(name: str) -> str:
    lagged = lag_of(name)
    return lagged[0] if lagged else name


def gate_design(fitted: "Fitted", table: pd.DataFrame) -> np.ndarray:
    """The gate's columns of every row, (row, column), on the user's scale."""
    new = new_data.read(fitted, table, response=False, by_unit=False)
    return new.data.columns[list(fitted.assembled.mixture.gate.columns)].T


def gate_covariance(fitted: "Fitted", covariance: np.ndarray) -> np.ndarray:
    """Covariance of the gate's coefficients, flattened (class - 1, column), from that of the parameters."""
    size = int(np.prod(fitted.assembled.mixture.gate.shape))
    matrix = fitted.assembled.named.ties.matrix[-size:]
    unknown = np.isnan(np.diag(covariance)) & matrix.any(axis=0)
    if unknown.any():
        label = labels_of(fitted)[int(np.argmax(unknown))]
        raise OptionError(
            f"the gate's coefficient {label.term!r} of class {label.expert} has no standard error; "
            "use level=None for probabilities without bands"
        )
    return matrix @ np.where(np.isnan(covariance), 0.0, covariance) @ matrix.T
