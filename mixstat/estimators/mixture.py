"""MixtureOfExperts: experts under a covariate gate, log p(y) = log sum_k pi_k(v) f_k(y | x)."""

from collections.abc import Sequence
from typing import Any

from sklearn.base import clone

from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.extras import Extra
from mixstat.estimators.growth import GrowthCurve
from mixstat.estimators.joint import Joint
from mixstat.estimators.model.checks import choice, column_name, integer, number, verbosity
from mixstat.estimators.model.plan import OutcomePlan, Plan, split_gates
from mixstat.estimators.ordinal import OrdinalRegression
from mixstat.estimators.regression import Regression
from mixstat.estimators.survival import SurvivalRegression
from mixstat.exceptions import FormulaError, OptionError
from mixstat.fit.options import Options

EQUAL = "equal"
EXPERTS = (Regression, GrowthCurve, SurvivalRegression, OrdinalRegression, Joint)
KNOWN = ", ".join(kind.__name__ for kind in EXPERTS)
ALGORITHMS = ("newton", "em", "squarem")


class MixtureOfExperts(MixtureEstimator):
    """Covariate-gated mixture of experts, fitted by EM and Newton from many starts.

    Parameters
    ----------
    expert : Regression, GrowthCurve, SurvivalRegression, OrdinalRegression, Joint, or list of these
        One form copied `n_experts` times; or a list of different experts of one response (`n_experts` then follows).
    gate : str, optional
        One-sided formula of class membership; None or `"~ 1"` is intercept only, `"equal"` fixed equal shares.
    n_experts : int
        Number of experts.
    extra : sequence of Noise, PointMass or Never
        Classes without parameters beside the experts.
    unit, cluster : str, optional
        Column of the unit (all rows of a unit share one class); column of clusters of units.
    prior_classes : str, list of str or array, optional
        What is known of the classes: labels 1..K (missing: unknown), or K probabilities a unit, as columns or arrays.
        The likelihood of a unit is then sum_k a_ik pi_k f_k. Experts keep the labels' numbers. What uses the response
        of a table (`responsibilities`, `classify`, `score`, densities, `augment`) reads these columns where the table
        has them; gate, means and draws do not. Arrays are known of the data of the fit alone.
    n_init : int
        Starts: k-means, random hard assignments and random subsets in turn; of growth curves also draws around the
        one-class fit.
    random_state : int, Generator, SeedSequence or None
    tol, max_iter : float, int
        Bound on the Newton decrement (or on the gain of the mean log-likelihood if `algorithm` is "em" or
        "squarem"); steps of the last stage.
    scale_penalty : float
        Every expert sees the whole sample with a total weight of `scale_penalty / W` units, where W is the total
        weight, at least the number of units: order 1/n, against the unbounded likelihood of shrinking scales. 0 turns
        it off; it is off for one expert and for families whose likelihood is bounded.
    gate_penalty, l1_ratio : float
        Elastic net on the gate's slopes, as `Regression.penalty` on the experts'.
    start : fitted MixtureOfExperts or array of int, optional
        Warm start from a fitted model of the same form, or from a partition (labels 1..K a unit).
    algorithm : {"newton", "em", "squarem"}
    verbose : int
        0 is silent; 1 shows a progress bar where a fit takes more than a second.

    Notes
    -----
    Experts are ordered by their average location predictor over the sample, ascending; the gate's reference is
    expert 1. References: Jacobs, Jordan, Nowlan and Hinton (1991), Neural Computation 3; Gruen and Leisch (2008),
    J. Statist. Software 28(4).
    """

    def __init__(
        self,
        expert: Any = None,
        gate: str | None = None,
        n_experts: int = 2,
        *,
        extra: Sequence[Extra] = (),
        unit: str | None = None,
        cluster: str | None = None,
        prior_classes: Any = None,
        n_init: int = 20,
        random_state: Any = None,
        tol: float = 1e-9,
        max_iter: int = 500,
        scale_penalty: float = 0.01,
        gate_penalty: float = 0.0,
        l1_ratio: float = 0.0,
        start: Any = None,
        algorithm: str = "newton",
        verbose: int = 1,
    ):
        self.expert = expert
        self.gate = gate
        self.n_experts = n_experts
        self.extra = extra
        self.unit = unit
        self.cluster = cluster
        self.prior_classes = prior_classes
        self.n_init = n_init
        self.random_state = random_state
        self.tol = tol
        self.max_iter = max_iter
        self.scale_penalty = scale_penalty
        self.gate_penalty = gate_penalty
        self.l1_ratio = l1_ratio
        self.start = start
        self.algorithm = algorithm
        self.verbose = verbose

    def _templates(self) -> tuple[list[list[Regression]], tuple[int, ...]]:
        """(outcomes of each expert template, copies of each)."""
        expert = Regression() if self.expert is None else self.expert
        if isinstance(expert, EXPERTS):
            return [expert.experts], (integer("n_experts", self.n_experts, 1),)
        if isinstance(expert, list | tuple) and expert and all(isinstance(e, EXPERTS) for e in expert):
            return [e.experts for e in expert], (1,) * len(expert)
        raise FormulaError(
            f"expert must be {KNOWN} or a list of them, e.g. ms.Regression('y ~ x'); got {type(expert).__name__}"
        )

    def _resized(self, n_experts: int) -> "MixtureOfExperts":
        """The same model, not fitted, with another number of experts."""
        if isinstance(self.expert, list | tuple):
            raise OptionError(
                "the number of experts follows from the list expert=; give one Regression or Joint to vary it"
            )
        return clone(self).set_params(n_experts=n_experts, start=None)

    def _representative(self) -> Regression:
        return self._templates()[0][0][0]

    def _plan(self, formula: str | None) -> Plan:
        templates, copies = self._templates()
        mains = [formula or outcome.formula for template in templates for outcome in template]
        if any(main is None for main in mains):
            raise FormulaError("every expert needs a formula, or none of them (arrays in fit(X, y))")
        if self.gate is not None and not isinstance(self.gate, str):
            raise FormulaError(f"gate must be a formula such as '~ x', 'equal' or None, got {type(self.gate).__name__}")
        plain, gate = split_gates([str(main) for main in mains], self.gate)
        formulas = iter(plain)
        planned = tuple(
            tuple(outcome._plan_outcome(f"{t}.{o}", next(formulas)) for o, outcome in enumerate(template))
            for t, template in enumerate(templates)
        )
        _require_one_form(planned)
        shares = None if gate == EQUAL else (gate or "~ 1")
        ratio = number("l1_ratio", self.l1_ratio, high=1.0)
        return Plan(planned, copies, shares, number("gate_penalty", self.gate_penalty), ratio)

    def _unit_column(self) -> str | None:
        own = column_name("unit", self.unit)
        inner = {o.unit for template in self._templates()[0] for o in template if o.unit is not None}
        if len(inner | ({own} if own else set())) > 1:
            raise OptionError(f"unit= differs between the mixture ({own!r}) and its experts ({sorted(inner)})")
        return own or next(iter(inner), None)

    def _extras(self) -> tuple[Extra, ...]:
        if not isinstance(self.extra, list | tuple) or not all(isinstance(e, Extra) for e in self.extra):
            raise OptionError(
                f"extra must be a list of ms.Noise(), ms.PointMass(value) or ms.Never(), got {self.extra!r}"
            )
        return tuple(self.extra)

    def _options(self) -> Options:
        return Options(
            n_init=integer("n_init", self.n_init, 1),
            tol=number("tol", self.tol),
            max_iter=integer("max_iter", self.max_iter, 1),
            algorithm=choice("algorithm", self.algorithm, ALGORITHMS),
            verbose=verbosity(self.verbose),
        )

    def _scale_penalty(self) -> float:
        return number("scale_penalty", self.scale_penalty)


def _require_one_form(templates: Sequence[Sequence[OutcomePlan]]) -> None:
    """An error for covariances in proportion between experts that are not copies of one form."""
    if len(templates) > 1 and any(getattr(o.family, "proportional", False) for t in templates for o in t):
        raise OptionError(
            f"proportional=True makes covariances proportional between copies of one form, but expert= is a list of "
            f"{len(templates)}, which share nothing; give one GrowthCurve and n_experts={len(templates)}, or leave "
            "proportional= out"
        )


def require_mixture(model: Any) -> None:
    """An error for what has no number of experts to vary."""
    if not isinstance(model, MixtureOfExperts):
        raise OptionError(f"a MixtureOfExperts is needed, got {type(model).__name__}; wrap the regression in one")
