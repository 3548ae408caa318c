"""Head: the law of an action, `pi(a) = sum_k w_k pi_k(a)`, pi_k the law of tanh(u), u ~ N(mu_k, Sigma_k), w = softmax.

It is the package's mixture at u = atanh(a): the Jacobian of tanh is common to all experts, so that it cancels in the
responsibilities. Everything is in log space and at u, which is kept wherever it is known: tanh(u) rounds to 1.
References: Jacobs, Jordan, Nowlan and Hinton (1991), Neural Computation 3; Haarnoja et al. (2018), ICML (squashing).
"""

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp

from mixstat.core.family import Array
from mixstat.core.mixture import by_bayes
from mixstat.exceptions import DataError, OptionError
from mixstat.policies import covariance, squashing

NO_RSAMPLE = (
    "a mixture has no reparameterised sample (the choice of the expert is discrete): use rsample_components, one draw "
    "of every expert, and weigh them by the gate as actor_loss does"
)
BETWEEN_MODES = "the mean of a mixture policy lies between its modes and is not an action to play: use sample or mode"


class Draw(NamedTuple):
    """Actions with the u they come from: `action` is tanh(u), or u where the head does not squash."""

    action: Array
    pre_squash: Array


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["logits", "mean", "log_sd", "dependence"],
    meta_fields=["squash"],
)
@dataclass(frozen=True, eq=False)
class MixtureHead:
    """A Gaussian mixture over actions, squashed into [-1, 1] by tanh; a pytree of arrays.

    logits      (..., K) of the gate
    mean        (..., K, D) of u, the action before squashing
    log_sd      (..., K, D); given earlier coordinates, if there is `dependence`
    dependence  (..., K, D (D - 1) / 2) or None: coefficients of each coordinate on the earlier ones
    squash      whether the action is tanh(u), or u itself

    Leading axes are those of the observations. Methods that take an action (..., D) take its u as `pre_squash` instead:
    both give the density of the action, but u loses nothing where tanh(u) rounds to a bound.
    """

    logits: Array
    mean: Array
    log_sd: Array
    dependence: Array | None = None
    squash: bool = True

    def __post_init__(self) -> None:
        _check_shapes(self)

    @property
    def n_experts(self) -> int:
        return self.mean.shape[-2]

    @property
    def action_size(self) -> int:
        return self.mean.shape[-1]

    @property
    def log_weights(self) -> Array:
        """log w, (..., K)."""
        return jax.nn.log_softmax(self.logits, axis=-1)

    @property
    def weights(self) -> Array:
        """w, (..., K)."""
        return jax.nn.softmax(self.logits, axis=-1)

    def unsquashed(self) -> "MixtureHead":
        """The law of u itself."""
        return replace(self, squash=False)

    def over_draws(self) -> "MixtureHead":
        """With a new axis after those of the observations, so that it broadcasts over draws (..., draw, D)."""
        return jax.tree.map(lambda leaf: jnp.expand_dims(leaf, self.logits.ndim - 1), self)

    def to_action(self, pre_squash: Array) -> Array:
        """tanh(u), or u where the head does not squash."""
        return squashing.squash(pre_squash) if self.squash else pre_squash

    def rsample_components(self, key: Array) -> Draw:
        """One reparameterised draw of every expert, (..., K, D): differentiable in mean, log_sd and dependence."""
        z = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        u = self.mean + covariance.errors(z, self.log_sd, self.dependence)
        return Draw(self.to_action(u), u)

    def rsample(self, key: Array) -> NoReturn:
        """Refused: a draw of the mixture cannot be reparameterised, its gradient to the gate would be 0 in silence."""
        raise OptionError(NO_RSAMPLE)

    def draw(self, key: Array) -> Draw:
        """One draw of the mixture, (..., D), without gradient (see `rsample`)."""
        of_expert, of_noise = jax.random.split(key)
        chosen = jax.random.categorical(of_expert, self.logits, axis=-1)
        draws = self.rsample_components(of_noise)
        picked = [jnp.take_along_axis(part, chosen[..., None, None], axis=-2)[..., 0, :] for part in draws]
        return Draw(*squashing.stopped(picked))

    def sample(self, key: Array) -> Array:
        """An action (..., D), without gradient."""
        return self.draw(key).action

    def sample_and_log_prob(self, key: Array) -> tuple[Array, Array]:
        """An action (..., D) and its log-density (...,). The action has no gradient, its log-density has."""
        drawn = self.draw(key)
        return drawn.action, self.log_prob(pre_squash=drawn.pre_squash)

    def component_log_prob(self, action: Array | None = None, *, pre_squash: Array | None = None) -> Array:
        """log pi_k(a) of every expert, (..., K), without its weight."""
        u, jacobian = located(self, action, pre_squash)
        return self._gaussian(u) - jacobian[..., None]

    def log_prob(self, action: Array | None = None, *, pre_squash: Array | None = None) -> Array:
        """log pi(a) of the whole mixture, (...,); -inf outside the bounds of a squashed action."""
        u, jacobian = located(self, action, pre_squash)
        return by_bayes(self.log_weights + self._gaussian(u), axis=-1)[0] - jacobian

    def responsibilities(self, action: Array | None = None, *, pre_squash: Array | None = None) -> Array:
        """P(expert k | a), (..., K)."""
        u, _ = located(self, action, pre_squash)
        return by_bayes(self.log_weights + self._gaussian(u), axis=-1)[1]

    def mode(self, *, density: str = "pre_squash") -> Array:
        """The expert mean of highest density, as an action (..., D): what a committed evaluation plays.

        `density` says which: of u ("pre_squash"), or of the action ("action": the Jacobian counts, which favours means
        near the bounds).
        """
        if density not in ("pre_squash", "action"):
            raise OptionError(f"density must be 'pre_squash' or 'action', got {density!r}")
        head = self.over_draws() if density == "action" else self.over_draws().unsquashed()
        best = jnp.argmax(head.log_prob(pre_squash=self.mean), axis=-1)
        return self.to_action(jnp.take_along_axis(self.mean, best[..., None, None], axis=-2)[..., 0, :])

    def mean_action(self) -> Array:
        """E a, (..., D), with a warning: it lies between the modes, where the policy hardly ever acts."""
        warnings.warn(BETWEEN_MODES, UserWarning, stacklevel=2)
        sd = covariance.marginal_sd(self.log_sd, self.dependence)
        means = squashing.squashed_mean(self.mean, sd) if self.squash else self.mean
        return jnp.einsum("...k,...kd->...d", self.weights, means)

    def _gaussian(self, u: Array) -> Array:
        """log N_k(u), (..., K)."""
        return covariance.log_density(u[..., None, :], self.mean, self.log_sd, self.dependence)


def _check_shapes(head: MixtureHead) -> None:
    """Those of the last axes; pytree operations that fill in something else are let through."""
    logits, mean, sd = (getattr(leaf, "shape", ()) for leaf in (head.logits, head.mean, head.log_sd))
    if logits and mean and sd and (logits[-1:] != mean[-2:-1] or mean[-2:] != sd[-2:]):
        raise DataError(
            f"a head needs logits (..., K), mean and log_sd (..., K, D); got shapes {logits}, {mean} and {sd}"
        )


def located(head: MixtureHead, action: Array | None, pre_squash: Array | None) -> tuple[Array, Array]:
    """(u, log |da/du|) of an action given as itself or as its u: +inf outside the bounds, where the density is 0."""
    if (action is None) == (pre_squash is None):
        raise OptionError("give the action, or its u as pre_squash: one of the two")
    if pre_squash is not None:
        u = _checked(head, pre_squash, "pre_squash")
        return u, squashing.log_jacobian(u) if head.squash else jnp.zeros(u.shape[:-1], u.dtype)
    action = _checked(head, action, "action")
    if not head.squash:
        return action, jnp.zeros(action.shape[:-1], action.dtype)
    u = squashing.unsquash(action)
    return u, jnp.where(squashing.is_action(action), squashing.log_jacobian(u), jnp.inf)


def _checked(head: MixtureHead, value: Array | None, name: str) -> Array:
    array = jnp.asarray(value, head.mean.dtype)
    if array.ndim < 1 or array.shape[-1] != head.action_size:
        raise DataError(f"{name} must have shape (..., {head.action_size}), got {array.shape}")
    return array
