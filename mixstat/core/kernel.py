"""Kernels: compiled functions of specs, which are static, and of arrays.

The compiled function is looked up by its specs, so that a spec meets itself without being compared. jax compares static
arguments in every call, and reports an interrupt that lands in a comparison as a ValueError.
"""

from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")
SPECS = 4096
"""Specs whose compiled functions are kept, as many as jax keeps."""


def kernel(function: Callable[P, T], *, specs: int = 1) -> Callable[P, T]:
    """Compile `function`, whose first `specs` arguments are specs (hashed by value) and the others arrays.

    `compiled(*specs)` of the result is the jitted function of some specs.
    """

    @lru_cache(maxsize=SPECS)
    def compiled(*given: Any) -> Any:
        return jax.jit(partial(function, *given))

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return compiled(*arguments[:specs])(*arguments[specs:])

    call.compiled = compiled  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]
