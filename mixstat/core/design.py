"""Design: the data of a model as arrays, cut into blocks of whole units and padded to size buckets.

Kernels keep rows on the last axis (contiguous, so that elementwise work vectorises) and blocks on the first. Padding
units carry weight 0. A new number of rows in the same bucket has the same shapes, so nothing compiles again.
"""

from typing import Any, NamedTuple

import numpy as np

Array = Any
MINIMUM_BUCKET = 256
BLOCK_ROWS = 2048
"""Rows of one block on a CPU: intermediates of a block stay in cache and memory stays bounded."""


class Design(NamedTuple):
    """All data of one fit. Every leaf but `used` has the block axis first.

    columns    (block, column, row)            distinct columns of all formulas; column 0 is the constant 1
    offsets    (block, offset, row)            distinct offsets
    responses  each (block, outcome, m, row)   encoded by their family; outcomes that share a spec are stacked
    observed   each (block, outcome, row) or None where nothing is missing
    unit       (block, row) index of the row's unit inside its block, or None where rows are units
    gate       (block, column, unit) gate columns, or None where rows are units (the gate then reads `columns`)
    weight     (block, unit)
    prior      (block, class, unit)            log prior class weights, 0 where nothing is known
    extra      (block, extra, unit)            log densities of blocks without parameters
    atom       (block, unit) or None           -inf where a response sits on a point mass that experts cannot reach
    used       ()                              number of blocks that hold data
    """

    columns: Array
    offsets: Array
    responses: tuple[Array, ...]
    observed: tuple[Array | None, ...]
    unit: Array | None
    gate: Array | None
    weight: Array
    prior: Array
    extra: Array
    atom: Array | None
    used: Array


class Layout(NamedTuple):
    """Where each row and unit of the data stands in the blocks (host only).

    `row` and `unit` hold flat positions (block * size + place) in the order of the data.
    """

    blocks: int
    rows: int
    units: int
    used: int
    row: np.ndarray
    unit: np.ndarray

    def place_rows(self, values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """(..., row) in data order -> (block, ..., rows)."""
        return _place(values, self.row, self.blocks, self.rows, fill)

    def place_units(self, values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """(..., unit) in data order -> (block, ..., units)."""
        return _place(values, self.unit, self.blocks, self.units, fill)

    def read_units(self, values: Array) -> np.ndarray:
        """(block, ..., units) -> (..., unit) in data order."""
        return _read(np.asarray(values), self.unit)

    def read_rows(self, values: Array) -> np.ndarray:
        """(block, ..., rows) -> (..., row) in data order."""
        return _read(np.asarray(values), self.row)


USUAL_WEIGHT = (0.01, 100.0)


def weight_unit(weight: np.ndarray) -> float:
    """In what weights are counted in a fit: 1, as repeated rows are, or the mean of those above 0 if it is unusual."""
    mean = float(np.mean(weight[weight > 0]))
    return 1.0 if USUAL_WEIGHT[0] <= mean <= USUAL_WEIGHT[1] else mean


def bucket(size: int) -> int:
    """The smallest power of two, or three quarters of one, that holds `size` (at least 256)."""
    power = max(MINIMUM_BUCKET, 1 << (max(size, 1) - 1).bit_length())
    return power * 3 // 4 if size <= power * 3 // 4 and power > MINIMUM_BUCKET else power


def lay_out(n_rows: int, unit: np.ndarray | None, block_rows: int = BLOCK_ROWS) -> Layout:
    """Cut rows into blocks of whole units. `unit` (row,) numbers units 0, 1, ... in order of first appearance."""
    if unit is None:
        return _lay_out_rows(n_rows, block_rows)
    return _lay_out_units(unit, block_rows)


def _lay_out_rows(n_rows: int, block_rows: int) -> Layout:
    if n_rows <= block_rows:
        size, blocks = bucket(n_rows), 1
    else:
        size, blocks = block_rows, bucket_blocks(-(-n_rows // block_rows))
    place = np.arange(n_rows)
    return Layout(blocks, size, size, -(-n_rows // size), place, place)


def bucket_blocks(count: int) -> int:
    """Blocks allocated for `count` used ones: a multiple of an eighth of the next power of two."""
    step = max(1, (1 << (max(count, 1) - 1).bit_length()) // 8)
    return -(-count // step) * step


def _lay_out_units(unit: np.ndarray, block_rows: int) -> Layout:
    """Greedy packing of whole units; one place in each block stays free for the unit that padding rows point to."""
    counts = np.bincount(unit)
    size = max(block_rows, int(counts.max())) if counts.sum() > block_rows else int(counts.sum())
    block_of_unit = np.zeros(len(counts), dtype=np.int64)
    ends = np.cumsum(counts)
    block, start = 0, 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + size, side="right")))
        block_of_unit[start:stop] = block
        block, start = block + 1, stop
    units_in_block = np.bincount(block_of_unit)
    rows = bucket(size)
    units = bucket(int(units_in_block.max()) + 1)
    first = np.concatenate([[0], np.cumsum(units_in_block)[:-1]])
    unit_place = np.arange(len(counts)) - first[block_of_unit] + block_of_unit * units
    order = np.argsort(unit, kind="stable")
    block_of_row = block_of_unit[unit[order]]
    rows_in_block = np.bincount(block_of_row, minlength=block)
    first_row = np.concatenate([[0], np.cumsum(rows_in_block)[:-1]])
    row_place = np.empty(len(unit), dtype=np.int64)
    row_place[order] = np.arange(len(unit)) - first_row[block_of_row] + block_of_row * rows
    return Layout(bucket_blocks(block) if block > 1 else 1, rows, units, block, row_place, unit_place)


def local_units(layout: Layout, unit: np.ndarray) -> np.ndarray:
    """(block, rows) index of each row's unit inside its block; padding rows point to the block's last place."""
    inside = layout.unit[unit] % layout.units
    return _place(inside.astype(np.int32), layout.row, layout.blocks, layout.rows, layout.units - 1)


class Data(NamedTuple):
    """The leaves of a Design in data order: rows (or units) on the last axis, no blocks, no padding (host only).

    `unit` (row,) numbers units 0, 1, ... in order of first appearance, or is None where rows are units.
    """

    columns: np.ndarray
    offsets: np.ndarray
    responses: tuple[np.ndarray, ...]
    observed: tuple[np.ndarray | None, ...]
    unit: np.ndarray | None
    gate: np.ndarray | None
    weight: np.ndarray
    prior: np.ndarray
    extra: np.ndarray
    atom: np.ndarray | None

    def take(self, units: np.ndarray) -> "Data":
        """The data of some units (sorted positions)."""
        if self.unit is None:
            rows, unit = units, None
        else:
            rows = np.flatnonzero(np.isin(self.unit, units))
            unit = np.searchsorted(units, self.unit[rows])
        return Data(
            self.columns[:, rows],
            self.offsets[:, rows],
            tuple(response[..., rows] for response in self.responses),
            tuple(None if seen is None else seen[..., rows] for seen in self.observed),
            unit,
            None if self.gate is None else self.gate[:, units],
            self.weight[units],
            self.prior[:, units],
            self.extra[:, units],
            None if self.atom is None else self.atom[units],
        )

    def layout(self, block_rows: int = BLOCK_ROWS) -> Layout:
        return lay_out(self.columns.shape[-1], self.unit, block_rows)

    def pack(self, layout: Layout) -> Design:
        """A Design of numpy arrays. Padding rows repeat the first row's response, so that densities stay finite."""
        return Design(
            columns=layout.place_rows(self.columns),
            offsets=layout.place_rows(self.offsets),
            responses=tuple(_place_response(layout, data) for data in self.responses),
            observed=tuple(None if seen is None else layout.place_rows(seen) for seen in self.observed),
            unit=None if self.unit is None else local_units(layout, self.unit),
            gate=None if self.unit is None or self.gate is None else layout.place_units(self.gate),
            weight=layout.place_units(self.weight),
            prior=layout.place_units(self.prior),
            extra=layout.place_units(self.extra),
            atom=None if self.atom is None else layout.place_units(self.atom),
            used=np.asarray(layout.used, dtype=np.int32),
        )


def _place_response(layout: Layout, data: np.ndarray) -> np.ndarray:
    placed = _empty((layout.blocks, *data.shape[:-1], layout.rows), data.dtype)
    placed[...] = data[..., :1] if data.shape[-1] else 0.0
    return _fill(placed, data, layout.row, layout.rows)


def _place(values: np.ndarray, position: np.ndarray, blocks: int, size: int, fill: float) -> np.ndarray:
    placed = _empty((blocks, *values.shape[:-1], size), values.dtype)
    placed[...] = fill
    return _fill(placed, values, position, size)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array aligned to 64 bytes, which jax on a CPU uses in place instead of copying."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def _fill(placed: np.ndarray, values: np.ndarray, position: np.ndarray, size: int) -> np.ndarray:
    """Write values (..., row) at flat positions; rows in order (the usual case) are copied block by block."""
    if _is_in_order(position):
        for block in range(-(-values.shape[-1] // size)):
            part = values[..., block * size : (block + 1) * size]
            placed[block, ..., : part.shape[-1]] = part
        return placed
    index, place = np.divmod(position, size)
    placed[index, ..., place] = np.moveaxis(values, -1, 0)
    return placed


def _is_in_order(position: np.ndarray) -> bool:
    last = len(position) - 1
    return last < 0 or (position[0] == 0 and position[-1] == last and bool(np.all(position[1:] > position[:-1])))


def _read(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    block, place = np.divmod(position, values.shape[-1])
    return np.moveaxis(values[block, ..., place], 0, -1)
