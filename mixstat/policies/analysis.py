"""Analysis: does a policy use its experts? `H(w)` of the gate beside `E_a H(r(a))` of the responsibilities.

A gate that looks busy may choose between copies: for K equal experts of equal weights both entropies are log K. Experts
that are told apart have responsibilities of entropy near 0, whatever the gate does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array
from mixstat.core.kernel import kernel
from mixstat.exceptions import DataError
from mixstat.policies.entropy import EntropyBounds, bhattacharyya, entropy_bounds, gate_entropy
from mixstat.policies.head import MixtureHead
from mixstat.policies.policy import GaussianMixturePolicy, Params

DEAD, REDUNDANT, AT_CLIP, CLOSE = 0.02, 0.02, 0.5, 1e-3
"""An expert is dead if its weight stays below the first, a pair redundant if its mean distance is below the second, a
standard deviation at its bound if its log is within the last of it at more than the third of observations."""


@dataclass(frozen=True)
class PolicyReport:
    """What `analyse` found; prints as text.

    gate_entropy            H(w), nats (observation,)
    responsibility_entropy  mean of H(r) over drawn actions (observation,)
    entropy                 bounds of the action's entropy, `EntropyBounds` of (observation,)
    weights                 of the gate (observation, expert)
    distance                Bhattacharyya's, mean over observations (expert, expert)
    wins                    share of observations where a critic prefers the expert's draw (expert,), or None
    at_bound                share of log standard deviations at a bound (expert,)
    """

    gate_entropy: np.ndarray
    responsibility_entropy: np.ndarray
    entropy: EntropyBounds
    weights: np.ndarray
    distance: np.ndarray
    at_bound: np.ndarray
    wins: np.ndarray | None = field(default=None)

    @property
    def n_experts(self) -> int:
        return self.weights.shape[1]

    @property
    def shares(self) -> np.ndarray:
        """Mean weight of every expert (expert,)."""
        return self.weights.mean(axis=0)

    @property
    def dead(self) -> list[int]:
        """Experts (1-based) whose weight is below .02 at every observation."""
        return [k + 1 for k in range(self.n_experts) if self.weights[:, k].max() < DEAD]

    @property
    def redundant(self) -> list[tuple[int, int]]:
        """Pairs (1-based) whose mean Bhattacharyya distance is below .02."""
        rows, columns = np.triu_indices(self.n_experts, 1)
        return [(int(i) + 1, int(j) + 1) for i, j in zip(rows, columns, strict=True) if self.distance[i, j] < REDUNDANT]

    @property
    def clipped(self) -> list[int]:
        """Experts (1-based) with a standard deviation at its bound for most observations."""
        return [k + 1 for k in range(self.n_experts) if self.at_bound[k] > AT_CLIP]

    def table(self) -> Any:
        """A data frame, one row an expert: share, largest weight, nearest expert and distance to it, wins, remark."""
        from mixstat.results.policies import expert_table

        return expert_table(self)

    def plot_entropies(self, *, ax: Any = None) -> Any:
        """Gate entropy beside responsibility entropy, a point an observation; equal experts lie on the diagonal."""
        from mixstat.results.plots import policies

        return policies.entropies(self.gate_entropy, self.responsibility_entropy, self.n_experts, ax=ax)

    def plot_overlap(self, *, ax: Any = None) -> Any:
        """exp(-distance) of every pair of experts: 1 for equal ones, 0 for separated ones."""
        from mixstat.results.plots import policies

        return policies.overlap(self.distance, ax=ax)

    def plot_weights(self, *, ax: Any = None) -> Any:
        """How the weights of every expert spread over the observations."""
        from mixstat.results.plots import policies

        return policies.weights(self.weights, ax=ax)

    def __str__(self) -> str:
        from mixstat.results.policies import report_text

        return report_text(self)

    __repr__ = __str__


def analyse(
    policy: GaussianMixturePolicy,
    params: Params,
    observations: Any,
    *,
    q: Callable[[Array, Array], Array] | None = None,
    draws: int = 64,
    random_state: int = 0,
) -> PolicyReport:
    """How a policy uses its experts at some observations (row, observation_size).

    `q(observations, actions)`, actions (row, K, D), gives a critic's values (row, K) for the share of wins; `draws`
    actions an observation estimate the responsibilities' entropy.
    """
    s = np.asarray(observations)
    if s.ndim != 2 or len(s) == 0:
        raise DataError(f"observations must have shape (rows, {policy.observation_size}), got {s.shape}")
    head = policy.head(params, s)
    keys = jax.random.split(jax.random.key(random_state), draws)
    low, high = policy.log_sd_bounds
    at_bound = jnp.mean((head.log_sd < low + CLOSE) | (head.log_sd > high - CLOSE), axis=(0, -1))
    return PolicyReport(
        np.asarray(gate_entropy(head.logits)),
        np.asarray(responsibility_entropy(policy, params, s, keys)),
        EntropyBounds(*map(np.asarray, entropy_bounds(head))),
        np.asarray(head.weights),
        np.asarray(jnp.mean(bhattacharyya(head), axis=0)),
        np.asarray(at_bound),
        None if q is None else _wins(head.rsample_components(keys[0]).action, s, q),
    )


def plot_density(head: MixtureHead, *, ax: Any = None, limits: tuple[float, float] = (-1.0, 1.0)) -> Any:
    """Density of the action of a head of one observation, in one dimension or two, with the experts' means.

    Markers grow with the experts' weights.
    """
    from mixstat.results.plots import policies

    if head.logits.ndim != 1 or head.action_size > 2:
        raise DataError(
            f"a density is drawn of one observation and one or two actions: got logits {head.logits.shape} and "
            f"{head.action_size} actions; give policy.head(params, observation)"
        )
    means, weights = np.asarray(head.to_action(head.mean)), np.asarray(head.weights)
    density = lambda a: np.exp(np.asarray(head.over_draws().log_prob(a)))  # noqa: E731
    return policies.action_density(density, means, ax=ax, limits=limits, weights=weights)


@kernel
def responsibility_entropy(policy: GaussianMixturePolicy, params: Params, observations: Array, keys: Array) -> Array:
    """Mean over one drawn action a key of the entropy of the responsibilities, (row,)."""
    head = policy.head(params, observations)

    def one(key: Array) -> Array:
        r = head.responsibilities(pre_squash=head.draw(key).pre_squash)
        return -jnp.sum(jnp.where(r > 0, r * jnp.log(jnp.where(r > 0, r, 1.0)), 0.0), axis=-1)

    return jnp.mean(jax.lax.map(one, keys), axis=0)


def _wins(actions: Array, observations: np.ndarray, q: Callable[[Array, Array], Array]) -> np.ndarray:
    values = np.asarray(q(observations, actions))
    if values.shape != actions.shape[:-1]:
        raise DataError(f"q must give values {actions.shape[:-1]} for actions {actions.shape}, got {values.shape}")
    return np.bincount(values.argmax(axis=-1), minlength=values.shape[-1]) / len(values)
