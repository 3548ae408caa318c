"""Derivatives of design columns with respect to a raw covariate, through whatever formulas make of it.

Each row is differentiated by the polynomial through seven points a step apart (order 6), its error judged by the
inner five (order 4); steps shrink where that error is not negligible, such as beside the knot of a spline. Points stay
within the covariate's range, one-sided at its ends, where splines and logarithms end too (Fornberg, 1988, Mathematics
of Computation 51). Steps are powers of two, so that x + step is exact.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.design import Data
from mixstat.estimators.methods.settings import data_of, replaced, setting_of
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import DataError

REACH = 3
"""Points to each side of the middle one."""
DENOMINATOR = 60
"""Makes all weights whole numbers, so that linear columns are differentiated exactly."""
FIRST = -10
"""Binary logarithm of the first step, relative to the covariate's spread."""
REFINEMENTS = 8
"""How often steps may shrink eightfold."""
TOLERANCE = 1e-10
"""Relative error that is good enough."""
NO_DERIVATIVE = 1e-3
"""Relative error that tells a jump."""


class Slopes(NamedTuple):
    """Derivatives (column, row) and their estimated errors."""

    value: np.ndarray
    error: np.ndarray
    floor: np.ndarray


def design_slopes(
    fitted: Fitted, frame: pd.DataFrame, variable: str
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """d columns / d x (column, row), d offsets / d x (offset, row), and of occasions d data / d x (item, m, row).

    DataError where a column has no derivative: a jump, or a category made of numbers.
    """
    x = frame[variable].to_numpy(dtype=np.float64)
    data = data_of(fitted, frame)
    base, limits, first = _stack(fitted, data), _limits(x), _first_step(x)
    value, error = np.zeros_like(base), np.full_like(base, np.inf)
    rows = np.arange(len(x))
    failure: DataError | None = None
    for refinement in range(REFINEMENTS):
        step = np.maximum(first[rows] * 0.125**refinement, _smallest_step(x[rows]))
        try:
            found = _differences(fitted, frame.iloc[rows].reset_index(drop=True), variable, step, limits, base[:, rows])
        except DataError as problem:
            failure = problem
            continue
        better = found.error < error[:, rows]
        value[:, rows] = np.where(better, found.value, value[:, rows])
        error[:, rows] = np.where(better, found.error, error[:, rows])
        size = np.maximum(np.abs(value), np.abs(value).mean(axis=1, keepdims=True))[:, rows]
        rows = rows[(error[:, rows] > np.maximum(TOLERANCE * size, found.floor)).any(axis=0)]
        if not len(rows):
            break
    _require_derivative(variable, x, value, error, failure)
    columns, offsets, responses = setting_of(fitted, data)
    sizes = [len(columns), len(offsets), *(response[..., 0].size for response in responses)]
    parts = np.split(value, np.cumsum(sizes)[:-1])
    return parts[0], parts[1], tuple(p.reshape(r.shape) for p, r in zip(parts[2:], responses, strict=True))


def _stack(fitted: Fitted, data: Data) -> np.ndarray:
    columns, offsets, responses = setting_of(fitted, data)
    return np.concatenate([columns, offsets, *(response.reshape(-1, response.shape[-1]) for response in responses)])


def _spreads(x: np.ndarray) -> bool:
    """Whether values differ by more than rounding, so that they tell a range and a scale."""
    return bool(x.std() > 1e-9 * np.abs(x).max())


def _limits(x: np.ndarray) -> tuple[float, float]:
    """The range that points stay in; a single value says nothing of it."""
    return (float(x.min()), float(x.max())) if _spreads(x) else (-np.inf, np.inf)


def _first_step(x: np.ndarray) -> np.ndarray:
    """(row,) a power of two."""
    spread = np.full(len(x), x.std()) if _spreads(x) else np.where(x == 0, 1.0, np.abs(x))
    return 2.0 ** (np.round(np.log2(spread)) + FIRST)


def _smallest_step(x: np.ndarray) -> np.ndarray:
    """(row,) a power of two that x + step still resolves exactly."""
    return 2.0 ** (np.ceil(np.log2(np.maximum(np.abs(x), np.finfo(float).tiny))) - 48)


def _differences(
    fitted: Fitted,
    frame: pd.DataFrame,
    variable: str,
    step: np.ndarray,
    limits: tuple[float, float],
    base: np.ndarray,
) -> Slopes:
    """Both polynomials' slopes; columns that do not change have the slope 0 exactly."""
    x = frame[variable].to_numpy(dtype=np.float64)
    up = np.clip(np.ceil((limits[0] - x) / step + REACH), 0, REACH).astype(int)
    down = np.clip(np.ceil((x - limits[1]) / step + REACH), 0, REACH).astype(int)
    shift = np.where(up > 0, up, -down)
    outer, inner = (table[shift + REACH] for table in WEIGHTS)
    value, rough, largest = np.zeros_like(base), np.zeros_like(base), np.abs(base)
    for place in range(2 * REACH + 1):
        offset = place - REACH + shift
        if not offset.any():
            continue
        there = _stack(fitted, data_of(fitted, replaced(frame, variable, x + offset * step)))
        change = (there - base) / (DENOMINATOR * step)
        value += outer[:, place] * change
        rough += inner[:, place] * change
        largest = np.maximum(largest, np.abs(there))
    return Slopes(value, np.abs(value - rough), 16 * np.finfo(float).eps * largest / step)


def _require_derivative(
    variable: str, x: np.ndarray, value: np.ndarray, error: np.ndarray, failure: DataError | None
) -> None:
    advice = f"ask for contrasts of {variable!r} instead, such as contrasts(table, {{{variable!r}: (low, high)}})"
    if failure is not None and np.isinf(error).any():
        raise DataError(f"no derivative with respect to {variable!r}: {failure} If that cannot be helped, {advice}")
    size = np.maximum(np.abs(value), np.abs(value).mean(axis=1, keepdims=True))
    bad = (error > NO_DERIVATIVE * size).any(axis=0)
    if bad.any():
        raise DataError(
            f"the formulas jump at {variable!r} = {x[bad][0]:g} (row {int(np.argmax(bad))}), where they have no "
            f"derivative; {advice}"
        )


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Weights (shift, point) x DENOMINATOR of the slope at 0 through seven points, and the five of them near 0."""
    outer, inner = np.zeros((2 * REACH + 1, 2 * REACH + 1)), np.zeros((2 * REACH + 1, 2 * REACH + 1))
    for shift in range(-REACH, REACH + 1):
        points = np.arange(-REACH, REACH + 1) + shift
        first = int(np.clip(-shift + 1, 0, 2))
        outer[shift + REACH] = _slope_weights(points)
        inner[shift + REACH, first : first + 5] = _slope_weights(points[first : first + 5])
    return outer, inner


def _slope_weights(points: np.ndarray) -> np.ndarray:
    """w with sum w p(points) = DENOMINATOR p'(0) for every polynomial p through them: whole numbers."""
    powers = np.vander(points.astype(np.float64), increasing=True).T
    return np.round(DENOMINATOR * np.linalg.solve(powers, np.eye(len(points))[1]))


WEIGHTS = _tables()
