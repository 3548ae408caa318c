"""What every test shares: a process that lives through thousands of compiled functions."""

import gc
from pathlib import Path

import jax
import pytest

_MAPPINGS = Path("/proc/self/maps")


@pytest.fixture(autouse=True, scope="module")
def _room_for_compiled_functions():
    """Release compiled functions between modules, long before their memory mappings reach Linux's limit.

    Every function that XLA compiles for the CPU keeps several mappings of memory; at `vm.max_map_count` (65530 unless
    it was changed) the next compilation crashes the process.
    """
    yield
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
        gc.collect()
