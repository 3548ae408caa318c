"""Gaussian-mixture policies: the same mixture of experts, acting, `pi(a|s) = sum_k w_k(s) pi_k(a|s)`."""

from mixstat.policies.entropy import EntropyBounds, entropy_bounds
from mixstat.policies.head import Draw, MixtureHead
from mixstat.policies.networks import MLP, Network
from mixstat.policies.policy import GaussianMixturePolicy

__all__ = [
    "MLP",
    "Draw",
    "EntropyBounds",
    "GaussianMixturePolicy",
    "MixtureHead",
    "Network",
    "entropy_bounds",
]
