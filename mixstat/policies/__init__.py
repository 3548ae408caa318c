"""Gaussian-mixture policies: the same mixture of experts, acting, `pi(a|s) = sum_k w_k(s) pi_k(a|s)`."""

from mixstat.policies.analysis import PolicyReport, analyse
from mixstat.policies.cloning import BehaviourCloning
from mixstat.policies.entropy import EntropyBounds, entropy_bounds
from mixstat.policies.head import Draw, MixtureHead
from mixstat.policies.losses import Aux, actor_loss, gate_frequency_loss, temperature_loss
from mixstat.policies.networks import MLP, Network
from mixstat.policies.one_state import Demonstrations, Improved, Obstacle, OneState
from mixstat.policies.policy import GaussianMixturePolicy

__all__ = [
    "MLP",
    "Aux",
    "BehaviourCloning",
    "Demonstrations",
    "Draw",
    "EntropyBounds",
    "GaussianMixturePolicy",
    "Improved",
    "MixtureHead",
    "Network",
    "Obstacle",
    "OneState",
    "PolicyReport",
    "actor_loss",
    "analyse",
    "entropy_bounds",
    "gate_frequency_loss",
    "temperature_loss",
]
