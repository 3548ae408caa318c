"""Jets: a quantity of a row with first and second derivatives over the row's P predictors, carried by the chain rule.

Automatic differentiation would derive the same numbers from a program ten times as long, which takes as much longer to
compile.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any


class Jet(NamedTuple):
    """value (row,), first (P, row), second (P, P, row)."""

    value: Array
    first: Array
    second: Array

    def plus(self, other: "Jet", sign: float = 1.0) -> "Jet":
        return Jet(*(mine + sign * theirs for mine, theirs in zip(self, other, strict=True)))

    def times(self, weight: Array) -> "Jet":
        """By a number that does not depend on the predictors."""
        return Jet(*(weight * part for part in self))

    def through(self, value: Array, slope: Array, bend: Array) -> "Jet":
        """f of the quantity, given f, f' and f'' there."""
        return Jet(value, slope * self.first, slope * self.second + bend * outer(self.first))

    def exp(self) -> "Jet":
        value = jnp.exp(self.value)
        return self.through(value, value, value)


def outer(first: Array) -> Array:
    return first[:, None] * first[None]


def choose(condition: Array, one: Jet, other: Jet) -> Jet:
    """`one` where the condition (row,) holds."""
    return Jet(*(jnp.where(condition, mine, theirs) for mine, theirs in zip(one, other, strict=True)))


def by_autodiff(function: Callable[[Array], Sequence[Array]], eta: Array) -> list[Jet]:
    """Jets of the (row,) outputs of `function` at the predictors eta (P, row), elementwise in rows."""
    count = eta.shape[0]
    directions = jnp.broadcast_to(jnp.eye(count, dtype=eta.dtype)[:, :, None], (count, *eta.shape))

    def slopes(at: Array) -> tuple:
        value, push = jax.linearize(lambda e: tuple(function(e)), at)
        return jax.vmap(push)(directions), value

    first, push, value = jax.linearize(slopes, eta, has_aux=True)
    second = jax.vmap(push)(directions)
    return [Jet(*parts) for parts in zip(value, first, second, strict=True)]
