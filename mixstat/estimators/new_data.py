"""New data: from a table to the arrays that a fitted mixture predicts from, and what it predicts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.design import Data
from mixstat.estimators.assembly import to_data
from mixstat.estimators.extras import ResponseData
from mixstat.estimators.fitting import Fitted, extra_densities
from mixstat.estimators.responses import encode_response
from mixstat.estimators.units import number_units, require_constant
from mixstat.exceptions import DataError
from mixstat.formula import Materialized
from mixstat.inference.prediction import UnitPosterior, gate_probability, row_means, row_predictors, unit_posterior


class NewData(NamedTuple):
    """Arrays of new rows; `responses` by outcome key where the response was asked for."""

    data: Data
    responses: dict[str, ResponseData] | None
    unit: np.ndarray | None
    rows: int


def read(fitted: Fitted, table: Any, *, response: bool, by_unit: bool) -> NewData:
    """Materialise new rows. `by_unit` groups them by the model's unit column; missing values are an error."""
    grouped = fitted.unit_name if by_unit else None
    variables = [grouped] if grouped else []
    materialized = fitted.schema.transform(table, response=response, variables=variables)
    rows = len(materialized.kept)
    unit, labels = number_units(materialized.variables[grouped]) if grouped else (None, None)
    units = rows if unit is None else int(unit.max(initial=-1)) + 1
    responses = _responses(fitted, materialized) if response else None
    atoms = tuple(a for a in (extra.atom() for extra in fitted.extras) if a is not None)
    extra = np.zeros((len(fitted.extras), units))
    if responses is not None:
        extra = extra_densities(fitted.extras, fitted.extra_states, _by_response(responses), unit, units)
    data = to_data(
        fitted.assembled,
        materialized,
        responses,
        unit=unit,
        weight=np.ones(units),
        prior=np.zeros((fitted.assembled.mixture.classes, units)),
        extra=extra,
        atoms=atoms,
        gate_values=_gate_values(fitted, materialized, unit, labels),
    )
    return NewData(data, responses, unit, rows)


def _responses(fitted: Fitted, materialized: Materialized) -> dict[str, ResponseData]:
    families = {slot.plan.key: slot.family for t in fitted.assembled.stacks for slots in t for slot in slots}
    atoms = tuple(a for a in (extra.atom() for extra in fitted.extras) if a is not None)
    pairs = zip(fitted.plan.outcomes, materialized.responses or [], strict=True)
    return {outcome.key: encode_response(families[outcome.key], response, atoms) for outcome, response in pairs}


def _by_response(responses: dict[str, ResponseData]) -> list[ResponseData]:
    """Responses of the first template alone: templates share their responses."""
    return [response for key, response in responses.items() if key.startswith("0.")]


def _gate_values(
    fitted: Fitted, materialized: Materialized, unit: np.ndarray | None, labels: np.ndarray | None
) -> np.ndarray | None:
    if unit is None or labels is None:
        return None
    places = list(fitted.assembled.mixture.gate.columns)
    names = {place: name for name, place in fitted.assembled.columns.names.items()}
    values = fitted.assembled.columns.values(materialized)[places].T
    return require_constant(values, unit, labels, [names[place] for place in places], "gate column").T


def posterior_of(fitted: Fitted, table: Any) -> UnitPosterior:
    """Posterior of every unit of `table`, which must hold the response."""
    new = read(fitted, table, response=True, by_unit=True)
    return unit_posterior(fitted.assembled.mixture, fitted.phi, new.data)


def gate_of(fitted: Fitted, table: Any) -> np.ndarray:
    """pi (unit, class) where the unit column is at hand, else by row."""
    has_unit = fitted.unit_name is not None and _has_column(table, fitted.unit_name)
    new = read(fitted, table, response=False, by_unit=has_unit)
    return gate_probability(fitted.assembled.mixture, fitted.phi, new.data)


def row_gate(fitted: Fitted, table: Any) -> np.ndarray:
    """pi (row, class) from each row's own gate covariates."""
    new = read(fitted, table, response=False, by_unit=False)
    return gate_probability(fitted.assembled.mixture, fitted.phi, new.data)


def row_responsibilities(fitted: Fitted, table: Any) -> np.ndarray:
    """Responsibilities (row, class) of each row's unit."""
    require_response(fitted, table)
    new = read(fitted, table, response=True, by_unit=True)
    posterior = unit_posterior(fitted.assembled.mixture, fitted.phi, new.data).responsibility
    return posterior if new.unit is None else posterior[new.unit]


def _has_column(table: Any, name: str) -> bool:
    columns = getattr(table, "columns", table)
    names = getattr(table, "column_names", columns)
    return name in list(names)


class Means(NamedTuple):
    """Mean of one response given each class: (row, class), or (row, class, column) for several columns."""

    names: tuple[str, ...]
    values: np.ndarray


def class_means(fitted: Fitted, table: Any) -> list[Means]:
    """E[y | x, class] of every response, extra blocks included."""
    new = read(fitted, table, response=False, by_unit=False)
    means = row_means(fitted.assembled.mixture, fitted.phi, new.data)
    return _collect(fitted, means, lambda extra, state, index, family: extra.mean(state, index, family), new.rows)


def _collect(fitted: Fitted, means: list, extra_mean: Callable, rows: int) -> list[Means]:
    """Regroup by response of the first template: (row, class, column)."""
    slots = {slot.plan.key: slot for t in fitted.assembled.stacks for stack in t for slot in stack}
    values: dict[str, list[np.ndarray]] = {outcome.key: [] for outcome in fitted.plan.templates[0]}
    for template, group_means in zip(fitted.assembled.stacks, means, strict=True):
        for stack, outcome_means in zip(template, group_means, strict=True):
            for index, slot in enumerate(stack):
                value = outcome_means[:, index]
                value = value[:, None] if value.ndim == 2 else value
                values[f"0.{slot.plan.key.split('.')[1]}"].append(np.moveaxis(value, 2, 0))
    result = []
    for index, (key, parts) in enumerate(values.items()):
        family = slots[key].family
        for extra, state in zip(fitted.extras, fitted.extra_states, strict=True):
            constant = extra_mean(extra, state, index, family)
            parts.append(np.broadcast_to(constant, (rows, 1, len(constant))))
        stacked = np.concatenate(parts, axis=1)
        names = tuple(map(str, family.categories)) or tuple(slots[key].response.split(","))
        result.append(Means(names, stacked))
    return result


def simulate(fitted: Fitted, table: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """One draw of every response, each (row, column): a class a unit from the gate, then a response a row."""
    has_unit = fitted.unit_name is not None
    new = read(fitted, table, response=False, by_unit=has_unit)
    gate = gate_probability(fitted.assembled.mixture, fitted.phi, new.data)
    chosen = (np.cumsum(gate, axis=1) < rng.random((len(gate), 1))).sum(axis=1).clip(max=gate.shape[1] - 1)
    chosen = chosen if new.unit is None else chosen[new.unit]
    predictors = row_predictors(fitted.assembled.mixture, fitted.phi, new.data)
    draws: dict[str, np.ndarray] = {}
    first = 0
    for template, copies, group in zip(fitted.assembled.stacks, fitted.plan.copies, predictors, strict=True):
        for stack, eta in zip(template, group, strict=True):
            for index, slot in enumerate(stack):
                key = f"0.{slot.plan.key.split('.')[1]}"
                out = draws.setdefault(key, np.zeros((new.rows, slot.family.dimension)))
                for copy in range(copies):
                    rows = np.flatnonzero(chosen == first + copy)
                    if len(rows):
                        draw = slot.family.sample(rng, list(eta[copy, index][:, rows]), None)
                        out[rows] = draw[:, None] if draw.ndim == 1 else draw
        first += copies
    families = {slot.plan.key: slot.family for t in fitted.assembled.stacks for stack in t for slot in stack}
    for position, (extra, state) in enumerate(zip(fitted.extras, fitted.extra_states, strict=True)):
        rows = np.flatnonzero(chosen == first + position)
        for index, key in enumerate(draws):
            if len(rows):
                draws[key][rows] = extra.sample(rng, state, index, families[key], len(rows))
    return list(draws.values())


def frame_columns(fitted: Fitted, means: list[Means], averages: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of a data frame: a numeric response by name, a categorical one as name[level] probabilities."""
    slots = {slot.plan.key: slot for t in fitted.assembled.stacks for stack in t for slot in stack}
    columns: dict[str, np.ndarray] = {}
    for outcome, mean, average in zip(fitted.plan.templates[0], means, averages, strict=True):
        slot = slots[outcome.key]
        names = [f"{slot.response}[{name}]" for name in mean.names] if slot.family.categories else mean.names
        columns |= dict(zip(names, average.T, strict=True))
    return columns


def name_draws(fitted: Fitted, draws: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Simulated responses by name, categories as labels."""
    slots = {slot.plan.key: slot for t in fitted.assembled.stacks for stack in t for slot in stack}
    named: dict[str, np.ndarray] = {}
    for outcome, draw in zip(fitted.plan.templates[0], draws, strict=True):
        slot = slots[outcome.key]
        if slot.family.categories:
            named[slot.response] = to_levels(draw[:, 0], slot.family.categories)
        else:
            names = slot.response.split(",")[: draw.shape[1]]
            named |= dict(zip(names, draw.T, strict=True))
    return named


def to_levels(codes: np.ndarray, levels: tuple) -> np.ndarray:
    """Codes (row,) -> labels (row,)."""
    return np.asarray(pd.Categorical.from_codes(codes.astype(int), list(levels)))


def require_response(fitted: Fitted, table: Any) -> None:
    """An early, clear error where posterior weights are asked for without the response."""
    for outcome in fitted.plan.templates[0]:
        names = [slot.response for t in fitted.assembled.stacks for s in t for slot in s if slot.plan.key == outcome.key]
        for name in names[0].split(",") if names else ():
            if not _has_column(table, name):
                raise DataError(f"responsibilities need the response: column {name!r} is not in the data")
