"""GaussianMixturePolicy: `pi(a|s) = sum_k w_k(s) pi_k(a|s)`, the package's mixture of experts with x = s, acting.

`w = softmax(gate(s))`; pi_k is the law of tanh(u), u ~ N(mu_k(s), Sigma_k(s)). Gate and experts are linear in features
phi(s) of a network. The policy is a spec: it holds sizes, its numbers are a pytree `params`, and all its methods are
pure functions of (params, observations) that `jit`, `vmap` and `grad` accept.
Reference: Ren, Li, Ding, Pan and Dong (2021), Probabilistic mixture-of-experts for efficient deep reinforcement
learning, arXiv 2104.09122.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array
from mixstat.exceptions import DataError, OptionError
from mixstat.policies.covariance import pairs
from mixstat.policies.entropy import EntropyBounds, entropy_bounds
from mixstat.policies.head import MixtureHead
from mixstat.policies.networks import MLP, Features, dense, linear

Params = dict[str, Any]
INPUTS = ("features", "observation", "constant")
HEAD_WEIGHTS = 1e-2
"""Weights of the linear layers of gate and experts are drawn from +- this: at first their biases decide."""


@dataclass(frozen=True)
class GaussianMixturePolicy:
    """A mixture of `n_experts` Gaussians under a softmax gate, squashed into [-1, 1] by tanh; one expert is a Gaussian.

    Parameters
    ----------
    observation_size, action_size : int
    n_experts : int
    squash : bool
        Whether actions are tanh(u); False leaves them unbounded.
    covariance : "diagonal" or "full"
        Of each expert; "full" adds regressions of each coordinate on the earlier ones (modified Cholesky).
    hidden, activation
        Layers of the default network; () makes gate and experts linear in the observation.
    network : object with `init(key, observation_size)` and `apply(params, observations)`, optional
        Gives features (..., width) in place of the default network; see `Network`.
    gate, scale : "features", "observation" or "constant"
        What the gate and the log standard deviations are linear in.
    stop_gate_gradient : bool
        Whether the gate learns from the features without changing them.
    combine : "mixture" or "means"
        "means" acts by one Gaussian, whose mean and log standard deviation are the gate's averages of the experts':
        what gating networks do, and unimodal.
    log_sd_bounds, initial_log_sd : (float, float), float
        Log standard deviations are clipped to the bounds.
    mean_spread : float
        Standard deviation of the initial biases of the experts' means, so that experts can part; 0 for one expert.
    """

    observation_size: int
    action_size: int
    n_experts: int = 4
    squash: bool = True
    covariance: str = "diagonal"
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    network: Features | None = None
    gate: str = "features"
    scale: str = "features"
    stop_gate_gradient: bool = False
    combine: str = "mixture"
    log_sd_bounds: tuple[float, float] = (-20.0, 2.0)
    initial_log_sd: float = -0.5
    mean_spread: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "log_sd_bounds", tuple(self.log_sd_bounds))
        _check_options(self)

    @property
    def trunk(self) -> Features:
        """The network of the features."""
        return MLP(self.hidden, self.activation) if self.network is None else self.network

    def init(self, key: Array) -> Params:
        """Parameters, float32: `trunk` of the network; `gate`, `mean`, `log_sd` and `dependence` as linear layers."""
        return _init(self, key)

    def head(self, params: Params, observations: Array) -> MixtureHead:
        """The law of the action at observations (..., observation_size)."""
        head = _head(self, params, checked_observations(self, observations))
        return averaged(head) if self.combine == "means" else head

    def sample(self, params: Params, key: Array, observations: Array) -> Array:
        """Actions (..., action_size), without gradient."""
        return self.head(params, observations).sample(key)

    def sample_and_log_prob(self, params: Params, key: Array, observations: Array) -> tuple[Array, Array]:
        """Actions (..., action_size) and their log-density (...,): see `MixtureHead.sample_and_log_prob`."""
        return self.head(params, observations).sample_and_log_prob(key)

    def log_prob(
        self, params: Params, observations: Array, action: Array | None = None, *, pre_squash: Array | None = None
    ) -> Array:
        """log pi(a|s), (...,), the density of the action, which may be given by its u as `pre_squash`."""
        return self.head(params, observations).log_prob(action, pre_squash=pre_squash)

    def component_log_prob(
        self, params: Params, observations: Array, action: Array | None = None, *, pre_squash: Array | None = None
    ) -> Array:
        """log pi_k(a|s) of every expert, (..., K), without its weight."""
        return self.head(params, observations).component_log_prob(action, pre_squash=pre_squash)

    def responsibilities(
        self, params: Params, observations: Array, action: Array | None = None, *, pre_squash: Array | None = None
    ) -> Array:
        """P(expert k | s, a), (..., K)."""
        return self.head(params, observations).responsibilities(action, pre_squash=pre_squash)

    def entropy_bounds(self, params: Params, observations: Array) -> EntropyBounds:
        """Bounds of the entropy at each observation, in nats."""
        return entropy_bounds(self.head(params, observations))

    def mode(self, params: Params, observations: Array, *, density: str = "pre_squash") -> Array:
        """A committed action (..., action_size): the expert mean of highest density, see `MixtureHead.mode`."""
        return self.head(params, observations).mode(density=density)

    def mean(self, params: Params, observations: Array) -> Array:
        """E[a|s], with a warning: no action to play, see `MixtureHead.mean_action`."""
        return self.head(params, observations).mean_action()


def averaged(head: MixtureHead) -> MixtureHead:
    """One Gaussian whose mean, log_sd and dependence are the gate's averages of the experts'."""

    def average(leaf: Array) -> Array:
        return None if leaf is None else jnp.einsum("...k,...kd->...d", head.weights, leaf)[..., None, :]

    logits = jnp.zeros_like(head.logits[..., :1])
    return MixtureHead(logits, average(head.mean), average(head.log_sd), average(head.dependence), head.squash)


def head_sizes(policy: GaussianMixturePolicy) -> dict[str, int]:
    """Outputs of the linear layers by name."""
    k, d = policy.n_experts, policy.action_size
    sizes = {"gate": k, "mean": k * d, "log_sd": k * d}
    return sizes | {"dependence": k * len(pairs(d))} if policy.covariance == "full" else sizes


def checked_observations(policy: GaussianMixturePolicy, observations: Array) -> Array:
    """Observations as floats; their size is checked always, missing values where there are numbers to look at."""
    if not isinstance(observations, jax.core.Tracer) and not np.isfinite(np.asarray(observations, float)).all():
        raise DataError("observations hold NaN or infinite values: look at the environment, or drop these rows")
    array = jnp.asarray(observations)
    if array.ndim < 1 or array.shape[-1] != policy.observation_size:
        raise DataError(f"observations must have shape (..., {policy.observation_size}), got {array.shape}")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.float32)


def _init(policy: GaussianMixturePolicy, key: Array) -> Params:
    of_trunk, of_spread, *keys = jax.random.split(key, 6)
    trunk = policy.trunk.init(of_trunk, policy.observation_size)
    blank = jax.ShapeDtypeStruct((policy.observation_size,), jnp.float32)
    inputs = {
        "features": jax.eval_shape(policy.trunk.apply, trunk, blank).shape[-1],
        "observation": policy.observation_size,
        "constant": 0,
    }
    of = {"gate": policy.gate, "log_sd": policy.scale, "dependence": policy.scale}
    layers = {
        name: dense(k, inputs[of.get(name, "features")], size, HEAD_WEIGHTS)
        for k, (name, size) in zip(keys, head_sizes(policy).items(), strict=False)
    }
    spread = policy.mean_spread if policy.n_experts > 1 else 0.0
    layers["mean"]["bias"] += spread * jax.random.normal(of_spread, layers["mean"]["bias"].shape, jnp.float32)
    layers["log_sd"]["bias"] += policy.initial_log_sd
    return {"trunk": trunk, **layers}


def _head(policy: GaussianMixturePolicy, params: Params, observations: Array) -> MixtureHead:
    features = policy.trunk.apply(params["trunk"], observations)
    inputs = {"features": features, "observation": observations, "constant": observations[..., :0]}
    for_gate = jax.lax.stop_gradient(inputs[policy.gate]) if policy.stop_gate_gradient else inputs[policy.gate]

    def experts(name: str, given: Array) -> Array:
        out = linear(params[name], given)
        return out.reshape(*out.shape[:-1], policy.n_experts, out.shape[-1] // policy.n_experts)

    return MixtureHead(
        linear(params["gate"], for_gate),
        experts("mean", features),
        jnp.clip(experts("log_sd", inputs[policy.scale]), *policy.log_sd_bounds),
        experts("dependence", inputs[policy.scale]) if policy.covariance == "full" else None,
        policy.squash,
    )


def _check_options(policy: GaussianMixturePolicy) -> None:
    for name in ("observation_size", "action_size", "n_experts"):
        value = getattr(policy, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise OptionError(f"{name} must be a whole number of at least 1, got {value!r}")
    choices = {"covariance": ("diagonal", "full"), "gate": INPUTS, "scale": INPUTS, "combine": ("mixture", "means")}
    for name, options in choices.items():
        if getattr(policy, name) not in options:
            raise OptionError(f"{name} must be one of {options}, got {getattr(policy, name)!r}")
    low, high = policy.log_sd_bounds
    if not low < policy.initial_log_sd < high:
        raise OptionError(f"initial_log_sd must lie within log_sd_bounds ({low}, {high}), got {policy.initial_log_sd}")
    if policy.network is None:
        MLP(policy.hidden, policy.activation)
    elif not (hasattr(policy.network, "init") and hasattr(policy.network, "apply")):
        raise OptionError("network must have init(key, observation_size) and apply(params, observations): see Network")
