"""Random numbers: whatever a user gives as `random_state` becomes a numpy Generator."""

from typing import Any

import numpy as np


def generator(random_state: Any) -> np.random.Generator:
    """A numpy Generator from an int, Generator, SeedSequence, RandomState or None."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)
