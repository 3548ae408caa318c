"""Naming: the label of every coefficient, and which are shared by experts, fixed or penalised."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mixstat.core.family import LINKS, Parameter
from mixstat.core.mixture import Mixture
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.plan import GATE, OutcomePlan, Plan
from mixstat.estimators.model.slots import Slot, Stacks
from mixstat.exceptions import FormulaError, OptionError
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula.grammar import whatever_order
from mixstat.results.labels import Label


class Coefficient(NamedTuple):
    """One coefficient: coefficients of equal `key` are one parameter; `fixed` is its value if it is not estimated."""

    label: Label
    key: tuple | None
    fixed: float | None
    penalty: float
    l1_ratio: float


class Named(NamedTuple):
    """Labels (phi,), ties, and by free parameter the penalty and its lasso share."""

    labels: tuple[Label, ...]
    ties: Ties
    penalty: np.ndarray
    lasso_share: np.ndarray


def name_coefficients(plan: Plan, mixture: Mixture, stacks: Stacks, columns: Columns, dropped: set[str]) -> Named:
    """Label every coefficient in the order of phi, and tie, fix or penalise it."""
    for template in stacks:
        _check_names([slot for slots in template for slot in slots], columns)
    listed = [*_of_experts(plan, stacks, columns, dropped), *_of_gate(plan, mixture, columns, dropped)]
    numbers: dict[tuple, int] = {}
    index = [
        -1 if c.fixed is not None else numbers.setdefault(c.key or (i,), len(numbers)) for i, c in enumerate(listed)
    ]
    ties = Ties(TieMap(np.array(index, dtype=np.int64), np.array([c.fixed or 0.0 for c in listed])))
    free = [listed[position] for position in ties.representative]
    penalty, share = np.array([c.penalty for c in free]), np.array([c.l1_ratio for c in free])
    return Named(tuple(c.label for c in listed), ties, penalty, share)


def _of_experts(plan: Plan, stacks: Stacks, columns: Columns, dropped: set[str]) -> Iterator[Coefficient]:
    expert = 0
    for template, copies in zip(stacks, plan.copies, strict=True):
        for _ in range(copies):
            expert += 1
            for slot in (slot for slots in template for slot in slots):
                several = plan.has_several_outcomes and not slot.family.repeated
                yield from _of_slot(slot, expert, several, columns, dropped, alone=sum(plan.copies) == 1)


def _of_slot(
    slot: Slot, expert: int, several: bool, columns: Columns, dropped: set[str], *, alone: bool
) -> Iterator[Coefficient]:
    """Coefficients of one outcome; what is shared is nothing special of an expert that is alone."""
    links = {place: group.link for group in slot.family.natural for place in group.parameters}
    for index, (parameter, places) in enumerate(zip(slot.family.parameters, slot.columns, strict=True)):
        shown = f"{parameter.name}[{slot.response}]" if several and "[" not in parameter.name else parameter.name
        for place in places:
            name, term = columns.by_place[place], _term_name(columns.terms[place])
            if parameter.term and place == 0:
                name = term = parameter.term
            shared = not alone and _is_shared(slot.plan, parameter, {term, name})
            label = Label(0 if shared else expert, shown, name, links.get(index) or parameter.link)
            slope = parameter.location and place != 0
            yield Coefficient(
                label,
                (shown, name, "shared") if shared else None,
                _fixed_value(slot.plan, parameter, term, name, dropped),
                slot.plan.penalty * _factor(slot.plan, parameter, {term, name}) if slope else 0.0,
                slot.plan.l1_ratio if slope else 0.0,
            )


def _factor(plan: OutcomePlan, parameter: Parameter, column: set[str]) -> float:
    """What the penalty of a slope is multiplied with."""
    found = [_wanted(tuple(plan.factors), names) for names in (column, {parameter.name})] if plan.factors else []
    return float(np.prod([plan.factors[name] for name in found if name is not None]))


def _of_gate(plan: Plan, mixture: Mixture, columns: Columns, dropped: set[str]) -> Iterator[Coefficient]:
    for row in range(mixture.gate.shape[0]):
        for place in mixture.gate.columns:
            name = columns.by_place[place]
            gone = 0.0 if f"{GATE}:{name}" in dropped else None
            label = Label(row + 2, GATE, name, "logit")
            yield Coefficient(
                label, None, gone, plan.gate_penalty if place else 0.0, plan.gate_l1_ratio if place else 0.0
            )


def _check_names(slots: Sequence[Slot], columns: Columns) -> None:
    """Every name in shared= and fixed= is a location term or a parameter of some outcome of the expert."""
    terms: set[str] = set()
    locations: set[str] = set()
    others: set[str] = set()
    for slot in slots:
        for parameter, places in zip(slot.family.parameters, slot.columns, strict=True):
            (locations if parameter.location else others).update(_own_names(parameter) | _own_term(parameter))
            if parameter.location:
                named = {_term_name(columns.terms[place]) for place in places}
                terms |= _with_outcome(parameter, named | {columns.by_place[place] for place in places})
    for slot in slots:
        _require_known("shared", slot.plan.shared, terms | locations | others)
        _require_known("fixed", tuple(slot.plan.fixed), terms | others)


def _require_known(option: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if not _wanted([name], known):
            raise FormulaError(f"{option}= names {name!r}; expected one of: {', '.join(sorted(known))}")


def _term_name(term: str) -> str:
    return "Intercept" if term == "1" else term


def _own_term(parameter: Parameter) -> set[str]:
    """The covariate whose coefficient a predictor is, if it is one."""
    is_coefficient = bool(parameter.term) and _base(parameter.name) == "mean"
    return _with_outcome(parameter, {parameter.term}) if is_coefficient else set()


def _own_names(parameter: Parameter) -> set[str]:
    """What a parameter may be called; one of parallel outcomes with its outcome or, for all of them, without."""
    return {parameter.name, _base(parameter.name), parameter.key.rpartition(".")[2]}


def _with_outcome(parameter: Parameter, names: set[str]) -> set[str]:
    """Names of columns, also with the outcome that the parameter carries: x and x[read]."""
    outcome = parameter.name[len(_base(parameter.name)) :]
    return names | {f"{name}{outcome}" for name in names}


def _base(name: str) -> str:
    return name.split("[")[0]


def _wanted(names: Iterable[str], candidates: Iterable[str]) -> str | None:
    """The first of the user's names that is one of the candidates, whatever the order of an interaction's factors."""
    keys = {whatever_order(candidate) for candidate in candidates}
    return next((name for name in names if whatever_order(name) in keys), None)


def _is_shared(plan: OutcomePlan, parameter: Parameter, column: set[str]) -> bool:
    """Named by its parameter or, in the location, by what its column is called (its term's name, its own)."""
    mine = _with_outcome(parameter, column) if parameter.location else set()
    called = _own_names(parameter) | _own_term(parameter) | mine
    return parameter.common or _wanted(plan.shared, called) is not None


def _fixed_value(plan: OutcomePlan, parameter: Parameter, term: str, name: str, dropped: set[str]) -> float | None:
    """The value of a fixed coefficient: a parameter's natural value on its link, or a location term's coefficient."""
    if f"{plan.formula_key(parameter)}:{name}" in dropped or (parameter.origin and name == "Intercept"):
        return 0.0
    called = {name, term} if parameter.location else {parameter.name, parameter.key}
    wanted = _wanted(plan.fixed, called)
    if wanted is None or parameter.location:
        return None if wanted is None else plan.fixed[wanted]
    if name != "Intercept":
        formula = plan.parts.get(parameter.key, "")
        raise OptionError(f"fixed= holds {wanted!r}, which has a formula of its own, {formula!r}; drop one of them")
    return _on_link(parameter, plan.fixed[wanted], wanted)


def _on_link(parameter: Parameter, value: float, wanted: str) -> float:
    with np.errstate(all="ignore"):
        linked = float(LINKS[parameter.link](value))
    if not np.isfinite(linked):
        span = "above 0" if parameter.link == "log" else "strictly between 0 and 1"
        raise OptionError(f"fixed= holds {wanted!r} at {value:g}; expected a number {span}")
    return linked
