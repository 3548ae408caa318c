"""pytest.approx for arrays of jax."""

from typing import Any

import numpy as np
import pytest


def near(expected: Any, **tolerance: float) -> Any:
    return pytest.approx(expected if isinstance(expected, float) else np.asarray(expected), **tolerance)
