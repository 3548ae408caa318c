"""SurvivalRegression: the time to an event, with covariates on its scale, its power and its shape."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mixstat.core.family import Family
from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.baselines import Asked, law_of
from mixstat.estimators.model.checks import column_name, integer, number, verbosity
from mixstat.estimators.model.plan import OutcomePlan, Plan, fixed_values, parameter_keys, shared_names, split_gates
from mixstat.exceptions import FormulaError
from mixstat.families.survival import Survival
from mixstat.fit.options import Options
from mixstat.formula.terms import parse_left


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
    scale : {"aft", "ph", "po"}
        Which scale the formula acts on: phi (accelerated failure time, log time ratio = - slope) or lambda
        (proportional hazards, log hazard ratio = slope); "po", proportional odds, is for "odds_spline".
    baseline : str, optional
        None leaves kappa free; or "exponential", "weibull", "loglogistic", "burr", "lomax", "gompertz",
        "exponential_power", "linear_hazard". Others, not of this law: "lognormal", "gamma", "generalized_gamma"
        (location of log time, so that slopes are log time ratios), and the splines of log time "hazard_spline"
        (scale="ph") and "odds_spline" (scale="po").
    knots : int
        Interior knots of a spline.
    power, shape, other_scale : str, optional
        One-sided formulas of gamma, kappa + 1 and the scale that `formula` does not act on (sigma and q; a spline's
        slope and its other coefficients). Without `other_scale` that scale has no intercept: lambda = 1 for "aft", phi
        = 1 / time_scale for "ph" (both scales are barely identified together near the Weibull); baselines that need
        both have both. In a mixture kappa (q, the spline) is common to the experts, unless `shape` is given
        (`shape="~ 1"`).
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
        knots: int = 2,
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
        self.knots = knots
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
        return law_of(Asked.of(self))

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


def plan_survival(key: str, model: SurvivalRegression, formula: str) -> OutcomePlan:
    """Formulas of every parameter, and the terms that the left side asks of the likelihood."""
    if not isinstance(formula, str):
        raise FormulaError(f"formula must be a text such as 'Surv(time, event) ~ x', got {type(formula).__name__}")
    source = _with_background(formula, model.background)
    left = parse_left(source)
    if left.form != "Surv":
        raise FormulaError(f"the left side of {formula!r} must be a survival time: Surv(time, event) ~ ...")
    family = _with_terms(law_of(Asked.of(model)), left.roles)
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
