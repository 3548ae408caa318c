"""The order of experts: ascending average predictor of the first outcome over the sample, of its location or of what
its family orders by.

Only experts of equal form change places. The gate's reference is the first class after ordering.
"""

import numpy as np

from mixstat.core.mixture import Mixture
from mixstat.fit.problem import Problem


class Order:
    """Brings free parameters to the documented order of experts; `keep` leaves them as they are."""

    def __init__(self, problem: Problem, keep: bool):
        self.mixture, self.ties = problem.mixture, problem.ties
        self.keep = keep or problem.mixture.classes == 1
        self.averages = column_averages(problem)

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        """theta with the experts in order."""
        order = self.permutation(theta)
        if np.array_equal(order, np.arange(len(order))):
            return theta
        return self.ties.contract(permute(self.mixture, self.ties.expand(theta), order))

    def permutation(self, theta: np.ndarray) -> np.ndarray:
        """(class,) old position of the class at each new one; nothing moves where ties differ between experts."""
        same = np.arange(self.mixture.classes)
        if self.keep:
            return same
        phi = self.ties.expand(theta)
        order = ranking(self.mixture, phi, self.averages)
        moved = permute(self.mixture, phi, order)
        kept = self.ties.expand(self.ties.contract(moved))
        return order if np.allclose(kept, moved, rtol=1e-12, atol=1e-12) else same


def exchange(problem: Problem, theta: np.ndarray, order: np.ndarray) -> np.ndarray:
    """theta with class `order[j]` in place j; unchanged where the ties do not allow it."""
    moved = permute(problem.mixture, problem.ties.expand(theta), order)
    back = problem.ties.contract(moved)
    return back if np.allclose(problem.ties.expand(back), moved, rtol=1e-12, atol=1e-12) else theta


def column_averages(problem: Problem) -> np.ndarray:
    """(column,) average of each design column over the rows of positive weight."""
    columns, weight = np.asarray(problem.design.columns), np.asarray(problem.design.weight)
    if problem.design.unit is not None:
        weight = np.take_along_axis(weight, np.asarray(problem.design.unit), axis=1)
    alive = (weight > 0).astype(np.float64)
    return np.matmul(columns, alive[..., None]).sum(axis=(0, 2)) / max(alive.sum(), 1.0)


def ranking(mixture: Mixture, phi: np.ndarray, averages: np.ndarray) -> np.ndarray:
    """(class,) old position of the class at each new position."""
    experts, _ = mixture.split(phi)
    order: list[int] = []
    for group, coefficients in zip(mixture.groups, experts, strict=True):
        outcome = group.outcomes[0]
        parts = group.split(coefficients)[0][:, 0] * averages[outcome.column_of]
        average = [np.bincount(outcome.parameter_of, part, len(outcome.columns)) for part in parts]
        values = [outcome.family.order_value(eta) for eta in average]
        order.extend(len(order) + np.argsort(values, kind="stable"))
    return np.array(order + list(range(len(order), mixture.classes)))


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
