"""SurvivalRegression: the time to an event, with covariates on its scale, its power and its shape."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mixstat.core.family import Family
from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.model.checks import choice, column_name, integer, number, verbosity
from mixstat.estimators.model.plan import OutcomePlan, Plan, fixed_values, parameter_keys, shared_names, split_gates
from mixstat.exceptions import FormulaError, OptionError
from mixstat.families.survival import APGW, Survival
from mixstat.fit.options import Options
from mixstat.formula.terms import parse_left

SCALES = ("aft", "ph")
OTHER = {"aft": "lambda", "ph": "phi"}
"""The scale that the main formula does not act on."""


class Baseline(NamedTuple):
    """A named case of the adapted power generalised Weibull: `kappa`, what is 1 in it, whether both scales are free."""

    kappa: float | None
    unit: tuple[str, ...] = ()
    both: bool = False


BASELINES: dict[str | None, Baseline] = {
    None: Baseline(None),
    "exponential": Baseline(1.0, ("gamma",)),
    "weibull": Baseline(1.0),
    "loglogistic": Baseline(0.0, ("lambda",)),
    "burr": Baseline(0.0, both=True),
    "lomax": Baseline(0.0, ("gamma",), both=True),
    "gompertz": Baseline(np.inf, ("gamma",), both=True),
    "exponential_power": Baseline(np.inf, ("lambda",)),
    "linear_hazard": Baseline(2.0, ("gamma",), both=True),
}


class SurvivalRegression(MixtureEstimator):
    """Survival regression by maximum likelihood; as an argument of `MixtureOfExperts`, the form of an expert.

    The adapted power generalised Weibull, H(t) = lambda H0((phi t)^gamma; kappa), holds the usual baselines as values
    of kappa, which is estimated unless `baseline` fixes it; covariates act on its scale and, if asked, its power and
    shape.

    Parameters
    ----------
    formula : str
        `"Surv(months, died) ~ treatment"`. Left sides: `Surv(time, event)`, `Surv(entry, time, event)` (late entry,
        counting-process rows), `Surv(lower, upper, type='interval')`, `Surv(time, seen, type='left')`, `Surv(time)`.
    scale : {"aft", "ph"}
        Which scale the formula acts on: phi (accelerated failure time, log time ratio = - slope) or lambda
        (proportional hazards, log hazard ratio = slope).
    baseline : str, optional
        None leaves kappa free; or "exponential", "weibull", "loglogistic", "burr", "lomax", "gompertz",
        "exponential_power", "linear_hazard".
    power, shape, other_scale : str, optional
        One-sided formulas of gamma, kappa + 1 and the scale that `formula` does not act on. Without `other_scale` that
        scale has no intercept: lambda = 1 for "aft", phi = 1 / time_scale for "ph" (both scales are barely identified
        together near the Weibull); baselines that need both have both. In a mixture kappa is common to the experts,
        unless `shape` is given (`shape="~ 1"`).
    background : str, optional
        Column of a known hazard at the time of the event (relative survival).
    shared, fixed : as in `Regression`; parameters are "phi", "lambda", "gamma", "kappa1".
    time_scale : float, optional
        Unit of time in which phi is 1 if `scale="ph"` has no intercept of phi; None for the median time.
    unit, cluster, penalty, l1_ratio, tol, max_iter, verbose : as in `Regression`.

    Notes
    -----
    Coefficients are of logs: log phi, log lambda, log gamma, log(kappa + 1). The log-likelihood is in the user's unit
    of time, all constants included. Reference: Burke, Jones and Noufaily (2020), JRSS-C 69, 429-457.
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        scale: str = "aft",
        baseline: str | None = None,
        power: str | None = None,
        shape: str | None = None,
        other_scale: str | None = None,
        background: str | None = None,
        shared: str | Sequence[str] = (),
        fixed: Mapping[str, float] | None = None,
        time_scale: float | None = None,
        unit: str | None = None,
        cluster: str | None = None,
        penalty: float = 0.0,
        l1_ratio: float = 0.0,
        tol: float = 1e-9,
        max_iter: int = 200,
        verbose: int = 1,
    ):
        self.formula = formula
        self.scale = scale
        self.baseline = baseline
        self.power = power
        self.shape = shape
        self.other_scale = other_scale
        self.background = background
        self.shared = shared
        self.fixed = fixed
        self.time_scale = time_scale
        self.unit = unit
        self.cluster = cluster
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @property
    def family(self) -> Family:
        """The law of the time to the event."""
        return law_of(self)

    @property
    def experts(self) -> list["SurvivalRegression"]:
        """Outcomes of one unit: this one alone."""
        return [self]

    def _representative(self) -> "SurvivalRegression":
        return self

    def _plan(self, formula: str | None) -> Plan:
        main = formula or self.formula
        plain, gate = split_gates([str(main)], None)
        if gate is not None:
            raise FormulaError(f"{main!r} names a gate after '|', but one expert alone has none; use MixtureOfExperts")
        return Plan(((self._plan_outcome("0.0", plain[0]),),), (1,), None, 0.0, 0.0)

    def _plan_outcome(self, key: str, formula: str) -> OutcomePlan:
        return plan_survival(key, self, formula)

    def _unit_column(self) -> str | None:
        return column_name("unit", self.unit)

    def _options(self) -> Options:
        return Options(
            tol=number("tol", self.tol),
            max_iter=integer("max_iter", self.max_iter, 1),
            verbose=verbosity(self.verbose),
        )


def law_of(model: SurvivalRegression) -> APGW:
    """The family, with what is pinned by the baseline and by formulas that are not given."""
    choice("scale", model.scale, SCALES)
    if model.baseline not in BASELINES:
        known = ", ".join(repr(name) for name in BASELINES if name)
        raise OptionError(f"baseline must be None (kappa is estimated) or one of {known}, got {model.baseline!r}")
    baseline = BASELINES[model.baseline]
    other = OTHER[model.scale]
    if model.scale == "ph" and "lambda" in baseline.unit:
        raise OptionError(
            f"baseline={model.baseline!r} has lambda = 1, so that scale='ph' has nothing to act on; use scale='aft'"
            + (", or baseline='burr'" if model.baseline == "loglogistic" else "")
        )
    pinned = [*baseline.unit]
    if model.other_scale is None and not baseline.both and other not in pinned:
        pinned.append(other)
    for option, name in (("other_scale", other), ("power", "gamma")):
        if getattr(model, option) is not None and name in baseline.unit:
            raise OptionError(f"{option}= acts on {name}, which is 1 in baseline={model.baseline!r}; leave it out")
    if model.shape is not None and baseline.kappa is not None:
        raise OptionError(f"shape= acts on kappa, which baseline={model.baseline!r} fixes; leave one of them out")
    constants: tuple[float, ...] = ()
    if model.time_scale is not None:
        if "phi" not in pinned:
            raise OptionError("time_scale= says where phi is 1, but phi is estimated here; leave it out")
        constants = (float(np.log(number("time_scale", model.time_scale, low=1e-300))),)
    return APGW(
        scale=model.scale,
        kappa=baseline.kappa,
        pinned=tuple(sorted(pinned)),
        common_shape=model.shape is None,
        constants=constants,
    )


def plan_survival(key: str, model: SurvivalRegression, formula: str) -> OutcomePlan:
    """Formulas of every parameter, and the terms that the left side asks of the likelihood."""
    if not isinstance(formula, str):
        raise FormulaError(f"formula must be a text such as 'Surv(time, event) ~ x', got {type(formula).__name__}")
    source = _with_background(formula, model.background)
    left = parse_left(source)
    if left.form != "Surv":
        raise FormulaError(f"the left side of {formula!r} must be a survival time: Surv(time, event) ~ ...")
    family = _with_terms(law_of(model), left.roles)
    given = {"power": model.power, "shape": model.shape, "other_scale": model.other_scale}
    for name, part in given.items():
        if part is not None and not isinstance(part, str):
            raise FormulaError(f"{name}= must be a one-sided formula such as '~ x', got {type(part).__name__}")
    parts = {name: given[name] or "~ 1" for name in parameter_keys(family)}
    shared, fixed = shared_names(model.shared), fixed_values(model.fixed)
    rates = number("penalty", model.penalty), number("l1_ratio", model.l1_ratio, high=1.0)
    return OutcomePlan(key, source, parts, family, shared, fixed, *rates, title=formula)


def _with_terms(family: Survival, roles: Sequence[str]) -> Survival:
    return replace(
        family, interval=bool({"lower", "seen"} & set(roles)), entry="entry" in roles, background="background" in roles
    )


def _with_background(formula: str, background: str | None) -> str:
    """The formula with the column of the background hazard inside Surv(...)."""
    if background is None:
        return formula
    name = column_name("background", background)
    left, tilde, right = formula.partition("~")
    inner = left.strip()
    if not (tilde and inner.startswith("Surv(") and inner.endswith(")")):
        raise FormulaError(f"the left side of {formula!r} must be a survival time: Surv(time, event) ~ ...")
    return f"{inner[:-1]}, background={f'`{name}`'!r}) ~{right}"
