"""Sample: the rows that enter a fit, what they weigh, and what units, clusters and classes they belong to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mixstat.core.design import weight_unit
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.units import check_weight, log_prior, number_units, require_constant
from mixstat.formula import Materialized
from mixstat.formula.frame import Table


class Known(NamedTuple):
    """Where tables hold known classes: columns of labels or of probabilities, and (class,) the label that each class
    has there, from 0, none where they are as numbered."""

    columns: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()

    def reordered(self, places: np.ndarray) -> "Known":
        """The same columns once class `places[j]` has become class j."""
        labels = self.labels or tuple(range(len(places)))
        return self._replace(labels=tuple(labels[place] for place in places) if self.columns else ())


class Sample(NamedTuple):
    """The rows that entered the fit: what they weigh and which unit and cluster they belong to."""

    weight: np.ndarray  # (unit,)
    row_weight: np.ndarray
    unit: np.ndarray | None
    unit_labels: np.ndarray | None
    cluster: np.ndarray | None  # (unit,)
    kept: np.ndarray
    n_given: int
    n_dropped: int
    repeated: bool = False  # rows are occasions, and units the rows of the design
    seen: np.ndarray | None = None  # (row,) whether a repeated response was observed

    @property
    def n_rows(self) -> int:
        """Rows of positive weight whose response was observed."""
        used = self.row_weight > 0
        return int((used if self.seen is None else used & self.seen).sum())

    def observed(self, seen: np.ndarray, *, empty: bool) -> "Sample":
        """With what was seen (row,) of a repeated response; units without any weigh nothing unless `empty` ones count,
        which other outcomes tell of."""
        some = np.bincount(self.unit, seen, len(self.weight)) > 0 if self.unit is not None else seen
        return self._replace(seen=seen, weight=self.weight if empty else self.weight * some)

    @property
    def weight_unit(self) -> float:
        """In what the weights are counted."""
        return weight_unit(self.weight)

    def weighted(self, factor: float) -> "Sample":
        """The same sample with weights `factor` times as large."""
        return self._replace(weight=self.weight * factor, row_weight=self.row_weight * factor)

    @property
    def design_weight(self) -> np.ndarray:
        """Weights of the rows of the design."""
        return self.weight if self.repeated else self.row_weight

    @property
    def design_unit(self) -> np.ndarray | None:
        """The unit of each row of the design, None where rows are units."""
        return None if self.repeated else self.unit


def take_sample(materialized: Materialized, unit: str | None, cluster: str | None, sample_weight: Any) -> Sample:
    """Weights, units and clusters of the rows that are left."""
    kept, variables = materialized.kept, materialized.variables
    row_weight = _row_weight(materialized, sample_weight)
    numbers, labels, weight = None, None, row_weight
    clusters = None if cluster is None else number_units(variables[cluster])[0]
    if unit is not None:
        numbers, labels = number_units(variables[unit])
        weight = require_constant(row_weight, numbers, labels, ["sample_weight"], "weight")[:, 0]
        if clusters is not None and cluster is not None:
            clusters = require_constant(clusters, numbers, labels, [cluster], "cluster column")[:, 0]
    return Sample(weight, row_weight, numbers, labels, clusters, kept, materialized.n_given, materialized.n_dropped)


def _row_weight(materialized: Materialized, sample_weight: Any) -> np.ndarray:
    """Weights of the kept rows, from nothing, a column or an array over all rows."""
    rows = len(materialized.kept)
    if sample_weight is None:
        return np.ones(rows)
    if isinstance(sample_weight, str):
        name = f"sample_weight column {sample_weight!r}"
        return check_weight(materialized.variables[sample_weight], rows, name)
    weight = check_weight(sample_weight, materialized.n_given, "sample_weight")[materialized.kept]
    return check_weight(weight, rows, "sample_weight of the rows without missing values")


def known_classes(known: Any, data: Any, sample: Sample, experts: int, classes: int) -> np.ndarray:
    """(class, unit) log prior class weights: zeros where nothing is known."""
    if known is None:
        return np.zeros((classes, len(sample.weight)))
    columns = known_columns(known)
    values = known_values(Table(data), columns) if columns else known
    return log_prior(values, sample.n_given, sample.kept, experts, classes, sample.unit)


def known_columns(known: Any) -> tuple[str, ...]:
    """The columns that `prior_classes` names, none where it is an array."""
    if isinstance(known, str):
        return (known,)
    named = isinstance(known, list | tuple) and known and all(isinstance(name, str) for name in known)
    return tuple(known) if named else ()


def known_values(table: Table, columns: Sequence[str]) -> np.ndarray:
    """(row, column) as they came."""
    return np.column_stack([table.raw(name)[0] for name in columns])


def gate_values(
    columns: Columns, places: tuple[int, ...], values: np.ndarray, unit: np.ndarray | None, labels: np.ndarray | None
) -> np.ndarray | None:
    """(column, unit) gate columns where rows are grouped in units, from the design's columns (column, row)."""
    if unit is None or labels is None:
        return None
    names = [columns.by_place[place] for place in places]
    return require_constant(values[list(places)].T, unit, labels, names, "gate column").T
