"""Starts of cloning: clusters of actions, or of observations with actions, become the biases of gate and experts."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.cluster.vq import kmeans2

from mixstat.policies.cloning_em import Objective, Sample, em_step, log_likelihood
from mixstat.policies.policy import GaussianMixturePolicy, Params

SHORT = 5
"""Steps of EM that every start is given."""


def best_start(
    policy: GaussianMixturePolicy, sample: Sample, objective: Objective, n_init: int, rng: np.random.Generator
) -> Params:
    """The start of highest likelihood after a short EM; one expert has one start."""
    several = n_init if policy.n_experts > 1 else 1
    found = [start(policy, sample, rng, together=number % 2 == 1) for number in range(several)]
    if several == 1:
        return found[0]
    for index in range(several):
        for _ in range(SHORT):
            found[index], _ = em_step(policy, found[index], sample, objective)
    values = [float(log_likelihood(policy, params, sample)) for params in found]
    return found[int(np.argmax(np.nan_to_num(values, nan=-np.inf)))]


def start(policy: GaussianMixturePolicy, sample: Sample, rng: np.random.Generator, *, together: bool) -> Params:
    """Initial parameters in float64 whose biases are those of clusters (of both if `together`)."""
    params = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float64), policy.init(jax.random.key(int(rng.integers(2**31))))
    )
    u = np.asarray(sample.pre_squash)
    seen = np.hstack([np.asarray(sample.observations), u]) if together else u
    labels = clusters(seen, policy.n_experts, rng)
    low, high = policy.log_sd_bounds
    spread = np.maximum(u.std(axis=0), 1e-6)
    for name, values in _biases(u, labels, policy.n_experts, spread).items():
        inside = np.clip(values, low + 0.1, high - 0.1) if name == "log_sd" else values
        params[name]["bias"] = jnp.asarray(inside.ravel())
    return params


def clusters(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Labels (row,) of k-means on standardised columns."""
    scaled = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
    return kmeans2(scaled, scaled[_spread_rows(scaled, count, rng)], minit="matrix", missing="warn")[1]


def _spread_rows(values: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Rows far from each other at random (k-means++, Arthur and Vassilvitskii, 2007)."""
    rows = [int(rng.integers(len(values)))]
    for _ in range(count - 1):
        gaps = np.min([np.sum((values - values[row]) ** 2, axis=1) for row in rows], axis=0)
        share = gaps / gaps.sum() if gaps.sum() > 0 else np.full(len(values), 1 / len(values))
        rows.append(int(rng.choice(len(values), p=share)))
    return rows


def _biases(u: np.ndarray, labels: np.ndarray, count: int, spread: np.ndarray) -> dict[str, np.ndarray]:
    """Shares, means and log standard deviations of clusters; an empty one is the whole."""
    groups = [u[labels == k] if np.any(labels == k) else u for k in range(count)]
    shares = np.array([max(float(np.mean(labels == k)), 1.0 / len(u)) for k in range(count)])
    return {
        "gate": np.log(shares / shares.sum()),
        "mean": np.array([group.mean(axis=0) for group in groups]),
        "log_sd": np.log([np.maximum(group.std(axis=0), 0.05 * spread) for group in groups]),
    }
