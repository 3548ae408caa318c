"""Fitting: from a table and a plan to a fitted state, written once for every estimator."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.core.family import Family
from mixstat.estimators.extras import extra_densities
from mixstat.estimators.model.assembly import Assembled, assemble, replace_responses, to_data
from mixstat.estimators.model.centring import centred
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.diagnosis import collinear, diagnose, require_enough, require_variation, warn_of_collinear
from mixstat.estimators.model.joint_covariates import covariate_response, require_apart, require_numbers
from mixstat.estimators.model.matching import require_matching
from mixstat.estimators.model.occasion_columns import collinear_occasions
from mixstat.estimators.model.occasions import Gathered, gather
from mixstat.estimators.model.plan import GATE, Plan
from mixstat.estimators.model.repeated import bind, encode
from mixstat.estimators.model.responses import (
    ResponseData,
    bind_family,
    distinct,
    encode_response,
    redrawn,
    require_every_level,
    require_order,
)
from mixstat.estimators.model.sample import Known, Sample, gate_values, known_classes, known_columns, take_sample
from mixstat.estimators.model.state import Fitted, Request, atoms_of
from mixstat.estimators.model.timing import with_times
from mixstat.estimators.model.units import first_rows
from mixstat.exceptions import DataError, FormulaError, OptionError
from mixstat.fit.crossing import WAYS, stopped, without_crossing
from mixstat.fit.fused_model import maximize_fused, placed
from mixstat.fit.maximize import Found, Model, maximize
from mixstat.fit.penalty import Penalty, pseudo_weight
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.fit.standardize import Scaling, learn_scaling, uses
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula import Materialized, Schema
from mixstat.inference import natural


class Prepared(NamedTuple):
    """A model and its data on the user's scale, ready to be fitted."""

    schema: Schema
    assembled: Assembled
    responses: Mapping[str, ResponseData]
    sample: Sample
    states: tuple[list, ...]
    data: Data
    dropped: set[str]
    plan: Plan


@double
def fit_model(table: Any, request: Request, sample_weight: Any) -> tuple[Fitted, Problem]:
    """Fit and return the state, with the problem (data on the device) from which robust covariances are computed."""
    return maximize_prepared(request, prepare(table, request, sample_weight))


def prepare(table: Any, request: Request, sample_weight: Any) -> Prepared:
    plan = with_times(request.plan, table, request.unit)
    request = request._replace(plan=plan)
    require_numbers(plan, table)
    schema, materialized = _materialize(table, request, sample_weight)
    if GATE in materialized.offsets:
        raise FormulaError(
            f"the gate's formula {plan.gate!r} holds an offset, which has no meaning for several classes and is not "
            "supported; use a covariate, or prior_classes for what is known of each unit"
        )
    sample = take_sample(materialized, request.unit, request.cluster, sample_weight)
    gathered = None
    if plan.repeated:
        gathered = gather(plan, materialized, sample.unit, sample.unit_labels)
        sample = sample._replace(repeated=True).observed(gathered.seen(plan), empty=plan.has_several_outcomes)
    responses = _responses(request, materialized, gathered, sample)
    require_every_level(responses, table)
    materialized = gathered.subjects if gathered else materialized
    columns = Columns(materialized)
    values = columns.values(materialized)
    dropped = collinear(plan, columns, values, sample.design_weight)
    require_apart(plan, dropped)
    dropped |= collinear_occasions(plan, responses, columns, values, sample.design_weight)
    names = {key: response.names for key, response in responses.items()}

    def assembled_of(families: Mapping[str, Family]) -> Assembled:
        return assemble(plan, columns, families, names, extras=len(request.extras), dropped=dropped)

    assembled = assembled_of({key: response.family for key, response in responses.items()})
    assembled, responses = centred(assembled, responses, sample.design_weight, assembled_of)
    require_variation(plan, responses, sample)
    if not request.from_arrays:
        require_enough(assembled, responses, sample)
    warn_of_collinear(dropped)
    mixture = assembled.mixture
    data = to_data(
        assembled,
        materialized,
        responses,
        unit=sample.design_unit,
        weight=sample.weight,
        prior=known_classes(request.prior_classes, table, sample, mixture.experts, mixture.classes),
        extra=np.zeros((mixture.extras, len(sample.weight))),
        gate_values=gate_values(columns, mixture.gate.columns, values, sample.design_unit, sample.unit_labels),
    )
    return _with_extras(request, Prepared(schema, assembled, responses, sample, (), data, dropped, plan))


def _with_extras(request: Request, prepared: Prepared) -> Prepared:
    """With the densities of the classes that have no parameters."""
    sample, seen = prepared.sample, distinct(prepared.responses)
    states = tuple(extra.learn(seen, sample.design_weight) for extra in request.extras)
    extra = extra_densities(request.extras, states, seen, sample.design_unit, len(sample.weight))
    return prepared._replace(states=states, data=prepared.data._replace(extra=extra))


def with_draws(request: Request, prepared: Prepared, draws: Sequence[np.ndarray]) -> Prepared:
    """The same rows with other values of the distinct responses, each (row, dimension)."""
    atoms = atoms_of(request.extras)
    responses = {
        key: redrawn(response, draws[int(key.split(".")[1])], atoms) for key, response in prepared.responses.items()
    }
    data = replace_responses(prepared.data, prepared.assembled, responses, prepared.sample.design_unit)
    return _with_extras(request, prepared._replace(responses=responses, data=data))


def _materialize(table: Any, request: Request, sample_weight: Any) -> tuple[Schema, Materialized]:
    named = [request.unit, request.cluster, sample_weight if isinstance(sample_weight, str) else None]
    return Schema.learn(
        table,
        main=request.plan.main,
        parts=request.plan.parts,
        variables=[name for name in dict.fromkeys(named) if name],
        apart=known_columns(request.prior_classes),
        keep_missing_response=request.plan.has_several_outcomes,
    )


def _responses(
    request: Request, rows: Materialized, gathered: Gathered | None, sample: Sample
) -> dict[str, ResponseData]:
    """Encoded responses by outcome key; every expert template must model the same ones."""
    atoms = atoms_of(request.extras)
    if gathered and request.extras:
        raise OptionError("extra= has no classes for growth curves yet; leave it out")
    responses = {}
    for outcome, response in zip(request.plan.outcomes, rows.responses or [], strict=True):
        if gathered and outcome.family.repeated:
            responses[outcome.key] = encode(outcome, bind(outcome, gathered, response), gathered, response)
        else:
            response = covariate_response(response.names, gathered) if gathered else response
            if not request.from_arrays:
                require_order(outcome.family, response)
            responses[outcome.key] = encode_response(
                bind_family(outcome.family, response, sample.design_weight), response, atoms
            )
    require_matching(request.plan, responses)
    return responses


class Standardized(NamedTuple):
    """What is maximised, and the way back: `jacobian` (phi, phi) leads to the user's scale."""

    model: Model
    scaling: Scaling
    jacobian: np.ndarray

    @property
    def ties(self) -> Ties:
        return self.model.ties


def standardize(request: Request, prepared: Prepared) -> Standardized:
    """Centre and scale the covariates."""
    mixture, tied = prepared.assembled.mixture, prepared.assembled.named.ties
    scaling = learn_scaling(mixture, tied, prepared.data.columns, prepared.sample.design_weight)
    ties = Ties(TieMap(tied.index, tied.value * scaling.scale[uses(mixture)[0]]))
    data = _standardized(prepared.data, scaling, mixture.gate.columns)
    penalty = _penalty(request, prepared.assembled, prepared.sample)
    return Standardized(Model(mixture, data, ties, penalty), scaling, scaling.jacobian(mixture))


@double
def maximize_prepared(request: Request, prepared: Prepared) -> tuple[Fitted, Problem]:
    """Standardise, search and judge: the fitted state on the user's scale, of covariates as of weights."""
    assembled, sample = prepared.assembled, prepared.sample
    standardized, unit = standardize(request, prepared), sample.weight_unit
    jacobian, ties = standardized.jacobian, standardized.ties
    found = _found(request, standardized, assembled, sample)
    verdict = diagnose(assembled, found.solution, prepared.responses, sample.weighted(1 / unit))
    solution = found.solution._replace(verdict=verdict).weighted(unit)
    phi = jacobian @ solution.phi
    fitted = Fitted(
        prepared.plan,
        prepared.schema,
        assembled,
        request.extras,
        prepared.states,
        request.unit,
        sample,
        solution,
        standardized.scaling,
        phi,
        natural.shown(assembled.mixture, phi)[ties.representative],
        (natural.slope(assembled.mixture, phi) @ jacobian @ ties.matrix)[ties.representative],
        tuple(sorted(prepared.dropped)),
        found.interrupted,
        known=Known(known_columns(request.prior_classes)),
    )
    return fitted, found.problem.weighted(unit)


def _found(request: Request, standardized: Standardized, assembled: Assembled, sample: Sample) -> Found:
    """The maximum on the standardised scale: of a penalised ordinal model by its own path, of others by search."""
    model = standardized.model.weighted(1 / sample.weight_unit)
    place = placed(model)
    if place is not None:
        found = maximize_fused(model, place)
    else:
        found = maximize(
            model,
            request.options,
            request.rng,
            start=_start(request, assembled, standardized.jacobian, standardized.ties, sample),
            keep_order=request.prior_classes is not None,
        )
    ways = {outcome.crossing for outcome in request.plan.outcomes} & set(WAYS)
    return stopped(without_crossing(model, place, found, ways.pop()) if ways else found)


def _standardized(data: Data, scaling: Scaling, gate_columns: tuple[int, ...]) -> Data:
    gate = data.gate
    if gate is not None:
        places = list(gate_columns)
        gate = (gate - scaling.centre[places, None]) / scaling.scale[places, None]
    return data._replace(columns=scaling.apply(data.columns), gate=gate)


def _penalty(request: Request, assembled: Assembled, sample: Sample) -> Penalty:
    total = float(sample.weight.sum())
    outcomes = [outcome for group in assembled.mixture.groups for outcome in group.outcomes]
    on = assembled.mixture.classes > 1 and any(outcome.family.unbounded for outcome in outcomes)
    epsilon = pseudo_weight(request.scale_penalty, sample.weight) if on else 0.0
    rate, share = total * assembled.named.penalty, assembled.named.lasso_share
    return Penalty(rate * (1 - share), rate * share, epsilon)


def _start(
    request: Request, assembled: Assembled, jacobian: np.ndarray, ties: Ties, sample: Sample
) -> np.ndarray | None:
    """theta of a fitted model of the same form, or labels 0..K-1 from a partition."""
    if request.start is None:
        return None
    earlier = getattr(request.start, "fitted_", None)
    if earlier is None:
        return _partition(request.start, sum(request.plan.copies), sample)
    if earlier.assembled.named.labels != assembled.named.labels:
        raise DataError("start= is a fitted model of another form: its coefficients do not match this model's")
    phi = natural.translated(earlier.phi, earlier.assembled.mixture, assembled.mixture)
    return ties.contract(np.linalg.solve(jacobian, phi))


def _partition(given: Any, experts: int, sample: Sample) -> np.ndarray:
    """Labels 0..K-1 of the units, from labels 1..K of the rows given or of the units."""
    labels, units = np.asarray(given), len(sample.weight)
    if labels.shape == (sample.n_given,):
        labels = labels[sample.kept]
        labels = labels if sample.unit is None else labels[first_rows(sample.unit)]
    if labels.shape != (units,) or not np.isin(labels, np.arange(1, experts + 1)).all():
        raise DataError(f"start= must be a fitted model or labels 1 to {experts} for each of the {units} units")
    return labels.astype(np.int64) - 1
