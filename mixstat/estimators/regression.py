"""Regression: one expert alone, y | x ~ family(eta_1(x), ..., eta_P(x)), every parameter with its own formula."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixstat.core.family import Family
from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.model.checks import column_name, integer, number, verbosity
from mixstat.estimators.model.plan import OutcomePlan, Plan, plan_outcome, split_gates
from mixstat.exceptions import FormulaError
from mixstat.fit.options import Options


class Regression(MixtureEstimator):
    """Distributional regression by maximum likelihood; as an argument of `MixtureOfExperts`, the form of an expert.

    Parameters
    ----------
    formula : str, optional
        Two-sided formula of the location, e.g. `"visits ~ age + offset(log(years))"`. Left sides: a column, a
        function of one, `cbind(y1, y2)`, `cbind(successes, failures)`, `successes / trials`. Without a formula
        `fit(X, y)` takes arrays and the location has an intercept and all columns.
    family : str or Family
        Name of a distribution: see `mixstat.families.FAMILIES`.
    shared : str or sequence of str
        Location terms (`"g"`), columns of them (`"g[T.b]"`) or parameters common to all experts of a mixture, `"a + b"`
        or a list; no effect alone.
    fixed : mapping, optional
        Coefficients held fixed: of a location term (`{"x": 0.5}`), or a parameter's natural value (`{"sigma": 1.0}`),
        which then has no formula.
    unit, cluster : str, optional
        Column of the unit that rows belong to; column of clusters of units for `covariance("cluster")`.
    penalty, l1_ratio : float
        Elastic net on location slopes of standardised covariates: the mean log-likelihood is penalised by
        `penalty * (l1_ratio * |b|_1 + (1 - l1_ratio) / 2 * |b|_2^2)`.
    tol, max_iter : float, int
        Bound on the Newton decrement g' I^-1 g; number of Newton steps.
    verbose : int
        0 is silent.
    **parameter_formulas : str
        One-sided formulas of other parameters, e.g. `sigma="~ x"`.

    Notes
    -----
    Attributes learnt in fit: `log_likelihood_`, `n_parameters_`, `converged_`, `status_`, `starts_`, `n_units_`,
    `n_rows_`, `feature_names_in_`. Reference: Stasinopoulos and Rigby (2007), J. Statist. Software 23(7).
    """

    def __init__(
        self,
        formula: str | None = None,
        family: str | Family = "gaussian",
        shared: str | Sequence[str] = (),
        *,
        fixed: Mapping[str, float] | None = None,
        unit: str | None = None,
        cluster: str | None = None,
        penalty: float = 0.0,
        l1_ratio: float = 0.0,
        tol: float = 1e-9,
        max_iter: int = 200,
        verbose: int = 1,
        **parameter_formulas: Any,
    ):
        self.formula = formula
        self.family = family
        self.shared = shared
        self.fixed = fixed
        self.unit = unit
        self.cluster = cluster
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose
        self._parameter_formulas = parameter_formulas

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments, parameter formulas included."""
        return {**super().get_params(deep=deep), **self._parameter_formulas}

    def set_params(self, **params: Any) -> "Regression":
        """Set constructor arguments or parameter formulas."""
        declared = set(self._get_param_names())
        super().set_params(**{k: v for k, v in params.items() if k in declared or "__" in k})
        formulas = {k: v for k, v in params.items() if k not in declared and "__" not in k}
        self._parameter_formulas = {**self._parameter_formulas, **formulas}
        return self

    @property
    def experts(self) -> list["Regression"]:
        """Outcomes of one unit: this one alone."""
        return [self]

    def _representative(self) -> "Regression":
        return self

    def _plan(self, formula: str | None) -> Plan:
        main = formula or self.formula
        if main is None:
            raise FormulaError("a formula is needed: Regression('y ~ x', ...), or arrays in fit(X, y)")
        plain, gate = split_gates([main], None)
        if gate is not None:
            raise FormulaError(f"{main!r} names a gate after '|', but one expert alone has none; use MixtureOfExperts")
        return Plan(((self._plan_outcome("0.0", plain[0]),),), (1,), None, 0.0, 0.0)

    def _plan_outcome(self, key: str, formula: str) -> OutcomePlan:
        return plan_outcome(key, self, formula)

    def _unit_column(self) -> str | None:
        return column_name("unit", self.unit)

    def _options(self) -> Options:
        return Options(
            tol=number("tol", self.tol),
            max_iter=integer("max_iter", self.max_iter, 1),
            verbose=verbosity(self.verbose),
        )
