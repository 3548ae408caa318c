"""Moments: the times that curves of survival are asked for, and sums over times that make means of them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mixstat.estimators.methods.scene import Moments
from mixstat.estimators.model.state import training_of
from mixstat.exceptions import OptionError
from mixstat.families.survival import Survival
from mixstat.families.survival.times import read
from mixstat.inference.survival import log_times

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

POINTS = 50
NODES = (32, 64, 128, 256)
"""Nodes to each side of the middle, until a mean does not change any more."""


def is_survival(fitted: "Fitted") -> bool:
    """Whether the first response is a survival time."""
    return isinstance(fitted.assembled.stacks[0][0][0].family, Survival)


def require_survival(fitted: "Fitted", what: str) -> None:
    """An error for models of something else."""
    if not is_survival(fitted):
        raise OptionError(f"{what} is for survival times (ms.SurvivalRegression); this model has none")


def checked_times(times: Any, what: str = "times") -> np.ndarray:
    """One or several times, 0 or later."""
    try:
        values = np.atleast_1d(np.asarray(times, dtype=float))
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise OptionError(f"{what} must be times of 0 or later, one number or several, got {times!r}")
    return values


def known_times(model: Any) -> np.ndarray:
    """A grid up to the last time of the data of the fit."""
    training = training_of(model)
    schema, kept = model.fitted_.schema, model.fitted_.sample.kept
    rows = schema.transform(training.table, response=True, missing="drop").responses or []
    values = next(response.values for response in rows if response.kind == "survival")
    last = read(values, "the response").last
    return np.linspace(0.0, float(last.max()), POINTS + 1)[1:] if len(kept) else np.ones(1)


def at_times(times: np.ndarray, given: float | None = None) -> Moments:
    """Curves at these times (padded: few sizes compile), survival perhaps given that beyond the time `given`."""
    size = 1 << max(0, (len(times) - 1).bit_length())
    logs = log_times(np.concatenate([times, np.full(size - len(times), times[-1])]))
    if given is not None:
        logs = np.append(logs, log_times(np.array([given])))
    return Moments(logs[:, None], np.eye(len(times), size), times)


def restricted_mean(limits: np.ndarray, count: int) -> Moments:
    """int_0^tau S(t) dt for each limit tau as sums of S, by the double exponential rule (Takahasi and Mori, 1974)."""
    step = 6.4 / (2 * count)
    grid = step * np.arange(-count, count + 1)
    inner = 0.5 * np.pi * np.sinh(grid)
    place = 1.0 / (1.0 + np.exp(-2.0 * inner))
    weight = step * 0.25 * np.pi * np.cosh(grid) / np.cosh(inner) ** 2
    times = np.concatenate([limit * place for limit in limits])
    sums = np.zeros((len(limits), len(times)))
    for index, limit in enumerate(limits):
        sums[index, index * len(place) : (index + 1) * len(place)] = limit * weight
    return Moments(log_times(times)[:, None], sums, limits)


def own_times(times: np.ndarray, shown: np.ndarray) -> Moments:
    """Every row at times of its own (time, row); `shown` (time,) is what tables call them."""
    return Moments(log_times(times), None, shown)
