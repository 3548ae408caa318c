"""Checked: the parts of an archive, each taken once, with the type or the shape that it has to have."""

from collections.abc import Mapping
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from mixstat.exceptions import DataError


def are_numbers(values: list) -> bool:
    """Whether a list holds finite numbers alone."""
    numbers = all(isinstance(value, Real) and not isinstance(value, bool) for value in values)
    return numbers and bool(np.isfinite(values).all())


def is_increasing(values: list) -> bool:
    """Whether a list holds finite numbers, each above the one before."""
    return are_numbers(values) and all(low < high for low, high in pairwise(values))


class Plain:
    """A JSON object: each key is taken once, with its type."""

    def __init__(self, stored: dict[str, Any]):
        self.left = dict(stored)

    def take(self, key: str, *kinds: type) -> Any:
        """The value; DataError where it is missing or of another type."""
        if key not in self.left:
            raise DataError(f"the key {key!r} is missing")
        value = self.left.pop(key)
        if type(value) not in kinds:
            raise DataError(f"{key!r} is of type {type(value).__name__}, expected {kinds[0].__name__}")
        return value

    def take_optional(self, key: str, *kinds: type) -> Any:
        """The value, None where a file from before there was one does not have it."""
        return self.take(key, *kinds) if key in self.left else None

    def take_count(self, key: str) -> int:
        value = self.take(key, int)
        if value < 0:
            raise DataError(f"{key!r} is {value}, expected a number of at least 0")
        return int(value)

    def finish(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise DataError(f"there is an unknown key {min(self.left)[:80]!r}")


class Numbers:
    """Arrays by name: each is taken once, with its shape."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.left = dict(arrays)

    def take(self, name: str, *shape: int | None, kind: str = "f", finite: bool = True) -> np.ndarray:
        """The array; None in `shape` is any size. DataError where it is missing, of another form, or not finite."""
        if name not in self.left:
            raise DataError(f"the array {name!r} is missing")
        values = self.left.pop(name)
        fits = values.ndim == len(shape) and all(b in (None, a) for a, b in zip(values.shape, shape, strict=True))
        if not fits or values.dtype.kind != kind:
            raise DataError(f"the array {name!r} is {values.dtype} of shape {values.shape}, expected {shape}")
        if finite and not np.isfinite(values).all():
            raise DataError(f"the array {name!r} is not finite")
        return values

    def take_optional(self, name: str, *shape: int) -> np.ndarray | None:
        return self.take(name, *shape, finite=False) if name in self.left else None

    def finish(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise DataError(f"there is an unknown array {min(self.left)!r}")
