"""Problem: one objective of free parameters theta, over the kernels of `core`; all small algebra on the host."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Data, Design
from mixstat.core.expert import Experts
from mixstat.core.mixture import Louis, Mixture, Pieces, complete_statistics, louis
from mixstat.fit.linear_algebra import solve_ascent
from mixstat.fit.penalty import Penalty
from mixstat.fit.proximal import solve_lasso
from mixstat.fit.ties import Ties


class Expectation(NamedTuple):
    """An E-step: the objective at theta and the statistics its M-step needs."""

    theta: np.ndarray
    objective: float
    log_likelihood: float
    pieces: Pieces


class Evaluation(NamedTuple):
    """Objective, gradient and observed information (minus Hessian) at theta; `class_weight` (class,)."""

    theta: np.ndarray
    objective: float
    log_likelihood: float
    gradient: np.ndarray
    information: np.ndarray
    class_weight: np.ndarray


class Problem:
    """A mixture, its data on the device, its ties and penalty: what the drivers of `fit` maximise."""

    def __init__(self, mixture: Mixture, data: Data, ties: Ties, penalty: Penalty):
        self.mixture, self.ties, self.penalty = mixture, ties, penalty
        self.layout = data.layout()
        self.design: Design = jax.tree.map(jnp.asarray, data.pack(self.layout))

    def replace(self, **leaves: np.ndarray) -> "Problem":
        """The same problem with other weights or priors."""
        other = object.__new__(Problem)
        other.mixture, other.ties, other.penalty, other.layout = self.mixture, self.ties, self.penalty, self.layout
        other.design = self.design._replace(**{name: jnp.asarray(leaf) for name, leaf in leaves.items()})
        return other

    def expect(self, theta: np.ndarray) -> Expectation:
        """E-step at theta."""
        pieces = complete_statistics(self.mixture, self.ties.expand(theta), self.design, self.penalty.epsilon)
        pieces = jax.tree.map(np.asarray, pieces)
        return Expectation(theta, self._objective(theta, pieces), float(pieces.log_likelihood), pieces)

    def evaluate(self, theta: np.ndarray) -> Evaluation:
        """Objective with gradient and information by Louis' identity, ridge and scale penalty included."""
        return self._evaluate(theta, self.penalty)

    def evaluate_likelihood(self, theta: np.ndarray) -> Evaluation:
        """The unpenalised log-likelihood with its gradient and information."""
        return self._evaluate(theta, Penalty(np.zeros(len(theta)), np.zeros(len(theta)), 0.0))

    def _evaluate(self, theta: np.ndarray, penalty: Penalty) -> Evaluation:
        parts = louis(self.mixture, self.ties.expand(theta), self.design, penalty.epsilon)
        parts = jax.tree.map(np.asarray, parts)
        pieces = parts.pieces
        gradient = np.concatenate([g.ravel() for g in parts.gradients] + [pieces.gate_gradient.ravel()])
        information = self.ties.information(observed_information(self.mixture, parts))
        return Evaluation(
            theta,
            float(pieces.log_likelihood + penalty.epsilon * pieces.prior_density + penalty.value(theta)),
            float(pieces.log_likelihood),
            self.ties.gradient(gradient) - penalty.ridge * theta,
            information + np.diag(penalty.ridge),
            pieces.class_weight,
        )

    def _objective(self, theta: np.ndarray, pieces: Pieces) -> float:
        prior = self.penalty.epsilon * pieces.prior_density if self.penalty.epsilon else 0.0
        return float(pieces.log_likelihood + prior + self.penalty.value(theta))

    def maximize_complete(self, expectation: Expectation, *, gate: bool = True) -> np.ndarray:
        """M-step: closed forms where the family has one, one Newton step on the rest."""
        theta, pieces = expectation.theta, expectation.pieces
        phi = self.ties.expand(theta)
        gradient, information = np.zeros(len(phi)), np.zeros((len(phi), len(phi)))
        closed = np.zeros(len(phi), dtype=bool)
        start = 0
        for group, statistics in zip(self.mixture.groups, pieces.experts, strict=True):
            stop = start + group.copies * group.width
            _expert_step(group, statistics, phi[start:stop], gradient[start:stop], closed[start:stop])
            place = np.arange(start, stop).reshape(group.copies, group.width)
            _complete_blocks(group, statistics, information, place, gradient)
            start = stop
        if gate:
            gradient[start:] = pieces.gate_gradient.ravel()
            information[start:, start:] = _gate_matrix(pieces.gate_information)
        stepped = self.ties.contract(phi)
        moving = np.ones(self.ties.size, dtype=bool)
        moving[self.ties.index[np.flatnonzero(closed & (self.ties.index >= 0))]] = False
        if not gate:
            moving[self.ties.index[start:][self.ties.index[start:] >= 0]] = False
        if moving.any():
            stepped[moving] += self._newton_part(theta, gradient, information, moving)
        return stepped

    def _newton_part(
        self, theta: np.ndarray, gradient: np.ndarray, information: np.ndarray, moving: np.ndarray
    ) -> np.ndarray:
        penalty = self.penalty
        slope = (self.ties.gradient(gradient) - penalty.ridge * theta)[moving]
        curvature = (self.ties.information(information) + np.diag(penalty.ridge))[np.ix_(moving, moving)]
        if penalty.lasso[moving].any():
            return solve_lasso(curvature, slope, theta[moving], penalty.lasso[moving])
        return solve_ascent(curvature, slope)[0]


def _expert_step(
    group: Experts, statistics: tuple, phi: np.ndarray, gradient: np.ndarray, closed: np.ndarray
) -> None:
    """Write closed-form updates into phi (in place) and mark them in `closed`."""
    coefficients = phi.reshape(group.copies, group.width)
    marks = closed.reshape(group.copies, group.width)
    start = 0
    for outcome, statistic in zip(group.outcomes, statistics, strict=True):
        stop = start + outcome.count * outcome.width
        if outcome.closed_form:
            marks[:, start:stop] = True
            block = coefficients[:, start:stop].reshape(group.copies, outcome.count, outcome.width)
            locations = sum(parameter.location for parameter in outcome.family.parameters)
            split = locations * len(outcome.columns[0])
            for k in range(group.copies):
                for o in range(outcome.count):
                    step, constants = outcome.family.maximize([leaf[k, o] for leaf in statistic])
                    block[k, o, :split] += step.ravel()
                    block[k, o, split:] = constants
            coefficients[:, start:stop] = block.reshape(group.copies, -1)
        start = stop


def _complete_blocks(
    group: Experts, statistics: tuple, information: np.ndarray, place: np.ndarray, gradient: np.ndarray
) -> None:
    """Add the complete-data information of outcomes without a closed form, and their gradient, in place."""
    start = 0
    for outcome, statistic in zip(group.outcomes, statistics, strict=True):
        stop = start + outcome.count * outcome.width
        if not outcome.closed_form:
            slope, curvature = outcome.gather(*statistic)
            rows = place[:, start:stop].reshape(group.copies, outcome.count, outcome.width)
            gradient[rows] = slope
            information[rows[..., :, None], rows[..., None, :]] = curvature
        start = stop


def _gate_matrix(blocks: np.ndarray) -> np.ndarray:
    """(class, class, column, column) -> (class x column, class x column)."""
    count, _, width, _ = blocks.shape
    return blocks.transpose(0, 2, 1, 3).reshape(count * width, count * width)


def observed_information(mixture: Mixture, parts: Louis) -> np.ndarray:
    """- d2 log-likelihood / d phi d phi' = E[complete] - (E[S S'] - sbar sbar'), (phi, phi)."""
    gate = mixture.size - int(np.prod(mixture.gate.shape))
    information = np.zeros((mixture.size, mixture.size))
    information[: len(parts.mixed), : len(parts.mixed)] = parts.mixed
    start, first = 0, 0
    for group, curvatures, own, cross in zip(
        mixture.groups, parts.pieces.experts, parts.own, parts.cross, strict=True
    ):
        place = np.arange(start, start + group.copies * group.width).reshape(group.copies, group.width)
        information[place[:, :, None], place[:, None, :]] -= own
        _add_curvature(group, curvatures, information, place)
        for copy in range(group.copies if gate < mixture.size else 0):
            if first + copy > 0:
                columns = gate + (first + copy - 1) * cross.shape[-1] + np.arange(cross.shape[-1])
                information[np.ix_(place[copy], columns)] -= cross[copy]
                information[np.ix_(columns, place[copy])] -= cross[copy].T
        start, first = start + place.size, first + group.copies
    if gate < mixture.size:
        width = parts.gate_own.shape[-1]
        information[gate:, gate:] += _gate_matrix(parts.pieces.gate_information)
        for index, own in enumerate(parts.gate_own):
            at = slice(gate + index * width, gate + (index + 1) * width)
            information[at, at] -= own
    return (information + information.T) / 2


def _add_curvature(group: Experts, curvatures: tuple, information: np.ndarray, place: np.ndarray) -> None:
    start = 0
    for outcome, curvature in zip(group.outcomes, curvatures, strict=True):
        stop = start + outcome.count * outcome.width
        rows = place[:, start:stop].reshape(group.copies, outcome.count, outcome.width)
        p, c = outcome.parameter_of, outcome.column_of
        blocks = curvature[..., p[:, None], p[None], c[:, None], c[None]]
        information[rows[..., :, None], rows[..., None, :]] += blocks
        start = stop
