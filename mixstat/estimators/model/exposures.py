"""Exposures: how long each occasion of a curve of change scores has been in every interval between waves.

Waves are common times; or they are numbered by a column, and intervals lie between the subject's own times. Times of
waves of which a subject has no row are interpolated: they are as far from the average as those before and after.
"""

from typing import NamedTuple

import numpy as np

from mixstat.exceptions import DataError
from mixstat.families.growth import change_scores
from mixstat.families.growth.curves import Curve, time_label


class Clock(NamedTuple):
    """Distinct times; or average times of waves (wave,), and the waves."""

    times: np.ndarray
    waves: np.ndarray | None = None


def clock_of(times: np.ndarray, waves: np.ndarray | None, names: tuple[str, str]) -> Clock:
    """The clock of rows with these times, and waves if they are numbered; `names` are the columns of both."""
    if waves is None:
        return Clock(np.unique(times))
    numbers, code = np.unique(waves, return_inverse=True)
    averages = np.bincount(code, times) / np.bincount(code)
    back = np.flatnonzero(np.diff(averages) <= 0)
    if len(back):
        one, other = (time_label(numbers[back[0] + i]) for i in (0, 1))
        raise DataError(
            f"column {names[1]!r} numbers the waves, but {names[0]!r} is on average no later in wave {other} than in "
            f"wave {one}; check both columns"
        )
    return Clock(averages, numbers)


def exposures(
    curve: Curve, times: np.ndarray, waves: np.ndarray | None, owner: np.ndarray | None, rows: np.ndarray
) -> np.ndarray:
    """(exposure, row) of rows with these times and waves; `owner` (row,) is the subject whose rows they are, without
    which intervals are those of average times; `rows` are their positions in the table."""
    breaks = np.array(curve.times)
    bounds = breaks[:, None]
    if waves is not None and owner is not None:
        known = np.isin(waves, curve.waves)
        code, who = np.searchsorted(curve.waves, waves[known]), owner[known]
        _require_order(times[known], code, who, rows[known])
        own = np.full((len(breaks), int(owner.max(initial=0)) + 1), np.nan)
        own[code, who] = times[known]
        bounds = _filled(breaks, own)[:, owner]
    return change_scores.exposures(bounds, times)[: curve.exposures]


def _filled(breaks: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(wave, subject) times, where a subject has none (NaN) interpolated."""
    known, place, last = ~np.isnan(own), np.arange(len(breaks))[:, None], len(breaks) - 1
    before = np.maximum.accumulate(np.where(known, place, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, place, len(breaks))[::-1], axis=0)[::-1]
    low = np.clip(np.where(before < 0, after, before), 0, last)
    high = np.clip(np.where(after > last, before, after), 0, last)
    shift, gap = np.nan_to_num(own - breaks[:, None]), breaks[high] - breaks[low]
    share = (breaks[:, None] - breaks[low]) / np.where(gap > 0, gap, 1.0)
    apart = [np.take_along_axis(shift, places, axis=0) for places in (low, high)]
    return np.where(known, own, breaks[:, None] + (1.0 - share) * apart[0] + share * apart[1])


def _require_order(times: np.ndarray, code: np.ndarray, subject: np.ndarray, rows: np.ndarray) -> None:
    """Waves of a subject are different and follow one another in time."""
    order = np.lexsort((code, subject))
    same = np.diff(subject[order]) == 0
    twice = np.flatnonzero(same & (np.diff(code[order]) == 0))
    back = np.flatnonzero(same & (np.diff(times[order]) < 0))
    for place, what in ((twice, "have the same unit and wave"), (back, "have times that fall from wave to wave")):
        if len(place):
            first, second = rows[order[place[0]]], rows[order[place[0] + 1]]
            raise DataError(f"rows {first} and {second} {what}; check the columns of unit, time and wave")
