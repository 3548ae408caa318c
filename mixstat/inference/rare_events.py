"""Rare events: how good predicted probabilities p of a binary event z are, rows weighing w.

    log loss            mean of -z log p - (1 - z) log(1 - p), infinite where something happened that had probability 0
    Brier               mean of (z - p)^2
    average precision   sum over falling p of (recall gained) x precision, rows of equal p together
    AUC                 P(p of an event > p of a row without) + P(equal) / 2
    OSCE                one-sided squared calibration error: rows sorted by p, in max(round(n / 100), 10) groups of
                        equal size, mean over rows of (p - share of events in the row's group)^2
    intercept, slope    of the logistic regression of z on logit p, 0 and 1 if calibrated

References: Faletto and Bien (2023, ICML), whose public code computes OSCE from unsorted predictions; Brier (1950),
Monthly Weather Review 78; Davis and Goadrich (2006, ICML); Cox (1958), Biometrika 45; Wilson (1927), JASA 22
(intervals).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logit, xlog1py, xlogy
from scipy.stats import norm

from mixstat.inference.brant import logistic

FEWEST = 10
"""Groups of the calibration error."""


class Forecast(NamedTuple):
    """Predicted probabilities, what happened (0 or 1) and weights, each (row,)."""

    chance: np.ndarray
    event: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> "Forecast":
        return Forecast(*(part[rows] for part in self))


class Groups(NamedTuple):
    """Rows in groups of similar prediction: their number, mean prediction, share of events, and Wilson's interval of
    the latter, each (group,)."""

    n: np.ndarray
    events: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray


def log_losses(forecast: Forecast) -> np.ndarray:
    """(row,)."""
    with np.errstate(divide="ignore"):
        found: np.ndarray = -xlogy(forecast.event, forecast.chance) - xlog1py(1 - forecast.event, -forecast.chance)
    return found


def brier_losses(forecast: Forecast) -> np.ndarray:
    """(row,)."""
    return (forecast.event - forecast.chance) ** 2


def mean(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """(weighted mean, its standard error)."""
    average = float(np.average(values, weights=weight))
    if not np.isfinite(average):
        return average, np.nan
    return average, float(np.sqrt((weight**2 * (values - average) ** 2).sum()) / weight.sum())


def osce(forecast: Forecast) -> float:
    """The one-sided calibration error; rows of equal prediction stand in an order drawn once and for all."""
    size = len(forecast.chance)
    count = min(max(round(size / 100), FEWEST), size)
    order = np.lexsort((np.random.default_rng(0).permutation(size), forecast.chance))
    code = np.empty(size, dtype=int)
    code[order] = np.arange(size) * count // size
    total = np.bincount(code, forecast.weight, count)
    share = np.bincount(code, forecast.weight * forecast.event, count) / np.where(total > 0, total, 1.0)
    return float(np.average((forecast.chance - share[code]) ** 2, weights=forecast.weight))


def precision_recall(forecast: Forecast) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(threshold, precision, recall) of taking rows at or above each distinct prediction, from the highest down."""
    threshold, taken, hits = _falling(forecast)
    recall = hits / hits[-1] if hits[-1] else np.full(len(hits), np.nan)
    return threshold, hits / np.where(taken > 0, taken, 1.0), recall


def average_precision(forecast: Forecast) -> float:
    _, precision, recall = precision_recall(forecast)
    return float(np.diff(recall, prepend=0.0) @ precision)


def auc(forecast: Forecast) -> float:
    """NaN where all or none are events."""
    _, taken, hits = _falling(forecast)
    false = taken - hits
    if not hits[-1] or not false[-1]:
        return np.nan
    area = np.diff(false, prepend=0.0) @ (hits + np.concatenate([[0.0], hits[:-1]])) / 2
    return float(area / hits[-1] / false[-1])


def _falling(forecast: Forecast) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct predictions from the highest down, and the weight of rows, and of events, at or above each."""
    order = np.argsort(-forecast.chance, kind="stable")
    chance, event, weight = forecast.take(order)
    last = np.append(chance[1:] != chance[:-1], True)
    return chance[last], np.cumsum(weight)[last], np.cumsum(weight * event)[last]


def recalibration(forecast: Forecast) -> tuple[float, float]:
    """(intercept, slope); NaN where there is no such regression."""
    tiny = np.finfo(float).tiny
    score = logit(np.clip(forecast.chance, tiny, 1 - np.finfo(float).epsneg))
    if np.ptp(score) == 0:
        return np.nan, np.nan
    fit = logistic(np.column_stack([np.ones(len(score)), score]), forecast.event > 0, forecast.weight)
    return (float(fit.coefficient[0]), float(fit.coefficient[1])) if fit.found else (np.nan, np.nan)


def groups(forecast: Forecast, count: int, by: str, level: float) -> Groups:
    """Groups of equal numbers of rows (by="rows"), or of equal numbers of expected events (by="events")."""
    order = np.argsort(forecast.chance, kind="stable")
    chance, event, weight = forecast.take(order)
    size = weight * chance if by == "events" and (weight @ chance) > 0 else weight
    before = np.cumsum(size) - size / 2
    code = np.minimum((count * before / size.sum()).astype(int), count - 1)
    used = np.unique(code)
    total, squares = (np.bincount(code, w, count)[used] for w in (weight, weight**2))
    happened = np.bincount(code, weight * event, count)[used]
    observed = happened / total
    low, high = wilson(observed, total**2 / squares, level)
    predicted = np.bincount(code, weight * chance, count)[used] / total
    return Groups(total, happened, predicted, observed, low, high)


def wilson(share: np.ndarray, size: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's interval of a share in samples of some (effective) size."""
    z = norm.ppf(0.5 + level / 2)
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return np.clip(middle - half, 0.0, 1.0), np.clip(middle + half, 0.0, 1.0)
