"""Roots of monotone functions over the ordered float64 numbers: exact at jumps, without a bracket or a scale (host).

Every float has a place in their order (its bits), so that a bisection of places needs 64 steps for any number. Smooth
functions need about a third, by interpolation that never loses more than two steps against bisection.
Reference: Oliveira and Takahashi (2020), An enhancement of the bisection method average performance preserving minmax
optimality, ACM Transactions on Mathematical Software 47(1).
"""

from collections.abc import Callable

import numpy as np

LARGEST = float(np.finfo(np.float64).max)
LOWEST = np.iinfo(np.int64).min
BITS = 64
SPARE = 2
"""Steps that may be lost against bisection."""


def smallest(
    score: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], *, slack: float = 0.0, whole: bool = False
) -> np.ndarray:
    """The smallest float64 y with score(y) >= 0, elementwise; `score` never falls, and may be infinite.

    `slack` ends the search where |score| is no larger; `whole` says that only whole numbers need be looked at.
    """
    low, high = to_key(np.full(shape, -LARGEST)), to_key(np.full(shape, LARGEST))
    left, right = np.full(shape, -np.inf), np.full(shape, np.inf)
    for step in range(2 * BITS):
        if (distance(low, high) <= 1).all():
            return from_key(high)
        middle = _next(low, high, left, right, step)
        middle = _whole(low, high, middle) if whole else middle
        with np.errstate(over="ignore"):
            value = score(from_key(middle))
        reached, near = value >= 0, np.abs(value) <= slack if slack else np.zeros(shape, dtype=bool)
        low, left = np.where(reached, low, middle), np.where(reached, left, value)
        high, right = np.where(reached | near, middle, high), np.where(reached, value, right)
        low = np.where(near, high, low)
        if whole:
            low = np.where(from_key(high) - np.floor(from_key(low)) <= 1.0, high, low)
    return from_key(high)


def _next(low: np.ndarray, high: np.ndarray, left: np.ndarray, right: np.ndarray, step: int) -> np.ndarray:
    """The next place to look at, strictly between low and high where there is one."""
    width = distance(low, high)
    half = 0.5 * width
    known = np.isfinite(left) & np.isfinite(right)
    share = np.divide(-left, right - left, out=np.full(left.shape, 0.5), where=known & (right > left))
    straight = share * width
    side = np.sign(half - straight)
    nudge = np.minimum(0.2 * width * (width / 2.0**BITS), np.abs(half - straight))
    reach = np.maximum(2.0 ** (BITS + SPARE - step - 1) - half, 0.0)
    place = half - side * np.minimum(np.abs(half - straight - side * nudge), reach)
    place = np.clip(place, 1.0, np.maximum(width - 1.0, 1.0))
    return np.where(width <= 1, high, (low.view(np.uint64) + place.astype(np.uint64)).view(np.int64))


def _whole(low: np.ndarray, high: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """The whole number at or below `middle`, or the first above `low`."""
    below = np.floor(from_key(middle))
    above_low = np.floor(from_key(low)) + 1.0
    return np.where(low == high, high, to_key(np.maximum(below, above_low)))


def to_key(value: np.ndarray) -> np.ndarray:
    """Place of a float64 in the order of all floats, int64."""
    bits = np.asarray(value, dtype=np.float64).view(np.int64)
    return np.where(bits >= 0, bits, LOWEST - np.minimum(bits, 0))


def from_key(key: np.ndarray) -> np.ndarray:
    """The float64 at this place."""
    return np.where(key >= 0, key, LOWEST - np.minimum(key, 0)).view(np.float64)


def distance(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """high - low >= 0 as a float64, which int64 may not hold."""
    return (high.view(np.uint64) - low.view(np.uint64)).astype(np.float64)
