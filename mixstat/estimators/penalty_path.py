"""Lasso paths of gate and experts: which covariates enter first, and where, as the penalty falls; the best BIC of them.

Slopes b_j of covariates with unit variance are penalised by penalty x w_p |b_j|. The weights w_p of the gate and of
each parameter p are proportional to the root of the mean information of its slopes where all are zero, so that places,
whose units differ (the gate's is a log odds, a growth factor's that of the response or of its rate of change), compete
by the evidence in their scores, whatever the units of time and response.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from mixstat.estimators.growth import GrowthCurve
from mixstat.estimators.mixture import require_mixture
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice, integer, number
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import Training, given_or_training
from mixstat.estimators.regression import Regression
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.precision import double
from mixstat.fit.progress import counting, warn_of_interrupt
from mixstat.results.plots import paths as plots

WITHIN = "within"
HUGE = 1e6
"""A penalty under which every slope is zero."""
ABOVE = 1e-6
"""How far above its bound the largest penalty is set, relative to it: beyond rounding."""

Owner = tuple[str, str]
"""Key of the gate or of an outcome, and name of its parameter."""
Weights = Mapping[Owner, float]


class PenaltyPath(NamedTuple):
    """Fits of a mixture along falling penalties of slopes.

    `table` has a row a penalty: `penalty`, `log_likelihood`, `nonzero` penalised slopes, `n_parameters` (those not
    zero), `bic` and `converged`. `coefficients` is long: `penalty`, `expert`, `parameter` ("gate", or one of the
    experts), `term`, `estimate` and `standardized` (of covariates with unit variance). `models` are the fits in the
    same order, and `weights` has the weight of each parameter.
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame
    models: list[Any]
    weights: pd.DataFrame

    def best(self) -> Any:
        """The fit of smallest BIC. Its slopes are shrunken: refit with the terms it keeps for standard errors."""
        return self.models[int(np.argmin(self.table["bic"]))]

    def terms(self, parameter: str = GATE) -> list[str]:
        """The columns that have a slope, in the gate or in another parameter, in the fit of smallest BIC."""
        chosen = self.table["penalty"].iloc[int(np.argmin(self.table["bic"]))]
        rows = self.coefficients[(self.coefficients["penalty"] == chosen) & (self.coefficients["estimate"] != 0)]
        return list(dict.fromkeys(rows.loc[rows["parameter"] == parameter, "term"]))

    def plot(self, parameter: str | None = None, *, ax: Any = None) -> Any:
        """Standardised slopes (of all parameters or one) against the penalty, a colour a parameter and term, the
        smallest BIC marked; returns the axes.
        """
        best = self.table["penalty"].iloc[int(np.argmin(self.table["bic"]))]
        of = "Slope" if set(self.coefficients["parameter"]) != {GATE} else "Slope of the gate"
        return plots.penalty_path(self._lines(parameter), {"Smallest BIC": best}, of=of, ax=ax)

    def _lines(self, parameter: str | None) -> pd.DataFrame:
        """The coefficients of one parameter, or of all with the parameter's name in that of the term."""
        rows = self.coefficients
        known = list(dict.fromkeys(rows["parameter"]))
        if parameter is not None:
            return rows[rows["parameter"] == choice("parameter", parameter, known)]
        return rows if len(known) == 1 else rows.assign(term=rows["parameter"] + ": " + rows["term"])

    def __repr__(self) -> str:
        return self.table.to_string(index=False)


def penalty_path(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    where: str | Sequence[str] = GATE,
    n_penalties: int = 20,
    smallest: float = 0.01,
    l1_ratio: float = 1.0,
    sample_weight: Any = None,
) -> PenaltyPath:
    """Fit `model` with a falling lasso on slopes, each fit started from the one before, by proximal Newton.

    model : MixtureOfExperts; X may be left out where it is fitted.
    where : which slopes are penalised: "gate"; "within", those of the experts' locations (of growth curves what
        `between` does to growth factors, and to knots and rates); or both, ("gate", "within").
    n_penalties, smallest : the number of penalties, in equal steps of their logarithm, from the one at which the first
        slope leaves zero down to this share of it.
    l1_ratio : share of the lasso, above 0.

    Slope j is penalised by penalty x w |b_j|, b_j of a covariate with unit variance; the largest penalty is
    max_j |g_j| / (l1_ratio w W), g the score of the slopes where all are zero, W the total weight. The weights w are 1
    in the gate (else in the first parameter), and in the others such that they compete on equal terms: in proportion
    to the root of the mean information of their slopes there. The degrees of freedom of a lasso fit are its parameters
    that are not zero (Zou, Hastie and Tibshirani, 2007, Annals of Statistics 35).

    Its limits: slopes are penalised one by one, so that a covariate may be kept in one class and not in another, or in
    some levels of a factor; slopes of the gate are contrasts with expert 1, on which depends which are zero; a
    covariate that belongs to one place shows in the other while it is kept out of its own; one optimum is followed,
    and classes may change on the way: fit the chosen model anew from many starts. Covariates were chosen by the data
    that are left to test them.
    """
    require_mixture(model)
    training = given_or_training(model, X, y, sample_weight)
    share = number("l1_ratio", l1_ratio, high=1.0)
    if not share:
        raise OptionError("l1_ratio must be above 0: a ridge alone sets no slope to zero")
    count, least = integer("n_penalties", n_penalties, 2), number("smallest", smallest, high=1.0)
    if not 0 < least < 1:
        raise OptionError(f"smallest must be between 0 and 1, got {smallest!r}")
    empty = _penalised(model, _huge(model, _places(where)), share)._fit_training(training)
    weights = _weights(empty, _places(where))
    penalties = largest_penalty(empty, weights) * least ** np.linspace(0, 1, count)
    models = _fits(empty, weights, training, penalties)
    kept = penalties[: len(models)]
    shown = pd.DataFrame({"parameter": [name for _, name in weights], "weight": list(weights.values())})
    return PenaltyPath(_table(models, kept, weights), _coefficients(models, kept, weights), models, shown)


def _places(where: str | Sequence[str]) -> tuple[str, ...]:
    given = (where,) if isinstance(where, str) else tuple(where)
    if not given:
        raise OptionError("where= names no place; expected 'gate', 'within' or both")
    return tuple(choice("where", place, (GATE, WITHIN)) for place in given)


def _outcomes(model: Any) -> dict[str, Any]:
    """Of every expert template, by key: what has slopes to penalise."""
    templates = model._templates()[0]
    found = {f"{t}.{o}": each for t, template in enumerate(templates) for o, each in enumerate(template)}
    wrong = next((each for each in found.values() if not hasattr(each, "penalty")), None)
    if wrong is not None:
        raise OptionError(f"penalty_path(where='within') is not for {type(wrong).__name__}, which takes no penalty")
    return found


def _huge(model: Any, places: Sequence[str]) -> dict[Owner, float]:
    """Penalties under which every slope is zero."""
    rates = {(GATE, GATE): HUGE} if GATE in places else {}
    return rates | {(key, ""): HUGE for key in (_outcomes(model) if WITHIN in places else ())}


def _penalised(model: Any, rates: Weights, share: float, **params: Any) -> Any:
    """A clone with these penalties."""
    other = clone(model).set_params(algorithm="newton", **params)
    other.set_params(expert=Regression() if other.expert is None else other.expert)
    if (GATE, GATE) in rates:
        other.set_params(gate_penalty=float(rates[GATE, GATE]), l1_ratio=share)
    own = {key: {n: float(rate) for (k, n), rate in rates.items() if k == key} for key, _ in rates if key != GATE}
    outcomes = _outcomes(other) if own else {}
    for key, by_name in own.items():
        several = isinstance(outcomes[key], GrowthCurve) and "" not in by_name
        outcomes[key].set_params(penalty=by_name if several else next(iter(by_name.values())), l1_ratio=share)
    return other


def _fits(empty: Any, weights: Weights, training: Training, penalties: np.ndarray) -> list[Any]:
    """One fit after the other; an interrupt keeps those done."""
    models, last, share = [], empty, _share(empty)
    with counting("penalties", len(penalties), silent=not getattr(empty, "verbose", 1)) as advance:
        try:
            for penalty in penalties:
                rates = {owner: penalty * weight for owner, weight in weights.items()}
                last = _penalised(empty, rates, share, start=last)._fit_training(training)
                models.append(last)
                advance()
        except KeyboardInterrupt:
            if not models:
                raise
            warn_of_interrupt("penalty_path()", len(models), len(penalties))
    return models


def _share(empty: Any) -> float:
    """Of the lasso."""
    return float(empty.fitted_.assembled.named.lasso_share.max(initial=0.0))


def _owners(fitted: Any) -> list[Owner]:
    """(theta,) whose coefficient each free parameter is."""
    mixture, owners = fitted.assembled.mixture, [(GATE, GATE)] * fitted.assembled.mixture.size
    parts, _ = mixture.split(np.arange(mixture.size))
    for group, part, stacks in zip(mixture.groups, parts, fitted.assembled.stacks, strict=True):
        for outcome, rows, slots in zip(group.outcomes, group.split(part), stacks, strict=True):
            for item, slot in enumerate(slots):
                for number_of, parameter in enumerate(outcome.family.parameters):
                    for place in rows[:, item, outcome.parameter_of == number_of].ravel():
                        owners[place] = (slot.plan.key, parameter.name)
    return [owners[place] for place in fitted.assembled.named.ties.representative]


def _slopes(fitted: Any, weights: Weights) -> np.ndarray:
    """Which free parameters are penalised slopes of the path."""
    mine = np.array([owner in weights for owner in _owners(fitted)], dtype=bool)
    return mine & (fitted.assembled.named.penalty > 0)


@double
def _weights(empty: Any, places: Sequence[str]) -> dict[Owner, float]:
    """Of each parameter with penalised slopes, from a fit that has them at zero; 1 for the first."""
    fitted = empty.fitted_
    wanted = {GATE: GATE in places}
    owners = [owner if wanted.get(owner[0], WITHIN in places) else ("", "") for owner in _owners(fitted)]
    diagonal = np.diag(empty._problem.evaluate_likelihood(fitted.solution.theta).information)
    found: dict[Owner, list[float]] = {}
    for owner, rate, curvature in zip(owners, fitted.assembled.named.penalty, diagonal, strict=True):
        if owner[0] and rate > 0:
            found.setdefault(owner, []).append(float(curvature))
    if not found:
        what = "gate has" if tuple(places) == (GATE,) else "experts have" if GATE not in places else "model has"
        raise DataError(f"the {what} no covariates to penalise; give gate='~ a + b + ...', or covariates of experts")
    ordered = sorted(found, key=lambda owner: owner[0] != GATE)
    roots = {owner: np.sqrt(np.mean(_of_outcome(empty, found, owner))) for owner in ordered}
    return {owner: float(root / roots[ordered[0]]) for owner, root in roots.items()}


def _of_outcome(empty: Any, found: Mapping[Owner, list[float]], owner: Owner) -> list[float]:
    """Curvatures that a weight is made of: a parameter's, or where an outcome has one penalty all of its own."""
    if owner[0] == GATE or isinstance(_outcomes(empty)[owner[0]], GrowthCurve):
        return found[owner]
    return [value for other, values in found.items() if other[0] == owner[0] for value in values]


@double
def largest_penalty(empty: Any, weights: Weights) -> float:
    """The smallest penalty with all slopes zero (a millionth above), from a fit that has them at zero."""
    fitted = empty.fitted_
    slopes = _slopes(fitted, weights)
    scale = np.array([weights.get(owner, 1.0) for owner in _owners(fitted)])
    gradient = (empty._problem.evaluate(fitted.solution.theta).gradient / scale)[slopes]
    return float((1 + ABOVE) * np.abs(gradient).max() / (_share(empty) * fitted.sample.weight.sum()))


def _table(models: list[Any], penalties: np.ndarray, weights: Weights) -> pd.DataFrame:
    rows = []
    for model, penalty in zip(models, penalties, strict=True):
        fitted = model.fitted_
        rows.append(
            {
                "penalty": penalty,
                "log_likelihood": model.log_likelihood_,
                "nonzero": int((fitted.solution.theta[_slopes(fitted, weights)] != 0).sum()),
                "n_parameters": model.n_parameters_,
                "bic": model.bic(),
                "converged": model.converged_,
            }
        )
    return pd.DataFrame(rows)


def _coefficients(models: list[Any], penalties: np.ndarray, weights: Weights) -> pd.DataFrame:
    rows = []
    for model, penalty in zip(models, penalties, strict=True):
        fitted, labels = model.fitted_, report.labels_of(model.fitted_)
        for place in np.flatnonzero(_slopes(fitted, weights)):
            estimate, standardized = fitted.theta[place], fitted.solution.theta[place]
            label = labels[place]
            rows.append((penalty, label.expert, label.parameter, label.term, estimate, standardized))
    return pd.DataFrame(rows, columns=["penalty", "expert", "parameter", "term", "estimate", "standardized"])
