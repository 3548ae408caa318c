"""Observed: the responses and the units of the sample that a model was fitted to, by name."""

import numpy as np

from mixstat.estimators.model.slots import Slot
from mixstat.estimators.model.state import Fitted
from mixstat.fit.problem import Problem


def name(fitted: Fitted) -> str:
    """What the log-likelihood of a unit is called: its response, or "joint" for several."""
    slots = [slot for stacked in fitted.assembled.stacks[0] for slot in stacked]
    return slots[0].response if len(slots) == 1 else "joint"


def units(fitted: Fitted) -> np.ndarray:
    """(unit,) the units' labels, or the positions of rows in the table given."""
    labels = fitted.sample.unit_labels
    return fitted.sample.kept if labels is None else np.asarray(labels)


def responses(fitted: Fitted, problem: Problem) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
    """(row,) each response with its attributes: codes of a categorical one with its levels, NaN where it is missing.

    Left out: a response whose point masses cannot be told apart from missing values; rows of a growth curve.
    """
    found: dict[str, tuple[np.ndarray, dict[str, str]]] = {}
    if fitted.plan.repeated:
        return found
    filling = _filling(fitted)
    for stacked, outcome in zip(fitted.assembled.stacks[0], problem.mixture.groups[0].outcomes, strict=True):
        data = problem.layout.read_rows(problem.design.responses[outcome.data])
        seen = problem.design.observed[outcome.data]
        hidden = (
            np.zeros((data.shape[0], data.shape[-1]), bool) if seen is None else problem.layout.read_rows(seen) == 0
        )
        for item, slot in enumerate(stacked):
            values = data[item, : slot.family.dimension]
            if hidden[item].any():
                if filling is None:
                    continue
                values = np.where(hidden[item], filling, values)
            found.update(zip(slot.responses, ((value, _attributes(slot)) for value in values), strict=False))
    return found


def _filling(fitted: Fitted) -> float | None:
    """What stands where no expert saw a response: missing, or the only point mass; None where it may be either."""
    if not fitted.atoms:
        return np.nan
    return fitted.atoms[0] if len(fitted.atoms) == 1 and not fitted.plan.has_several_outcomes else None


def _attributes(slot: Slot) -> dict[str, str]:
    levels = slot.family.categories
    return {"levels": ", ".join(map(str, levels))} if levels else {}
