"""Extending: a plan with one more term in the gate or in parameters of the experts."""

from collections.abc import Sequence
from dataclasses import replace

from mixstat.estimators.model.plan import GATE, OutcomePlan, Plan
from mixstat.exceptions import OptionError
from mixstat.families.growth.form import GrowthForm
from mixstat.families.growth.parallel import ParallelGrowth
from mixstat.families.growth.random import COVARIANCE

LOCATION = "location"


def places_of(to: str | Sequence[str]) -> tuple[str, ...]:
    """Where a term goes: one place, or several together."""
    places = (to,) if isinstance(to, str) else tuple(to)
    if not places or not all(isinstance(place, str) for place in places) or len(set(places)) < len(places):
        raise OptionError(f"to must be a place such as 'gate', or different ones tested together, got {to!r}")
    return places


def extended(plan: Plan, term: str, to: str | Sequence[str]) -> Plan:
    """The plan with one more term in each of the places `to`.

    Covariates that are modelled jointly with growth keep their formula: the term is given.
    """
    for place in places_of(to):
        plan = _in_gate(plan, term) if place == GATE else _in_experts(plan, term, place)
    return plan


def _in_gate(plan: Plan, term: str) -> Plan:
    if plan.gate is None or sum(plan.copies) == 1:
        raise OptionError("there is no gate with coefficients to add a term to")
    return plan._replace(gate=f"{plan.gate} + {term}")


def _in_experts(plan: Plan, term: str, place: str) -> Plan:
    known = sorted({name for outcome in plan.outcomes for name in _known(outcome)})
    if place not in (LOCATION, *known):
        raise OptionError(f"to must be one of {', '.join(map(repr, (GATE, LOCATION, *known)))}, got {place!r}")
    if place == COVARIANCE:
        raise OptionError(f"the {COVARIANCE} of a growth curve is common to a class; test location, a factor or gate")
    own = [o for o in plan.outcomes if o.family.repeated or not plan.repeated]

    def extend(outcome: OutcomePlan) -> OutcomePlan:
        return _in_outcome(outcome, term, place) if outcome in own else outcome

    return plan._replace(templates=tuple(tuple(extend(o) for o in template) for template in plan.templates))


def _known(outcome: OutcomePlan) -> tuple[str, ...]:
    """Places of one outcome, of parallel ones by parameter[outcome]."""
    if outcome.members:
        return tuple(name for place in _targets(outcome) for name in (place, place.split("[")[0]))
    return (*outcome.parts, *_coefficients(outcome))


def _targets(outcome: OutcomePlan) -> dict[str, str]:
    """Keys of the formulas of parallel outcomes' coefficients, by parameter[outcome]."""
    family = outcome.family
    assert isinstance(family, ParallelGrowth)
    pairs = zip(family.names, family.members, strict=True)
    return {f"{c}[{name}]": f"{name}.{c}" for name, member in pairs for c in member.coefficients}


def _in_parallel(outcome: OutcomePlan, term: str, place: str) -> OutcomePlan:
    """A term in coefficients of one or of all outcomes, or in all growth factors."""
    family = outcome.family
    assert isinstance(family, ParallelGrowth)
    if place == LOCATION and any(member.expands for member in family.members):
        raise OptionError("to='location' is not for parallel outcomes with random knots; name their growth factors")
    factors = {
        f"{c}[{name}]" for name, m in zip(family.names, family.members, strict=True) if m.curve for c in m.curve.factors
    }
    chosen = [
        key
        for name, key in _targets(outcome).items()
        if place in (name, name.split("[")[0]) or (place == LOCATION and name in factors)
    ]
    parts = {n: f"{part} + {term}" if n in chosen else part for n, part in outcome.parts.items()}
    members = tuple(
        own._replace(parts={n: parts[f"{name}.{n}"] for n in own.parts})
        for name, own in zip(family.names, outcome.members, strict=True)
    )
    return outcome._replace(parts=parts, members=members)


def _in_outcome(outcome: OutcomePlan, term: str, place: str) -> OutcomePlan:
    if outcome.members:
        return _in_parallel(outcome, term, place)
    if place == LOCATION and not _coefficients(outcome):
        return outcome._replace(formula=f"{outcome.formula} + {term}")
    if place == LOCATION:
        return _in_factors(outcome, term)
    parts = dict(outcome.parts)
    if place in _coefficients(outcome):
        parts.setdefault(place, f"~ {outcome.formula.split('~', 1)[1].strip()}")
    return outcome._replace(parts={n: f"{part} + {term}" if n == place else part for n, part in parts.items()})


def _in_factors(outcome: OutcomePlan, term: str) -> OutcomePlan:
    """A term that acts on all growth factors, and around an expanded curve on knots and rates as well."""
    family = outcome.family
    assert isinstance(family, GrowthForm)
    assert family.curve is not None
    if family.expands and not family.has_effects:
        left = outcome.formula.split("~", 1)[0].strip()
        parts = {**outcome.parts, **dict.fromkeys(family.coefficients, "~ 1")}
        return outcome._replace(formula=f"{left} ~ 0 + {term}", parts=parts, family=replace(family, effects=True))
    parts = {n: f"{part} + {term}" if n in family.curve.factors else part for n, part in outcome.parts.items()}
    parts = dict(outcome.parts) if family.has_effects else parts
    return outcome._replace(formula=f"{outcome.formula} + {term}", parts=parts)


def _coefficients(outcome: OutcomePlan) -> tuple[str, ...]:
    """Of the outcome's growth curve, if it is one."""
    return outcome.family.coefficients if isinstance(outcome.family, GrowthForm) else ()
