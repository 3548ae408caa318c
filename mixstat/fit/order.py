"""The order of experts: ascending average location predictor of the first outcome over the sample.

Only experts of equal form change places. The gate's reference is the first class after ordering.
"""

import numpy as np

from mixstat.core.mixture import Mixture
from mixstat.fit.problem import Problem


def order_classes(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """theta with the experts in order. Nothing moves where coefficients differ by class in what is tied or fixed."""
    phi = problem.ties.expand(theta)
    averages = column_averages(problem)
    moved = permute(problem.mixture, phi, ranking(problem.mixture, phi, averages))
    following = problem.ties.contract(moved)
    return following if np.allclose(problem.ties.expand(following), moved, rtol=1e-12, atol=1e-12) else theta


def column_averages(problem: Problem) -> np.ndarray:
    """(column,) average of each design column over the rows of positive weight."""
    columns, weight = np.asarray(problem.design.columns), np.asarray(problem.design.weight)
    if problem.design.unit is not None:
        weight = np.take_along_axis(weight, np.asarray(problem.design.unit), axis=1)
    total = np.einsum("bcn,bn->c", columns, (weight > 0).astype(float))
    return total / max(np.count_nonzero(weight > 0), 1)


def ranking(mixture: Mixture, phi: np.ndarray, averages: np.ndarray) -> np.ndarray:
    """(class,) old position of the class at each new position."""
    experts, _ = mixture.split(phi)
    order, start = [], 0
    for group, coefficients in zip(mixture.groups, experts, strict=True):
        outcome = group.outcomes[0]
        location = group.split(coefficients)[0][:, 0, outcome.parameter_of == 0]
        values = location @ averages[outcome.column_of[outcome.parameter_of == 0]]
        order.extend(start + np.argsort(values, kind="stable"))
        start += group.copies
    return np.array(order + list(range(start, mixture.classes)))


def permute(mixture: Mixture, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
    """phi with class `order[j]` at position j; the gate is taken against its new first class."""
    phi = phi.copy()
    experts, gate = mixture.split(phi)
    start = 0
    for group, coefficients in zip(mixture.groups, experts, strict=True):
        coefficients[...] = coefficients[order[start : start + group.copies] - start]
        start += group.copies
    if gate.size:
        full = np.concatenate([np.zeros((1, gate.shape[1])), gate])[order]
        gate[...] = full[1:] - full[0]
    return phi
