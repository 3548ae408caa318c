"""Growth families as plain data, and back: common times, coordinates and smoothing constants of every outcome.

One outcome has a list of numbers, parallel ones a list of such lists.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mixstat.estimators.model.exposures import Clock
from mixstat.estimators.model.occasions import WAVE, bound, common_times
from mixstat.estimators.model.plan import OutcomePlan
from mixstat.estimators.model.repeated import Repeated, joined
from mixstat.exceptions import DataError
from mixstat.families.growth import Growth
from mixstat.formula import Schema
from mixstat.results.checked import are_numbers, is_increasing


def times_of(family: Repeated) -> list:
    """The times that all subjects have in common; average times of numbered waves, and the waves."""
    return _listed(family, _times)


def _times(member: Growth) -> list:
    times, waves = list(common_times(member)), () if member.curve is None else member.curve.waves
    return [times, list(waves)] if waves else times


def constants_of(family: Repeated) -> list:
    """Of the coordinates, and what makes random knots smooth."""
    return _listed(family, lambda member: [*member.constants, *member.softness])


def _listed(family: Repeated, of: Callable[[Growth], list]) -> list:
    found = [of(member) for member in family.members]
    return found[0] if isinstance(family, Growth) else found


def restore(outcome: OutcomePlan, times: list, constants: Any, schema: Schema) -> Repeated:
    """A growth family with the columns of its formulas, and with the times and constants it had in fit."""
    all_times, all_constants = (_split(outcome, stored) for stored in (times, constants))
    members = zip(outcome.own, all_times, all_constants, strict=True)
    return joined(outcome, [_with_constants(own, _bound(own, mine, schema), stored) for own, mine, stored in members])


def _split(outcome: OutcomePlan, stored: Any) -> list:
    """What is stored of every outcome."""
    found = stored if outcome.members else [stored]
    count = len(outcome.own)
    if not isinstance(found, list) or len(found) != count or not all(isinstance(part, list) for part in found):
        raise DataError(f"the times or coordinates of {outcome.shown!r} are not those of {count} outcome(s)")
    return found


def _bound(outcome: OutcomePlan, times: list, schema: Schema) -> Growth:
    numbered = WAVE in outcome.occasions
    parts = times if numbered else [times]
    increasing = all(isinstance(part, list) and is_increasing(part) for part in parts)
    if not increasing or len(parts) != 1 + numbered or len(parts[0]) != len(parts[-1]):
        raise DataError(f"the times of {outcome.shown!r} are not increasing numbers")
    columns = {key: schema.column_names(outcome.part_key(key)) for key in outcome.occasions}
    family = bound(outcome, columns, Clock(*(np.array(part, dtype=float) for part in parts)))
    if _times(family) != times:
        raise DataError(f"{outcome.shown!r} has no use for common times")
    return family


def _with_constants(outcome: OutcomePlan, family: Growth, numbers: list) -> Growth:
    """In the coordinates it was fitted in, and as smooth."""
    columns, soft, shown = family.turned, 2 if family.smoothing >= 0 else 0, outcome.shown
    if len(numbers) not in (soft, 2 + columns**2 + soft) or not are_numbers(numbers):
        raise DataError(f"the coordinates of {shown!r} are not those of {columns} columns and a time")
    constants, softness = numbers[: len(numbers) - soft], numbers[len(numbers) - soft :]
    if softness and not min(softness) > 0:
        raise DataError(f"the smoothing constants of {shown!r} are not positive")
    found = replace(family, constants=tuple(map(float, constants)), softness=tuple(map(float, softness)))
    if not found.coordinates.scale > 0 or np.linalg.matrix_rank(found.coordinates.turn) < columns:
        raise DataError(f"the coordinates of {shown!r} cannot be inverted")
    return found
