"""Plan: from experts and a gate as users write them to the formulas that are materialised together.

Keys: outcome o of expert template t has main formula "t.o" and parameter formulas "t.o.sigma"; the gate is "gate".
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mixstat.core.family import Family, Parameter
from mixstat.estimators.model.checks import number
from mixstat.exceptions import FormulaError, OptionError
from mixstat.families import get_family
from mixstat.formula import split_gate
from mixstat.formula.grammar import spelled, whatever_order

if TYPE_CHECKING:
    from mixstat.estimators.regression import Regression

GATE = "gate"


class OutcomePlan(NamedTuple):
    """One outcome of one expert template: its formulas by parameter key, and what is shared or fixed.

    `formula` is what is materialised, `title` what the user wrote if that differs. `occasions` are formulas, by key, of
    what is measured at every occasion of a repeated outcome; they make no columns of the design. `members` are the
    plans of parallel outcomes, which are one outcome to the mixture: formulas of theirs are ours, by their own keys.
    `factors` are of the penalty, by names of terms, columns or parameters; `separable` outcomes keep columns that are
    linear combinations of others, which the penalty tells apart. `crossing` is what is done where cumulative
    probabilities of ordered categories cross.
    """

    key: str
    formula: str
    parts: Mapping[str, str]
    family: Family
    shared: tuple[str, ...]
    fixed: Mapping[str, float]
    penalty: float
    l1_ratio: float
    title: str = ""
    occasions: Mapping[str, str] = {}
    members: "tuple[OutcomePlan, ...]" = ()
    factors: Mapping[str, float] = {}
    separable: bool = False
    crossing: str = "report"

    @property
    def own(self) -> "tuple[OutcomePlan, ...]":
        """The outcomes that this one is made of: itself, or its members."""
        return self.members or (self,)

    @property
    def occasion_formulas(self) -> dict[str, str]:
        """Formulas of occasions by the keys under which they are materialised."""
        return {own.part_key(name): formula for own in self.own for name, formula in own.occasions.items()}

    @property
    def shown(self) -> str:
        """The formula as the user wrote it."""
        return self.title or self.formula

    def part_key(self, parameter: str) -> str:
        return f"{self.key}.{parameter}"

    def formula_key(self, parameter: Parameter) -> str:
        """The key of a parameter's formula: a location takes the main one unless it has its own."""
        if parameter.location and parameter.key not in self.parts:
            return self.key
        return self.part_key(parameter.key)


class Plan(NamedTuple):
    """Expert templates (each a list of outcomes), how many copies of each, and the gate's formula.

    `gate` is a one-sided formula, or None for fixed equal shares.
    """

    templates: tuple[tuple[OutcomePlan, ...], ...]
    copies: tuple[int, ...]
    gate: str | None
    gate_penalty: float
    gate_l1_ratio: float

    @property
    def outcomes(self) -> list[OutcomePlan]:
        return [outcome for template in self.templates for outcome in template]

    @property
    def main(self) -> dict[str, str]:
        return {outcome.key: outcome.formula for outcome in self.outcomes}

    @property
    def parts(self) -> dict[str, str]:
        parts: dict[str, str] = {}
        for outcome in self.outcomes:
            parts |= {outcome.part_key(name): formula for name, formula in outcome.parts.items()}
            parts |= outcome.occasion_formulas
        return parts if self.gate is None else {**parts, GATE: self.gate}

    @property
    def repeated(self) -> bool:
        """Whether rows of the data are occasions of subjects, and subjects the rows of the design."""
        return any(outcome.family.repeated for outcome in self.outcomes)

    @property
    def has_several_outcomes(self) -> bool:
        return any(len(template) > 1 for template in self.templates)


def plan_outcome(key: str, expert: "Regression", formula: str) -> OutcomePlan:
    """Check one expert's options and spell out a formula for every parameter of its family."""
    family = checked_family(expert.family)
    if not isinstance(formula, str):
        raise FormulaError(f"formula must be a string such as 'y ~ x' or None, got {type(formula).__name__}")
    parts = {name: part for name, part in expert._parameter_formulas.items() if part is not None}
    allowed = parameter_keys(family)
    for name, part in parts.items():
        if name not in allowed:
            known = ", ".join(allowed) or "none but the location"
            raise FormulaError(
                f"{name}= is no argument of Regression, and family {family.name!r} has no parameter of that name with "
                f"a formula; it has: {known}"
            )
        if not isinstance(part, str):
            raise FormulaError(f"{name}= must be a one-sided formula such as '~ x', got {type(part).__name__}")
    return OutcomePlan(
        key,
        formula,
        {name: parts.get(name, "~ 1") for name in allowed},
        family,
        shared_names(expert.shared),
        fixed_values(expert.fixed),
        number("penalty", expert.penalty),
        number("l1_ratio", expert.l1_ratio, high=1.0),
    )


def shared_names(shared: Any) -> tuple[str, ...]:
    """Names from "a + b" or a list, spelled as in tables."""
    names = [shared] if isinstance(shared, str) else shared or ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise OptionError(f"shared must be names such as 'x + sigma' or ['x', 'sigma'], got {shared!r}")
    return tuple(dict.fromkeys(name for given in names if given.strip() for name in spelled(given)))


def fixed_values(fixed: Any) -> dict[str, float]:
    """Values by name, spelled as in tables."""
    if fixed is None:
        return {}
    if not isinstance(fixed, Mapping) or not all(isinstance(name, str) for name in fixed):
        raise OptionError(f"fixed must be a dictionary such as {{'x': 0.5, 'sigma': 1.0}}, got {fixed!r}")
    known: dict[str, float] = {}
    for given, value in fixed.items():
        names = spelled(given)
        name = names[0] if len(names) == 1 else given
        if whatever_order(name) in map(whatever_order, known):
            raise OptionError(f"fixed holds {name!r} twice, the second time as {given!r}")
        known[name] = number(f"fixed[{given!r}]", value, low=-np.inf)
    return known


def checked_family(family: Any) -> Family:
    """The family of this name, or itself."""
    if not isinstance(family, str | Family):
        raise OptionError(f"family must be a name such as 'gaussian' or a Family, got {family!r}")
    try:
        return get_family(family)
    except ValueError as error:
        raise OptionError(str(error)) from None


def parameter_keys(family: Family) -> list[str]:
    """Keywords of the parameters that take a one-sided formula (asked of the family with two made-up responses)."""
    probe = family.specialize(("1", "2"), ("1", "2"))
    return list(dict.fromkeys(parameter.key for parameter in probe.parameters if not parameter.location))


def split_gates(formulas: Sequence[str], gate: str | None) -> tuple[list[str], str | None]:
    """Take the gate out of the shorthand "y ~ x | z"; an error if `gate=` is given as well."""
    plain, gates = [], []
    for formula in formulas:
        main, inner = split_gate(formula)
        plain.append(main)
        if inner is not None:
            gates.append(inner)
    if gates and gate is not None:
        raise FormulaError(f"the gate is given twice: by 'y ~ x | z' ({gates[0]!r}) and by gate={gate!r}; use one")
    if len(set(gates)) > 1:
        raise FormulaError(f"experts name different gates ({' and '.join(sorted(set(gates)))}); use gate=")
    return plain, gates[0] if gates else gate
