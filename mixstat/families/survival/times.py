"""Times: what was observed of each row's survival time, as bounds, checked.

A row is (entry, lower, upper, background): the event came in (lower, upper], at a time seen exactly where they are
equal, after `lower` where `upper` is infinite (right-censored), before `upper` where `lower` is 0 (left-censored); the
row is there because the event came after `entry`; `background` is a known hazard at the event (relative survival).
"""

from typing import NamedTuple

import numpy as np

from mixstat.exceptions import DataError

COLUMNS = ("entry", "lower", "upper", "background")
SMALLEST = 1e-300


class Times(NamedTuple):
    """(row,) each; NaN where missing."""

    entry: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    background: np.ndarray

    @property
    def event(self) -> np.ndarray:
        """Seen exactly."""
        return self.lower == self.upper

    @property
    def between(self) -> np.ndarray:
        """Known to be in an interval."""
        return (self.lower < self.upper) & (self.upper < np.inf)

    @property
    def censored(self) -> np.ndarray:
        """On the right."""
        return np.isinf(self.upper)

    @property
    def shown(self) -> np.ndarray:
        """One time a row: of the event, of censoring, or the middle of an interval."""
        return np.where(self.between, 0.5 * (self.lower + self.upper), self.lower)

    @property
    def last(self) -> np.ndarray:
        """The end of observation: the upper bound, of right-censored rows the lower one."""
        return np.where(self.censored, self.lower, self.upper)


def read(y: np.ndarray, name: str) -> Times:
    """Times from (row, 4), or from times seen exactly (row,)."""
    y = np.asarray(y, dtype=float)
    if y.ndim == 1:
        zero = np.where(np.isnan(y), np.nan, 0.0)
        return checked(Times(zero, y, y, zero), name)
    if y.ndim != 2 or y.shape[1] != len(COLUMNS):
        raise DataError(f"a survival response is Surv(time, event), or exact times; {name!r} has shape {y.shape}")
    return checked(Times(*y.T), name)


def checked(times: Times, name: str) -> Times:
    """The times, or an error that says what is wrong, in how many rows, and in which first."""
    entry, lower, upper, background = times
    _refuse(lower < 0, lower, name, "a negative time", "count time from the start of observation")
    _refuse(np.isinf(lower), lower, name, "an infinite time", "give the time at which observation ended")
    _refuse(
        times.event & (upper <= 0),
        upper,
        name,
        "an event at time 0",
        "no density exists there: drop those rows, or say when it came, as an interval",
    )
    _refuse(upper < lower, lower, name, "an interval that ends before it begins", "exchange its bounds")
    _refuse(entry < 0, entry, name, "a negative entry", "count time from the start of risk")
    _refuse(
        (entry > 0) & (entry >= times.last),
        entry,
        name,
        "an entry at or after the exit",
        "such a row was never at risk: drop it, or correct its times",
    )
    _refuse(~(background >= 0) & ~np.isnan(background), background, name, "a negative background hazard", "")
    _refuse(np.isinf(background), background, name, "an infinite background hazard", "")
    return times._replace(lower=np.where(times.between, np.maximum(lower, entry), lower))


def _refuse(bad: np.ndarray, values: np.ndarray, name: str, what: str, advice: str) -> None:
    rows = np.flatnonzero(bad)
    if rows.size:
        raise DataError(
            f"{name} has {what} in {rows.size} row{'s' if rows.size > 1 else ''} (first: {values[rows[0]]:g}, row "
            f"{rows[0]} of those used)" + (f"; {advice}" if advice else "")
        )


def log(values: np.ndarray) -> np.ndarray:
    """log of times, finite at 0."""
    return np.log(np.maximum(values, SMALLEST))
