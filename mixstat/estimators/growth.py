"""GrowthCurve: a subject's trajectory, y_ij = f(t_ij; eta_i) + e_ij with random coefficients eta_i."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixstat.core.family import Family
from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.model.checks import boolean, choice, column_name, integer, number, verbosity
from mixstat.estimators.model.occasions import RANDOM, SCALE, TIME, VARYING, WAVE, require_blocks
from mixstat.estimators.model.plan import OutcomePlan, Plan, shared_names, split_gates
from mixstat.estimators.regression import Regression
from mixstat.exceptions import FormulaError, OptionError
from mixstat.families.growth import Growth
from mixstat.families.growth.change_scores import NAMES as CHANGES
from mixstat.families.growth.curves import Curve, known_curves, make_curve
from mixstat.fit.options import Options
from mixstat.formula.growth import GrowthFormula, random_terms, split_curve, time_formula
from mixstat.formula.lexer import sides

RESIDUALS = ("iid", "occasion", "ar1", "brownian")
NO_RANDOM = ("none", "0")
COVARIATES = ("fixed", "joint")
CONSTANT = (
    "kappa",
    "random_covariance",
    "random_shape",
    "residual_variance",
    "residual_sd",
    "ar_sd",
    "ar_rate",
    "brownian_sd",
)
"""Keys of predictors that are one number."""


class GrowthCurve(MixtureEstimator):
    """Growth curve with random coefficients, by maximum likelihood; as an argument of `MixtureOfExperts`, a class.

    Parameters
    ----------
    formula : str
        `"math ~ bilinear(grade)"`: the response, one curve of time, and covariates measured at every occasion. Curves:
        linear, quadratic, polynomial(t, degree=3), negative_exponential, jenss_bayley, bilinear, trilinear (the knots
        are parameters), latent_basis (common times); latent change scores, `intercept` being the value at the first
        wave: change_scores (a rate of change in every interval between waves: "slope" in the first one, "rate2",
        "rate3", ... relative to it), change_quadratic, change_exponential, change_jenss_bayley (the rate of these
        curves in the middle of the interval); and what `ms.register_curve` made. Without a curve
        (`"y ~ time + x"`, `"y ~ bs(time, df=4)"`) the columns are the growth factors.
    unit : str
        Column of the subject.
    between : str or mapping, optional
        One-sided formula of covariates that act on every growth factor (and on knots and rates that are random), or
        formulas by coefficient, `{"intercept": "~ x", "knot": "~ x"}`. They must be constant in a subject.
    random : str
        "all" growth factors of the curve, "none", or some, `"intercept + slope1"`; without a curve the terms with a
        random coefficient, `"1 + time"` ("all" is then `"1"`).
    random_knot : bool
        Whether the curve's knots or rates are random too, by a first-order expansion around the class's own. The
        likelihood is then an approximation, and standard errors are robust ones (sandwich) unless asked otherwise.
    smoothing : float, optional
        The constant c of s = sqrt((t - knot)^2 + c), which stands for |t - knot| around random knots, in squared units
        of time. None: the square of a quarter of the median time between a subject's occasions, whatever the unit.
        Slopes have least bias where c is about half the variance of the knot, which a second fit may take from a first
        one. Small values, as the 1e-6 of nlpsem 0.4, make the likelihood jump at the observed times: the best maximum
        is still looked for, but no standard error of a knot is right there, and `status_` says so.
    random_covariance : {"full", "diagonal"} or sequence of sequences of str
        Which random coefficients correlate: all, none, or those of a group, `[("intercept", "slope1"), ("slope2",)]`
        (without a curve by their columns, `[("Intercept", "time")]`).
    proportional : bool
        Whether the classes of a mixture have proportional covariances of the random coefficients, Psi_k = v_k S (`nwg`
        of lcmm): tables show v_k as the variance of the first coefficient, and S, relative to it, as "random_shape".
    covariates : {"fixed", "joint"}
        "fixed": the response given the covariates of `between`. "joint": these are normal in each class, with means and
        covariances of its own, so that they inform membership and the likelihood holds their density (the convention of
        nlpsem and Mplus; not comparable with "fixed").
    residual : str
        "iid"; "occasion" (a variance each common time); "ar1" or "brownian", in continuous time, beside iid noise; or a
        one-sided formula of the log standard deviation.
    shared : str or sequence of str
        What the classes of a mixture have in common: covariates of the formula or of `between`, growth factors,
        "random_covariance", "residual_variance".
    wave : str, optional
        Column that numbers the waves of change scores where subjects have times of their own. Rows without a response
        are kept then: their times bound intervals. Without it waves are the common times.
    time : str, optional
        Column of times of a formula without a curve, for "occasion", "ar1", "brownian", trajectories and plots. By
        default the variable of `random=`, else the only variable of the formula, that is numeric and varies within
        units; a residual structure that needs times asks for `time=` where that is not one column.
    penalty : float or mapping, optional
        Elastic net on the slopes of `between` of standardised covariates, as `Regression.penalty`; by coefficient
        (`{"intercept": 0.1, "slope1": 0.4}`), for the unit of a slope is that of the response over that of time.
    l1_ratio : float
        Share of the lasso.
    cluster, tol, max_iter, verbose : as in `Regression`.

    Notes
    -----
    Rows with a missing response are dropped: full-information maximum likelihood where they are missing at random.
    Variances shown by `tidy()` have delta-method standard errors. References: Liu and Perera (2022), Psychological
    Methods; Laird and Ware (1982), Biometrics 38.
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        unit: str | None = None,
        between: str | Mapping[str, str] | None = None,
        random: str = "all",
        random_knot: bool = False,
        smoothing: float | None = None,
        random_covariance: str | Sequence[Sequence[str]] = "full",
        proportional: bool = False,
        covariates: str = "fixed",
        residual: str = "iid",
        shared: str | Sequence[str] = (),
        wave: str | None = None,
        time: str | None = None,
        penalty: float | Mapping[str, float] = 0.0,
        l1_ratio: float = 0.0,
        cluster: str | None = None,
        tol: float = 1e-9,
        max_iter: int = 200,
        verbose: int = 1,
    ):
        self.formula = formula
        self.unit = unit
        self.between = between
        self.random = random
        self.random_knot = random_knot
        self.smoothing = smoothing
        self.random_covariance = random_covariance
        self.proportional = proportional
        self.covariates = covariates
        self.residual = residual
        self.shared = shared
        self.wave = wave
        self.time = time
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.cluster = cluster
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @property
    def family(self) -> Family:
        """The distribution of a subject's occasions."""
        return Growth()

    @property
    def experts(self) -> list[Any]:
        """Outcomes of one unit: this one, and its covariates if they are modelled jointly."""
        fixed = choice("covariates", self.covariates, COVARIATES) == "fixed"
        return [self] if fixed else [self, covariates_of([self.between])]

    def _representative(self) -> "GrowthCurve":
        return self

    def _plan(self, formula: str | None) -> Plan:
        main = formula or self.formula
        plain, gate = split_gates([str(main)], None)
        if gate is not None:
            raise FormulaError(f"{main!r} names a gate after '|', but one class alone has none; use MixtureOfExperts")
        others = [o._plan_outcome(f"0.{i}", o.formula) for i, o in enumerate(self.experts[1:], start=1)]
        return Plan(((self._plan_outcome("0.0", plain[0]), *others),), (1,), None, 0.0, 0.0)

    def _plan_outcome(self, key: str, formula: str) -> OutcomePlan:
        return plan_growth(key, self, formula)

    def _unit_column(self) -> str | None:
        if self.unit is None:
            raise OptionError("unit= is needed: the column of the subject, as in GrowthCurve(..., unit='child')")
        return column_name("unit", self.unit)

    def _options(self) -> Options:
        return Options(
            tol=number("tol", self.tol),
            max_iter=integer("max_iter", self.max_iter, 1),
            verbose=verbosity(self.verbose),
        )


def plan_growth(key: str, model: GrowthCurve, source: str) -> OutcomePlan:
    """Formulas and family of a growth curve. Occasion-level columns are bound to the family once the data are read."""
    if not isinstance(source, str):
        raise FormulaError(f"formula must be a text such as 'math ~ bilinear(grade)', got {type(source).__name__}")
    choice("covariates", model.covariates, COVARIATES)
    written = split_curve(source, known_curves())
    curve = _curve(model, written)
    occasions = _occasion_formulas(model, written, curve)
    random = _random_factors(model, curve)
    expands = curve is not None and any(name in curve.nonlinear for name in random)
    right, parts = _between(model, curve, expands)
    family = Growth(
        curve=curve,
        random=random,
        blocks=_blocks(model, random, curve),
        proportional=_is_proportional(model),
        residual=model.residual if model.residual in RESIDUALS else "iid",
        effects=expands and right != "1",
        softness=_softness(model, curve),
    )
    response = written.response if model.wave is None else f"waves({written.response})"
    main, shared = f"{response} ~ {right}", shared_names(model.shared)
    share = number("l1_ratio", model.l1_ratio, high=1.0)
    penalty, factors = _penalty(model, curve)
    return OutcomePlan(key, main, parts, family, shared, {}, penalty, share, source, occasions, factors=factors)


def _penalty(model: GrowthCurve, curve: Curve | None) -> tuple[float, dict[str, float]]:
    """(penalty, factors of it by coefficient) of slopes of the curve's coefficients."""
    given, names = model.penalty, () if curve is None else curve.coefficients
    if not isinstance(given, Mapping):
        rate = number("penalty", given)
        if rate and curve is None:
            raise OptionError("penalty= is of covariates of between=, which needs a curve, as in 'y ~ linear(t)'")
        return rate, {}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise OptionError(
            f"penalty= names {unknown[0]!r}; expected some of: {', '.join(names) or 'none, without a curve'}"
        )
    return 1.0, dict.fromkeys(names, 0.0) | {n: number(f"penalty[{n!r}]", rate) for n, rate in given.items()}


def _curve(model: GrowthCurve, written: GrowthFormula) -> Curve | None:
    if written.curve is None:
        return None
    options = dict(written.options)
    degree = options.pop("degree", 2)
    if options or ("degree" in written.options and written.curve != "polynomial"):
        raise FormulaError(
            f"{written.curve}() takes no {', '.join(written.options)}; polynomial(t, degree=3) has a degree"
        )
    if not isinstance(degree, int) or not 1 <= degree <= 8:
        raise FormulaError(f"the degree of a polynomial is a whole number from 1 to 8, got {degree!r}")
    return make_curve(written.curve, random=boolean("random_knot", model.random_knot), degree=degree)


def _occasion_formulas(model: GrowthCurve, written: GrowthFormula, curve: Curve | None) -> dict[str, str]:
    formulas = {}
    time = written.time or model.time
    if time is not None:
        formulas[TIME] = time_formula(time)
    if model.wave is not None:
        if curve is None or curve.name not in CHANGES:
            raise OptionError("wave= numbers the waves of change scores, as in change_scores(time); leave it out")
        if model.residual == "occasion":
            raise OptionError(
                f"residual='occasion' needs common times, but wave={model.wave!r} says that subjects have their own; "
                f"use residual='~ C({model.wave})'"
            )
        formulas[WAVE] = time_formula(str(column_name("wave", model.wave)))
    if written.rest != "0":
        formulas[VARYING] = f"~ {written.rest}"
    if curve is None and model.random not in NO_RANDOM:
        formulas[RANDOM] = "~ " + ("1" if model.random == "all" else " + ".join(random_terms(model.random)))
    if model.residual not in RESIDUALS:
        written_out = isinstance(model.residual, str) and model.residual.strip().startswith("~")
        if not written_out or model.residual.replace(" ", "") == "~0":
            raise OptionError(
                f"residual must be one of {', '.join(RESIDUALS)} or a formula '~ x', got {model.residual!r}"
            )
        formulas[SCALE] = model.residual
    return formulas


def _random_factors(model: GrowthCurve, curve: Curve | None) -> tuple[str, ...]:
    """Names of the curve's random coefficients."""
    if curve is None:
        return ()
    if model.random == "all":
        names = curve.factors
    elif model.random in NO_RANDOM:
        names = ()
    else:
        wanted = ["intercept" if name == "1" else name for name in random_terms(model.random)]
        unknown = [name for name in wanted if name not in curve.factors]
        if unknown:
            raise OptionError(
                f"random= names {unknown[0]!r}; the growth factors of {curve.name} are {list(curve.factors)}"
            )
        names = tuple(name for name in curve.factors if name in wanted)
    if model.random_knot and curve.family:
        raise OptionError(f"random_knot=True has no meaning for the {curve.family} of {curve.name}; leave it out")
    return (*names, *curve.nonlinear) if model.random_knot else names


def _blocks(model: GrowthCurve, random: tuple[str, ...], curve: Curve | None) -> tuple[tuple[str, ...], ...] | None:
    """Groups of random coefficients that correlate; None: all do. Without a curve their names are checked later."""
    wanted = model.random_covariance
    if isinstance(wanted, str):
        return None if choice("random_covariance", wanted, ("full", "diagonal")) == "full" else ()
    groups = tuple((group,) if isinstance(group, str) else tuple(group) for group in wanted)
    if curve is not None:
        require_blocks(groups, random)
    return groups


def _softness(model: GrowthCurve, curve: Curve | None) -> tuple[float, ...]:
    """The smoothing constant of random knots, if it is given."""
    if model.smoothing is None:
        return ()
    if curve is None or not curve.smoothed:
        raise OptionError(
            "smoothing= is for random knots: give a bilinear or trilinear curve and random_knot=True, or leave it out"
        )
    return (number("smoothing", model.smoothing, low=1e-12),)


def _is_proportional(model: GrowthCurve) -> bool:
    found = boolean("proportional", model.proportional)
    if found and model.random in NO_RANDOM and not model.random_knot:
        raise OptionError("proportional=True needs random coefficients, but random='none'; leave one of them out")
    return found


def _between(model: GrowthCurve, curve: Curve | None, expands: bool) -> tuple[str, dict[str, str]]:
    """(right side of what acts on the growth factors, formulas of the predictors that have their own).

    One formula acts on all growth factors, and on knots and rates that are random (around the class's own values, which
    covariates then leave alone); a mapping names coefficients.
    """
    parts = dict.fromkeys(CONSTANT, "~ 1")
    if model.between is None:
        return "1", parts
    if curve is None:
        raise OptionError(
            "between= acts on the factors of a curve; without a curve write the covariates in the formula"
        )
    if isinstance(model.between, Mapping):
        if expands:
            raise OptionError("between= is one formula where a knot or rate is random, not a mapping")
        unknown = [name for name in model.between if name not in curve.named]
        if unknown:
            raise OptionError(f"between= names {unknown[0]!r}; {curve.name} has {', '.join(curve.named)}")
        own = {name: f"~ {_right(model.between.get(name, '~ 1'))}" for name in curve.named}
        return "1", parts | own
    if expands:
        return f"0 + {_right(model.between)}", parts | dict.fromkeys(curve.named, "~ 1")
    return _right(model.between), parts | dict.fromkeys(curve.named[len(curve.factors) :], "~ 1")


def covariates_of(formulas: Sequence[Any]) -> Regression:
    """The covariates of formulas as given for `between`, together a further outcome of the subject."""
    names = list(dict.fromkeys(name for written in formulas for name in _covariate_names(written)))
    if len(names) == 1:
        return Regression(f"`{names[0]}` ~ 1")
    return Regression(f"cbind({', '.join(f'`{name}`' for name in names)}) ~ 1", family="multivariate_gaussian")


def _covariate_names(written: Any) -> list[str]:
    """Columns of one formula."""
    if written is None or isinstance(written, Mapping):
        got = "it is not given" if written is None else f"got formulas by coefficient, {dict(written)!r}"
        raise OptionError(
            "covariates='joint' models the covariates of between='~ a + b', one formula for all growth factors, but "
            f"{got}; give one, or use covariates='fixed'"
        )
    tokens = sides(f"~ {_right(written)}").right
    names = [token.text for token in tokens if token.kind == "name"]
    if not names or any(token.kind == "call" or token.text not in ("+", *names) for token in tokens):
        raise OptionError(
            f"covariates='joint' needs numeric columns joined by '+' in between=, got {written!r}; compute "
            "columns beforehand, or use covariates='fixed'"
        )
    if len(set(names)) < len(names):
        raise OptionError(f"covariates='joint' has a column twice in between={written!r}; leave one out")
    return names


def _right(formula: Any) -> str:
    if not isinstance(formula, str) or "~" not in formula or sides(formula).left is not None:
        raise FormulaError(f"between must be a one-sided formula such as '~ approach', got {formula!r}")
    return formula.split("~", 1)[1].strip()
