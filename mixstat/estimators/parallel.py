"""Parallel curves: the growth curves of a `Joint` as one outcome of the subject."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from mixstat.core.family import Family
from mixstat.estimators.growth import GrowthCurve, covariates_of, plan_growth
from mixstat.estimators.model.checks import boolean
from mixstat.estimators.model.plan import OutcomePlan, shared_names, split_gates
from mixstat.exceptions import FormulaError, OptionError
from mixstat.families.growth.change_scores import NONPARAMETRIC
from mixstat.families.growth.driven import STATES, DrivenGrowth
from mixstat.families.growth.parallel import ParallelGrowth
from mixstat.formula.terms import parse_left

COVARIANCES = ("full", "by_outcome")
WHOLE = ("random_covariance", "random_shape", "residual_variance", "residual_covariance")
"""What no single outcome can share with other classes where outcomes are correlated."""


class Options(NamedTuple):
    """How outcomes go together; see `Joint`."""

    random_covariance: str | Sequence[Sequence[str]]
    residual_covariance: bool
    proportional: bool
    shared: str | Sequence[str]
    states: Mapping[str, str] | None


class ParallelCurves(NamedTuple):
    """Several growth curves of one subject."""

    curves: tuple[GrowthCurve, ...]
    options: Options

    @property
    def formula(self) -> str | None:
        """That of the first outcome, which may name the gate."""
        return self.curves[0].formula

    @property
    def family(self) -> Family:
        return ParallelGrowth()

    @property
    def unit(self) -> str | None:
        units = {curve.unit for curve in self.curves if curve.unit is not None}
        if len(units) > 1:
            raise OptionError(f"unit= differs between the outcomes of Joint: {', '.join(sorted(map(repr, units)))}")
        return next(iter(units), None)

    @property
    def covariates(self) -> list[Any]:
        """Covariates that are modelled jointly, those of all outcomes together."""
        chosen = {curve.covariates for curve in self.curves if curve.between is not None}
        if len(chosen) > 1:
            raise OptionError("covariates= is 'joint' in one outcome of Joint and 'fixed' in another; choose one")
        given = [curve.between for curve in self.curves if curve.between is not None]
        return [covariates_of(given)] if chosen == {"joint"} else []

    def _plan_outcome(self, key: str, formula: str) -> OutcomePlan:
        sources = [formula, *(_without_gate(curve) for curve in self.curves[1:])]
        plans = [plan_growth(key, curve, source) for curve, source in zip(self.curves, sources, strict=True)]
        names = tuple(parse_left(plan.formula).names[0] for plan in plans)
        if len(set(names)) < len(names):
            raise FormulaError(f"two outcomes of Joint model the same response: {', '.join(names)}")
        state = _state(self.options, names, plans)
        if state is not None:
            order = sorted(range(len(names)), key=lambda place: names[place] != state[0])
            plans, names = [plans[place] for place in order], tuple(names[place] for place in order)
        pairs = list(zip(plans, names, strict=True))
        members = tuple(_member(key, plan, name) for plan, name in pairs)
        parts = dict.fromkeys(WHOLE, "~ 1")
        for member, name in zip(members, names, strict=True):
            parts |= {f"{name}.{part}": source for part, source in member.parts.items()}
            parts |= {} if state is None else {f"{name}.{state[1]}_effect": "~ 1"}
        lefts = ", ".join(map(_left, plans))
        form = "waves" if any(curve.wave is not None for curve in self.curves) else "parallel"
        shown = "; ".join(plan.shown for plan in plans)
        family = _family(names, self.curves, plans, self.options, state)
        shared = (*shared_names(self.options.shared), *(s for plan, name in pairs for s in _shared(plan, name)))
        _require_whole(shared, family)
        return OutcomePlan(
            key, f"{form}({lefts}) ~ 1", parts, family, shared, {}, 0.0, 0.0, title=shown, members=members
        )


def _without_gate(curve: GrowthCurve) -> str:
    plain, gate = split_gates([str(curve.formula)], None)
    if gate is not None:
        raise FormulaError(f"{curve.formula!r} names a gate after '|'; name it in the first outcome, or by gate=")
    return plain[0]


def _left(plan: OutcomePlan) -> str:
    """The response, which may stand in `waves(...)` already."""
    left = plan.formula.split("~", 1)[0].strip()
    return left.removeprefix("waves(")[:-1] if left.startswith("waves(") else left


def _member(key: str, plan: OutcomePlan, name: str) -> OutcomePlan:
    """The outcome's plan under a key of its own, with a formula for every coefficient."""
    right = "~" + plan.formula.split("~", 1)[1]
    own = dict.fromkeys((*getattr(plan.family, "coefficients", ()), "effects"), right)
    return plan._replace(key=f"{key}.{name}", parts={**own, **plan.parts})


def _family(
    names: tuple[str, ...],
    curves: Sequence[GrowthCurve],
    plans: Sequence[OutcomePlan],
    options: Options,
    state: tuple[str, str] | None,
) -> ParallelGrowth:
    correlated = boolean("residual_covariance", options.residual_covariance)
    for curve in curves:
        if correlated and curve.residual != "iid":
            raise OptionError(
                f"residual_covariance=True correlates residuals that are iid in each outcome, but one has residual="
                f"{curve.residual!r}; use residual_covariance=False, or residual='iid'"
            )
        if curve.penalty:
            raise OptionError("penalty= is of one growth outcome; leave it out of those of Joint")
        if curve.proportional:
            raise OptionError("proportional= of parallel outcomes is an option of Joint, for all of them together")
    by_outcome = options.random_covariance == "by_outcome"
    if not by_outcome and any(curve.random_covariance != "full" for curve in curves):
        raise OptionError(
            "random_covariance= of an outcome of Joint needs Joint(..., random_covariance='by_outcome'); else the "
            "covariance of all random coefficients is Joint's, 'full' or groups such as [('intercept[y]', ...), ...]"
        )
    form = ParallelGrowth if state is None else partial(DrivenGrowth, state=state[1])
    return form(
        names=names,
        members=tuple(plan.family for plan in plans),  # type: ignore[misc]
        blocks=_blocks(options.random_covariance),
        proportional=boolean("proportional", options.proportional),
        by_outcome=by_outcome,
        correlated=correlated,
    )


def _state(options: Options, names: Sequence[str], plans: Sequence[OutcomePlan]) -> tuple[str, str] | None:
    """(outcome, its state) that acts on the other outcomes."""
    if options.states is None:
        return None
    given = dict(options.states) if isinstance(options.states, Mapping) else {}
    if len(given) != 1 or not set(given) <= set(names) or not set(given.values()) <= set(STATES):
        raise OptionError(
            f"states= names one outcome of {', '.join(map(repr, names))} and its state, one of "
            f"{', '.join(map(repr, STATES))}, as in {{{names[-1]!r}: 'rate'}}, got {options.states!r}"
        )
    name, state = next(iter(given.items()))
    curve = getattr(plans[list(names).index(name)].family, "curve", None)
    if curve is None or curve.name != NONPARAMETRIC:
        raise OptionError(f"states= is of an outcome with the curve change_scores, as in '{name} ~ change_scores(t)'")
    if options.proportional:
        raise OptionError("proportional=True and states= do not go together; leave one out")
    return name, state


def _blocks(wanted: str | Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...] | None:
    """Groups of random coefficients that correlate; None: all do, or each outcome's own."""
    if isinstance(wanted, str):
        if wanted not in COVARIANCES:
            raise OptionError(
                f"random_covariance of Joint must be 'full', 'by_outcome' or groups such as "
                f"[('intercept[y]', 'intercept[z]'), ('slope[y]', 'slope[z]')], got {wanted!r}"
            )
        return None
    return tuple((group,) if isinstance(group, str) else tuple(group) for group in wanted)


def _shared(plan: OutcomePlan, name: str) -> list[str]:
    """What an outcome shares, by names that carry the outcome."""
    wrong = [shared for shared in plan.shared if shared in ("random_covariance", "random_shape")]
    if wrong:
        raise OptionError(f"shared={wrong[0]!r} is an option of Joint, whose random coefficients correlate")
    return [f"{shared}[{name}]" for shared in plan.shared]


def _require_whole(shared: Sequence[str], family: ParallelGrowth) -> None:
    """Correlated residuals have one covariance, which classes share or not."""
    partial = [name for name in shared if name.split("[")[0] == "residual_variance"]
    if partial and family.correlated:
        raise OptionError(
            f"shared={partial[0]!r}, but the residuals of all outcomes have one covariance; share all of it by "
            "Joint(..., shared='residual_covariance'), or set residual_covariance=False"
        )
