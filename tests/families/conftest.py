from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Float64 in scope, as every facade does."""
    with jax.enable_x64(True):
        yield
