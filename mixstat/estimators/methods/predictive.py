"""Predictive distributions of a fitted mixture in new rows: the classes' laws of one response and their weights."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from mixstat.core.family import Family
from mixstat.estimators.methods.subjects import observed_values, occasion_densities, occasion_laws
from mixstat.estimators.model import new_data, report
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.new_data import NewData
from mixstat.estimators.model.outputs import is_covariate
from mixstat.estimators.model.slots import Slot
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Table
from mixstat.inference.distribution import ExpertLaw, Law, Predictive
from mixstat.inference.posterior import normal_draws
from mixstat.inference.prediction import row_predictors

ENTRIES = 1 << 20
"""Rows times laws whose quantiles are found at once."""
WEIGHTS = ("gate", "responsibilities", "sequential")


class Chosen(NamedTuple):
    """A response: its slot in the first expert, its place among the responses, and its column in that slot."""

    slot: Slot
    number: int
    column: int = 0


class Observed(NamedTuple):
    """The predictive distribution of every row and its response y (row,)."""

    predictive: Predictive
    y: np.ndarray


def predict_distribution(fitted: Fitted, table: Any, response: str | None) -> Predictive:
    """Before the response is seen: weights are the gate's. A grouped binomial's trials are read where given."""
    chosen, new = _chosen(fitted, response), _read(fitted, table)
    return _predictive(fitted, new, chosen)


def predict_averaged(fitted: Fitted, table: Any, response: str | None, phi: np.ndarray) -> Predictive:
    """The average of the predictive distributions at coefficients phi (draw, phi): all their classes in one mixture."""
    chosen, new = _chosen(fitted, response), _read(fitted, table)
    parts = [_predictive(fitted._replace(phi=one), new, chosen) for one in phi]
    weight = np.concatenate([part.log_weight for part in parts]) - np.log(len(parts))
    return Predictive(weight, tuple(law for part in parts for law in part.laws))


def drawn_coefficients(model: Any, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draw, phi) from the normal distribution of the estimates, in pairs mirrored at them."""
    check_is_fitted(model, "fitted_")
    covariance = model._inner_covariance(None)
    unknown = np.isnan(np.diag(covariance))
    if unknown.any():
        names = [label.name for label, missing in zip(report.labels_of(model.fitted_), unknown, strict=True) if missing]
        raise DataError(f"estimation=True needs standard errors, and there is none for: {', '.join(names)}")
    deviation = normal_draws(rng, np.zeros(len(covariance)), covariance, -(-draws // 2))
    theta = model.fitted_.solution.theta + np.concatenate([deviation, -deviation])
    return report.phi_draws(model.fitted_, theta[:draws])


def in_parts(predictive: Predictive, q: np.ndarray) -> np.ndarray:
    """Quantiles (level, row) of a mixture of many laws, some rows at a time."""
    size = max(1, ENTRIES // len(predictive.laws))
    parts = [np.arange(start, min(start + size, predictive.rows)) for start in range(0, predictive.rows, size)]
    return np.concatenate([predictive.take(rows).quantile(q) for rows in parts], axis=1)


def _read(fitted: Fitted, table: Any) -> NewData:
    known = new_data.with_trials(fitted, table)
    return new_data.read(fitted, table if known is None else known, response=known is not None, by_unit=False)


def _predictive(fitted: Fitted, new: NewData, chosen: Chosen) -> Predictive:
    slot, index, column = chosen
    laws = occasion_laws(fitted, new, outcome=column) if slot.family.repeated else _laws(fitted, new, index, slot)
    return Predictive(_logs(new_data.row_gate(fitted, new)), laws)


def observe_distribution(fitted: Fitted, table: Any, response: str | None, weights: str) -> Observed:
    """With the observed response; see `Distributing.cdf` for `weights`."""
    choice("weights", weights, WEIGHTS)
    slot, index, column = _chosen(fitted, response)
    for name in fitted.schema.response_columns:
        if name not in Table(table).names:
            raise DataError(f"the response is needed here: column {name!r} is not in the data")
    if slot.family.repeated:
        return _observe_occasions(fitted, table, weights, column)
    grouped = weights == "sequential" and fitted.unit_name is not None
    new = new_data.read(fitted, table, response=True, by_unit=grouped)
    assert new.responses is not None
    y = new.responses[f"0.{index}"].values[0]
    _require_seen(slot.response, y)
    gate = new_data.row_gate(fitted, new)
    if weights == "responsibilities":
        gate = new_data.row_responsibilities(fitted, table)
    predictive = Predictive(_logs(gate if new.unit is None else gate[new.unit]), _laws(fitted, new, index, slot))
    if new.unit is None:
        return Observed(predictive, y)
    weight = sequential_weight(predictive.log_weight, predictive.class_log_density(y), new.unit)
    return Observed(predictive._replace(log_weight=weight), y)


def _require_seen(response: str, y: np.ndarray) -> None:
    missing = np.flatnonzero(np.isnan(y))
    if len(missing):
        raise DataError(f"response {response!r} is missing in {len(missing)} rows (first: row {missing[0]}); drop them")


def _observe_occasions(fitted: Fitted, table: Any, weights: str, outcome: int) -> Observed:
    """Occasions of a growth curve by themselves, or each given the subject's earlier ones, in the order of time."""
    if weights == "responsibilities":
        raise OptionError(
            "weights='responsibilities' is not for growth curves, whose occasions depend on each other given the "
            "class; use 'sequential' (given earlier occasions), 'gate', or predict(kind='subject')"
        )
    new = new_data.with_response(fitted, table)
    y = observed_values(fitted, new, outcome)
    _require_seen(fitted.assembled.stacks[0][0][0].responses[outcome], y)
    rows = new_data.read(fitted, table, response=False, by_unit=False)
    log_gate = _logs(new_data.row_gate(fitted, rows))
    if weights == "gate":
        return Observed(Predictive(log_gate, occasion_laws(fitted, rows, outcome=outcome)), y)
    assert new.grid is not None
    predictive = Predictive(log_gate, occasion_laws(fitted, new, outcome=outcome, earlier=True))
    density = occasion_densities(fitted, new)
    order = np.lexsort((new.grid.place, new.grid.subject))
    weight = np.empty_like(log_gate)
    weight[:, order] = sequential_weight(log_gate[:, order], density[:, order], new.grid.subject[order])
    return Observed(predictive._replace(log_weight=weight), y)


def sequential_weight(log_gate: np.ndarray, log_density: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """log P(class | the unit's earlier rows), (class, row), from log pi and log f (class, row) in the rows' order.

    Rows after a history that no class can produce have the gate's weights.
    """
    order = np.argsort(unit, kind="stable")
    first = np.searchsorted(unit[order], unit[order])
    position = np.empty(len(unit), dtype=np.int64)
    position[order] = np.arange(len(unit)) - first
    history = np.zeros((len(log_gate), int(unit.max(initial=-1)) + 1))
    result = np.array(log_gate)
    for place in range(int(position.max(initial=-1)) + 1):
        rows = np.flatnonzero(position == place)
        joint = log_gate[:, rows] + history[:, unit[rows]]
        total = logsumexp(joint, axis=0)
        possible = total > -np.inf
        result[:, rows[possible]] = joint[:, possible] - total[possible]
        history[:, unit[rows]] += log_density[:, rows]
    return result


def _logs(probability: np.ndarray) -> np.ndarray:
    """(row, class) probabilities -> (class, row) logs."""
    with np.errstate(divide="ignore"):
        return np.log(probability.T)


def _chosen(fitted: Fitted, response: str | None) -> Chosen:
    """The response asked for; parallel outcomes are responses of their own."""
    first = [slot for slots in fitted.assembled.stacks[0] for slot in slots if not is_covariate(fitted, slot)]
    known: dict[str, Chosen] = {}
    for index, slot in enumerate(sorted(first, key=_place)):
        names = slot.responses if slot.family.repeated else (slot.response,)
        known |= {name: Chosen(slot, index, column) for column, name in enumerate(names)}
    names = tuple(known)
    if response is None and len(names) > 1:
        raise OptionError(f"the model has several responses ({', '.join(names)}); choose one with response=")
    if response is not None and response not in names:
        raise OptionError(f"response must be one of {', '.join(map(repr, names))}, got {response!r}")
    chosen = known[names[0] if response is None else response]
    family = chosen.slot.family
    if not family.repeated and type(family).tails is Family.tails:
        family.tails((), np.zeros(1))
    return chosen


def _place(slot: Slot) -> int:
    return int(slot.plan.key.split(".")[1])


def _laws(fitted: Fitted, new: NewData, index: int, first: Slot) -> tuple[Law, ...]:
    """Experts in order, then extra classes."""
    predictors = row_predictors(fitted.assembled.mixture, fitted.phi, new.data)
    laws: list[Law] = []
    for template, values in zip(fitted.assembled.stacks, predictors, strict=True):
        for slots, stacked in zip(template, values, strict=True):
            for item, slot in enumerate(slots):
                if _place(slot) == index:
                    data = None if new.responses is None else new.responses[slot.plan.key].data
                    laws += [ExpertLaw(slot.family, eta, data) for eta in stacked[:, item]]
    extras = zip(fitted.extras, fitted.extra_states, strict=True)
    return (*laws, *(extra.law(state, index, first.family) for extra, state in extras))
