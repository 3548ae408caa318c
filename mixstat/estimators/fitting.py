"""Fitting: from a table and a plan to a fitted state, written once for every estimator."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.estimators.assembly import Assembled, Columns, assemble, to_data
from mixstat.estimators.extras import Extra, ResponseData
from mixstat.estimators.plan import GATE, Plan
from mixstat.estimators.responses import bind_family, encode_response
from mixstat.estimators.units import check_weight, first_rows, log_prior, number_units, require_constant
from mixstat.exceptions import CollinearityWarning, DataError
from mixstat.fit.maximize import Model, maximize
from mixstat.fit.options import Options
from mixstat.fit.penalty import Penalty
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.fit.solution import Solution
from mixstat.fit.standardize import Scaling, aliased, learn_scaling, uses
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula.frame import Table
from mixstat.formula import Materialized, Schema


class Request(NamedTuple):
    """What an estimator asks for."""

    plan: Plan
    options: Options
    extras: tuple[Extra, ...]
    unit: str | None
    cluster: str | None
    prior_classes: Any
    scale_penalty: float
    start: Any
    rng: np.random.Generator


class Sample(NamedTuple):
    """The rows that entered the fit: what they weigh and which unit and cluster they belong to."""

    weight: np.ndarray  # (unit,)
    row_weight: np.ndarray
    unit: np.ndarray | None
    unit_labels: np.ndarray | None
    cluster: np.ndarray | None  # (unit,)
    kept: np.ndarray
    n_given: int
    n_dropped: int


class Fitted(NamedTuple):
    """Everything a fitted estimator knows; coefficients on the user's scale.

    `jacobian` (theta, theta) maps standardised free parameters to the user's scale, so that a covariance C of the
    former is `jacobian C jacobian'` on the latter.
    """

    plan: Plan
    schema: Schema
    assembled: Assembled
    extras: tuple[Extra, ...]
    extra_states: tuple[list, ...]
    unit_name: str | None
    sample: Sample
    solution: Solution
    scaling: Scaling
    phi: np.ndarray
    theta: np.ndarray
    jacobian: np.ndarray
    responsibility: np.ndarray  # (unit, class)
    dropped: tuple[str, ...]
    interrupted: bool


@double
def fit_model(data: Any, request: Request, sample_weight: Any) -> tuple[Fitted, Problem]:
    """Fit and return the state, with the problem (data on the device) from which robust covariances are computed."""
    schema, materialized = _materialize(data, request, sample_weight)
    sample = _sample(materialized, request, sample_weight)
    families = {
        outcome.key: bind_family(outcome.family, response)
        for outcome, response in zip(request.plan.outcomes, materialized.responses or [], strict=True)
    }
    atoms = tuple(a for a in (extra.atom() for extra in request.extras) if a is not None)
    responses = {
        outcome.key: encode_response(families[outcome.key], response, atoms)
        for outcome, response in zip(request.plan.outcomes, materialized.responses or [], strict=True)
    }
    columns = Columns(materialized)
    values = columns.values(materialized)
    dropped = _dropped(request.plan, columns, values, sample.row_weight)
    names = {
        outcome.key: ",".join(response.names)
        for outcome, response in zip(request.plan.outcomes, materialized.responses or [], strict=True)
    }
    assembled = assemble(
        request.plan, columns, families, names, extras=len(request.extras), dropped=dropped
    )
    _require_enough(assembled, responses, sample)
    states = tuple(extra.learn(_distinct(responses)) for extra in request.extras)
    prior = _prior(data, request, materialized, sample, assembled)
    raw = to_data(
        assembled,
        materialized,
        responses,
        unit=sample.unit,
        weight=sample.weight,
        prior=prior,
        extra=extra_densities(request.extras, states, _distinct(responses), sample.unit, len(sample.weight)),
        atoms=atoms,
        gate_values=_gate_values(assembled, values, sample),
    )
    del materialized, values
    return _maximize(request, schema, assembled, sample, raw, states, dropped)


def _materialize(data: Any, request: Request, sample_weight: Any) -> tuple[Schema, Materialized]:
    named = [request.unit, request.cluster, sample_weight if isinstance(sample_weight, str) else None]
    return Schema.learn(
        data,
        main=request.plan.main,
        parts=request.plan.parts,
        variables=[name for name in dict.fromkeys(named) if name],
        keep_missing_response=request.plan.has_several_outcomes,
    )


def _sample(materialized: Materialized, request: Request, sample_weight: Any) -> Sample:
    """Weights, units and clusters of the rows that are left."""
    kept, variables = materialized.kept, materialized.variables
    if not len(kept):
        raise DataError(
            f"no rows are left: all {materialized.n_given} rows miss a value in a column that the model uses"
            if materialized.n_given
            else "the data have no rows"
        )
    if sample_weight is None:
        row_weight = np.ones(len(kept))
    elif isinstance(sample_weight, str):
        row_weight = check_weight(variables[sample_weight], len(kept), f"sample_weight column {sample_weight!r}")
    else:
        row_weight = check_weight(sample_weight, materialized.n_given, "sample_weight")[kept]
        check_weight(row_weight, len(kept), "sample_weight of the rows without missing values")
    unit, labels, weight = None, None, row_weight
    cluster = None if request.cluster is None else number_units(variables[request.cluster])[0]
    if request.unit is not None:
        unit, labels = number_units(variables[request.unit])
        weight = require_constant(row_weight, unit, labels, ["sample_weight"], "weight")[:, 0]
        if cluster is not None:
            cluster = require_constant(cluster, unit, labels, [request.cluster or ""], "cluster column")[:, 0]
    return Sample(weight, row_weight, unit, labels, cluster, kept, materialized.n_given, materialized.n_dropped)


def _dropped(plan: Plan, columns: Columns, values: np.ndarray, weight: np.ndarray) -> set[str]:
    """ "key:column" of collinear columns, with a warning that names them."""
    names = {place: name for name, place in columns.names.items()}
    known: dict[tuple[int, ...], list[int]] = {}
    dropped = set()
    for key, places in columns.places.items():
        if places not in known:
            known[places] = aliased(values, weight, places) if len(places) > 1 or places != (0,) else []
        dropped |= {f"{key}:{names[places[index]]}" for index in known[places]}
    if dropped:
        shown = sorted({name.split(":", 1)[1] for name in dropped})
        warnings.warn(
            f"column(s) {', '.join(map(repr, shown))} are constant or linear combinations of the columns before "
            "them; their coefficients are not estimated (fixed at 0). Drop them from the formula to silence this",
            CollinearityWarning,
            stacklevel=6,
        )
    return dropped


def _require_enough(assembled: Assembled, responses: Mapping[str, ResponseData], sample: Sample) -> None:
    observations = int(sum((r.seen & (sample.row_weight > 0)).sum() for r in _distinct(responses)))
    size = assembled.ties.size
    if observations < size and not assembled.penalty.any():
        raise DataError(
            f"{observations} observations cannot inform {size} parameters; use fewer experts or covariates, "
            "shared= or fixed= parameters, or a penalty"
        )


def _distinct(responses: Mapping[str, ResponseData]) -> list[ResponseData]:
    """One entry a response: experts of the same response are counted once."""
    result: list[ResponseData] = []
    for response in responses.values():
        if not any(np.array_equal(response.values, other.values, equal_nan=True) for other in result):
            result.append(response)
    return result


def extra_densities(
    extras: tuple[Extra, ...], states: tuple, responses: list[ResponseData], unit: np.ndarray | None, units: int
) -> np.ndarray:
    """(extra, unit) log densities."""
    densities = np.zeros((len(extras), units))
    for index, (extra, state) in enumerate(zip(extras, states, strict=True)):
        rows = extra.log_density(state, responses)
        densities[index] = rows if unit is None else np.bincount(unit, rows, minlength=units)
    return densities


def _prior(
    data: Any, request: Request, materialized: Materialized, sample: Sample, assembled: Assembled
) -> np.ndarray:
    known, mixture = request.prior_classes, assembled.mixture
    if known is None:
        return np.zeros((mixture.classes, len(sample.weight)))
    if isinstance(known, str) or (isinstance(known, list) and known and isinstance(known[0], str)):
        table = Table(data)
        names = [known] if isinstance(known, str) else known
        known = np.column_stack([table.raw(name)[0] for name in names])
    return log_prior(known, materialized.kept, mixture.experts, mixture.classes, sample.unit)


def _gate_values(assembled: Assembled, values: np.ndarray, sample: Sample) -> np.ndarray | None:
    """(column, unit) gate columns where rows are grouped in units."""
    if sample.unit is None or sample.unit_labels is None:
        return None
    places = assembled.mixture.gate.columns
    names = [name for name, place in sorted(assembled.columns.names.items(), key=lambda item: item[1])]
    chosen = [names[place] for place in places]
    return require_constant(values[list(places)].T, sample.unit, sample.unit_labels, chosen, "gate column").T


def _maximize(
    request: Request,
    schema: Schema,
    assembled: Assembled,
    sample: Sample,
    raw: Data,
    states: tuple,
    dropped: set[str],
) -> tuple[Fitted, Problem]:
    mixture = assembled.mixture
    scaling = learn_scaling(mixture, assembled.ties, raw.columns, sample.row_weight)
    standard = np.append(1.0, scaling.scale)[1:][uses(mixture)[0]]
    ties = Ties(TieMap(assembled.ties.index, assembled.ties.value * standard))
    gate = raw.gate
    if gate is not None:
        places = list(mixture.gate.columns)
        gate = (gate - scaling.centre[places, None]) / scaling.scale[places, None]
    data = raw._replace(columns=scaling.apply(raw.columns), gate=gate)
    model = Model(mixture, data, ties, _penalty(request, assembled, sample), _features(data, sample))
    jacobian = scaling.jacobian(mixture)
    start = _start(request, jacobian, ties, sample)
    solution, interrupted, problem, responsibility = maximize(
        model, request.options, request.rng, start=start, keep_order=request.prior_classes is not None
    )
    phi = jacobian @ solution.phi
    fitted = Fitted(
        request.plan,
        schema,
        assembled,
        request.extras,
        states,
        request.unit,
        sample,
        solution,
        scaling,
        phi,
        phi[ties.representative],
        (jacobian @ ties.matrix)[ties.representative],
        responsibility,
        tuple(sorted(dropped)),
        interrupted,
    )
    return fitted, problem


def _penalty(request: Request, assembled: Assembled, sample: Sample) -> Penalty:
    total = float(sample.weight.sum())
    outcomes = [outcome for group in assembled.mixture.groups for outcome in group.outcomes]
    on = assembled.mixture.classes > 1 and any(outcome.family.unbounded for outcome in outcomes)
    epsilon = request.scale_penalty / total**2 if on else 0.0
    rate = total * assembled.penalty
    return Penalty(rate * (1 - assembled.lasso_share), rate * assembled.lasso_share, epsilon)


def _features(data: Data, sample: Sample) -> np.ndarray:
    """(unit, feature): responses and predictors that k-means starts cluster, averaged over a unit's rows."""
    parts = [data.columns[1:]]
    for response in data.responses:
        values = response[:, 0]
        parts.append(values)
    rows = np.concatenate(parts).T
    if sample.unit is None:
        return rows
    first = first_rows(sample.unit)
    total = np.zeros((len(first), rows.shape[1]))
    np.add.at(total, sample.unit, rows)
    return total / np.bincount(sample.unit)[:, None]


def _start(request: Request, jacobian: np.ndarray, ties: Ties, sample: Sample) -> np.ndarray | None:
    """theta of a fitted model of the same form, or labels 0..K-1 from a partition."""
    if request.start is None:
        return None
    earlier = getattr(request.start, "fitted_", None)
    if earlier is not None:
        if len(earlier.phi) != len(jacobian):
            raise DataError("start= is a fitted model of another form: its coefficients do not match this model's")
        return ties.contract(np.linalg.solve(jacobian, earlier.phi))
    labels = np.asarray(request.start)
    units = len(sample.weight)
    if labels.shape == (sample.n_given,) and sample.n_given != units:
        labels = labels[sample.kept]
        labels = labels if sample.unit is None else labels[first_rows(sample.unit)]
    experts = sum(request.plan.copies)
    if labels.shape != (units,) or not np.isin(labels, np.arange(1, experts + 1)).all():
        raise DataError(f"start= must be a fitted model or labels 1 to {experts} for each of the {units} units")
    return labels.astype(np.int64) - 1
