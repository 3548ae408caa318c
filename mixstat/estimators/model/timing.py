"""Which column holds the times of a growth formula without a curve: found in the data, never by position."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixstat.estimators.model.occasions import RANDOM, TIME, VARYING
from mixstat.estimators.model.plan import OutcomePlan, Plan
from mixstat.estimators.model.units import number_units
from mixstat.exceptions import OptionError
from mixstat.formula.frame import Table
from mixstat.formula.grammar import parse_right
from mixstat.formula.growth import time_formula
from mixstat.formula.lexer import uses_dot
from mixstat.formula.terms import parse_left

NEED_TIMES = ("occasion", "ar1", "brownian")
"""Residual structures that are made of times."""


def with_times(plan: Plan, data: Any, unit: str | None) -> Plan:
    """The plan with the time of every growth formula that names none.

    It is the one variable of `random=`, else the only one of the formula, of those that are numbers and vary within
    units; where that is not one column, the formula has no times.
    """
    if unit is None or all(_is_timed(own) for outcome in plan.outcomes for own in outcome.own):
        return plan
    table = Table(data)
    return _with_own(plan, lambda outcome: _timed(outcome, table, unit))


def times_as_in(plan: Plan, formulas: Any) -> Plan:
    """The plan with the times that its formulas, by key, had in an earlier fit."""

    def timed(outcome: OutcomePlan) -> OutcomePlan:
        known = formulas.get(outcome.part_key(TIME)) if isinstance(formulas, Mapping) else None
        return _with_time(outcome, known) if isinstance(known, str) and not _is_timed(outcome) else outcome

    return _with_own(plan, timed)


def times_shown(plan: Plan) -> list[str]:
    """The times of growth formulas without a curve, which do not say by themselves what they are."""
    found = [
        own.occasions[TIME].removeprefix("~ 0 + ").strip("`")
        for outcome in plan.outcomes
        for own in outcome.own
        if TIME in own.occasions and getattr(own.family, "curve", None) is None
    ]
    return list(dict.fromkeys(found))


def _with_own(plan: Plan, change: Callable[[OutcomePlan], OutcomePlan]) -> Plan:
    """The plan with every outcome changed, of parallel ones every member."""

    def changed(outcome: OutcomePlan) -> OutcomePlan:
        if outcome.members:
            return outcome._replace(members=tuple(map(change, outcome.members)))
        return change(outcome)

    return plan._replace(templates=tuple(tuple(map(changed, template)) for template in plan.templates))


def _is_timed(outcome: OutcomePlan) -> bool:
    return not outcome.family.repeated or TIME in outcome.occasions


def _with_time(outcome: OutcomePlan, formula: str) -> OutcomePlan:
    return outcome._replace(occasions={TIME: formula, **outcome.occasions})


def _timed(outcome: OutcomePlan, table: Table, unit: str) -> OutcomePlan:
    if _is_timed(outcome):
        return outcome
    found: list[str] = []
    for key in (RANDOM, VARYING):
        names = _variables(outcome.occasions.get(key), table, outcome, unit)
        found = [name for name in names if _varies(table, name, unit)]
        if len(found) == 1:
            return _with_time(outcome, time_formula(_spelled(found[0], table)))
    if getattr(outcome.family, "residual", "") in NEED_TIMES:
        raise _ambiguous(outcome, found)
    return outcome


def _variables(formula: str | None, table: Table, outcome: OutcomePlan, unit: str) -> Sequence[str]:
    """Columns that a right side is made of, inside calls too."""
    if formula is None:
        return ()
    taken = {unit, *parse_left(outcome.formula).variables}
    others = tuple(name for name in table.names if name not in taken) if uses_dot(formula) else None
    return parse_right(formula, others).variables


def _spelled(name: str, table: Table) -> str:
    return f"`{name}`" if name in table.names and not name.isidentifier() else name


def _varies(table: Table, name: str, unit: str) -> bool:
    """Whether a column is numeric and differs within some unit."""
    column = table.column(name)
    if column.kind != "number":
        return False
    grouped = pd.Series(column.numbers()).groupby(number_units(table.raw(unit)[0])[0])
    return bool(np.any(grouped.max() > grouped.min()))


def _ambiguous(outcome: OutcomePlan, found: Sequence[str]) -> OptionError:
    residual, shown = getattr(outcome.family, "residual", ""), ", ".join(map(repr, found))
    why = (
        f"{shown} are numbers that vary within a unit"
        if found
        else "none of its columns is a number that varies within a unit"
    )
    return OptionError(
        f"residual={residual!r} needs times, and {outcome.shown!r} does not say which column they are: {why}; "
        "name it, GrowthCurve(..., time='column')"
    )
