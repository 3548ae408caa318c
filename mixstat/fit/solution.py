"""Solution: what a fit found and how sure it is, as data."""

from typing import NamedTuple

import numpy as np


class Start(NamedTuple):
    """One start: where it came from, the log-likelihood it reached, and how many starts reached the same optimum."""

    kind: str
    log_likelihood: float
    objective: float
    status: str
    hits: int
    iterations: int


class Verdict(NamedTuple):
    """Whether a solution is a clean maximum; `status` is a sentence with advice; `entropy` = sum w r log r."""

    converged: bool
    spurious: bool
    status: str
    entropy: float


class Solution(NamedTuple):
    """The reported optimum, on the standardised scale.

    `gradient` is of the objective that was maximised; `information` (theta, theta) that of the unpenalised
    log-likelihood; `decrement` the Newton decrement g' I^-1 g. EM alone computes none of the three (None, None, nan).
    `products` (theta, theta) is the sum of products of the units' scores, where the density is an approximation.
    `certificate`, of a fused path's point: mean penalised loss, KKT residual and duality gap (nan where not known).
    """

    theta: np.ndarray
    phi: np.ndarray
    log_likelihood: float
    objective: float
    gradient: np.ndarray | None
    decrement: float
    information: np.ndarray | None
    class_weight: np.ndarray
    verdict: Verdict
    starts: tuple[Start, ...]
    iterations: int
    products: np.ndarray | None = None
    certificate: tuple[float, float, float] | None = None

    def weighted(self, factor: float) -> "Solution":
        """The solution of the same data with weights `factor` times as large."""
        starts = [
            start._replace(log_likelihood=factor * start.log_likelihood, objective=factor * start.objective)
            for start in self.starts
        ]
        return self._replace(
            log_likelihood=factor * self.log_likelihood,
            objective=factor * self.objective,
            gradient=None if self.gradient is None else factor * self.gradient,
            decrement=factor * self.decrement,
            information=None if self.information is None else factor * self.information,
            class_weight=factor * self.class_weight,
            verdict=self.verdict._replace(entropy=factor * self.verdict.entropy),
            starts=tuple(starts),
            products=None if self.products is None else factor**2 * self.products,
        )
