"""Alignment: a table of further variables brought to the units of a fit."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.estimators.model.sample import Sample
from mixstat.estimators.model.state import Fitted
from mixstat.estimators.model.units import number_units, require_constant
from mixstat.exceptions import DataError, FormulaError
from mixstat.formula import Materialized, Schema
from mixstat.formula.frame import Table
from mixstat.formula.lexer import uses_dot


class Aligned(NamedTuple):
    """`units` are positions among the fit's units, in order of first appearance; `unit` (row,) counts in `units`."""

    schema: Schema
    materialized: Materialized
    units: np.ndarray
    unit: np.ndarray
    labels: np.ndarray
    left_out: int

    def per_unit(self, values: np.ndarray, names: list[str], what: str) -> np.ndarray:
        """(row, column) -> (unit, column); an error where values differ inside a unit."""
        return require_constant(values, self.unit, self.labels, names, what)


def align(fitted: Fitted, table: Any, *, main: Mapping[str, str], parts: Mapping[str, str]) -> Aligned:
    """Materialise formulas on the rows that belong to units of the fit.

    Rows are matched by the unit column where the model has one, else by position: the table has the rows that were
    given to `fit`, or those that it used. Rows with a missing value drop, as in a fit; `left_out` counts the units of
    the fit that have none left.
    """
    for formula in [*main.values(), *parts.values()]:
        if isinstance(formula, str) and uses_dot(formula):
            raise FormulaError(f"'.' in {formula!r} would include the responses of the classes; name the variables")
    place = _places(fitted.sample, fitted.unit_name, Table(table))
    rows = np.flatnonzero(place >= 0)
    if not len(rows):
        raise DataError(f"no value of the unit column {fitted.unit_name!r} is one of the units of the fit")
    schema, materialized = Schema.learn(table, main=main, parts=parts, subset=rows)
    unit, units = number_units(place[materialized.kept])
    units = units.astype(np.int64)
    known = fitted.sample.unit_labels
    labels = units if known is None else known[units]
    missing = np.setdiff1d(np.flatnonzero(fitted.sample.weight > 0), units)
    return Aligned(schema, materialized, units, unit, labels, len(missing))


def _places(sample: Sample, unit_name: str | None, table: Table) -> np.ndarray:
    """(row,) position of each row's unit in the fit, -1 where it has none."""
    if unit_name is not None and sample.unit_labels is not None:
        return pd.Index(sample.unit_labels).get_indexer(pd.Index(table.raw(unit_name)[0]))
    used = len(sample.kept)
    if table.n_rows == sample.n_given:
        place = np.full(sample.n_given, -1)
        place[sample.kept] = np.arange(used)
        return place
    if table.n_rows == used:
        return np.arange(used)
    given = f"{sample.n_given} rows" + ("" if used == sample.n_given else f" (or the {used} that it used)")
    raise DataError(f"the table has {table.n_rows} rows; give the rows of the fit in their order, {given}")
