"""Critics: Q(s, a) and V(s) as perceptrons; of several Q the smallest counts, against overestimation.

Fujimoto, van Hoof and Meger (2018, ICML): "Addressing function approximation error in actor-critic methods".
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mixstat.policies.networks import MLP, dense, linear


@dataclass(frozen=True)
class Critic:
    """A number for each row of inputs: a network, and one linear unit on its features."""

    inputs: int
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"

    @property
    def network(self) -> MLP:
        return MLP(self.hidden, self.activation)

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Parameters, float32."""
        of_network, of_last = jax.random.split(key)
        width = self.hidden[-1] if self.hidden else self.inputs
        return {"network": self.network.init(of_network, self.inputs), "value": dense(of_last, width, 1)}

    def value(self, params: dict[str, Any], inputs: jax.Array) -> jax.Array:
        """(...,) of inputs (..., inputs)."""
        return linear(params["value"], self.network.apply(params["network"], inputs))[..., 0]

    def action_value(self, params: dict[str, Any], observation: jax.Array, action: jax.Array) -> jax.Array:
        """Q(s, a) of observations (batch, d) and actions (batch, D), or several for each, (batch, K, D)."""
        if action.ndim == observation.ndim + 1:
            observation = jnp.broadcast_to(observation[:, None], (*action.shape[:-1], observation.shape[-1]))
        inputs = jnp.concatenate([observation, action], axis=-1)
        return self.value(params, inputs.reshape(-1, self.inputs)).reshape(inputs.shape[:-1])

    def smallest(self, pair: Any, observation: jax.Array, action: jax.Array) -> jax.Array:
        """min_j Q_j(s, a) over several parameter sets."""
        values = [self.action_value(params, observation, action) for params in pair]
        return jnp.min(jnp.stack(values), axis=0)


def polyak(target: Any, online: Any, tau: float) -> Any:
    """(1 - tau) target + tau online."""
    return jax.tree.map(lambda old, new: old + tau * (new - old), target, online)
