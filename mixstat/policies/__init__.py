"""Gaussian-mixture policies: the same mixture of experts, acting, `pi(a|s) = sum_k w_k(s) pi_k(a|s)`."""

from mixstat.policies.analysis import PolicyReport, analyse, plot_density
from mixstat.policies.cloning import BehaviourCloning
from mixstat.policies.entropy import EntropyBounds, entropy_bounds
from mixstat.policies.environments import Environment, Episodes, MultiGoal, Step, goals_covered, retry_success
from mixstat.policies.head import Draw, MixtureHead
from mixstat.policies.losses import Aux, actor_loss, gate_frequency_loss, temperature_loss
from mixstat.policies.networks import MLP, Network
from mixstat.policies.one_state import Demonstrations, Improved, Obstacle, OneState
from mixstat.policies.optimizer import MissingExtraError
from mixstat.policies.outcome import Training
from mixstat.policies.policy import GaussianMixturePolicy
from mixstat.policies.ppo import PPO
from mixstat.policies.sac import SAC
from mixstat.policies.training import TrainingError

__all__ = [
    "MLP",
    "PPO",
    "SAC",
    "Aux",
    "BehaviourCloning",
    "Demonstrations",
    "Draw",
    "EntropyBounds",
    "Environment",
    "Episodes",
    "GaussianMixturePolicy",
    "Improved",
    "MissingExtraError",
    "MixtureHead",
    "MultiGoal",
    "Network",
    "Obstacle",
    "OneState",
    "PolicyReport",
    "Step",
    "Training",
    "TrainingError",
    "actor_loss",
    "analyse",
    "entropy_bounds",
    "gate_frequency_loss",
    "goals_covered",
    "plot_density",
    "retry_success",
    "temperature_loss",
]
