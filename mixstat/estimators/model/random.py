"""Random numbers: whatever a user gives as `random_state` becomes a numpy Generator."""

from typing import Any

import numpy as np

from mixstat.exceptions import OptionError


def generator(random_state: Any) -> np.random.Generator:
    """A numpy Generator from an int, Generator, SeedSequence, RandomState or None."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise OptionError(
            f"random_state must be a whole number of at least 0, a numpy Generator or None, got {random_state!r}"
        ) from None
