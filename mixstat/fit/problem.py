"""Problem: one objective of free parameters theta, over the kernels of `core`; all small algebra on the host."""

from copy import copy
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import BLOCK_ROWS, Data, Design
from mixstat.core.mixture import Mixture
from mixstat.core.statistics import Pieces, complete_statistics, louis
from mixstat.fit.information import observed_information
from mixstat.fit.kinks import kinks_of
from mixstat.fit.m_step import m_step, reach_of
from mixstat.fit.penalty import Penalty
from mixstat.fit.precision import double
from mixstat.fit.ties import Ties

ACCELERATOR_ROWS = 1 << 18
"""Rows of a block on an accelerator: few, large kernels."""

CACHE = 1 << 20
"""Bytes of a processor's own cache."""
LEAST_ROWS = 64


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
        self.mixture = mixture
        self._constrain(ties, penalty)
        self.dear = any(outcome.family.repeated for group in mixture.groups for outcome in group.outcomes)
        self.layout = data.layout(self._block_rows() if jax.default_backend() == "cpu" else ACCELERATOR_ROWS)
        self.design: Design = jax.device_put(data.pack(self.layout))

    def _block_rows(self) -> int:
        """Rows of a block; of dear densities so many that the curvature of all experts stays in cache."""
        if not self.dear:
            return BLOCK_ROWS
        outcomes = [(group.copies, outcome) for group in self.mixture.groups for outcome in group.outcomes]
        width = sum(copies * outcome.count * len(outcome.columns) ** 2 for copies, outcome in outcomes)
        return min(BLOCK_ROWS, max(LEAST_ROWS, 1 << (CACHE // (8 * width)).bit_length() >> 1))

    def replace(self, **leaves: Any) -> "Problem":
        """The same problem with other weights or priors."""
        other = copy(self)
        other.design = self.design._replace(**jax.tree.map(jnp.asarray, leaves))
        return other

    @double
    def weighted(self, factor: float) -> "Problem":
        """The same problem with weights, and the penalty of slopes, `factor` times as large."""
        other = self.replace(weight=np.asarray(self.design.weight) * factor)
        other.penalty = self.penalty.weighted(factor)
        return other

    def constrained(self, ties: Ties, penalty: Penalty) -> "Problem":
        """The same problem under other ties."""
        other = copy(self)
        other._constrain(ties, penalty)
        return other

    def _constrain(self, ties: Ties, penalty: Penalty) -> None:
        self.ties, self.penalty = ties, penalty
        self.reach, self.kinks = reach_of(self.mixture, ties), kinks_of(self.mixture, ties)

    def expect(self, theta: np.ndarray) -> Expectation:
        """E-step at theta. Where densities are dear, by the kernel of the information, which costs no more then."""
        arguments = self.mixture, self.ties.expand(theta), self.design, self._pseudo_weight(self.penalty)
        pieces = jax.tree.map(np.asarray, louis(*arguments).pieces if self.dear else complete_statistics(*arguments))
        return Expectation(theta, _objective(theta, pieces, self.penalty), float(pieces.log_likelihood), pieces)

    def evaluate(self, theta: np.ndarray) -> Evaluation:
        """Objective with gradient and information by Louis' identity, ridge and scale penalty included."""
        return self._evaluate(theta, self.penalty)

    def evaluate_likelihood(self, theta: np.ndarray) -> Evaluation:
        """The unpenalised log-likelihood with its gradient and information."""
        return self._evaluate(theta, Penalty(np.zeros(len(theta)), np.zeros(len(theta)), 0.0))

    def _evaluate(self, theta: np.ndarray, penalty: Penalty) -> Evaluation:
        parts = louis(self.mixture, self.ties.expand(theta), self.design, self._pseudo_weight(penalty))
        parts = jax.tree.map(np.asarray, parts)
        pieces = parts.pieces
        information = self.ties.information(observed_information(self.mixture, parts))
        return Evaluation(
            theta,
            _objective(theta, pieces, penalty),
            float(pieces.log_likelihood),
            self.ties.gradient(parts.gradient) - penalty.ridge * theta,
            information + np.diag(penalty.ridge),
            pieces.class_weight,
        )

    def _pseudo_weight(self, penalty: Penalty) -> float | None:
        """Epsilon as the kernels take it: None in a problem without a scale penalty, so that each compiles once."""
        return penalty.epsilon if self.penalty.epsilon else None

    def maximize_complete(self, expectation: Expectation, *, gate: bool = True) -> np.ndarray:
        """M-step: the parameters that an E-step's statistics lead to."""
        theta, pieces = expectation.theta, expectation.pieces
        return m_step(self.mixture, self.ties, self.penalty, self.reach, theta, pieces, gate=gate)


def _objective(theta: np.ndarray, pieces: Pieces, penalty: Penalty) -> float:
    prior = penalty.epsilon * pieces.prior_density if penalty.epsilon else 0.0
    return float(pieces.log_likelihood + prior + penalty.value(theta))
