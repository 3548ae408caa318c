"""Packing data into blocks loses nothing, whatever the units; sizes repeat within a bucket."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixstat.core.design import bucket, bucket_blocks, lay_out, local_units
from tests.core.models import data_of


@given(st.integers(1, 5000))
def test_bucket_holds_its_size_and_wastes_at_most_half(size: int) -> None:
    assert bucket(size) >= max(size, 256)
    assert bucket(size) <= max(256, size * 1.5)
    assert bucket_blocks(size) >= size
    assert bucket_blocks(size) <= size * 1.25 + 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(8, 300), st.integers(0, 2**16))
def test_units_stay_whole_and_return_in_order(sizes: list[int], block_rows: int, seed: int) -> None:
    unit = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    unit = np.unique(unit, return_index=True)[1].argsort().argsort()[unit]  # numbered by first appearance
    layout = lay_out(len(unit), unit, block_rows)
    rows = np.arange(len(unit), dtype=float)[None]
    units = np.arange(len(sizes), dtype=float)[None]
    placed = layout.place_rows(rows, fill=-1.0)
    np.testing.assert_array_equal(layout.read_rows(placed), rows)
    np.testing.assert_array_equal(layout.read_units(layout.place_units(units)), units)
    inside = local_units(layout, unit)
    block_of_row = layout.row // layout.rows
    np.testing.assert_array_equal(block_of_row, (layout.unit // layout.units)[unit])
    assert (inside[placed[:, 0] < 0] == layout.units - 1).all()
    assert layout.used <= layout.blocks


@pytest.mark.parametrize("rows", [1, 256, 2048, 2049, 10_000])
def test_padding_has_weight_zero_and_finite_responses(rows: int) -> None:
    data = data_of(np.random.default_rng(0), [np.full((1, 1, rows), 3.0)])
    layout = data.layout()
    design = data.pack(layout)
    assert design.weight.sum() == pytest.approx(data.weight.sum())
    assert (design.responses[0] == 3.0).all()
    assert design.columns.shape[0] == layout.blocks


def test_a_subset_keeps_rows_with_their_unit() -> None:
    unit = np.array([0, 0, 1, 2, 2, 2, 3])
    data = data_of(np.random.default_rng(0), [np.arange(7.0)[None, None]], unit=unit)
    part = data.take(np.array([1, 2]))
    np.testing.assert_array_equal(part.responses[0][0, 0], [2, 3, 4, 5])
    np.testing.assert_array_equal(part.unit, [0, 1, 1, 1])
    np.testing.assert_array_equal(part.weight, data.weight[[1, 2]])
