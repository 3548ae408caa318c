"""The one sum over units: every statistic of a model is a sum of block statistics, with memory bounded by a block."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mixstat.core.design import Design

Array = Any


def take_block(design: Design, index: Array) -> Design:
    """The design of one block, without the block axis."""
    return jax.tree.map(lambda leaf: leaf[index], design._replace(used=None))._replace(used=design.used)


def reduce(statistic: Callable[[Design], Any], design: Design) -> Any:
    """Sum `statistic(block)` (a pytree) over the used blocks. Blocks without data cost nothing."""
    if design.weight.shape[0] == 1:
        return statistic(take_block(design, 0))
    shapes = jax.eval_shape(lambda d: statistic(take_block(d, 0)), design)
    zero = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    def add(index: Array, total: Any) -> Any:
        return jax.tree.map(jnp.add, total, statistic(take_block(design, index)))

    return jax.lax.fori_loop(0, design.used, add, zero)


def each(function: Callable[[Design], Array], design: Design) -> Array:
    """`function(block)` for every block, stacked on the block axis."""
    if design.weight.shape[0] == 1:
        return jax.tree.map(lambda leaf: leaf[None], function(take_block(design, 0)))
    return jax.lax.map(lambda index: function(take_block(design, index)), jnp.arange(design.weight.shape[0]))
