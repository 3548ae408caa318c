"""Slots: the outcomes of each expert template, and which of them are alike and can be stacked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mixstat.core.family import Family
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.plan import OutcomePlan


class Slot(NamedTuple):
    """One outcome of an expert template with everything that must agree for two outcomes to be stacked."""

    plan: OutcomePlan
    family: Family
    responses: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]

    @property
    def response(self) -> str:
        """What tables call the response."""
        return ",".join(self.responses)

    @property
    def form(self) -> tuple:
        """Outcomes of equal form are stacked."""
        plan = self.plan
        fixed = tuple(sorted(plan.fixed.items()))
        penalty = (plan.penalty, plan.l1_ratio, *sorted(plan.factors.items()))
        return (self.family, self.columns, self.offsets, plan.shared, fixed, penalty)


Stacks = tuple[tuple[tuple[Slot, ...], ...], ...]
"""Expert template -> outcome of the core's expert -> the slots stacked in it."""


def make_slot(plan: OutcomePlan, columns: Columns, family: Family, responses: tuple[str, ...]) -> Slot:
    """An outcome with the design columns and offset of each of its family's parameters."""
    keys = [plan.formula_key(parameter) for parameter in family.parameters]
    places = tuple(columns.places[key] for key in keys)
    offsets = [columns.offset(key) if p.offset else -1 for key, p in zip(keys, family.parameters, strict=True)]
    return Slot(plan, family, responses, places, tuple(offsets))


def stack(slots: Sequence[Slot]) -> tuple[tuple[Slot, ...], ...]:
    """Outcomes of equal form side by side, in order of first appearance."""
    stacks: dict[tuple, list[Slot]] = {}
    for slot in slots:
        stacks.setdefault(slot.form, []).append(slot)
    return tuple(tuple(alike) for alike in stacks.values())


def by_key(stacks: Stacks) -> Mapping[str, Slot]:
    """Slots by the key of their outcome."""
    return {slot.plan.key: slot for template in stacks for slots in template for slot in slots}


def is_grouped(slot: Slot) -> bool:
    """Whether the response counts successes in several trials."""
    return slot.family.name == "binomial" and len(slot.responses) > 1
