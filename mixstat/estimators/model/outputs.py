"""Outputs: means and draws of the responses, regrouped from the core's stacks and named for the user."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.estimators.model.new_data import NewData, class_probability, read, with_trials
from mixstat.estimators.model.occasions import Grid
from mixstat.estimators.model.slots import Slot
from mixstat.estimators.model.state import Fitted
from mixstat.fit.precision import double
from mixstat.inference.prediction import row_means, row_predictors


class Means(NamedTuple):
    """Mean of one response given each class (row, class, column); `slot` is the response in the first expert."""

    slot: Slot
    values: np.ndarray

    @property
    def names(self) -> list[str]:
        """What the columns are called: the response's columns, or response[level] of a categorical one."""
        if self.slot.family.categories:
            return [f"{self.slot.response}[{level}]" for level in self.slot.family.categories]
        return list(self.slot.responses)


class _Place(NamedTuple):
    """Where an outcome stands: group, outcome and item in the core; `response` counts the distinct responses."""

    slot: Slot
    group: int
    outcome: int
    item: int
    response: int


def _places(fitted: Fitted) -> Iterator[_Place]:
    for group, template in enumerate(fitted.assembled.stacks):
        for outcome, slots in enumerate(template):
            for item, slot in enumerate(slots):
                yield _Place(slot, group, outcome, item, int(slot.plan.key.split(".")[1]))


def _first_slots(fitted: Fitted) -> list[Slot]:
    """The slots of the first expert template, in the user's order."""
    first = [place for place in _places(fitted) if place.group == 0]
    return [place.slot for place in sorted(first, key=lambda place: place.response)]


def class_means(fitted: Fitted, new: NewData) -> list[Means]:
    """E[y | x, class] of every response, extra blocks included."""
    means = row_means(fitted.assembled.mixture, fitted.phi, new.data)
    slots = _first_slots(fitted)
    parts: list[list[np.ndarray]] = [[] for _ in slots]
    for place in _places(fitted):
        value = means[place.group][place.outcome][:, place.item]
        value = value[:, None] if value.ndim == 2 else value
        parts[place.response].append(np.moveaxis(value, 2, 0))
    for index, slot in enumerate(slots):
        for extra, state in zip(fitted.extras, fitted.extra_states, strict=True):
            constant = extra.mean(state, index, slot.family)
            parts[index].append(np.broadcast_to(constant, (new.rows, 1, len(constant))))
    found = [Means(slot, np.concatenate(part, axis=1)) for slot, part in zip(slots, parts, strict=True)]
    return [means for means in found if not is_covariate(fitted, means.slot)]


def simulate(fitted: Fitted, table: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One draw of every response by column: a class a unit from the gate, then a response a row."""
    known = with_trials(fitted, table)
    by_unit = fitted.unit_name is not None
    new = read(fitted, table if known is None else known, response=known is not None, by_unit=by_unit)
    slots, draws = _first_slots(fitted), draw(fitted, new, rng)
    if new.grid is not None:
        draws = [
            _by_row(new.grid, values, slot) if slot.family.repeated else values[new.grid.subject]
            for slot, values in zip(slots, draws, strict=True)
        ]
    wanted = [(s, values) for s, values in zip(slots, draws, strict=True) if not is_covariate(fitted, s)]
    return {name: column for slot, values in wanted for name, column in _named(slot, values)}


def _by_row(grid: Grid, values: np.ndarray, slot: Slot) -> np.ndarray:
    """Draws of a repeated response (subject, place), outcome by outcome -> (row, outcome)."""
    drawn = values.T.reshape(slot.family.dimension, -1, len(values))
    rows: np.ndarray = grid.gather(drawn).T
    return rows


def is_covariate(fitted: Fitted, slot: Slot) -> bool:
    """Whether an outcome is a covariate of subjects that is modelled jointly with their growth."""
    return fitted.plan.repeated and not slot.family.repeated


def _drawn(slot: Slot, new: NewData) -> int:
    """Values of one draw of a response."""
    if new.responses is None:
        return slot.family.dimension
    return slot.family.drawn(new.responses[slot.plan.key].data)


@double
def draw(fitted: Fitted, new: NewData, rng: np.random.Generator) -> list[np.ndarray]:
    """One draw of every distinct response, (row, dimension), categories as codes; covariates modelled jointly stay."""
    chosen = _draw_classes(class_probability(fitted, new), rng)
    chosen = chosen if new.data.unit is None else chosen[new.data.unit]
    slots = _first_slots(fitted)
    draws = [np.zeros((len(chosen), _drawn(slot, new))) for slot in slots]
    predictors = row_predictors(fitted.assembled.mixture, fitted.phi, new.data)
    first = np.cumsum([0, *fitted.plan.copies])
    for place in _places(fitted):
        eta = predictors[place.group][place.outcome][:, place.item]
        if is_covariate(fitted, place.slot) and new.responses is not None:
            draws[place.response][:] = new.responses[place.slot.plan.key].values.T
            continue
        for copy in range(fitted.plan.copies[place.group]):
            rows = np.flatnonzero(chosen == first[place.group] + copy)
            draws[place.response][rows] = _draw(place.slot, rng, eta[copy][:, rows], new, rows)
    for position, (extra, state) in enumerate(zip(fitted.extras, fitted.extra_states, strict=True)):
        rows = np.flatnonzero(chosen == first[-1] + position)
        for index, slot in enumerate(slots):
            draws[index][rows] = extra.sample(rng, state, index, slot.family, len(rows))
    return draws


def _draw_classes(gate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (np.cumsum(gate, axis=1) < rng.random((len(gate), 1))).sum(axis=1).clip(max=gate.shape[1] - 1)


def _draw(slot: Slot, rng: np.random.Generator, eta: np.ndarray, new: NewData, rows: np.ndarray) -> np.ndarray:
    """(row, dimension)."""
    data = None if new.responses is None else new.responses[slot.plan.key].data[:, rows]
    return slot.family.sample(rng, list(eta), data).reshape(len(rows), -1)


def _named(slot: Slot, draw: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Columns by name, categories as labels."""
    if slot.family.categories:
        yield slot.response, to_levels(draw[:, 0], slot.family.categories)
    else:
        yield from zip(slot.responses, draw.T, strict=False)


def to_levels(codes: np.ndarray, levels: tuple) -> np.ndarray:
    """Codes (row,) -> labels (row,)."""
    return np.asarray(pd.Categorical.from_codes(codes.astype(int), list(levels)))
