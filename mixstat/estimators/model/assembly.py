"""Assembly: from a plan and its materialised formulas to the mixture, and to its data."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.core.expert import Experts, Outcome
from mixstat.core.family import Family
from mixstat.core.gate import Gate
from mixstat.core.mixture import Mixture
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.naming import Named, name_coefficients
from mixstat.estimators.model.plan import GATE, Plan
from mixstat.estimators.model.responses import ResponseData, safe_data
from mixstat.estimators.model.slots import Slot, Stacks, make_slot, stack
from mixstat.formula import Materialized


class Assembled(NamedTuple):
    """A mixture, its columns, the slots that its outcomes stand for, and the names and ties of its coefficients."""

    mixture: Mixture
    columns: Columns
    stacks: Stacks
    named: Named


def assemble(
    plan: Plan,
    columns: Columns,
    families: Mapping[str, Family],
    names: Mapping[str, tuple[str, ...]],
    *,
    extras: int,
    dropped: set[str],
) -> Assembled:
    """Build the mixture.

    `families` and `names` give each outcome key its bound family and its response's columns; `dropped` holds
    "key:column" of the coefficients that are fixed at zero because they are collinear.
    """
    stacks = tuple(
        stack([make_slot(outcome, columns, families[outcome.key], names[outcome.key]) for outcome in template])
        for template in plan.templates
    )
    data_index = 0
    groups = []
    for template, copies in zip(stacks, plan.copies, strict=True):
        outcomes = [_outcome(slots, data_index + i, copies, dropped, columns) for i, slots in enumerate(template)]
        groups.append(Experts(tuple(outcomes), copies))
        data_index += len(outcomes)
    classes = sum(plan.copies) + extras
    gate_columns = () if plan.gate is None or classes == 1 else columns.places[GATE]
    mixture = Mixture(tuple(groups), Gate(classes, gate_columns), extras)
    return Assembled(mixture, columns, stacks, name_coefficients(plan, mixture, stacks, columns, dropped))


def _outcome(slots: Sequence[Slot], data: int, copies: int, dropped: set[str], columns: Columns) -> Outcome:
    first = slots[0]
    closed = _has_closed_form(first, copies, dropped, columns)
    return Outcome(first.family, data, first.columns, first.offsets, len(slots), closed)


def _has_closed_form(slot: Slot, copies: int, dropped: set[str], columns: Columns) -> bool:
    """A closed-form M-step needs constant other parameters and coefficients that are free, own and unpenalised."""
    family, plan = slot.family, slot.plan
    constant = all(
        parameter.location or (places == (0,) and offset < 0)
        for parameter, places, offset in zip(family.parameters, slot.columns, slot.offsets, strict=True)
    )
    tied = bool(plan.shared) and copies > 1
    aliased = any(f"{plan.key}:{columns.by_place[place]}" in dropped for place in slot.columns[0])
    return family.has_closed_form and constant and not (tied or plan.fixed or plan.penalty or aliased)


def to_data(
    assembled: Assembled,
    materialized: Materialized,
    responses: Mapping[str, ResponseData] | None,
    *,
    unit: np.ndarray | None,
    weight: np.ndarray,
    prior: np.ndarray,
    extra: np.ndarray,
    gate_values: np.ndarray | None,
) -> Data:
    """Arrays in data order. Without responses (new data) every response is a safe value and unobserved."""
    data = Data(
        columns=assembled.columns.values(materialized),
        offsets=assembled.columns.offsets(materialized),
        responses=(),
        observed=(),
        unit=unit,
        gate=gate_values,
        weight=weight,
        prior=prior,
        extra=extra,
        atom=None,
    )
    return replace_responses(data, assembled, responses, unit)


def replace_responses(
    data: Data, assembled: Assembled, responses: Mapping[str, ResponseData] | None, unit: np.ndarray | None
) -> Data:
    """The same rows with other responses."""
    rows = data.columns.shape[-1]
    parts = [_stack_responses(slots, responses, rows) for template in assembled.stacks for slots in template]
    blocked = np.logical_or.reduce([part.blocked for part in parts])
    return data._replace(
        responses=tuple(part.data for part in parts),
        observed=tuple(None if part.seen.all() else part.seen.astype(float) for part in parts),
        atom=_unit_atoms(blocked, unit, len(data.weight)) if blocked.any() else None,
    )


class _Stacked(NamedTuple):
    """Encoded data (outcome, m, row), observed (outcome, row), rows (row,) that a continuous family cannot reach."""

    data: np.ndarray
    seen: np.ndarray
    blocked: np.ndarray


def _stack_responses(slots: Sequence[Slot], responses: Mapping[str, ResponseData] | None, rows: int) -> _Stacked:
    if responses is None:
        safe = safe_data(slots[0].family)
        data = np.broadcast_to(safe, (len(slots), len(safe), rows)).copy()
        return _Stacked(data, np.zeros((len(slots), rows), bool), np.zeros(rows, bool))
    mine = [responses[slot.plan.key] for slot in slots]
    return _Stacked(
        np.stack([response.data for response in mine]),
        np.stack([response.seen & ~response.at_atom for response in mine]),
        np.logical_or.reduce([response.at_atom for response in mine]),
    )


def _unit_atoms(blocked: np.ndarray, unit: np.ndarray | None, units: int) -> np.ndarray:
    """(unit,) -inf where a row of the unit is blocked."""
    if unit is not None:
        blocked = np.bincount(unit[blocked], minlength=units) > 0
    return np.where(blocked, -np.inf, 0.0)
