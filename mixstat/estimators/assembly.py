"""Assembly: from a plan and its materialised formulas to the mixture, its data and the names of its coefficients."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.core.expert import Experts, Outcome
from mixstat.core.family import LINKS, Family, Parameter
from mixstat.core.gate import Gate
from mixstat.core.mixture import Mixture
from mixstat.estimators.extras import ResponseData
from mixstat.estimators.plan import GATE, OutcomePlan, Plan
from mixstat.estimators.responses import safe_data
from mixstat.exceptions import FormulaError
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula import Materialized, Matrix
from mixstat.results.labels import Label


class Columns:
    """The distinct columns and offsets of all formulas, found again in any materialisation; column 0 is constant."""

    def __init__(self, materialized: Materialized):
        self.names: dict[str, int] = {"Intercept": 0}
        self.terms: dict[int, str] = {0: "1"}
        self.sources: list[tuple[str, int]] = []
        self.places: dict[str, tuple[int, ...]] = {key: self._add(key, m) for key, m in materialized.matrices.items()}
        self.offset_keys: tuple[str, ...] = tuple(materialized.offsets)

    def _add(self, key: str, matrix: Matrix) -> tuple[int, ...]:
        places = []
        for position, (name, term) in enumerate(zip(matrix.names, matrix.terms, strict=True)):
            if name not in self.names:
                self.names[name] = len(self.names)
                self.sources.append((key, position))
                self.terms[self.names[name]] = term
            places.append(self.names[name])
        return tuple(places)

    def offset(self, key: str) -> int:
        return self.offset_keys.index(key) if key in self.offset_keys else -1

    def values(self, materialized: Materialized) -> np.ndarray:
        """(column, row)."""
        values = np.empty((len(self.names), len(materialized.kept)))
        values[0] = 1.0
        for index, (key, position) in enumerate(self.sources, start=1):
            values[index] = materialized.matrices[key].values[:, position]
        return values

    def offsets(self, materialized: Materialized) -> np.ndarray:
        """(offset, row)."""
        rows = len(materialized.kept)
        return np.array([materialized.offsets[key] for key in self.offset_keys]).reshape(-1, rows)


class Slot(NamedTuple):
    """One outcome of an expert template with everything that must agree for two outcomes to be stacked."""

    plan: OutcomePlan
    family: Family
    response: str
    columns: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]

    @property
    def form(self) -> tuple:
        plan = self.plan
        fixed, penalty = tuple(sorted(plan.fixed.items())), (plan.penalty, plan.l1_ratio)
        return (self.family, self.columns, self.offsets, plan.shared, fixed, penalty)


class Assembled(NamedTuple):
    """A mixture with the names and ties of its coefficients; `stacks[t]` lists the slots of each outcome of template t."""

    mixture: Mixture
    labels: tuple[Label, ...]
    ties: Ties
    columns: Columns
    stacks: tuple[tuple[tuple[Slot, ...], ...], ...]
    slopes: np.ndarray
    lasso_share: np.ndarray
    penalty: np.ndarray


def assemble(
    plan: Plan,
    columns: Columns,
    families: dict[str, Family],
    names: dict[str, str],
    *,
    extras: int,
    dropped: set[str],
) -> Assembled:
    """Build the mixture.

    `families` and `names` give each outcome key its bound family and its response's name; `dropped` holds
    "key:column" of the coefficients that are fixed at zero because they are collinear.
    """
    templates = [[_slot(outcome, columns, families, names) for outcome in template] for template in plan.templates]
    gate_columns = () if plan.gate is None else columns.places[GATE]
    stacks = tuple(_stack(slots) for slots in templates)
    data_index = 0
    groups = []
    for template, copies in zip(stacks, plan.copies, strict=True):
        outcomes = []
        for slots in template:
            closed = _has_closed_form(slots[0], copies, dropped, columns)
            outcomes.append(
                Outcome(slots[0].family, data_index, slots[0].columns, slots[0].offsets, len(slots), closed)
            )
            data_index += 1
        groups.append(Experts(tuple(outcomes), copies))
    classes = sum(plan.copies) + extras
    mixture = Mixture(tuple(groups), Gate(classes, gate_columns if classes > 1 else ()), extras)
    return _name(plan, mixture, stacks, columns, dropped)


def _slot(plan: OutcomePlan, columns: Columns, families: dict[str, Family], names: dict[str, str]) -> Slot:
    family = families[plan.key]
    keys = [plan.key if parameter.location else plan.part_key(parameter.key) for parameter in family.parameters]
    places = tuple(columns.places[key] for key in keys)
    offsets = tuple(columns.offset(key) for key in keys)
    return Slot(plan, family, names[plan.key], places, offsets)


def _stack(slots: list[Slot]) -> tuple[tuple[Slot, ...], ...]:
    """Outcomes of equal form side by side, in order of first appearance."""
    stacks: dict[tuple, list[Slot]] = {}
    for slot in slots:
        stacks.setdefault(slot.form, []).append(slot)
    return tuple(tuple(stack) for stack in stacks.values())


def _has_closed_form(slot: Slot, copies: int, dropped: set[str], columns: Columns) -> bool:
    """A closed-form M-step needs constant other parameters and coefficients that are free, own and unpenalised."""
    family, plan = slot.family, slot.plan
    constant = all(
        parameter.location or (places == (0,) and offset < 0)
        for parameter, places, offset in zip(family.parameters, slot.columns, slot.offsets, strict=True)
    )
    tied = bool(plan.shared) and copies > 1
    names = {name for name, place in columns.names.items() if place in slot.columns[0]}
    aliased = any(f"{plan.key}:{name}" in dropped for name in names)
    return family.has_closed_form and constant and not (tied or plan.fixed or plan.penalty or aliased)


def _name(
    plan: Plan, mixture: Mixture, stacks: tuple, columns: Columns, dropped: set[str]
) -> Assembled:
    """Label every coefficient, and tie, fix or penalise it."""
    names = {place: name for name, place in columns.names.items()}
    several = plan.has_several_outcomes
    labels: list[Label] = []
    keys: list[tuple | None] = []
    values: list[float] = []
    penalties: list[tuple[float, float]] = []
    expert = 0
    copies_of = Counter()
    for template, copies in zip(stacks, plan.copies, strict=True):
        _check_names(template, columns)
        for _ in range(copies):
            expert += 1
            for slots in template:
                for slot in slots:
                    for parameter, places in zip(slot.family.parameters, slot.columns, strict=True):
                        for place in places:
                            term = columns.terms[place]
                            shown = f"{parameter.name}[{slot.response}]" if several else parameter.name
                            shared = _is_shared(slot.plan, parameter, term)
                            fixed = _fixed_value(slot.plan, parameter, term, place, names[place], dropped)
                            label = Label(0 if shared else expert, shown, names[place], parameter.link)
                            key = (shown, names[place], "shared") if shared else (len(labels),)
                            labels.append(label)
                            keys.append(None if fixed is not None else key)
                            values.append(0.0 if fixed is None else fixed)
                            slope = parameter.location and place != 0
                            penalties.append((slot.plan.penalty, slot.plan.l1_ratio) if slope else (0.0, 0.0))
                            copies_of[key] += 1
    for row in range(mixture.gate.shape[0]):
        for place in mixture.gate.columns:
            gone = f"{GATE}:{names[place]}" in dropped
            labels.append(Label(row + 2, GATE, names[place], "logit"))
            keys.append(None if gone else (len(labels),))
            values.append(0.0)
            penalties.append((plan.gate_penalty, plan.gate_l1_ratio) if place != 0 else (0.0, 0.0))
    index = _number(keys)
    ties = Ties(TieMap(index, np.array(values)))
    rate, ratio = np.array(penalties).reshape(-1, 2).T
    positions = ties.representative
    return Assembled(
        mixture, tuple(labels), ties, columns, stacks, rate[positions] > 0, ratio[positions], rate[positions]
    )


def _number(keys: list[tuple | None]) -> np.ndarray:
    numbers: dict[tuple, int] = {}
    return np.array([-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _check_names(template: tuple, columns: Columns) -> None:
    """Every name in shared= and fixed= is a location term or a parameter of some outcome of the expert."""
    slots = [slot for slots in template for slot in slots]
    known: set[str] = set()
    for slot in slots:
        for parameter, places in zip(slot.family.parameters, slot.columns, strict=True):
            known |= {parameter.key, parameter.name}
            if parameter.location:
                known |= {_term_name(columns.terms[place]) for place in places}
    for slot in slots:
        for option, names in (("shared", slot.plan.shared), ("fixed", tuple(slot.plan.fixed))):
            for name in names:
                if name not in known and name not in columns.names:
                    raise FormulaError(f"{option}= names {name!r}; expected one of: {', '.join(sorted(known))}")


def _term_name(term: str) -> str:
    return "Intercept" if term == "1" else term


def _is_shared(plan: OutcomePlan, parameter: Parameter, term: str) -> bool:
    named = {parameter.key, parameter.name} & set(plan.shared)
    return bool(named) or (parameter.location and _term_name(term) in plan.shared)


def _fixed_value(
    plan: OutcomePlan, parameter: Parameter, term: str, place: int, name: str, dropped: set[str]
) -> float | None:
    """The value of a fixed coefficient: a parameter's natural value on its link, or a location term's coefficient."""
    key = plan.key if parameter.location else plan.part_key(parameter.key)
    if f"{key}:{name}" in dropped:
        return 0.0
    for wanted in (parameter.name, parameter.key):
        if wanted in plan.fixed and not parameter.location:
            return float(LINKS[parameter.link](plan.fixed[wanted])) if place == 0 else 0.0
    if parameter.location and (_term_name(term) in plan.fixed or name in plan.fixed):
        return float(plan.fixed.get(name, plan.fixed.get(_term_name(term), 0.0)))
    return None


def to_data(
    assembled: Assembled,
    materialized: Materialized,
    responses: dict[str, ResponseData] | None,
    *,
    unit: np.ndarray | None,
    weight: np.ndarray,
    prior: np.ndarray,
    extra: np.ndarray,
    atoms: Sequence[float],
    gate_values: np.ndarray | None,
) -> Data:
    """Arrays in data order. Without responses (new data) every response is a safe value and unobserved."""
    arrays, seen_arrays, blocked = [], [], None
    rows = len(materialized.kept)
    for template in assembled.stacks:
        for slots in template:
            data, seen, at_atom = _stack_responses(slots, responses, rows, atoms)
            arrays.append(data)
            seen_arrays.append(None if seen.all() else seen.astype(float))
            if at_atom is not None:
                blocked = at_atom if blocked is None else blocked | at_atom
    return Data(
        columns=assembled.columns.values(materialized),
        offsets=assembled.columns.offsets(materialized),
        responses=tuple(arrays),
        observed=tuple(seen_arrays),
        unit=unit,
        gate=gate_values,
        weight=weight,
        prior=prior,
        extra=extra,
        atom=_unit_atoms(blocked, unit, len(weight)),
    )


def _stack_responses(
    slots: Sequence[Slot], responses: dict[str, ResponseData] | None, rows: int, atoms: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(outcome, m, row) data, (outcome, row) observed, and rows at an atom that a continuous family cannot reach."""
    family = slots[0].family
    if responses is None:
        safe = safe_data(family)
        return np.broadcast_to(safe, (len(slots), len(safe), rows)).copy(), np.zeros((len(slots), rows), bool), None
    data = np.stack([responses[slot.plan.key].data for slot in slots])
    seen = np.stack([responses[slot.plan.key].seen for slot in slots])
    if family.discrete or not atoms:
        return data, seen, None
    at_atom = np.isin(data[:, : family.dimension], atoms).any(axis=1) & seen
    data = np.where(at_atom[:, None], safe_data(family)[None], data)
    return data, seen & ~at_atom, at_atom.any(axis=0)


def _unit_atoms(blocked: np.ndarray | None, unit: np.ndarray | None, units: int) -> np.ndarray | None:
    if blocked is None:
        return None
    if unit is not None:
        blocked = np.bincount(unit[blocked], minlength=units) > 0
    return np.where(blocked, -np.inf, 0.0)
