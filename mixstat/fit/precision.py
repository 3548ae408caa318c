"""Double precision, scoped: jax's float64 is switched on around the package's own work and never globally."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")


def double(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` in float64. Its results must be numpy: a float64 jax array would lose precision outside."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped
