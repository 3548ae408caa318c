"""Columns: the distinct design columns of all formulas of a model."""

import numpy as np

from mixstat.formula import Materialized, Matrix


class Columns:
    """The distinct columns and offsets of all formulas, found again in any materialisation; column 0 is constant."""

    def __init__(self, materialized: Materialized):
        self.names: dict[str, int] = {"Intercept": 0}
        self.terms: dict[int, str] = {0: "1"}
        self.sources: list[tuple[str, int]] = []
        self.places: dict[str, tuple[int, ...]] = {key: self._add(key, m) for key, m in materialized.matrices.items()}
        self.offset_keys: tuple[str, ...] = tuple(materialized.offsets)

    def _add(self, key: str, matrix: Matrix) -> tuple[int, ...]:
        places = []
        for position, (name, term) in enumerate(zip(matrix.names, matrix.terms, strict=True)):
            if name not in self.names:
                self.names[name] = len(self.names)
                self.sources.append((key, position))
                self.terms[self.names[name]] = term
            places.append(self.names[name])
        return tuple(places)

    @property
    def by_place(self) -> list[str]:
        """Names in the order of places."""
        return list(self.names)

    def offset(self, key: str) -> int:
        """The place of a formula's offset, -1 if it has none."""
        return self.offset_keys.index(key) if key in self.offset_keys else -1

    def values(self, materialized: Materialized) -> np.ndarray:
        """(column, row)."""
        values = np.empty((len(self.names), len(materialized.kept)))
        values[0] = 1.0
        for index, (key, position) in enumerate(self.sources, start=1):
            values[index] = materialized.matrices[key].values[:, position]
        return values

    def offsets(self, materialized: Materialized) -> np.ndarray:
        """(offset, row)."""
        rows = len(materialized.kept)
        return np.array([materialized.offsets[key] for key in self.offset_keys]).reshape(-1, rows)
