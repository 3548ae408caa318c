"""What a fitted estimator reports: coefficients, fit statistics and the summary's contents."""

from typing import Any

import numpy as np
import pandas as pd

from mixstat.estimators.model.diagnosis import column_names
from mixstat.estimators.model.expansions import notes_on_expansions
from mixstat.estimators.model.ordinal_notes import ordinal_words
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.state import Fitted
from mixstat.estimators.model.survival_notes import survival_notes
from mixstat.estimators.model.timing import times_shown
from mixstat.fit.problem import Problem
from mixstat.inference import criteria, natural
from mixstat.inference.labels import Coefficient
from mixstat.results.labels import Label
from mixstat.results.summary import Section, Summary
from mixstat.results.tables import tidy

NAIVE = "penalised fit: standard errors are those of the unpenalised information, conditional on zeros"
ERRORLESS = "penalised fit: no standard errors, which would be naive; bootstrap() resamples the whole fit"
HELD = "fit held from crossing: no standard errors, which would be naive; bootstrap() resamples the whole fit"
NOTHING = 1e-6
"""Of a derivative, beside the largest one of the same coefficient."""


def labels_of(fitted: Fitted) -> list[Label]:
    """Labels of the free parameters, in the order of `covariance()`."""
    return [fitted.assembled.named.labels[position] for position in fitted.assembled.named.ties.representative]


def responses_of(fitted: Fitted) -> tuple[str, ...]:
    """Columns whose density the likelihood holds, covariates that are modelled jointly among them."""
    slots = [slot for stacked in fitted.assembled.stacks[0] for slot in stacked]
    return tuple(dict.fromkeys(name for slot in slots for name in slot.responses))


def held_names(fitted: Fitted) -> list[str]:
    """Names of coefficients that are not estimated: fixed ones, and those of collinear columns."""
    named = fitted.assembled.named
    return [label.name for label, place in zip(named.labels, named.ties.index, strict=True) if place < 0]


def coefficients_of(fitted: Fitted) -> list[Coefficient]:
    """The free parameters as `inference.labels` permutes them."""
    return [Coefficient(x.expert, (x.parameter, x.term), x.parameter == GATE) for x in labels_of(fitted)]


def zeroed(fitted: Fitted) -> np.ndarray:
    """(theta,) which slopes a lasso has set to zero."""
    named = fitted.assembled.named
    return (named.penalty * named.lasso_share > 0) & (fitted.solution.theta == 0)


def given_zeros(fitted: Fitted, covariance: np.ndarray) -> np.ndarray:
    """The covariance conditional on the slopes that a lasso has set to zero, which are then constants."""
    known, constant = covariance.copy(), zeroed(fitted)
    known[constant], known[:, constant] = 0.0, 0.0
    return known


def estimated(fitted: Fitted, covariance: np.ndarray) -> np.ndarray:
    """(theta,) whether a parameter is shown: it has a standard error, or is not zero where none has one."""
    if fitted.solution.certificate is not None:
        return ~zeroed(fitted)
    return ~np.isnan(np.diag(covariance))


def usual_covariance(fitted: Fitted) -> str:
    """The kind of covariance that tables show."""
    outcomes = (outcome for group in fitted.assembled.mixture.groups for outcome in group.outcomes)
    return "robust" if any(outcome.family.approximate for outcome in outcomes) else "information"


def coefficient_table(fitted: Fitted, covariance: np.ndarray, level: float) -> pd.DataFrame:
    """`tidy` of the parameters that have a standard error."""
    table = tidy(labels_of(fitted), fitted.theta, covariance, level)
    return table[estimated(fitted, covariance)].reset_index(drop=True)


def glance(fitted: Fitted) -> pd.DataFrame:
    """The fit in one row."""
    return pd.DataFrame([facts_of(fitted)])


def facts_of(fitted: Fitted) -> dict[str, Any]:
    solution, weight = fitted.solution, fitted.sample.weight
    units = int((weight > 0).sum())
    log_likelihood, parameters = solution.log_likelihood, fitted.assembled.named.ties.size - int(zeroed(fitted).sum())
    entropy = solution.verdict.entropy
    bic = criteria.bic(log_likelihood, parameters, units)
    return {
        "n_units": units,
        "n_rows": fitted.sample.n_rows,
        "n_experts": fitted.assembled.mixture.experts,
        "log_likelihood": log_likelihood,
        "n_parameters": parameters,
        "aic": criteria.aic(log_likelihood, parameters),
        "bic": bic,
        "sabic": criteria.sabic(log_likelihood, parameters, units),
        "caic": criteria.caic(log_likelihood, parameters, units),
        "icl": criteria.icl(log_likelihood, parameters, units, entropy),
        "entropy": criteria.relative_entropy(entropy, float(weight.sum()), fitted.assembled.mixture.classes),
        "converged": solution.verdict.converged,
    }


def summarize(fitted: Fitted, table: pd.DataFrame, name: str, *, sign: str = "minus") -> Summary:
    """Facts, one section an expert, the gate, and notes on what was dropped, shared, fixed or not certified.

    `sign` is that of the slopes of ordered categories in the table.
    """
    facts = facts_of(fitted)
    plan = fitted.plan
    families = ", ".join(dict.fromkeys(outcome.family.name for outcome in plan.outcomes))
    shown = [
        ("Model", f"{name}, family {families}"),
        *(("Formula", outcome.shown) for outcome in plan.outcomes[:6]),
        *(("Predictor", words) for words in ordinal_words(fitted, sign)),
        ("Gate", "equal shares" if plan.gate is None and facts["n_experts"] > 1 else (plan.gate or "none")),
        ("Units", _units(fitted, facts)),
        ("Log-likelihood", f"{facts['log_likelihood']:.4f}  ({facts['n_parameters']} parameters)"),
        ("AIC, BIC, ICL", f"{facts['aic']:.2f}, {facts['bic']:.2f}, {facts['icl']:.2f}"),
        ("Relative entropy", f"{facts['entropy']:.4f}"),
        ("Class sizes", ", ".join(f"{size:.3f}" for size in class_sizes(fitted))),
        ("Status", status(fitted)),
    ]
    return Summary(name, shown, _sections(fitted, table), _notes(fitted))


def _units(fitted: Fitted, facts: dict) -> str:
    text = str(facts["n_units"]) if fitted.sample.unit is None else f"{facts['n_units']} ({facts['n_rows']} rows)"
    dropped = fitted.sample.n_dropped
    return text + (f"; {dropped} of {fitted.sample.n_given} rows dropped for missing values" if dropped else "")


def class_sizes(fitted: Fitted) -> np.ndarray:
    """Share of each class: mean responsibility, (class,)."""
    return fitted.solution.class_weight / fitted.solution.class_weight.sum()


def status(fitted: Fitted) -> str:
    """The verdict, and how many starts agree with it."""
    text = fitted.solution.verdict.status
    reached, carried = hits(fitted)
    if len(fitted.solution.starts) > 1 and carried:
        distinct = len({round(s.objective, 4) for s in fitted.solution.starts if s.hits > 0})
        text += f"; reached by {reached} of {carried} starts carried on"
        text += f", which found {distinct} optima" if distinct > 1 else ""
    return text + ("; interrupted: the best so far" if fitted.interrupted else "")


def hits(fitted: Fitted) -> tuple[int, int]:
    """(starts that reached the reported optimum, starts carried on to an optimum)."""
    judged = [start for start in fitted.solution.starts if start.hits > 0]
    return max((s.hits for s in judged if _reached(s.log_likelihood, fitted)), default=0), len(judged)


def _reached(log_likelihood: float, fitted: Fitted) -> bool:
    return abs(log_likelihood - fitted.solution.log_likelihood) < 1e-5 * (1 + abs(log_likelihood))


def _sections(fitted: Fitted, table: pd.DataFrame) -> list[Section]:
    sections, names = [], fitted.expert_names
    gate = table["parameter"] == "gate"
    columns = [c for c in table.columns if c != "expert"]
    experts = table["expert"].fillna(0)
    for expert in sorted(experts[~gate].unique()):
        part = table.loc[~gate & (experts == expert), columns]
        sections.append(Section(names[expert - 1] if expert else "Shared by all experts", part))
    if gate.any():
        columns = [c for c in table.columns if c != "parameter"]
        reference = names[0] if fitted.names else "expert 1"
        sections.append(Section(f"Gate (multinomial logit, reference {reference})", table.loc[gate, columns]))
    return sections


def _notes(fitted: Fitted) -> list[str]:
    notes = []
    links = {label.parameter: label.link for label in fitted.assembled.named.labels if label.parameter != "gate"}
    linked = [f"{name} ({link})" for name, link in links.items() if link != "identity"]
    if linked:
        notes.append(f"coefficients are on the scale of the link: {', '.join(linked)}")
    notes += [f"times: {shown}" for shown in times_shown(fitted.plan)]
    notes += survival_notes(fitted)
    notes += notes_on_expansions(fitted.assembled)
    if fitted.plan.repeated and fitted.plan.has_several_outcomes:
        notes.append(
            "covariates of the growth factors are modelled jointly: they inform membership, and the log-likelihood "
            "holds their density (not comparable with covariates='fixed')"
        )
    for index, extra in enumerate(fitted.extras):
        notes.append(f"class {fitted.assembled.mixture.experts + index + 1} is {extra.name} (no parameters)")
    if fitted.dropped:
        notes.append(f"not estimated because collinear or constant: {', '.join(column_names(fitted.dropped))}")
    if any(outcome.fixed for outcome in fitted.plan.outcomes):
        fixed = {name: value for outcome in fitted.plan.outcomes for name, value in outcome.fixed.items()}
        notes.append("fixed: " + ", ".join(f"{name} = {value:g}" for name, value in fixed.items()))
    if fitted.assembled.named.penalty.any():
        notes.append(NAIVE if fitted.solution.certificate is None else ERRORLESS)
        gone = [label.name for label, zero in zip(labels_of(fitted), zeroed(fitted), strict=True) if zero]
        notes += [f"zero, and not counted as parameters: {', '.join(gone)}"] if gone else []
    elif fitted.solution.certificate is not None:
        notes.append(HELD)
    return notes


def to_user_scale(fitted: Fitted, covariance: np.ndarray) -> np.ndarray:
    """Covariance of the standardised parameters -> of the user's; NaN where a parameter draws on an unknown one, or is
    zero by a lasso."""
    known, zero = _carried(fitted.jacobian, covariance), zeroed(fitted)
    known[zero], known[:, zero] = np.nan, np.nan
    return known


def _carried(jacobian: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """J C J', NaN where a parameter draws on an unknown one."""
    unknown = np.isnan(np.diag(covariance))
    known: np.ndarray = jacobian @ np.where(unknown[:, None] | unknown[None], 0.0, covariance) @ jacobian.T
    flat = _draws_on(jacobian, unknown)
    known[flat], known[:, flat] = np.nan, np.nan
    return known


def to_user_influence(fitted: Fitted, influence: np.ndarray) -> np.ndarray:
    """Influence values (theta, unit) on the user's scale; NaN where a parameter draws on an unknown one."""
    influence = np.where(zeroed(fitted)[:, None], 0.0, influence)
    unknown = np.isnan(influence).any(axis=1)
    known = fitted.jacobian @ np.where(unknown[:, None], 0.0, influence)
    known[_draws_on(fitted.jacobian, unknown)] = np.nan
    return known


def _draws_on(jacobian: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(theta,) whether a parameter as shown draws on unknown ones; what is left of a variance of 0 does not count."""
    size = np.abs(jacobian)
    drawn = size[:, unknown].max(axis=1, initial=0.0)
    found: np.ndarray = drawn > NOTHING * size.max(axis=1, initial=0.0)
    return found


def to_user_coefficients(fitted: Fitted, theta: np.ndarray) -> np.ndarray:
    """Standardised free parameters (draw, theta) -> on the user's scale (draw, theta)."""
    mixture, ties = fitted.assembled.mixture, fitted.assembled.named.ties
    if not natural.has_natural(mixture):
        return fitted.theta + (theta - fitted.solution.theta) @ fitted.jacobian.T
    return np.stack([natural.shown(mixture, phi)[ties.representative] for phi in phi_draws(fitted, theta)])


def phi_draws(fitted: Fitted, theta: np.ndarray) -> np.ndarray:
    """Standardised free parameters (draw, theta) -> all coefficients as kernels take them, (draw, phi)."""
    mixture, ties = fitted.assembled.mixture, fitted.assembled.named.ties
    linear = fitted.scaling.jacobian(mixture) @ ties.matrix
    moved: np.ndarray = fitted.phi + (theta - fitted.solution.theta) @ linear.T
    return moved


def phi_covariance(fitted: Fitted, covariance: np.ndarray) -> np.ndarray:
    """Covariance of the standardised parameters -> of the free ones that kernels take (theta, theta)."""
    mixture, ties = fitted.assembled.mixture, fitted.assembled.named.ties
    return _carried((fitted.scaling.jacobian(mixture) @ ties.matrix)[ties.representative], covariance)


def cluster_places(problem: Problem, cluster: np.ndarray) -> np.ndarray:
    """Cluster codes at the unit places of the design, -1 in padding."""
    weight = np.asarray(problem.design.weight)
    places = np.full(weight.size, -1)
    layout_units = problem.layout.unit
    places[layout_units] = cluster
    return places
