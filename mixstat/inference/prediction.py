"""Predictions of a mixture at given coefficients: posterior, gate, means, predictors; numpy in, numpy out."""

from typing import NamedTuple

import jax
import numpy as np
from scipy.special import softmax

from mixstat.core.design import Data
from mixstat.core.mixture import (
    Mixture,
    expert_means,
    expert_predictors,
    gate_log_probability,
    posterior,
)
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem


class UnitPosterior(NamedTuple):
    """(unit, class) logs of the gate and the experts, (unit,) log density, (unit, class) responsibilities."""

    log_gate: np.ndarray
    log_expert: np.ndarray
    log_density: np.ndarray
    responsibility: np.ndarray


@double
def unit_posterior(mixture: Mixture, phi: np.ndarray, data: Data) -> UnitPosterior:
    """Bayes' rule for every unit of `data`; where no class can have given the response, classes are as before it."""
    layout = data.layout()
    found = UnitPosterior(*(layout.read_units(leaf).T for leaf in posterior(mixture, phi, data.pack(layout))))
    impossible = np.isneginf(found.log_density)
    if not impossible.any():
        return found
    responsibility = found.responsibility.copy()
    responsibility[impossible] = softmax(found.log_gate[impossible] + data.prior.T[impossible], axis=1)
    return found._replace(responsibility=responsibility)


@double
def training_posterior(problem: Problem, phi: np.ndarray) -> UnitPosterior:
    """Bayes' rule for every unit of a problem, at standardised coefficients."""
    result = posterior(problem.mixture, phi, problem.design)
    return UnitPosterior(*(problem.layout.read_units(leaf).T for leaf in result))


@double
def gate_probability(mixture: Mixture, phi: np.ndarray, data: Data) -> np.ndarray:
    """pi (unit, class)."""
    layout = data.layout()
    return np.exp(layout.read_units(gate_log_probability(mixture, phi, data.pack(layout))).T)


@double
def row_means(mixture: Mixture, phi: np.ndarray, data: Data) -> list[list[np.ndarray]]:
    """E[y | x, expert] by row, group -> outcome -> (expert, outcome, ..., row)."""
    layout = data.layout()
    return _read(layout, expert_means(mixture, phi, data.pack(layout)))


@double
def row_predictors(mixture: Mixture, phi: np.ndarray, data: Data) -> list[list[np.ndarray]]:
    """Linear predictors by row, group -> outcome -> (expert, outcome, P, row)."""
    layout = data.layout()
    return _read(layout, expert_predictors(mixture, phi, data.pack(layout)))


def _read(layout, tree) -> list[list[np.ndarray]]:
    return [[layout.read_rows(leaf) for leaf in group] for group in jax.tree.map(np.asarray, tree)]
