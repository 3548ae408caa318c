"""Networks: features of an observation, `phi(s) = s(W_L ... s(W_1 s + b_1) ... + b_L)`, by default a small perceptron.

Any object with `init(key, observation_size)` and `apply(params, observations)` serves as well (flax, equinox, haiku
modules are wrapped by `Network`). Without hidden layers the features are the observation itself: a policy is then the
package's mixture of linear experts under a multinomial logit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from mixstat.core.family import Array
from mixstat.exceptions import OptionError

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "silu": jax.nn.silu,
}


class Features(Protocol):
    """What a policy needs of its network; hashable, since policies are compared."""

    @property
    def init(self) -> Callable[[Array, int], Any]: ...

    @property
    def apply(self) -> Callable[[Any, Array], Array]: ...


@dataclass(frozen=True)
class Network:
    """Two functions as a network: `init(key, observation_size)` gives a pytree of parameters, `apply(params,
    observations)` the features (..., width)."""

    init: Callable[[Array, int], Any]
    apply: Callable[[Any, Array], Array]


@dataclass(frozen=True)
class MLP:
    """A perceptron of `hidden` layers, each with its activation: "relu", "tanh", "elu" or "silu"."""

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(int(width) for width in self.hidden))
        if min(self.hidden, default=1) < 1:
            raise OptionError(f"hidden must hold the widths of layers, such as (64, 64), got {self.hidden}")
        if self.activation not in ACTIVATIONS:
            raise OptionError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")

    def init(self, key: Array, observation_size: int) -> list[dict[str, Array]]:
        """A layer a dictionary of `weight` (in, out) and `bias` (out,)."""
        widths = (observation_size, *self.hidden)
        keys = jax.random.split(key, max(len(self.hidden), 1))
        return [dense(k, *sizes) for k, sizes in zip(keys, pairwise(widths), strict=False)]

    def apply(self, params: list[dict[str, Array]], observations: Array) -> Array:
        """(..., width of the last layer)."""
        activate, out = ACTIVATIONS[self.activation], observations
        for layer in params:
            out = activate(linear(layer, out))
        return out


def dense(key: Array, inputs: int, outputs: int, scale: float | None = None) -> dict[str, Array]:
    """A linear layer: weights uniform in +-scale (1 / sqrt(inputs) if None), no bias; float32."""
    reach = 1.0 / math.sqrt(max(inputs, 1)) if scale is None else scale
    weight = jax.random.uniform(key, (inputs, outputs), jnp.float32, -reach, reach)
    return {"weight": weight, "bias": jnp.zeros(outputs, jnp.float32)}


def linear(layer: dict[str, Array], inputs: Array) -> Array:
    """inputs @ weight + bias, (..., out)."""
    return inputs @ layer["weight"] + layer["bias"]
