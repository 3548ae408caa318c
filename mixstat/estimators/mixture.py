"""MixtureOfExperts: experts under a covariate gate, log p(y) = log sum_k pi_k(v) f_k(y | x)."""

from collections.abc import Sequence
from typing import Any

from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.extras import Extra
from mixstat.estimators.joint import Joint
from mixstat.estimators.plan import Plan, plan_outcome, split_gates
from mixstat.estimators.regression import Regression
from mixstat.exceptions import DataError, FormulaError
from mixstat.fit.options import Options

EQUAL = "equal"


class MixtureOfExperts(MixtureEstimator):
    """Covariate-gated mixture of experts, fitted by EM and Newton from many starts.

    Parameters
    ----------
    expert : Regression, Joint, or list of Regression
        One form copied `n_experts` times; or a list of different experts of one response (`n_experts` then follows).
    gate : str, optional
        One-sided formula of class membership; None or `"~ 1"` is intercept only, `"equal"` fixed equal shares.
    n_experts : int
        Number of experts.
    extra : sequence of Noise or PointMass
        Classes without parameters beside the experts.
    unit, cluster : str, optional
        Column of the unit (all rows of a unit share one class); column of clusters of units.
    prior_classes : str, list of str or array, optional
        What is known of the classes: labels 1..K (missing: unknown), or K probabilities a unit, as columns or arrays.
        The likelihood of a unit is then sum_k a_ik pi_k f_k. Experts keep the labels' numbers.
    n_init : int
        Starts: k-means, random hard assignments and random subsets in turn.
    random_state : int, Generator, SeedSequence or None
    tol, max_iter : float, int
        Bound on the Newton decrement (or on the gain of the mean log-likelihood if `algorithm` is "em" or
        "squarem"); steps of the last stage.
    scale_penalty : float
        Every expert sees the whole sample with a total weight of `scale_penalty / W` units, where W is the total
        weight: order 1/n, against the unbounded likelihood of shrinking scales. 0 turns it off; it is off for one
        expert and for families whose likelihood is bounded.
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
        if isinstance(expert, Regression | Joint):
            if not isinstance(self.n_experts, int) or self.n_experts < 1:
                raise DataError(f"n_experts must be a positive integer, got {self.n_experts!r}")
            return [expert.experts], (self.n_experts,)
        if isinstance(expert, list | tuple) and expert and all(isinstance(e, Regression | Joint) for e in expert):
            return [e.experts for e in expert], (1,) * len(expert)
        raise FormulaError(
            f"expert must be a Regression, a Joint or a list of them, got {type(expert).__name__}; "
            "for example MixtureOfExperts(ms.Regression('y ~ x'), n_experts=2)"
        )

    def _representative(self) -> Regression:
        return self._templates()[0][0][0]

    def _plan(self, formula: str | None) -> Plan:
        templates, copies = self._templates()
        mains = [formula or outcome.formula for template in templates for outcome in template]
        if any(main is None for main in mains):
            raise FormulaError("every expert needs a formula, or none of them (arrays in fit(X, y))")
        plain, gate = split_gates([str(main) for main in mains], self.gate)
        if gate is not None and not isinstance(gate, str):
            raise FormulaError(f"gate must be a formula such as '~ x', 'equal' or None, got {type(gate).__name__}")
        formulas = iter(plain)
        planned = tuple(
            tuple(plan_outcome(f"{t}.{o}", outcome, next(formulas)) for o, outcome in enumerate(template))
            for t, template in enumerate(templates)
        )
        shares = None if gate == EQUAL else (gate or "~ 1")
        return Plan(planned, copies, shares, float(self.gate_penalty), float(self.l1_ratio))

    def _unit_column(self) -> str | None:
        inner = {o.unit for template in self._templates()[0] for o in template if o.unit is not None}
        if len(inner | ({self.unit} if self.unit else set())) > 1:
            raise DataError(f"unit= differs between the mixture ({self.unit!r}) and its experts ({sorted(inner)})")
        return self.unit or next(iter(inner), None)

    def _options(self) -> Options:
        if self.algorithm not in ("newton", "em", "squarem"):
            raise DataError(f"algorithm must be 'newton', 'em' or 'squarem', got {self.algorithm!r}")
        if not isinstance(self.n_init, int) or self.n_init < 1:
            raise DataError(f"n_init must be a positive integer, got {self.n_init!r}")
        return Options(
            n_init=self.n_init,
            tol=self.tol,
            max_iter=self.max_iter,
            algorithm=self.algorithm,
            verbose=self.verbose,
        )

    def _scale_penalty(self) -> float:
        return float(self.scale_penalty)
