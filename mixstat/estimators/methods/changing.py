"""Changing: by how much, and how fast, mean trajectories change between times, with delta-method errors."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from mixstat.estimators.methods.over_time import checked_times, growth_families
from mixstat.estimators.model.checks import level as checked
from mixstat.exceptions import OptionError

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted


VALUES = ("mean", "std_error", "conf_low", "conf_high")

Differences = Callable[[np.ndarray, np.ndarray], pd.DataFrame]
"""From times to times: a table of trajectories whose means are by how much they change."""


def changes(differences: Differences, grid: np.ndarray, level: float) -> pd.DataFrame:
    """See `Growing.changes`."""
    begin, end = grid[:-1], grid[1:]
    steps = _spanning(differences(begin, end), begin, end)
    since = _spanning(differences(np.full(len(end), grid[0]), end), begin, end)
    width = steps["end"] - steps["begin"]
    rates = steps.assign(mean=steps["mean"] / width, std_error=steps["std_error"] / width)
    named = {"rate": rates, "change": steps, "since_first": since}
    found = pd.concat([part.assign(quantity=name) for name, part in named.items()], ignore_index=True)
    half = norm.ppf(0.5 + 0.5 * checked(level)) * found["std_error"]
    found = found.assign(conf_low=found["mean"] - half, conf_high=found["mean"] + half)
    keys = [name for name in found if name not in ("quantity", *VALUES)]
    return found[[*keys, "quantity", *VALUES]].rename(columns={"mean": "estimate"})


def times_of_changes(fitted: "Fitted", times: Any) -> np.ndarray:
    """Times between which to look: as given, or those that curves are made of."""
    made = sorted({t for family in growth_families(fitted) if family.curve is not None for t in family.curve.times})
    if times is None and not made:
        raise OptionError("changes() needs times= of this curve: those between which to look, such as [0, 1, 2]")
    grid: np.ndarray = np.unique(checked_times(fitted, made if times is None else times, None))
    if len(grid) < 2:
        raise OptionError(f"changes() needs at least 2 different times, got {times!r}")
    return grid


def _spanning(table: pd.DataFrame, begin: np.ndarray, end: np.ndarray) -> pd.DataFrame:
    """With both ends of the interval, which runs fastest, in the place of its time."""
    repeats = len(table) // len(begin)
    place = list(table).index("time")
    table = table.drop(columns="time")
    table.insert(place, "begin", np.tile(begin, repeats))
    table.insert(place + 1, "end", np.tile(end, repeats))
    return table
