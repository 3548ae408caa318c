"""Joint: several outcomes of one unit as one expert, f_k(y_1, ..., y_J); growth curves of a subject may correlate."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.growth import GrowthCurve
from mixstat.estimators.model.checks import column_name, integer, number, verbosity
from mixstat.estimators.model.plan import Plan, split_gates
from mixstat.estimators.parallel import Options as Together
from mixstat.estimators.parallel import ParallelCurves
from mixstat.estimators.regression import Regression
from mixstat.exceptions import FormulaError, OptionError
from mixstat.fit.options import Options

OUTCOMES = (Regression, GrowthCurve)


class Joint(MixtureEstimator):
    """Several outcomes of one unit wherever one expert stands; alone, a model of one class.

    Outcomes of `Regression` are independent given the expert: a latent class model is
    `MixtureOfExperts(Joint([Regression("item1 ~ 1", family="binomial"), ...]))`. Growth curves are parallel growth:
    their random coefficients, and their residuals at one occasion, are correlated,
    `Joint([GrowthCurve("read ~ bilinear(grade)", unit="child"), GrowthCurve("math ~ bilinear(grade)", unit="child")])`.
    Rows with some responses missing are kept: what is observed informs the likelihood (full information).

    Parameters
    ----------
    outcomes : sequence of Regression, or of GrowthCurve
        Each with a formula of its own response; tables call a parameter of a curve by its outcome, "slope1[read]".
    random_covariance : {"full", "by_outcome"} or sequence of sequences of str
        Which random coefficients of growth curves correlate: all; those of one outcome, as its own
        `random_covariance` says; or those of a group, `[("intercept[read]", "intercept[math]"), ...]`.
    residual_covariance : bool
        Whether residuals of growth curves at one occasion (row of the table) are correlated over the outcomes, which
        are then iid in each. With False, and covariances by outcome, outcomes are independent given the class.
    proportional : bool
        Whether the classes of a mixture have proportional covariances of all random coefficients.
    shared : str or sequence of str
        What the classes of a mixture have in common: "random_covariance", "residual_covariance", parameters and
        covariates of all growth curves ("slope1") or of one ("slope1[read]"); `shared` of an outcome is its own.
    states : mapping, optional
        Decomposes a time-varying covariate: `{"v": "rate"}` lets a latent state of the outcome v, whose curve is
        `change_scores`, act on all others at each occasion. The state is that in the interval that ends there: its
        "rate" of change, its "change", or the change "since_first"; the effect is "rate_effect[y]", .... Random
        coefficients of the others correlate with v's intercept (the trait), but not with its slope beyond that.
    cluster, tol, max_iter, verbose : as in `Regression`.
    """

    def __init__(
        self,
        outcomes: Sequence[Any],
        *,
        random_covariance: str | Sequence[Sequence[str]] = "full",
        residual_covariance: bool = True,
        proportional: bool = False,
        shared: str | Sequence[str] = (),
        states: Mapping[str, str] | None = None,
        cluster: str | None = None,
        tol: float = 1e-9,
        max_iter: int = 200,
        verbose: int = 1,
    ):
        self.outcomes = outcomes
        self.random_covariance = random_covariance
        self.residual_covariance = residual_covariance
        self.proportional = proportional
        self.shared = shared
        self.states = states
        self.cluster = cluster
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @property
    def experts(self) -> list[Any]:
        """The outcomes, checked; growth curves are one of them, with covariates that are modelled jointly."""
        outcomes = list(self.outcomes) if isinstance(self.outcomes, list | tuple) else []
        if not outcomes or not all(isinstance(outcome, OUTCOMES) for outcome in outcomes):
            raise FormulaError(
                "Joint takes a non-empty list of Regression or of GrowthCurve, one an outcome of the unit"
            )
        missing = [index for index, outcome in enumerate(outcomes) if outcome.formula is None]
        if missing:
            raise FormulaError(f"outcome {missing[0] + 1} of Joint has no formula; every outcome names its response")
        curves = [outcome for outcome in outcomes if isinstance(outcome, GrowthCurve)]
        if curves and len(curves) < len(outcomes):
            raise OptionError(
                "Joint takes growth curves or regressions, not both; relate a distal outcome to the classes by "
                "distal() after the fit"
            )
        if self.states is not None and len(curves) < 2:
            raise OptionError("states= lets a growth curve act on others: give Joint two or more of GrowthCurve")
        if not curves:
            return outcomes
        return curves[0].experts if len(curves) == 1 else self._parallel(curves)

    def _parallel(self, curves: Sequence[GrowthCurve]) -> list[Any]:
        together = Together(
            self.random_covariance, self.residual_covariance, self.proportional, self.shared, self.states
        )
        parallel = ParallelCurves(tuple(curves), together)
        return [parallel, *parallel.covariates]

    def _representative(self) -> Any:
        return self.experts[0]

    def _plan(self, formula: str | None) -> Plan:
        experts = self.experts
        plain, gate = split_gates([str(expert.formula) for expert in experts], None)
        if gate is not None:
            raise FormulaError(f"the formula names a gate after '|' ({gate!r}), but one class has none")
        planned = tuple(e._plan_outcome(f"0.{o}", main) for o, (e, main) in enumerate(zip(experts, plain, strict=True)))
        return Plan((planned,), (1,), None, 0.0, 0.0)

    def _unit_column(self) -> str | None:
        units = {expert.unit for expert in self.experts if expert.unit is not None}
        if len(units) > 1:
            raise OptionError(f"unit= differs between the outcomes of Joint: {', '.join(sorted(map(repr, units)))}")
        if not units and isinstance(self.experts[0], GrowthCurve | ParallelCurves):
            raise OptionError("unit= is needed: the column of the subject, as in GrowthCurve(..., unit='child')")
        return column_name("unit", next(iter(units), None))

    def _options(self) -> Options:
        return Options(
            tol=number("tol", self.tol),
            max_iter=integer("max_iter", self.max_iter, 1),
            verbose=verbosity(self.verbose),
        )
