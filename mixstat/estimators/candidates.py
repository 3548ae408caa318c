"""Candidates: the covariates that a forest may split by, one value a unit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mixstat.estimators.model.sample import Sample
from mixstat.estimators.model.state import Fitted
from mixstat.estimators.model.units import require_constant
from mixstat.exceptions import DataError, FormulaError, OptionError
from mixstat.formula.frame import Column, Table
from mixstat.formula.grammar import label, parse_right
from mixstat.formula.lexer import sides
from mixstat.inference.score_splits import LEVEL, NUMBER, ORDERED, Covariate

UNITS_A_LEVEL = 5
"""Units that a level has on average at least: a column with fewer looks like a name, not like a covariate."""


class Candidate(NamedTuple):
    """A covariate of the units; `levels` are what its codes stand for, none for numbers."""

    covariate: Covariate
    levels: tuple[Any, ...]

    def points(self, count: int) -> tuple[list[Any], np.ndarray]:
        """Values to look at, as they are shown and as the covariate holds them."""
        if self.levels:
            return list(self.levels), np.arange(len(self.levels), dtype=float)
        values = np.unique(np.quantile(self.covariate.values, np.linspace(0, 1, count)))
        return values.tolist(), values


def candidate_names(candidates: Any, table: Table, fitted: Fitted, others: Sequence[Any] = ()) -> list[str]:
    """Names of columns, from "~ ses + sex", "~ ." (all but the model's own and `others`) or a list."""
    used = {*fitted.schema.response_columns, fitted.unit_name} - {None}
    if isinstance(candidates, str):
        own = {*used, *fitted.schema.raw_columns, *(name for name in others if isinstance(name, str))}
        names = _of_formula(candidates, tuple(name for name in table.names if name not in own))
    elif isinstance(candidates, list | tuple) and all(isinstance(name, str) for name in candidates):
        names = list(dict.fromkeys(candidates))
    else:
        raise OptionError(
            f"candidates must be a formula such as '~ ses + sex' or a list of columns, got {candidates!r}"
        )
    if not names:
        raise OptionError(f"candidates={candidates!r} names no covariate; write for example '~ ses + sex'")
    wrong = [name for name in names if name in used]
    if wrong:
        raise OptionError(f"candidate {wrong[0]!r} is the model's response or unit; leave it out")
    return names


def _of_formula(formula: str, others: tuple[str, ...]) -> list[str]:
    right = parse_right(formula, others)
    if sides(formula).left is not None:
        raise FormulaError(f"candidates={formula!r} has a left side; write '~ ses + sex', the model names the response")
    terms = [term for term in right.terms if term]
    odd = [label(term) for term in terms if len(term) > 1 or term[0].is_call]
    odd += [f"offset({factor.text})" for factor in right.offsets]
    if odd:
        raise FormulaError(
            f"candidate {odd[0]!r} is no column: name columns alone. Cuts do not change under increasing functions, "
            "and trees find interactions; for categories convert the column (.astype('category'))"
        )
    return [term[0].text for term in terms]


def read_candidates(names: Sequence[str], table: Table, sample: Sample) -> list[Candidate]:
    """The candidates of the units of a fit, complete and constant in each unit."""
    columns = {name: table.column(name).take(sample.kept) for name in names}
    _require_complete(columns, sample)
    return [_candidate(name, column.used_levels(), sample) for name, column in columns.items()]


def _require_complete(columns: dict[str, Column], sample: Sample) -> None:
    missing = {}
    for name, column in columns.items():
        if column.missing is not None:
            rows = np.flatnonzero(column.missing)
            missing[name] = len(rows) if sample.unit is None else len(np.unique(sample.unit[rows]))
    if missing:
        listed = ", ".join(f"{name!r} in {count}" for name, count in missing.items())
        raise DataError(
            f"candidates are missing: {listed} of the {len(sample.weight)} units; impute them, drop these units "
            "before fit, or leave the candidate out"
        )


def _candidate(name: str, column: Column, sample: Sample) -> Candidate:
    """Numbers of two values and flags count as levels: there is one cut."""
    values = column.values.astype(np.float64)
    if sample.unit is not None and sample.unit_labels is not None:
        values = require_constant(values, sample.unit, sample.unit_labels, [name], "candidate")[:, 0]
    if column.kind == "level":
        if not column.ordered:
            _require_few(name, len(column.levels), len(values))
        return Candidate(Covariate(values, ORDERED if column.ordered else LEVEL, len(column.levels)), column.levels)
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) != 2:
        return Candidate(Covariate(values, NUMBER), ())
    levels = (False, True) if column.kind == "flag" else tuple(distinct.tolist())
    return Candidate(Covariate(codes.astype(float), LEVEL, 2), levels)


def _require_few(name: str, levels: int, units: int) -> None:
    if levels * UNITS_A_LEVEL > max(units, 2 * UNITS_A_LEVEL):
        raise DataError(
            f"candidate {name!r} has {levels} levels among {units} units; merge rare levels, or convert it to numbers "
            "or to an ordered categorical"
        )
