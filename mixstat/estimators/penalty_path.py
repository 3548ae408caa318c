"""The lasso path of a gate: which covariates enter it first as the penalty falls, and the best BIC on the way."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from mixstat.estimators.mixture import require_mixture
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import integer, number
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import Training, given_or_training
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.precision import double
from mixstat.fit.progress import counting, warn_of_interrupt
from mixstat.inference.criteria import bic
from mixstat.results.plots import paths as plots

HUGE = 1e6
"""A penalty under which every slope is zero."""
ABOVE = 1e-6
"""How far above its bound the largest penalty is set, relative to it: beyond rounding."""


class PenaltyPath(NamedTuple):
    """Fits of a mixture along falling penalties of its gate's slopes.

    `table` has a row a penalty: `penalty`, `log_likelihood`, `nonzero` slopes of the gate, `n_parameters` (those not
    zero), `bic` and `converged`. `coefficients` is long: `penalty`, `expert`, `term`, `estimate` and `standardized`
    (of covariates with unit variance). `models` are the fits in the same order.
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame
    models: list[Any]

    def best(self) -> Any:
        """The fit of smallest BIC. Its slopes are shrunken: refit with the terms it keeps for standard errors."""
        return self.models[int(np.argmin(self.table["bic"]))]

    def terms(self) -> list[str]:
        """The gate's columns with a slope in the fit of smallest BIC."""
        chosen = self.table["penalty"].iloc[int(np.argmin(self.table["bic"]))]
        rows = self.coefficients[(self.coefficients["penalty"] == chosen) & (self.coefficients["estimate"] != 0)]
        return list(dict.fromkeys(rows["term"]))

    def plot(self, *, ax: Any = None) -> Any:
        """Standardised slopes against the penalty, a colour a term, the smallest BIC marked; returns the axes."""
        return plots.penalty_path(self.coefficients, self.table, ax=ax)

    def __repr__(self) -> str:
        return self.table.to_string(index=False)


def penalty_path(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    n_penalties: int = 20,
    smallest: float = 0.01,
    l1_ratio: float = 1.0,
    sample_weight: Any = None,
) -> PenaltyPath:
    """Fit `model` with falling `gate_penalty`, each fit started from the one before.

    model : MixtureOfExperts with covariates in its gate; X may be left out where it is fitted.
    n_penalties, smallest : the number of penalties, in equal steps of their logarithm, from the one at which the first
        slope leaves zero down to this share of it.
    l1_ratio : share of the lasso, above 0.

    The largest penalty is max_j |g_j| / (l1_ratio W), g the score of the gate's slopes where all are zero, W the total
    weight. The degrees of freedom of a lasso fit are its parameters that are not zero (Zou, Hastie and Tibshirani,
    2007, Annals of Statistics 35). Slopes are contrasts with expert 1, so that which are zero depends on it; one
    optimum is followed: check the chosen model from many starts.
    """
    require_mixture(model)
    training = given_or_training(model, X, y, sample_weight)
    share = number("l1_ratio", l1_ratio, high=1.0)
    if not share:
        raise OptionError("l1_ratio must be above 0: a ridge alone sets no slope to zero")
    count, least = integer("n_penalties", n_penalties, 2), number("smallest", smallest, high=1.0)
    if not 0 < least < 1:
        raise OptionError(f"smallest must be between 0 and 1, got {smallest!r}")
    plain = clone(model).set_params(algorithm="newton", l1_ratio=share, gate_penalty=HUGE)
    empty = plain._fit_training(training)
    penalties = largest_penalty(empty) * least ** np.linspace(0, 1, count)
    models = _fits(empty, training, penalties)
    return PenaltyPath(_table(models), _coefficients(models), models)


def _fits(empty: Any, training: Training, penalties: np.ndarray) -> list[Any]:
    """One fit after the other; an interrupt keeps those done."""
    models, last = [], empty
    with counting("penalties", len(penalties), silent=not getattr(empty, "verbose", 1)) as advance:
        try:
            for penalty in penalties:
                last = clone(empty).set_params(gate_penalty=float(penalty), start=last)._fit_training(training)
                models.append(last)
                advance()
        except KeyboardInterrupt:
            if not models:
                raise
            warn_of_interrupt("penalty_path()", len(models), len(penalties))
    return models


@double
def largest_penalty(empty: Any) -> float:
    """The smallest `gate_penalty` with all slopes zero (a millionth above), from a fit that has them at zero."""
    fitted = empty.fitted_
    slopes = _slopes(fitted)
    if not slopes.any():
        raise DataError("the gate has no covariates to penalise; give gate='~ a + b + ...'")
    gradient = empty._problem.evaluate_likelihood(fitted.solution.theta).gradient[slopes]
    return float((1 + ABOVE) * np.abs(gradient).max() / (empty.l1_ratio * fitted.sample.weight.sum()))


def _slopes(fitted: Any) -> np.ndarray:
    """Which free parameters are slopes of the gate."""
    labels = report.labels_of(fitted)
    return (fitted.assembled.named.penalty > 0) & np.array([label.parameter == GATE for label in labels], dtype=bool)


def _table(models: list[Any]) -> pd.DataFrame:
    rows = []
    for model in models:
        fitted = model.fitted_
        theta, penalised = fitted.solution.theta, fitted.assembled.named.penalty > 0
        parameters = int((~penalised | (theta != 0)).sum())
        rows.append(
            {
                "penalty": model.gate_penalty,
                "log_likelihood": model.log_likelihood_,
                "nonzero": int((theta[_slopes(fitted)] != 0).sum()),
                "n_parameters": parameters,
                "bic": bic(model.log_likelihood_, parameters, model.n_units_),
                "converged": model.converged_,
            }
        )
    return pd.DataFrame(rows)


def _coefficients(models: list[Any]) -> pd.DataFrame:
    rows = []
    for model in models:
        fitted, labels = model.fitted_, report.labels_of(model.fitted_)
        for place in np.flatnonzero(_slopes(fitted)):
            estimate, standardized = fitted.theta[place], fitted.solution.theta[place]
            label = labels[place]
            rows.append((model.gate_penalty, label.expert, label.term, estimate, standardized))
    return pd.DataFrame(rows, columns=["penalty", "expert", "term", "estimate", "standardized"])
