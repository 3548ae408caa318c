"""Prior: weakly informative normal distributions of the free standardised parameters.

    theta ~ Normal(centre, precision^-1)

A coefficient's standard deviation is `multiplier x unit`. The unit is the response's standard deviation where the link
is the identity (for a dependence, the ratio of two of them) and 1 on a log or logit scale; covariates have standard
deviation 1. Intercepts are centred where one expert without covariates would fit the whole sample, slopes at 0.
Gate coefficients are differences gamma_k = a_k - a_1 of independent normal a_k, so that the prior does not change when
classes change places. (Gelman, Jakulin, Pittau and Su, 2008, Annals of Applied Statistics 2: weakly informative
priors on standardised predictors.)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixstat.core.expert import Outcome
from mixstat.core.family import Family
from mixstat.core.mixture import Mixture
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem

MULTIPLIERS = {"intercept": 2.5, "slope": 2.5, "scale": 1.5, "gate": 2.5}
"""By kind: location intercepts, slopes of any parameter, intercepts of other parameters, gate coefficients."""


class Prior(NamedTuple):
    """`centre` (theta,) and `precision` (theta, theta)."""

    centre: np.ndarray
    precision: np.ndarray


def kinds(mixture: Mixture) -> list[str]:
    """(phi,) the kind of each coefficient, a key of MULTIPLIERS."""
    listed = [
        _kind(outcome, position)
        for group in mixture.groups
        for _ in range(group.copies)
        for outcome in group.outcomes
        for _ in range(outcome.count)
        for position in range(outcome.width)
    ]
    return listed + ["gate"] * int(np.prod(mixture.gate.shape))


def _kind(outcome: Outcome, position: int) -> str:
    if outcome.column_of[position] != 0:
        return "slope"
    return "intercept" if outcome.family.parameters[outcome.parameter_of[position]].location else "scale"


@double
def make_prior(problem: Problem, multiplier: np.ndarray) -> Prior:
    """The prior on the standardised scale of `problem`; `multiplier` (phi,)."""
    mixture, ties = problem.mixture, problem.ties
    placed = list(_of_experts(problem))
    centre = np.concatenate([*(part.centre for part in placed), np.zeros(int(np.prod(mixture.gate.shape)))])
    unit = np.concatenate([*(part.unit for part in placed), np.ones(len(centre) - sum(len(p.unit) for p in placed))])
    precision = np.diag((multiplier * unit) ** -2.0)
    experts = len(centre) - int(np.prod(mixture.gate.shape))
    precision[experts:, experts:] = _gate_precision(mixture, multiplier[experts:])
    places = ties.representative
    return Prior(centre[places], precision[np.ix_(places, places)])


def _gate_precision(mixture: Mixture, deviation: np.ndarray) -> np.ndarray:
    """Inverse covariance of a_k - a_1 (class - 1, column): each has standard deviation `deviation`, correlation 1/2."""
    rows, columns = mixture.gate.shape
    shared = np.eye(rows) - 1.0 / mixture.classes
    scale = 2.0 / deviation.reshape(rows, columns)[:1].repeat(rows, axis=0).ravel() ** 2
    return np.kron(shared, np.eye(columns)) * scale


class _Placed(NamedTuple):
    """Centre and unit of the coefficients of one outcome."""

    centre: np.ndarray
    unit: np.ndarray


def _of_experts(problem: Problem) -> Iterator[_Placed]:
    weight = _row_weight(problem)
    for group in problem.mixture.groups:
        placed = [
            _of_outcome(problem, outcome, item, weight) for outcome in group.outcomes for item in range(outcome.count)
        ]
        for _ in range(group.copies):
            yield from placed


def _row_weight(problem: Problem) -> np.ndarray:
    """(block, row)."""
    weight = np.asarray(problem.design.weight)
    unit = problem.design.unit
    return weight if unit is None else np.take_along_axis(weight, np.asarray(unit), axis=1)


def _of_outcome(problem: Problem, outcome: Outcome, item: int, weight: np.ndarray) -> _Placed:
    design = problem.design
    observed = design.observed[outcome.data]
    seen = (weight if observed is None else weight * np.asarray(observed)[:, item]).ravel()
    data = np.moveaxis(np.asarray(design.responses[outcome.data])[:, item], 1, 0)
    data = data.reshape(len(data), -1)
    start = outcome.family.start(data, seen if seen.any() else np.ones_like(seen))
    unit = _units(outcome.family, start, data, seen)
    shift = np.array([_mean_offset(problem, offset, seen) for offset in outcome.offsets])
    p, constant = outcome.parameter_of, outcome.column_of == 0
    return _Placed(np.where(constant, start[p] - shift[p], 0.0), unit[p])


def _mean_offset(problem: Problem, offset: int, weight: np.ndarray) -> float:
    if offset < 0 or not weight.any():
        return 0.0
    return float(np.average(np.asarray(problem.design.offsets)[:, offset].ravel(), weights=weight))


def _units(family: Family, start: np.ndarray, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(P,) the unit of each parameter's predictor."""
    unit = np.ones(len(start))
    deviation = _deviation(_responses(family, start, data), weight)
    located = [p for p, parameter in enumerate(family.parameters) if parameter.location]
    for place, p in enumerate(located):
        if family.parameters[p].link == "identity" and not family.categories:
            unit[p] = deviation[place]
    pairs = getattr(family, "pairs", ())
    for p, (j, i) in zip(range(len(start) - len(pairs), len(start)), pairs, strict=True):
        unit[p] = deviation[j] / deviation[i]
    return unit


def _responses(family: Family, start: np.ndarray, data: np.ndarray) -> np.ndarray:
    """(dimension, row) on the scale of the location predictor."""
    if not family.has_closed_form:
        return data[: family.dimension]
    return np.asarray(family.residuals(tuple(start[:, None]), data))


def _deviation(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(dimension,) weighted standard deviation, 1 where there is none."""
    total = max(weight.sum(), 1e-300)
    used = np.where(weight > 0, values, 0.0)
    centred = np.where(weight > 0, values - (used @ weight / total)[:, None], 0.0)
    deviation = np.sqrt(centred**2 @ weight / total)
    return np.where(deviation > 0, deviation, 1.0)
