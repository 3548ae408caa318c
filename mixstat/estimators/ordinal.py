"""OrdinalRegression: ordered categories, with slopes that are parallel, of each cut, or shrunken differences."""

from collections.abc import Mapping, Sequence

from mixstat.core.family import Family
from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.methods.ordinal_fit import OrdinalFit
from mixstat.estimators.methods.ordinal_methods import OrdinalMethods
from mixstat.estimators.model.checks import boolean, choice, number
from mixstat.estimators.model.plan import OutcomePlan, Plan, fixed_values, shared_names, split_gates
from mixstat.exceptions import FormulaError, OptionError
from mixstat.families.ordinal import LINKS, Ordinal
from mixstat.families.ordinal.form import DIFFERENCE, KINDS, OWN
from mixstat.fit.crossing import WAYS

SLOPES = ("parallel", "separate", "shrunken", "common_and_separate")
CROSSING = ("report", "rearrange", *WAYS)


class OrdinalRegression(OrdinalFit, OrdinalMethods, MixtureEstimator):
    """Regression of ordered categories by maximum likelihood; as an argument of `MixtureOfExperts`, an expert's form.

    P(y <= k | x) = F(cut_k - x'b_k), k = 1, ..., K - 1: a positive slope makes high categories likelier, as in MASS
    and ordinal. (VGAM and ordinalNet print the slopes of P(y <= k), which have the other sign.)

    Parameters
    ----------
    formula : str, optional
        `"rating ~ temp + contact"`. The response is an ordered categorical column, `ordered(y)`, numbers in their
        order, or two levels; every declared category has to be there. Without a formula `fit(X, y)` takes arrays, and
        `classes_` are the sorted values of y.
    link : {"logit", "probit", "cloglog", "loglog", "cauchit"}
        F; adjacent categories have the logit alone.
    kind : {"cumulative", "stopping", "adjacent"}
        What F is the probability of: y <= k; stopping at k, P(y = k | y >= k); k against k + 1.
    slopes : {"parallel", "separate", "shrunken", "common_and_separate"}
        b_k = b; a b_k for each cut; b_k = d_1 + ... + d_k, with the differences penalised (PRESTO); a common vector
        and each cut's departure from it, both penalised.
    separate : str, optional
        Terms with slopes of each cut beside parallel ones, `"x1 + x2"` (partial proportional odds).
    scale : str, optional
        One-sided formula of the log scale: P(y <= k) = F((cut_k - x'b_k) / exp(z's)); it has no intercept.
    shared, fixed, unit, cluster, penalty, l1_ratio, tol, max_iter, verbose : as in `Regression`; `shared="cuts"` are
        cuts that all experts of a mixture have in common.
    penalize_first : bool
        Whether the first of shrunken slopes is penalised too; without, a large penalty gives proportional odds.
    penalty_factors : mapping, optional
        Factors of the penalty by term or column, 0 for one that is not penalised: `{"age": 0}`.
    crossing : {"report", "rearrange", "constrain", "barrier"}
        Where slopes differ, cumulative probabilities of some rows may cross, and a category has a negative
        probability. "report": the fit is the maximum all the same, a warning counts such rows, and `predict_proba`
        raises for them; "rearrange": it sorts their cumulative probabilities instead. "constrain" and "barrier" are
        the maximum among fits that do not cross, for any covariates in the ranges of the training columns, or for
        the training rows (the limit of a barrier); they have no standard errors where they are not that of all.

    Notes
    -----
    Attributes beside those of `Regression`: `objective_` (mean loss and penalty), `kkt_residual_`, `duality_gap_` (of
    lassos in logits of parallel or shrunken slopes, else NaN), `psi_standardized_` (cut, term) and
    `intercept_standardized_` (cut,) of P(y <= k) = F(a_k + z'(psi_1 + ... + psi_k)) with terms of mean 0 and variance
    1, the sign of ordinalNet, `terms_standardized_`, and `n_crossed_`, where slopes differ.
    Reference: McCullagh (1980), JRSS-B 42; Peterson and Harrell (1990), Applied Statistics 39 (partial); Faletto and
    Bien (2023), ICML (shrunken).
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        link: str = "logit",
        kind: str = "cumulative",
        slopes: str = "parallel",
        separate: str | None = None,
        scale: str | None = None,
        shared: str | Sequence[str] = (),
        fixed: Mapping[str, float] | None = None,
        unit: str | None = None,
        cluster: str | None = None,
        penalty: float = 0.0,
        l1_ratio: float = 1.0,
        penalize_first: bool = True,
        penalty_factors: Mapping[str, float] | None = None,
        crossing: str = "report",
        tol: float = 1e-9,
        max_iter: int = 200,
        verbose: int = 1,
    ):
        self.formula = formula
        self.link = link
        self.kind = kind
        self.slopes = slopes
        self.separate = separate
        self.scale = scale
        self.shared = shared
        self.fixed = fixed
        self.unit = unit
        self.cluster = cluster
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.penalize_first = penalize_first
        self.penalty_factors = penalty_factors
        self.crossing = crossing
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @property
    def family(self) -> Family:
        """The law of the category, without its levels."""
        kind, link, slopes = choice("kind", self.kind, KINDS), choice("link", self.link, tuple(LINKS)), self.slopes
        choice("slopes", slopes, SLOPES)
        if kind == "adjacent" and link != "logit":
            raise OptionError(f"adjacent categories have link='logit' alone, got {link!r}")
        if self.separate is not None and slopes != "parallel":
            raise OptionError(f"separate= are exceptions from slopes='parallel', but slopes={slopes!r}")
        if slopes in ("shrunken", "common_and_separate") and not number("penalty", self.penalty):
            raise OptionError(f"slopes={slopes!r} are identified by penalty= above 0; without, use slopes='separate'")
        partial = self.separate is not None
        return Ordinal(
            kind=kind,
            link=link,
            common=slopes in ("parallel", "common_and_separate"),
            own={"parallel": OWN if partial else "", "shrunken": DIFFERENCE}.get(slopes, OWN),
            main_is_own=not partial and slopes != "parallel",
            scaled=self.scale is not None,
            rearranged=choice("crossing", self.crossing, CROSSING) == "rearrange",
        )

    @property
    def experts(self) -> list["OrdinalRegression"]:
        """Outcomes of one unit: this one alone."""
        return [self]

    def _representative(self) -> "OrdinalRegression":
        return self

    def _plan(self, formula: str | None) -> Plan:
        main = formula or self.formula
        if main is None:
            raise FormulaError("a formula is needed: OrdinalRegression('y ~ x'), or arrays in fit(X, y)")
        plain, gate = split_gates([main], None)
        if gate is not None:
            raise FormulaError(f"{main!r} names a gate after '|', but one expert alone has none; use MixtureOfExperts")
        return Plan(((self._plan_outcome("0.0", plain[0]),),), (1,), None, 0.0, 0.0)

    def _plan_outcome(self, key: str, formula: str) -> OutcomePlan:
        return plan_ordinal(key, self, formula)


def plan_ordinal(key: str, model: OrdinalRegression, formula: str) -> OutcomePlan:
    """Formulas of the locations, the cuts and the scale; terms of each cut are taken out of the parallel ones."""
    if not isinstance(formula, str):
        raise FormulaError(f"formula must be a string such as 'y ~ x' or None, got {type(formula).__name__}")
    parts = {"cuts": "~ 1"}
    main = formula
    if model.separate is not None:
        terms = _right_side("separate", model.separate)
        parts["separate"] = f"~ {terms}"
        main = f"{formula} - ({terms})"
    if model.scale is not None:
        parts["scale"] = f"~ {_right_side('scale', model.scale)}"
    return OutcomePlan(
        key,
        main,
        parts,
        model.family,
        shared_names(model.shared),
        fixed_values(model.fixed),
        number("penalty", model.penalty),
        number("l1_ratio", model.l1_ratio, high=1.0),
        title=formula,
        factors=_factors(model),
        separable=number("penalty", model.penalty) > 0,
        crossing=model.crossing,
    )


def _factors(model: OrdinalRegression) -> dict[str, float]:
    """Factors of the penalty by name."""
    given = fixed_values(model.penalty_factors)
    negative = [name for name, value in given.items() if not value >= 0]
    if negative:
        raise OptionError(f"penalty_factors must not be negative, got {given[negative[0]]:g} for {negative[0]!r}")
    first = {} if boolean("penalize_first", model.penalize_first) else {f"{DIFFERENCE}1": 0.0}
    return {**given, **first}


def _right_side(name: str, formula: str) -> str:
    """The terms of "~ a + b" or "a + b"."""
    if not isinstance(formula, str) or not formula.strip(" ~"):
        raise FormulaError(f"{name}= must be terms such as 'x1 + x2', got {formula!r}")
    return formula.strip().removeprefix("~").strip()
