"""What `plot_fit` can show: the responses of numbers, their observed values and their mean given each expert."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from mixstat.estimators.methods.subjects import observed_values
from mixstat.estimators.model import new_data, outputs
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.slots import Slot, by_key
from mixstat.exceptions import DataError, OptionError

if TYPE_CHECKING:
    from mixstat.estimators.model.new_data import NewData
    from mixstat.estimators.model.state import Fitted


class Shown(NamedTuple):
    """A numeric response that can be plotted: its outcome, and its column among the outcome's means."""

    name: str
    slot: Slot
    outcome: int
    column: int


def numeric_responses(fitted: "Fitted") -> list[Shown]:
    slots = {key: slot for key, slot in by_key(fitted.assembled.stacks).items() if key.startswith("0.")}
    ordered = sorted(slots.values(), key=lambda slot: int(slot.plan.key.split(".")[1]))
    return [
        Shown(name, slot, outcome, column)
        for outcome, slot in enumerate(ordered)
        if not slot.family.categories and not outputs.is_covariate(fitted, slot)
        for column, name in enumerate(_column_names(slot))
    ]


def _column_names(slot: Slot) -> list[str]:
    if slot.family.dimension > 1 or len(slot.responses) == 1:
        return list(slot.responses)
    return [f"share of {slot.responses[0]}" if slot.family.name == "binomial" else " / ".join(slot.responses)]


def shown_response(fitted: "Fitted", response: str | None) -> Shown:
    known = {shown.name: shown for shown in numeric_responses(fitted)}
    if not known:
        raise DataError("plot_fit draws a response of numbers, this one is categorical; see plot_gate or predict_proba")
    if response is None and len(known) > 1:
        raise OptionError(f"the model has several responses; response= must be one of {', '.join(map(repr, known))}")
    return next(iter(known.values())) if response is None else known[choice("response", response, list(known))]


def observed(fitted: "Fitted", shown: Shown, new: "NewData") -> np.ndarray:
    """The response (row,), NaN where missing; the share of successes of a binomial one."""
    if shown.slot.family.repeated:
        return observed_values(fitted, new)
    response = (new.responses or {})[shown.slot.plan.key]
    values = response.values[shown.column]
    values = values / response.data[1] if response.family.name == "binomial" else values
    return np.where(response.seen, values, np.nan)


def expert_means(fitted: "Fitted", table: pd.DataFrame, shown: Shown) -> np.ndarray:
    """E[y | x, expert], (row, expert)."""
    new = new_data.read(fitted, table, response=False, by_unit=False)
    means = outputs.class_means(fitted, new)[shown.outcome]
    return means.values[:, : fitted.assembled.mixture.experts, shown.column]
