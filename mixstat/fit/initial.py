"""From a partition of the units to free parameters: moments of each part, then M-steps with the labels held."""

import numpy as np

from mixstat.core.design import Data
from mixstat.core.expert import Outcome
from mixstat.core.mixture import Mixture
from mixstat.fit.em import ascend
from mixstat.fit.problem import Problem

HELD_STEPS = 4
MOMENT_UNITS = 5_000
HELD = -1e30
"""Log prior of the classes a unit is kept out of: finite, so that nothing is NaN."""


def from_labels(
    problem: Problem, data: Data, labels: np.ndarray, *, steps: int = HELD_STEPS, variant: int = 0
) -> np.ndarray:
    """theta at the M-step of a partition (unit,), -1 for units left out; `variant` counts the families' starts."""
    mixture = problem.mixture
    labels = _admissible(data, labels, mixture.experts)
    phi = _moments(mixture, problem.ties.value, data, labels, variant)
    _set_shares(mixture, phi, data, labels)
    held = hold(problem, data, labels)
    closed = all(outcome.closed_form for group in mixture.groups for outcome in group.outcomes)
    current = held.expect(problem.ties.contract(phi))
    if closed:
        return held.maximize_complete(current, gate=False)
    for _ in range(steps):
        current = ascend(held, current, held.maximize_complete(current, gate=False))
    return current.theta


def hold(problem: Problem, data: Data, labels: np.ndarray) -> Problem:
    """The problem with every unit held in the class of its label; those of -1 have no weight."""
    prior = np.full((problem.mixture.classes, len(labels)), HELD)
    prior[labels, np.arange(len(labels))] = 0.0
    prior[:, labels < 0] = data.prior[:, labels < 0]
    weight = np.where(labels >= 0, data.weight, 0.0)
    return problem.replace(prior=problem.layout.place_units(prior), weight=problem.layout.place_units(weight))


def variants(mixture: Mixture, data: Data) -> int:
    """How many starts the families have."""
    data, _ = _thin(data, np.zeros(len(data.weight)))
    weight = data.weight if data.unit is None else data.weight[data.unit]
    return max(
        len(outcome.family.starts(data.responses[outcome.data][item], weight))
        for group in mixture.groups
        for outcome in group.outcomes
        for item in range(outcome.count)
    )


def _admissible(data: Data, labels: np.ndarray, experts: int) -> np.ndarray:
    """Labels that agree with known classes; units on an atom, which no expert can reach, are left out."""
    labels = labels.copy()
    known = np.isneginf(data.prior[:experts]).any(axis=0)
    chosen = np.take_along_axis(data.prior, np.maximum(labels, 0)[None], axis=0)[0]
    wrong = known & np.isneginf(chosen) & (labels >= 0)
    labels[wrong] = np.argmax(data.prior[:experts][:, wrong], axis=0)
    impossible = np.isneginf(data.prior[:experts]).all(axis=0)
    labels[impossible] = -1
    if data.atom is not None:
        labels[np.isneginf(data.atom)] = -1
    return labels


def _moments(mixture: Mixture, value: np.ndarray, data: Data, labels: np.ndarray, variant: int) -> np.ndarray:
    """phi with constant predictors that match each part's moments, slopes zero."""
    phi = value.copy()
    data, labels = _thin(data, labels)
    experts, _ = mixture.split(phi)
    row_labels = labels if data.unit is None else labels[data.unit]
    row_weight = data.weight if data.unit is None else data.weight[data.unit]
    first = 0
    for group, coefficients in zip(mixture.groups, experts, strict=True):
        for copy in range(group.copies):
            mine = row_weight * (row_labels == first + copy)
            if not mine.any():
                mine = row_weight
            for outcome, theta in zip(group.outcomes, group.split(coefficients[copy : copy + 1]), strict=False):
                _outcome_moments(outcome, theta, data, mine, variant)
        first += group.copies
    return phi


def _thin(data: Data, labels: np.ndarray) -> tuple[Data, np.ndarray]:
    """Evenly spaced units, enough for rough moments."""
    if len(labels) <= MOMENT_UNITS:
        return data, labels
    units = np.arange(0, len(labels), -(-len(labels) // MOMENT_UNITS))
    return data.take(units), labels[units]


def _outcome_moments(outcome: Outcome, theta: np.ndarray, data: Data, weight: np.ndarray, variant: int) -> None:
    """Write the intercepts of one expert's outcome, `theta` (1, outcome, width), in place."""
    observed = data.observed[outcome.data]
    intercepts = np.flatnonzero(outcome.column_of == 0)
    for item in range(outcome.count):
        seen = weight if observed is None else weight * observed[item]
        starts = outcome.family.starts(data.responses[outcome.data][item], seen if seen.any() else np.ones_like(weight))
        eta = starts[variant % len(starts)]
        for index in intercepts:
            parameter = outcome.parameter_of[index]
            offset = outcome.offsets[parameter]
            shift = np.average(data.offsets[offset], weights=weight) if offset >= 0 else 0.0
            theta[0, item, index] = eta[parameter] - shift


def _set_shares(mixture: Mixture, phi: np.ndarray, data: Data, labels: np.ndarray) -> None:
    """Gate intercepts from smoothed shares of the partition; classes without parameters start at a twentieth."""
    _, gate = mixture.split(phi)
    if not gate.size or 0 not in mixture.gate.columns:
        return
    count = np.bincount(labels[labels >= 0], minlength=mixture.experts) + 1.0
    share = np.concatenate([count / count.sum(), np.full(mixture.extras, 0.05)])
    gate[:, mixture.gate.columns.index(0)] = np.log(share[1:] / share[0])
