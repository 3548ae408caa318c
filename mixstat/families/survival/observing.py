"""Observing: new times of events as the rows of a sample would have seen them, for parametric bootstraps.

A right-censored row ends observation when it did. When observation of a row with an event would have ended is not
known: it is drawn, once for all, from the Kaplan-Meier estimate of the time of censoring, given that it is later than
the event. A row of an interval is looked at when its bounds were.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mixstat.families.survival.family import Survival


def observe(family: "Survival", data: np.ndarray, times: np.ndarray) -> np.ndarray:
    """`data` (m, row) of the family with events at `times` (row,), perhaps infinite."""
    at = family.read(data)
    between = np.zeros(len(times), dtype=bool) if at.between is None else at.between > 0
    end = np.where(at.event > 0, ends_of_observation(np.exp(at.log_time), at.event > 0), np.exp(at.log_time))
    lower, upper = np.where(times <= end, times, end), np.where(times <= end, times, np.inf)
    if between.any():
        first, last = np.where(at.after > 0, np.exp(at.log_low), 0.0), np.exp(at.log_time)
        lower = np.where(between, np.select([times <= first, times <= last], [0.0, first], last), lower)
        upper = np.where(between, np.select([times <= first, times <= last], [first, last], np.inf), upper)
    entry = np.zeros(len(times)) if at.entered is None else np.where(at.entered > 0, np.exp(at.log_entry), 0.0)
    background = np.zeros(len(times)) if at.log_background is None else np.exp(at.log_background)
    return family.encode(np.column_stack([entry, lower, upper, background]), family.name)


def ends_of_observation(times: np.ndarray, event: np.ndarray) -> np.ndarray:
    """For each row a time of censoring later than `times`; infinite where none was seen so late."""
    order = np.argsort(times, kind="stable")
    at_risk = np.arange(len(times), 0, -1)
    with np.errstate(divide="ignore"):
        steps = np.where(event[order], 0.0, np.log1p(-1.0 / at_risk))
    survival = np.exp(np.cumsum(steps))
    here = np.empty(len(times))
    here[order] = survival
    targets = here * (1.0 - van_der_corput(len(times)))
    place = np.searchsorted(-survival, -targets, side="left")
    ends = np.append(times[order], np.inf)[place]
    return np.where(ends > times, ends, np.inf)


def van_der_corput(count: int) -> np.ndarray:
    """Evenly spread numbers in (0, 1), always the same."""
    index, value, part = np.arange(1, count + 1), np.zeros(count), 0.5
    while index.any():
        value, index, part = value + part * (index % 2), index // 2, part / 2
    return value
