"""Kaplan and Meier's estimate of survival, of late entries too, and Turnbull's of intervals; both with weights.

    S(t) = prod over event times s <= t of (1 - d_s / n_s),   n_s the weight of rows with entry < s <= end

(Kaplan and Meier, 1958, JASA 53; Turnbull, 1976, JRSS-B 38). Intervals of S are Greenwood's on that of log(-log S).
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from mixstat.families.survival.times import Times

STEPS, CLOSE = 20_000, 1e-9


class Steps(NamedTuple):
    """A step function: its value from each time on, with an interval (NaN without one) and who is at risk before it."""

    time: np.ndarray
    survival: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """S at given times."""
        place = np.searchsorted(self.time, times, side="right")
        return np.concatenate([[1.0], self.survival])[place]


def estimate(times: Times, weight: np.ndarray, level: float = 0.95) -> Steps:
    """Turnbull's estimate where some rows are intervals, else Kaplan and Meier's."""
    return turnbull(times, weight) if times.between.any() else kaplan_meier(times, weight, level)


def kaplan_meier(times: Times, weight: np.ndarray, level: float = 0.95) -> Steps:
    """From exact, right-censored and late-entry rows; `weight` (row,)."""
    end, event = times.last, times.event
    points = np.unique(end[event & (weight > 0)])
    died = _sum_at(points, end[event], weight[event])
    risk = number_at_risk(times, weight, points)
    share = died / risk
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1.0 - share)
        variance = np.cumsum(died / (risk * (risk - died)))
        log_survival = np.log(survival)
        half = norm.ppf(0.5 + 0.5 * level) * np.sqrt(variance) / np.abs(log_survival)
        low, high = survival ** np.exp(half), survival ** np.exp(-half)
    gone = survival <= 0
    return Steps(points, survival, np.where(gone, np.nan, low), np.where(gone, np.nan, high), risk, died)


def number_at_risk(times: Times, weight: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weight of the rows under observation just before each point."""
    return _weight_above(times.last, weight, points, "left") - _weight_above(times.entry, weight, points, "left")


def _weight_above(values: np.ndarray, weight: np.ndarray, points: np.ndarray, side: str) -> np.ndarray:
    """Weight of the values that are not below each point."""
    order = np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    return total[-1] - total[np.searchsorted(values[order], points, side=side)]  # type: ignore[call-overload]


def _sum_at(points: np.ndarray, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    inside = np.isin(values, points)
    return np.bincount(np.searchsorted(points, values[inside]), weight[inside], minlength=len(points))


def turnbull(times: Times, weight: np.ndarray) -> Steps:
    """The nonparametric maximum likelihood of intervals, by self-consistency; S steps at the end of each interval of
    mass. Late entries are not supported: their likelihood has no unique maximum."""
    lower, upper = np.where(times.event, np.nextafter(times.lower, -np.inf), times.lower), times.upper
    left, right = _support(lower, upper)
    inside = (lower[:, None] <= left[None]) & (right[None] <= upper[:, None])
    mass = np.full(len(left), 1.0 / len(left))
    total = weight.sum()
    for _ in range(STEPS):
        share = inside * mass
        new = (weight[:, None] * share / np.maximum(share.sum(axis=1, keepdims=True), 1e-300)).sum(axis=0) / total
        if np.abs(new - mass).max() < CLOSE:
            mass = new
            break
        mass = new
    finite = np.isfinite(right)
    survival = 1.0 - np.cumsum(mass)
    nothing = np.full(int(finite.sum()), np.nan)
    return Steps(right[finite], np.clip(survival[finite], 0.0, 1.0), nothing, nothing, nothing, mass[finite] * total)


def _support(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Innermost intervals: a lower bound that is followed by an upper one."""
    points = np.concatenate([lower, upper])
    kind = np.concatenate([np.zeros(len(lower)), np.ones(len(upper))])
    order = np.lexsort((1 - kind, points))
    points, kind = points[order], kind[order]
    pair = np.flatnonzero((kind[:-1] == 0) & (kind[1:] == 1))
    return points[pair], points[pair + 1]
