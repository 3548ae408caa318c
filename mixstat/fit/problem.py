"""Problem: one objective of free parameters theta, over the kernels of `core`; all small algebra on the host."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import BLOCK_ROWS, Data, Design
from mixstat.core.expert import Experts, Outcome, unfold
from mixstat.core.gate import Gate
from mixstat.core.mixture import Louis, Mixture, Pieces, complete_statistics, louis
from mixstat.fit.linear_algebra import least_squares, solve_ascent
from mixstat.fit.penalty import Penalty
from mixstat.fit.proximal import solve_lasso
from mixstat.fit.ties import Ties


ACCELERATOR_ROWS = 1 << 18
"""Rows of a block on an accelerator: few, large kernels."""


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
        self.layout = data.layout(BLOCK_ROWS if jax.default_backend() == "cpu" else ACCELERATOR_ROWS)
        self.design: Design = jax.device_put(data.pack(self.layout))

    @property
    def columns(self) -> int:
        """Number of design columns."""
        return self.design.columns.shape[1]

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
        information = self.ties.information(observed_information(self.mixture, parts, self.columns))
        return Evaluation(
            theta,
            float(pieces.log_likelihood + penalty.epsilon * pieces.prior_density + penalty.value(theta)),
            float(pieces.log_likelihood),
            self.ties.gradient(parts.gradient) - penalty.ridge * theta,
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
            _expert_step(group, statistics, phi[start:stop], closed[start:stop])
            place = np.arange(start, stop).reshape(group.copies, group.width)
            _write_gradient(group, statistics, gradient, place)
            curvatures = [() if o.closed_form else s[1] for o, s in zip(group.outcomes, statistics, strict=True)]
            _add_curvature(group, curvatures, information, place, self.columns)
            start = stop
        if gate:
            gradient[start:] = pieces.gate_gradient.ravel()
            information[start:, start:] = _gate_matrix(pieces.gate_information, self.mixture.gate)
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


def _expert_step(group: Experts, statistics: tuple, phi: np.ndarray, closed: np.ndarray) -> None:
    """Write closed-form updates into phi (in place) and mark them in `closed`."""
    places = group.split(np.arange(len(phi)).reshape(group.copies, group.width))
    for outcome, place, statistic in zip(group.outcomes, places, statistics, strict=True):
        if outcome.closed_form:
            closed[place] = True
            phi[place] = _closed_form(outcome, phi[place], *statistic)


def _closed_form(outcome: Outcome, phi: np.ndarray, packed: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted least squares of the location, then the other parameters from the scatter, (expert, outcome, width)."""
    count, dimension = len(outcome.columns[0]), outcome.family.dimension
    moments = packed[..., unfold(count + dimension)]
    gram, cross, total = moments[..., :count, :count], moments[..., :count, count:], moments[..., count:, count:]
    step = least_squares(gram, cross)
    scatter = total - np.swapaxes(cross, -1, -2) @ step
    split = dimension * count
    updated = np.empty_like(phi)
    updated[..., :split] = phi[:1, :, :split] + np.swapaxes(step, -1, -2).reshape(*phi.shape[:2], split)
    for place in np.ndindex(phi.shape[:2]):
        diagonal = np.diag(total[place])
        updated[place][split:] = outcome.family.fit_scatter(scatter[place], diagonal, float(weight[place]))
    return updated


def _write_gradient(group: Experts, statistics: tuple, gradient: np.ndarray, place: np.ndarray) -> None:
    """The complete-data gradient of outcomes without a closed form, in place."""
    for outcome, rows, statistic in zip(group.outcomes, group.split(place), statistics, strict=True):
        if not outcome.closed_form:
            gradient[rows] = statistic[0][..., outcome.parameter_of, outcome.column_of]


def _add_curvature(
    group: Experts, curvatures: Sequence, information: np.ndarray, place: np.ndarray, columns: int
) -> None:
    """Add each outcome's contracted curvature (empty: none) at its coefficients, in place."""
    for outcome, rows, curvature in zip(group.outcomes, group.split(place), curvatures, strict=True):
        if len(curvature):
            information[rows[..., :, None], rows[..., None, :]] += outcome.gather(curvature, columns)


def _gate_matrix(packed: np.ndarray, gate: Gate) -> np.ndarray:
    """(pair of classes, pair of columns) -> (class x column, class x column)."""
    if not packed.size:
        return np.zeros((0, 0))
    count, width = gate.shape
    blocks = packed[unfold(count)][:, :, unfold(width)]
    return blocks.transpose(0, 2, 1, 3).reshape(count * width, count * width)


def observed_information(mixture: Mixture, parts: Louis, columns: int) -> np.ndarray:
    """- d2 log-likelihood / d phi d phi' = E[complete] - (E[S S'] - sbar sbar'), (phi, phi).

    E[S S'] joins an expert with itself and with its own class in the gate; `own` holds all pairs, so they are picked.
    """
    information = parts.mixed.copy()
    width = mixture.gate.shape[1] if mixture.has_gate else 0
    gate = mixture.size - mixture.gate.shape[0] * width
    start, first = 0, 0
    for group, curvatures in zip(mixture.groups, parts.pieces.experts, strict=True):
        place = np.arange(start, start + group.copies * group.width).reshape(group.copies, group.width)
        for copy, rows in enumerate(place):
            information[np.ix_(rows, rows)] -= parts.own[np.ix_(rows, rows)]
            if first + copy > 0 and width:
                at = slice(gate + (first + copy - 1) * width, gate + (first + copy) * width)
                information[rows, at] -= parts.own[rows, gate:]
                information[at, rows] -= parts.own[rows, gate:].T
        _add_curvature(group, curvatures, information, place, columns)
        start, first = start + place.size, first + group.copies
    for index in range(mixture.gate.shape[0] if width else 0):
        at = slice(gate + index * width, gate + (index + 1) * width)
        information[at, at] -= parts.own[at, gate:]
    information[gate:, gate:] += _gate_matrix(parts.pieces.gate_information, mixture.gate)
    return (information + information.T) / 2
