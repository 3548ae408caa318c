"""External variables: covariates of the classes and distal outcomes, after the fit and without refitting it."""

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixstat.core.mixture import Mixture
from mixstat.estimators.methods.alignment import Aligned, align
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.plan import GATE
from mixstat.exceptions import ConvergenceWarning, DataError, FormulaError, OptionError
from mixstat.formula import Response
from mixstat.formula.frame import Table
from mixstat.inference import classification, distal, external, information
from mixstat.results.external import KEY, Distal, Membership

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Problem

METHODS = ("two_stage", "three_step")
CORRECTIONS = ("ML", "BCH", "none")
DISTAL_METHODS = ("BCH", "ML", "two_stage", "modal", "proportional")
STANDARD_ERRORS = ("corrected", "robust", "cluster", "information")
MAX_LEVELS = 50
RUNAWAY = 1e-7
"""Mean information of a coefficient (a unit, on a covariate of mean square 1) under which it has run away."""
SOURCES = {
    "two_stage": "two stages (Bakk and Kuha, 2018)",
    "ML": "three steps, maximum likelihood (Vermunt, 2010)",
    "BCH": "three steps, BCH weights (Bolck, Croon and Hagenaars, 2004; Vermunt, 2010)",
    "none": "classes as assigned, without correction for classification errors",
}
ERRORS = {
    "corrected": "corrected for the uncertainty of the first step",
    "robust": "sandwich of the last step; the first step counts as known",
    "cluster": "sandwich of the last step by cluster; the first step counts as known",
    "information": "inverse information of the last step; the first step counts as known",
}


class Analysis(NamedTuple):
    """One last step: its rule, the variables on the units of the fit, and what their evidence is."""

    rule: external.Rule
    aligned: Aligned
    evidence: external.Evidence
    first: external.FirstStep
    clusters: np.ndarray | None
    standard_errors: str

    def covariance(self, model: external.LastStep, found: external.Climbed) -> np.ndarray:
        """Of the last step's parameters, as `standard_errors` says."""
        kind = self.standard_errors
        robust = kind != "information" and not (kind == "corrected" and self.rule.correction == "two_stage")
        covariance = external.last_step_covariance(found.at, self.clusters, robust=robust)
        if kind == "corrected":
            covariance = covariance + external.first_step_covariance(model, found, self.first)
        return covariance


class External:
    """Methods that relate a fit's classes to variables that did not help to find them."""

    fitted_: "Fitted"
    _problem: "Problem"

    def _information(self) -> np.ndarray:
        raise NotImplementedError

    def membership(
        self,
        table: Any,
        formula: str,
        *,
        method: str = "two_stage",
        correction: str | None = None,
        assignment: str | None = None,
        standard_errors: str | None = None,
    ) -> Membership:
        """Multinomial logit of the classes on covariates, with the experts held as they were fitted.

        The gate of the fit is replaced, not adjusted: fit without covariates in the gate (or with the same ones).

        table : the units of the fit: the rows given to `fit` in their order, or any rows with the model's unit column
            (covariates must be constant in a unit). Rows with a missing covariate drop and are counted.
        formula : one-sided, such as "~ z1 + z2".
        method : "two_stage" maximises the likelihood over the gate alone, sum_i w_i log sum_k pi_k(z_i) f_k(y_i)
            (Bakk and Kuha, 2018). "three_step" assigns units to classes and corrects for classification errors.
        correction : of three steps: "ML" (default; Vermunt, 2010), "BCH" (weights a D^-1, some negative) or "none",
            which attenuates.
        assignment : of three steps: "modal" (default) or "proportional".
        standard_errors : "corrected" adds the uncertainty of the first step (default of two stages), "robust" is
            the sandwich of the last step (default of three steps), "cluster" sums its scores by cluster,
            "information" is its naive inverse information (of BCH and "none": of the pseudo-likelihood).
        """
        rule, kind = _membership_rule(method, correction, assignment, standard_errors)
        _require_training(self)
        if self.fitted_.assembled.mixture.classes == 1:
            raise DataError("the model has one class: there is no membership to explain")
        analysis = _analyse(self, rule, kind, align(self.fitted_, table, main={}, parts={KEY: formula}))
        return _membership(self.fitted_, analysis, formula)

    def distal(
        self,
        table: Any,
        outcome: str,
        *,
        method: str = "BCH",
        assignment: str | None = None,
        categorical: bool | None = None,
        standard_errors: str | None = None,
    ) -> Distal:
        """Means (or proportions) of an outcome in each class, with the experts and class sizes held.

        table : as in `membership`; the outcome is constant in a unit.
        outcome : a column, or a function of one such as "log(y)".
        method : "BCH" weights a D^-1, some of which are negative; "ML" three-step maximum likelihood, of a mean with
            a variance for each class (Bakk, Tekle and Vermunt, 2013); "two_stage" the same with f_k(y_i) held;
            "modal" and "proportional" average by assigned class without correction.
        assignment : of BCH and ML: "modal" (default) or "proportional".
        categorical : whether to estimate proportions; by default for texts, categories, booleans and 0/1.
        standard_errors : as in `membership`.
        """
        rule, kind = _distal_rule(method, assignment, standard_errors)
        _require_training(self)
        text = f"`{outcome}`" if outcome in Table(table).names else outcome
        aligned = align(self.fitted_, table, main={"outcome": f"{text} ~ 1"}, parts={})
        values, levels = _outcome(outcome, aligned, categorical)
        return _distal(self.fitted_, _analyse(self, rule, kind, aligned), outcome, values, levels)


def _membership_rule(
    method: str, correction: str | None, assignment: str | None, errors: str | None
) -> tuple[external.Rule, str]:
    if choice("method", method, METHODS) == "two_stage":
        if correction is not None or assignment is not None:
            raise OptionError("correction= and assignment= belong to method='three_step'")
        return external.Rule("two_stage", "modal", False), _kind(errors, "corrected")
    used = choice("correction", "ML" if correction is None else correction, CORRECTIONS)
    return external.Rule(used, _assignment(assignment), False), _kind(errors, "robust")


def _distal_rule(method: str, assignment: str | None, errors: str | None) -> tuple[external.Rule, str]:
    choice("method", method, DISTAL_METHODS)
    if method in ("BCH", "ML"):
        return external.Rule(method, _assignment(assignment), True), _kind(errors, "robust")
    if assignment is not None:
        raise OptionError(f"assignment= belongs to method='BCH' or 'ML', not to {method!r}")
    if method == "two_stage":
        return external.Rule("two_stage", "modal", True), _kind(errors, "corrected")
    return external.Rule("none", method, True), _kind(errors, "robust")


def _assignment(assignment: str | None) -> str:
    return choice("assignment", "modal" if assignment is None else assignment, classification.ASSIGNMENTS)


def _kind(errors: str | None, default: str) -> str:
    return choice("standard_errors", default if errors is None else errors, STANDARD_ERRORS)


def _require_training(estimator: External) -> None:
    check_is_fitted(estimator, "fitted_")
    if not hasattr(estimator, "_problem"):
        raise DataError("external variables need the training data, which a saved model does not hold; refit")


def _analyse(estimator: External, rule: external.Rule, kind: str, aligned: Aligned) -> Analysis:
    fitted, sample = estimator.fitted_, estimator.fitted_.sample
    if kind == "cluster" and sample.cluster is None:
        raise DataError("standard_errors='cluster' needs cluster= (a column name) when the model is constructed")
    problem, theta = estimator._problem, fitted.solution.theta
    start = classification.fitted_posterior(problem, theta).responsibility
    modal = classification.assign(start, "modal")
    if rule.correction != "two_stage" and rule.assignment == "modal":
        classification.require_members(modal, sample.weight)

    def evidence(theta: np.ndarray) -> external.Evidence:
        found = classification.fitted_posterior(problem, theta)
        assigned = modal if rule.assignment == "modal" else found.responsibility
        return external.evidence_of(rule, found, sample.weight, assigned).take(aligned.units)

    covariance = information.information_covariance(estimator._information()) if kind == "corrected" else np.zeros(0)
    clusters = sample.cluster[aligned.units] if kind == "cluster" and sample.cluster is not None else None
    first = external.FirstStep(theta, covariance, evidence)
    return Analysis(rule, aligned, evidence(theta), first, clusters, kind)


def _membership(fitted: "Fitted", analysis: Analysis, formula: str) -> Membership:
    aligned = analysis.aligned
    if aligned.materialized.offsets:
        raise FormulaError(f"the formula {formula!r} holds an offset, which has no meaning for several classes")
    matrix = aligned.materialized.matrices[KEY]
    columns = aligned.per_unit(matrix.values, list(matrix.names), "covariate")
    external.require_rank(columns, matrix.names, fitted.sample.weight[aligned.units])
    model = external.Logit(columns)
    found = external.climb(model, np.zeros((_classes(fitted) - 1) * columns.shape[1]), analysis.evidence)
    _warn_of_membership(found, columns, fitted.sample.weight[aligned.units])
    return Membership(
        analysis.covariance(model, found),
        found.at.value if analysis.rule.correction in ("two_stage", "ML") else None,
        found.converged,
        (("Formula", formula), *_facts(fitted, analysis)),
        _notes(fitted.assembled.mixture, analysis),
        aligned.schema,
        found.parameters.reshape(-1, columns.shape[1]),
    )


def _distal(fitted: "Fitted", analysis: Analysis, outcome: str, values: np.ndarray, levels: tuple) -> Distal:
    model = _outcome_model(values, levels, analysis.rule)
    found = distal.fit_outcome(model, analysis.evidence)
    if not found.converged:
        warnings.warn(_stopped("another method"), ConvergenceWarning, stacklevel=3)
    means, jacobian = model.report(found.parameters)
    _warn_of_range(means, values, levels)
    return Distal(
        jacobian @ analysis.covariance(model, found) @ jacobian.T,
        found.at.value if analysis.rule.correction in ("two_stage", "ML") else None,
        found.converged,
        (("Outcome", outcome), *_facts(fitted, analysis)),
        _notes(fitted.assembled.mixture, analysis),
        outcome,
        levels,
        means,
    )


def _outcome_model(values: np.ndarray, levels: tuple, rule: external.Rule) -> Any:
    if rule.correction in ("BCH", "none"):
        return distal.Means(values)
    return distal.Categorical(values) if levels else distal.Gaussian(values[:, 0])


def _outcome(name: str, aligned: Aligned, categorical: bool | None) -> tuple[np.ndarray, tuple]:
    """(unit, column) values, or indicators of the levels that units have, and these levels (none for a mean)."""
    response = (aligned.materialized.responses or [])[0]
    if response.kind not in ("numeric", "categorical"):
        raise OptionError(f"the outcome must be one column of numbers or categories, got {name!r}")
    if categorical is False and response.kind == "categorical":
        raise OptionError(f"outcome {name!r} holds categories, which have no mean; leave out categorical=False")
    values = aligned.per_unit(response.values, [name], "outcome")
    if values.min() == values.max():
        raise DataError(f"outcome {name!r} takes one value only in the {len(values)} units used")
    levels = _levels(name, response, values, categorical)
    if not levels:
        return values, ()
    codes = np.unique(values[:, 0])
    return (values == codes).astype(float), levels


def _levels(name: str, response: Response, values: np.ndarray, categorical: bool | None) -> tuple:
    if response.levels is not None:
        return tuple(response.levels[code] for code in np.unique(values[:, 0]).astype(int))
    found = np.unique(values)
    if categorical is False or (categorical is None and not np.isin(found, (0, 1)).all()):
        return ()
    if len(found) > MAX_LEVELS:
        raise OptionError(
            f"outcome {name!r} takes {len(found)} values, too many for proportions; use categorical=False"
        )
    return tuple(int(value) if value.is_integer() else float(value) for value in found)


def _warn_of_range(means: np.ndarray, values: np.ndarray, levels: tuple) -> None:
    outside = (means < values.min() - 1e-9) | (means > values.max() + 1e-9)
    if outside.any():
        what = "proportion" if levels else "mean"
        warnings.warn(
            f"the {what} of class {int(np.argmax(outside.any(axis=1))) + 1} lies outside the outcome's range, because "
            "some BCH weights are negative; use method='ML' or 'two_stage'",
            UserWarning,
            stacklevel=4,
        )


def _warn_of_membership(found: external.Climbed, columns: np.ndarray, weight: np.ndarray) -> None:
    size = np.tile(weight @ columns**2, len(found.parameters) // columns.shape[1])
    if (np.diag(found.at.information) < RUNAWAY * size).any():
        warnings.warn(
            "some covariates separate the classes: coefficients have no finite maximum and their standard errors mean "
            "nothing; drop a covariate or merge categories",
            ConvergenceWarning,
            stacklevel=4,
        )
    elif not found.converged:
        warnings.warn(_stopped("fewer covariates"), ConvergenceWarning, stacklevel=4)


def _stopped(remedy: str) -> str:
    return f"the last step stopped before a maximum; try {remedy} or method='two_stage'"


def _classes(fitted: "Fitted") -> int:
    return fitted.assembled.mixture.classes


def _facts(fitted: "Fitted", analysis: Analysis) -> tuple[tuple[str, str], ...]:
    rule, left_out = analysis.rule, analysis.aligned.left_out
    used = int((fitted.sample.weight[analysis.aligned.units] > 0).sum())
    words = SOURCES[rule.correction] + ("" if rule.correction == "two_stage" else f"; {rule.assignment} assignment")
    return (
        ("Method", words),
        ("Standard errors", ERRORS[analysis.standard_errors]),
        ("Classes", str(_classes(fitted))),
        ("Units", f"{used}" + (f"; {left_out} of the fit left out (missing values, or no row)" if left_out else "")),
    )


def _notes(mixture: Mixture, analysis: Analysis) -> tuple[str, ...]:
    notes, evidence = [], analysis.evidence
    if isinstance(evidence, external.Shares) and (evidence.share < 0).any():
        units = int((evidence.share < 0).any(axis=1).sum())
        notes.append(f"BCH weights are negative for {units} units (smallest {evidence.share.min():.3f})")
    if mixture.has_gate and not mixture.gate.is_constant and analysis.rule.correction != "two_stage":
        notes.append(
            f"the {GATE} of the fit has covariates: classification errors then depend on them, which three steps ignore"
        )
    return tuple(notes)
