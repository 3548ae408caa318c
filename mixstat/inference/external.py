"""External variables: how latent classes depend on, or predict, variables that did not help to find them.

What the first step says of the classes is held, as one of two kinds of evidence:

    Likelihoods   sum_i w_i sum_s a_is log sum_k L_sik g_ik      L = f_k(y_i) (two stages; Bakk and Kuha, 2018,
                  Psychometrika 83), or L = D_ks = P(W = s | X = k) (three steps, ML; Vermunt, 2010, Political
                  Analysis 18)
    Shares        sum_i w_i sum_k b_ik log g_ik                  b = a D^-1 (BCH; Bolck, Croon and Hagenaars, 2004;
                  Vermunt, 2010), or b = a (no correction)

g is the last step's model: pi_k(z_i) here, f(outcome | class k) in `distal`. Both kinds have the same score,
sum_i (R_ik - ...) with expected memberships R = w b, or w times the posterior.

Covariance of the last step: inverse information, sandwich (sums over units or clusters), or either plus the
uncertainty of the first step, H^-1 J V_1 J' H^-1 with J = d score / d first step's parameters (Gong and Samaniego,
1981, Annals of Statistics 9; Bakk, Oberski and Vermunt, 2014, Political Analysis 22). J comes from central differences
of the whole chain parameters -> posterior -> errors D -> score; modal assignments are held.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

from mixstat.exceptions import DataError
from mixstat.fit.linear_algebra import solve_ascent, unit_diagonal
from mixstat.inference import classification
from mixstat.inference.prediction import UnitPosterior

FLAT = 1e-10
"""Relative eigenvalue under which a direction of the information is not inverted."""


class Expected(NamedTuple):
    """Objective, R (unit, class), and the sum over s of w a (diag r - r r') (unit, class, class), None if zero."""

    value: float
    membership: np.ndarray
    spread: np.ndarray | None


class Likelihoods(NamedTuple):
    """`log_density` (assigned, unit, class) is log L; `weight` (assigned, unit) is w a."""

    log_density: np.ndarray
    weight: np.ndarray

    def expect(self, log_term: np.ndarray) -> Expected:
        """Posterior memberships given log g (unit, class)."""
        joint = np.where(self.weight[..., None] > 0, self.log_density + log_term, 0.0)
        posterior = softmax(joint, axis=-1)
        weighted = self.weight[..., None] * posterior
        outer = np.einsum("sik,sim->ikm", weighted, posterior)
        membership = weighted.sum(axis=0)
        spread = membership[:, :, None] * np.eye(membership.shape[1]) - outer
        return Expected(float(np.sum(self.weight * logsumexp(joint, axis=-1))), membership, spread)

    def take(self, units: np.ndarray) -> "Likelihoods":
        """The evidence on some units."""
        return Likelihoods(self.log_density[:, units], self.weight[:, units])


class Shares(NamedTuple):
    """`share` (unit, class) is b; `weight` (unit,)."""

    share: np.ndarray
    weight: np.ndarray

    def expect(self, log_term: np.ndarray) -> Expected:
        """Memberships do not depend on the model."""
        membership = self.share * self.weight[:, None]
        return Expected(float(np.sum(membership * log_term)), membership, None)

    def take(self, units: np.ndarray) -> "Shares":
        """The evidence on some units."""
        return Shares(self.share[units], self.weight[units])


Evidence = Likelihoods | Shares


class Rule(NamedTuple):
    """How the first step becomes evidence.

    correction   "two_stage", or of a three-step analysis "ML", "BCH" or "none"
    assignment   "modal" or "proportional" (three steps)
    with_gate    whether likelihoods include the first step's gate, log pi_k (held)
    """

    correction: str
    assignment: str
    with_gate: bool


def evidence_of(rule: Rule, found: UnitPosterior, weight: np.ndarray, assigned: np.ndarray) -> Evidence:
    """The evidence on all units; `assigned` (unit, class) is read by three-step rules only."""
    gate = found.log_gate if rule.with_gate else np.zeros_like(found.log_gate)
    if rule.correction == "two_stage":
        return Likelihoods((found.log_expert + gate)[None], weight[None])
    if rule.correction == "none":
        return Shares(assigned, weight)
    errors = classification.classification_errors(found.responsibility, assigned, weight)
    if rule.correction == "BCH":
        return Shares(classification.bch_shares(assigned, errors), weight)
    with np.errstate(divide="ignore"):
        logs = np.log(errors.T)
    if rule.assignment == "modal":
        return Likelihoods((logs[classification.modal_class(assigned)] + gate)[None], weight[None])
    return Likelihoods(logs[:, None] + gate, weight * assigned.T)


class Evaluation(NamedTuple):
    """Objective, unit scores (unit, parameter) with weights, and information (parameter, parameter)."""

    value: float
    scores: np.ndarray
    information: np.ndarray


class LastStep(Protocol):
    """A model of the last step: what `climb` and the covariances need."""

    def evaluate(self, parameters: np.ndarray, evidence: Evidence) -> Evaluation:
        """Objective and derivatives at `parameters` (parameter,)."""


class Logit(NamedTuple):
    """pi_k(z) = softmax_k(gamma_k' z), gamma_1 = 0; `columns` (unit, column), parameters class by class."""

    columns: np.ndarray

    def log_probability(self, parameters: np.ndarray) -> np.ndarray:
        """log pi (unit, class)."""
        eta = self.columns @ parameters.reshape(-1, self.columns.shape[1]).T
        return log_softmax(np.column_stack([np.zeros(len(eta)), eta]), axis=1)

    def evaluate(self, parameters: np.ndarray, evidence: Evidence) -> Evaluation:
        """Score (R_ik - R_i. pi_ik) z; information sum [R_i. (diag pi - pi pi') - spread] x z z'."""
        log_pi = self.log_probability(parameters)
        expected, pi = evidence.expect(log_pi), np.exp(log_pi)
        total = expected.membership.sum(axis=1)
        residual = (expected.membership - total[:, None] * pi)[:, 1:]
        scores = (residual[:, :, None] * self.columns[:, None]).reshape(len(pi), -1)
        curvature = total[:, None, None] * (pi[:, :, None] * np.eye(pi.shape[1]) - pi[:, :, None] * pi[:, None])
        if expected.spread is not None:
            curvature = curvature - expected.spread
        return Evaluation(expected.value, scores, self._assemble(curvature[:, 1:, 1:]))

    def _assemble(self, curvature: np.ndarray) -> np.ndarray:
        """sum_i curvature_i x z_i z_i' (parameter, parameter), one product a pair of classes."""
        classes, width = curvature.shape[1], self.columns.shape[1]
        blocks = np.empty((classes, width, classes, width))
        for k in range(classes):
            for m in range(classes):
                blocks[k, :, m] = (self.columns * curvature[:, k, m, None]).T @ self.columns
        return blocks.reshape(classes * width, -1)


class Climbed(NamedTuple):
    """Where Newton stopped, and whether that is a maximum."""

    parameters: np.ndarray
    at: Evaluation
    converged: bool


def climb(model: LastStep, parameters: np.ndarray, evidence: Evidence, max_iter: int = 100) -> Climbed:
    """Newton with step halving to a decrement below 1e-10, and one step more."""
    at, last = model.evaluate(parameters, evidence), False
    for _ in range(max_iter):
        gradient = at.scores.sum(axis=0)
        step, _ = solve_ascent(at.information, gradient)
        last = bool(abs(gradient @ step) < 1e-10)
        found = _halve(model, parameters, step, evidence, at.value)
        if found is None:
            break
        parameters, at = found
        if last:
            break
    return Climbed(parameters, at, last and _is_concave(at.information))


def _halve(
    model: LastStep, parameters: np.ndarray, step: np.ndarray, evidence: Evidence, value: float
) -> tuple[np.ndarray, Evaluation] | None:
    """The longest of the steps 1, 1/2, 1/4, ... that does not lower the objective (up to rounding)."""
    slack = 1e-12 * (1 + abs(value))
    for _ in range(40):
        at = model.evaluate(parameters + step, evidence)
        if at.value >= value - slack:
            return parameters + step, at
        step = step / 2
    return None


def _is_concave(information: np.ndarray) -> bool:
    return len(information) == 0 or bool(np.linalg.eigvalsh(unit_diagonal(information)[0])[0] > -1e-8)


def invert(information: np.ndarray) -> np.ndarray:
    """Inverse on the directions that the data inform, zero on flat ones (redundant logits, empty categories)."""
    if not len(information):
        return information
    scaled, scale = unit_diagonal(information)
    values, vectors = np.linalg.eigh(scaled)
    sound = values > FLAT
    return (vectors[:, sound] / values[sound]) @ vectors[:, sound].T / np.outer(scale, scale)


def last_step_covariance(at: Evaluation, clusters: np.ndarray | None, *, robust: bool) -> np.ndarray:
    """Inverse information, or the sandwich of scores summed by unit or by cluster (codes (unit,))."""
    bread = invert(at.information)
    if not robust:
        return bread
    scores = at.scores
    if clusters is not None:
        sums = np.zeros((int(clusters.max(initial=-1)) + 1, scores.shape[1]))
        np.add.at(sums, clusters, scores)
        scores = sums
    return bread @ (scores.T @ scores) @ bread


class FirstStep(NamedTuple):
    """Estimates of the first step (theta,), their covariance, and the evidence they would give at other values."""

    theta: np.ndarray
    covariance: np.ndarray
    evidence: Callable[[np.ndarray], Evidence]


def first_step_covariance(model: LastStep, found: Climbed, first: FirstStep) -> np.ndarray:
    """H^-1 J V_1 J' H^-1; parameters of the first step without a standard error are held."""
    error = np.sqrt(np.diag(first.covariance))
    free = np.flatnonzero(np.isfinite(error) & (error > 0))

    def gradient(theta: np.ndarray) -> np.ndarray:
        return model.evaluate(found.parameters, first.evidence(theta)).scores.sum(axis=0)

    slopes = np.zeros((len(found.parameters), len(free)))
    for place, parameter in enumerate(free):
        step = np.zeros_like(first.theta)
        step[parameter] = 1e-3 * error[parameter]
        difference = gradient(first.theta + step) - gradient(first.theta - step)
        slopes[:, place] = difference / (2 * step[parameter])
    influence = invert(found.at.information) @ slopes
    return influence @ first.covariance[np.ix_(free, free)] @ influence.T


def require_rank(columns: np.ndarray, names: tuple[str, ...], weight: np.ndarray) -> None:
    """No column is a linear combination of those before it."""
    seen = columns[weight > 0]
    scale = np.sqrt((seen**2).sum(axis=0))
    for stop in range(1, seen.shape[1] + 1):
        scaled = seen[:, :stop] / np.where(scale[:stop] > 0, scale[:stop], 1.0)
        if np.linalg.matrix_rank(scaled, tol=1e-9) < stop:
            raise DataError(
                f"covariate {names[stop - 1]!r} is constant or a linear combination of the others in the "
                f"{len(seen)} units used; drop it"
            )
