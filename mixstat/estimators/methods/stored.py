"""Stored: a fitted estimator as plain data and arrays, and back.

Structure is not taken from the data: the constructor runs on the stored arguments, formulas are parsed anew, and the
mixture is assembled from both. Sizes are compared before anything is allocated, and numbers have to fit.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from mixstat.core.family import Family
from mixstat.estimators.extras import Box, Noise
from mixstat.estimators.methods import arguments, stored_growth
from mixstat.estimators.methods.stored_growth import constants_of, times_of
from mixstat.estimators.model.assembly import Assembled, assemble
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.plan import GATE, OutcomePlan, Plan
from mixstat.estimators.model.repeated import Repeated
from mixstat.estimators.model.sample import Known, Sample, known_columns
from mixstat.estimators.model.slots import by_key
from mixstat.estimators.model.state import Fitted, Request
from mixstat.estimators.model.timing import times_as_in
from mixstat.exceptions import DataError
from mixstat.families.survival import Survival
from mixstat.fit.solution import Solution, Start, Verdict
from mixstat.fit.standardize import Scaling, uses
from mixstat.fit.ties import TieMap, Ties
from mixstat.formula import Materialized, Matrix, Schema, persist
from mixstat.results.archive import Archive
from mixstat.results.checked import Numbers, Plain, are_numbers, is_increasing

if TYPE_CHECKING:
    from mixstat.estimators.base import MixtureEstimator


def describe(model: Any) -> Archive:
    """A fitted estimator as plain data and arrays."""
    fitted: Fitted = model.fitted_
    solution, sample, verdict = fitted.solution, fitted.sample, fitted.solution.verdict
    slots = by_key(fitted.assembled.stacks)
    plain = {
        "estimator": arguments.encode(model),
        "array_mode": _describe_array_mode(model),
        "schema": persist.to_dict(fitted.schema),
        "levels": {outcome.key: _levels(slots[outcome.key].family) for outcome in fitted.plan.outcomes},
        "coordinates": {key: constants_of(s.family) for key, s in slots.items() if isinstance(s.family, Repeated)},
        "labels": [list(label) for label in fitted.assembled.named.labels],
        "dropped": list(fitted.dropped),
        "rows": {"given": int(sample.n_given), "dropped": int(sample.n_dropped)},
        "verdict": {"converged": bool(verdict.converged), "spurious": bool(verdict.spurious), "status": verdict.status},
        "starts": [[start.kind, start.status, int(start.hits), int(start.iterations)] for start in solution.starts],
        "iterations": int(solution.iterations),
        "interrupted": bool(fitted.interrupted),
        "expert_names": list(fitted.names),
    }
    return Archive(plain, _describe_numbers(fitted))


def _levels(family: Family) -> list:
    """What a family has learnt of its response: categories, the times that all subjects have in common, constants."""
    if isinstance(family, Survival):
        return list(family.constants)
    return times_of(family) if isinstance(family, Repeated) else list(family.categories)


def _describe_array_mode(model: Any) -> dict[str, Any] | None:
    """What a model without a formula knows of X."""
    if model._representative().formula is not None:
        return None
    names = getattr(model, "feature_names_in_", None)
    formula = model.fitted_.plan.outcomes[0].formula
    return {"formula": formula, "columns": int(model.n_features_in_), "names": None if names is None else list(names)}


def _describe_numbers(fitted: Fitted) -> dict[str, np.ndarray]:
    solution, sample = fitted.solution, fitted.sample
    numbers = {
        "coefficients": fitted.phi,
        "estimates": fitted.theta,
        "standardised": solution.theta,
        "jacobian": fitted.jacobian,
        "centre": fitted.scaling.centre,
        "scale": fitted.scaling.scale,
        "class_weight": solution.class_weight,
        "facts": np.array([solution.log_likelihood, solution.objective, solution.verdict.entropy], dtype=float),
        "decrement": np.array([solution.decrement], dtype=float),
        "starts": np.array([[s.log_likelihood, s.objective] for s in solution.starts], dtype=float).reshape(-1, 2),
        "weight": sample.weight,
        "unit": None if sample.unit is None else sample.unit.astype(np.int32),
        "observed": None if sample.seen is None else sample.seen.astype(np.int32),
        "known": np.array(fitted.known.labels, dtype=float) if fitted.known.labels else None,
        "gradient": solution.gradient,
        "information": solution.information,
        "products": solution.products,
        "certificate": None if solution.certificate is None else np.array(solution.certificate, dtype=float),
    }
    for index, state in enumerate(fitted.extra_states):
        numbers[f"noise{index}"] = np.concatenate([np.stack(box) for box in state], axis=1) if state else None
    return {name: np.asarray(values) for name, values in numbers.items() if values is not None}


def restore(found: Archive, families: Mapping[str, Family]) -> "MixtureEstimator":
    """The estimator that `describe` told of, families in `families` going before registered ones.

    Raises DataError, FormulaError or OptionError where anything does not fit; TypeError and the like where the data
    are of another form.
    """
    plain, numbers = Plain(found.manifest), Numbers(found.arrays)
    model = arguments.decode(plain.take("estimator", dict), families)
    if not hasattr(model, "_learn"):
        raise DataError(f"the file holds a {type(model).__name__}, which is no estimator that is fitted")
    array_mode = plain.take("array_mode", dict, NoneType)
    formula = None if array_mode is None else _restore_array_mode(model, Plain(array_mode))
    model.fitted_ = _fitted(model._request(formula), plain, numbers)
    plain.finish()
    numbers.finish()
    model._learn(formula)
    return model


def _fitted(request: Request, plain: Plain, numbers: Numbers) -> Fitted:
    """The state: how many coefficients and classes there are is known to agree before the mixture is assembled."""
    stored = plain.take("schema", dict)
    request = request._replace(plan=times_as_in(request.plan, stored.get("formulas")))
    schema = _schema(stored, request.plan)
    labels, dropped = plain.take("labels", list), plain.take("dropped", list)
    phi = numbers.take("coefficients", len(labels))
    class_weight = numbers.take("class_weight", sum(request.plan.copies) + len(request.extras))
    learnt = plain.take("levels", dict), plain.take_optional("coordinates", dict) or {}
    assembled = _assembled(request, schema, *learnt, labels, dropped)
    size, scaling = assembled.named.ties.size, _scaling(assembled, numbers)
    return Fitted(
        plan=request.plan,
        schema=schema,
        assembled=assembled,
        extras=request.extras,
        extra_states=_extra_states(request, assembled, numbers),
        unit_name=request.unit,
        sample=_sample(request, Plain(plain.take("rows", dict)), numbers),
        scaling=scaling,
        solution=_solution(assembled, scaling, class_weight, plain, numbers),
        phi=phi,
        theta=numbers.take("estimates", size),
        jacobian=numbers.take("jacobian", size, size),
        dropped=tuple(dropped),
        interrupted=plain.take("interrupted", bool),
        names=_expert_names(plain.take("expert_names", list), assembled),
        known=_known(request, assembled, numbers),
    )


def _restore_array_mode(model: Any, stored: Plain) -> str:
    """Give a model without a formula the columns it was fitted to; the formula made of them."""
    if model._representative().formula is not None:
        raise DataError("a model with a formula is not fitted to arrays")
    formula, count = stored.take("formula", str), stored.take_count("columns")
    names = stored.take("names", list, NoneType)
    stored.finish()
    if names is not None:
        if len(names) != count or not all(isinstance(name, str) for name in names):
            raise DataError("'names' are not those of the columns")
        model.feature_names_in_ = np.array(names, dtype=object)
    model.n_features_in_ = count
    return str(formula)


def _schema(stored: dict[str, Any], plan: Plan) -> Schema:
    """The schema, of the plan's formulas."""
    schema = persist.from_dict(stored)
    same = list(schema.formulas.items()) == list({**plan.main, **plan.parts}.items()) and list(schema.lefts) == list(
        plan.main
    )
    if not same or schema.keep_missing_response != plan.has_several_outcomes:
        raise DataError("the schema's formulas are not those of the arguments")
    return schema


def _assembled(
    request: Request,
    schema: Schema,
    levels: dict[str, Any],
    coordinates: dict[str, Any],
    labels: list,
    dropped: list,
) -> Assembled:
    """The mixture, once the number of coefficients is known to agree."""
    plan, extras = request.plan, len(request.extras)
    if list(levels) != list(plan.main):
        raise DataError("the levels are not those of the responses")
    names = {key: left.names for key, left in schema.lefts.items()}
    if set(coordinates) != {outcome.key for outcome in plan.outcomes if outcome.family.repeated}:
        raise DataError("the coordinates are not those of the growth models")
    families = {
        o.key: _bound_family(o, names[o.key], levels[o.key], coordinates.get(o.key), schema) for o in plan.outcomes
    }
    size = _size(plan, schema, families, extras)
    if size != len(labels):
        raise DataError(f"the model has {size} coefficients, the file {len(labels)}")
    columns = _columns(plan, schema)
    known = {f"{key}:{columns.by_place[place]}" for key, places in columns.places.items() for place in places}
    if sorted(set(dropped)) != dropped or not known.issuperset(dropped):
        raise DataError("'dropped' names columns that no formula has")
    assembled = assemble(plan, columns, families, names, extras=extras, dropped=set(dropped))
    if [list(label) for label in assembled.named.labels] != labels:
        raise DataError("the labels of the coefficients are not those that the arguments give")
    return assembled


def _bound_family(
    outcome: OutcomePlan, names: tuple[str, ...], levels: Any, coordinates: Any, schema: Schema
) -> Family:
    """The family of a response, with the levels (and coordinates) it had in fit."""
    if not isinstance(levels, list):
        raise DataError(f"the levels of {outcome.formula!r} are no list")
    if outcome.family.repeated:
        return stored_growth.restore(outcome, levels, coordinates, schema)
    if isinstance(outcome.family, Survival):
        return _survival_family(outcome, levels)
    family = outcome.family.specialize(names, levels or None)
    if list(family.categories) != levels:
        raise DataError(f"family {family.name!r} of {outcome.formula!r} does not have the levels {levels}"[:300])
    seen = schema.seen.get(names[0])
    if levels and seen is not None and seen.kind == "level" and list(seen.levels) != levels:
        raise DataError(f"the levels of {outcome.formula!r} are not those of its column")
    if levels and (seen is None or seen.kind == "number") and not is_increasing(levels):
        raise DataError(f"the levels of {outcome.formula!r} are not increasing numbers")
    return family


def _survival_family(outcome: OutcomePlan, constants: list) -> Survival:
    """A survival law, with the constants it had in fit."""
    family = outcome.family
    assert isinstance(family, Survival)
    if not are_numbers(constants) or len(constants) != family.needed:
        raise DataError(f"the constants of {outcome.formula!r} are not {family.needed} finite numbers")
    return replace(family, constants=tuple(float(value) for value in constants))


def _size(plan: Plan, schema: Schema, families: Mapping[str, Family], extras: int) -> int:
    """Number of coefficients."""
    size = 0
    for template, copies in zip(plan.templates, plan.copies, strict=True):
        keys = [o.formula_key(p) for o in template for p in families[o.key].parameters]
        size += copies * sum(len(schema.column_names(key)) for key in keys)
    gate = 0 if plan.gate is None else len(schema.column_names(GATE))
    return size + (sum(plan.copies) + extras - 1) * gate


def _columns(plan: Plan, schema: Schema) -> Columns:
    """The distinct columns of all formulas of the design, from an empty table."""
    of_occasions = {key for outcome in plan.outcomes for key in outcome.occasion_formulas}
    matrices = {
        key: Matrix(schema.column_names(key), np.empty((0, len(schema.column_names(key)))), schema.term_labels(key))
        for key in schema.rights
        if key not in of_occasions
    }
    offsets = {key: np.empty(0) for key, right in schema.rights.items() if right.offsets and key in matrices}
    return Columns(Materialized(matrices, offsets, None, {}, np.empty(0, dtype=np.intp), 0, 0))


def _known(request: Request, assembled: Assembled, numbers: Numbers) -> Known:
    """The columns of known classes, and the classes' labels there if they were reordered."""
    columns, classes = known_columns(request.prior_classes), assembled.mixture.classes
    labels = numbers.take_optional("known", classes) if columns else None
    if labels is None:
        return Known(columns)
    if sorted(labels.tolist()) != list(range(classes)):
        raise DataError(f"the labels of known classes are not 0 to {classes - 1}")
    return Known(columns, tuple(int(label) for label in labels))


def _extra_states(request: Request, assembled: Assembled, numbers: Numbers) -> tuple[list[Box], ...]:
    """What the extra classes learnt: boxes of the responses, in the order of the first expert's outcomes."""
    slots = sorted((slot for slots in assembled.stacks[0] for slot in slots), key=lambda slot: _order(slot.plan))
    cuts = np.cumsum([1 if slot.family.categories else slot.family.dimension for slot in slots])
    states: list[list[Box]] = []
    for index, extra in enumerate(request.extras):
        if not isinstance(extra, Noise):
            states.append([])
            continue
        bounds = numbers.take(f"noise{index}", 2, int(cuts[-1]))
        if not (bounds[0] <= bounds[1]).all():
            raise DataError(f"the array 'noise{index}' has a lower bound above the upper one")
        states.append([Box(*part) for part in np.split(bounds, cuts[:-1], axis=1)])
    return tuple(states)


def _expert_names(names: list, assembled: Assembled) -> tuple[str, ...]:
    """Names that the user gave to the experts, if any."""
    texts = all(isinstance(name, str) for name in names)
    if names and not (texts and len(set(names)) == len(names) == assembled.mixture.experts):
        raise DataError("'expert_names' are not those of the experts")
    return tuple(names)


def _order(plan: OutcomePlan) -> int:
    return int(plan.key.split(".")[1])


def _sample(request: Request, rows: Plain, numbers: Numbers) -> Sample:
    """Weights, and which rows form a unit; positions, labels and clusters are not kept."""
    weight, unit, seen = numbers.take("weight", None), None, None
    if not ((weight >= 0).all() and weight.any()):
        raise DataError("the array 'weight' holds negative weights, or none above 0")
    if request.unit is not None:
        unit = numbers.take("unit", None, kind="i").astype(np.int64)
        if not len(unit) or unit.min() < 0 or unit.max() + 1 != len(weight):
            raise DataError("the array 'unit' does not number the units")
    row_weight = weight if unit is None else weight[unit]
    repeated = request.plan.repeated
    if repeated:
        seen = numbers.take("observed", len(row_weight), kind="i").astype(bool)
    given, gone = rows.take_count("given"), rows.take_count("dropped")
    rows.finish()
    if given - gone != len(row_weight):
        raise DataError(f"{given} rows less {gone} dropped ones are not the {len(row_weight)} that have a weight")
    return Sample(weight, row_weight, unit, None, None, np.empty(0, dtype=np.intp), given, gone, repeated, seen)


def _scaling(assembled: Assembled, numbers: Numbers) -> Scaling:
    count = len(assembled.columns.names)
    scaling = Scaling(numbers.take("centre", count), numbers.take("scale", count))
    if not (scaling.scale > 0).all():
        raise DataError("the array 'scale' holds numbers that are not above 0")
    return scaling


def _solution(
    assembled: Assembled, scaling: Scaling, class_weight: np.ndarray, plain: Plain, numbers: Numbers
) -> Solution:
    mixture, tied = assembled.mixture, assembled.named.ties
    ties = Ties(TieMap(tied.index, tied.value * scaling.scale[uses(mixture)[0]]))
    theta = numbers.take("standardised", ties.size)
    log_likelihood, objective, entropy = map(float, numbers.take("facts", 3))
    verdict = Plain(plain.take("verdict", dict))
    solution = Solution(
        theta=theta,
        phi=ties.expand(theta),
        log_likelihood=log_likelihood,
        objective=objective,
        gradient=numbers.take_optional("gradient", ties.size),
        decrement=float(numbers.take("decrement", 1, finite=False)[0]),
        information=numbers.take_optional("information", ties.size, ties.size),
        products=numbers.take_optional("products", ties.size, ties.size),
        class_weight=class_weight,
        verdict=Verdict(
            verdict.take("converged", bool), verdict.take("spurious", bool), verdict.take("status", str), entropy
        ),
        starts=_starts(plain.take("starts", list), numbers),
        iterations=plain.take_count("iterations"),
        certificate=_certificate(numbers),
    )
    verdict.finish()
    if not ((class_weight >= 0).all() and class_weight.any()):
        raise DataError("the array 'class_weight' holds negative weights, or none above 0")
    return solution


def _certificate(numbers: Numbers) -> tuple[float, float, float] | None:
    found = numbers.take_optional("certificate", 3)
    return None if found is None else (float(found[0]), float(found[1]), float(found[2]))


def _starts(stored: list, numbers: Numbers) -> tuple[Start, ...]:
    reached = numbers.take("starts", len(stored), 2, finite=False)
    starts = []
    for row, (log_likelihood, objective) in zip(stored, reached, strict=True):
        if [type(item) for item in row] != [str, str, int, int] or min(row[2:]) < 0:
            raise DataError("'starts' holds rows that are not kind, status, hits, iterations")
        kind, status, hits, iterations = row
        starts.append(Start(kind, float(log_likelihood), float(objective), status, hits, iterations))
    return tuple(starts)
