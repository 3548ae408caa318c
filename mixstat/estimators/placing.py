"""Placing: a mixture, not fitted, with more covariates in its gate and within its classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import clone

from mixstat.estimators.growth import GrowthCurve
from mixstat.estimators.joint import Joint
from mixstat.estimators.methods.extending import LOCATION
from mixstat.estimators.mixture import EQUAL
from mixstat.estimators.regression import Regression
from mixstat.exceptions import OptionError
from mixstat.families.growth import Growth


def placed(model: Any, gate: Sequence[str], within: Sequence[str], targets: Sequence[str]) -> Any:
    """A clone of a mixture with terms added to the gate, and to the parameters `targets` of every expert."""
    other = clone(model).set_params(start=None)
    if gate:
        other.set_params(gate=_joined(None if other.gate == EQUAL else other.gate, gate))
    experts = other.expert if isinstance(other.expert, list | tuple) else [other.expert]
    for outcome in (o for e in experts for o in (e.outcomes if isinstance(e, Joint) else [e])):
        for target in targets if within else ():
            outcome.set_params(**_changed(outcome, within, target))
    return other


def _joined(formula: str | None, terms: Sequence[str]) -> str:
    """A one-sided formula with more terms."""
    plain = formula is None or formula.replace(" ", "") == "~1"
    return " + ".join(["~ " + terms[0], *terms[1:]] if plain else [str(formula), *terms])


def _changed(outcome: Any, terms: Sequence[str], target: str) -> dict[str, Any]:
    """Arguments of an outcome whose parameter `target` depends on more covariates."""
    if isinstance(outcome, GrowthCurve) and outcome.covariates != "fixed":
        raise OptionError(
            "a proposal tests covariates as given, which covariates='joint' does not say of some: write the model of it"
        )
    coefficients = _curve(outcome).coefficients if isinstance(outcome, GrowthCurve) else ()
    if target == LOCATION and not coefficients:
        main, bar, gate = outcome.formula.partition("|")
        return {"formula": " + ".join([main.rstrip(), *terms]) + (f" | {gate.strip()}" if bar else "")}
    if coefficients and target in (LOCATION, *coefficients):
        return {"between": _between(outcome, terms, target)}
    if isinstance(outcome, Regression):
        return {target: _joined(outcome._parameter_formulas.get(target), terms)}
    raise OptionError(f"a proposal cannot write a model with covariates of {target!r}; add them to it and fit it")


def _curve(outcome: GrowthCurve) -> Growth:
    """The outcome's family, which knows its curve."""
    family = outcome._plan(None).outcomes[0].family
    assert isinstance(family, Growth)
    return family


def _between(outcome: GrowthCurve, terms: Sequence[str], target: str) -> Any:
    """One formula for all growth factors, or formulas by coefficient where one is named."""
    own, curve = outcome.between, _curve(outcome).curve
    if not isinstance(own, Mapping) and (curve is None or target == LOCATION):
        return _joined(own, terms)
    factors = () if curve is None else curve.factors
    formulas = dict(own) if isinstance(own, Mapping) else dict.fromkeys(factors, own or "~ 1")
    chosen = factors if target == LOCATION else (target,)
    return {**formulas, **{name: _joined(formulas.get(name), terms) for name in chosen}}
