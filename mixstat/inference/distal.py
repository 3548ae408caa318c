"""Distal outcomes: means or proportions of an outcome in each class, from evidence on the classes (`external`).

    Means         solves sum_i R_ik (y_i - m_k) = 0, R = w b    (BCH: Vermunt, 2010; Bakk and Vermunt, 2016, Structural
                  Equation Modeling 23)
    Gaussian      maximises sum_i w_i log sum_k L_ik N(y_i | m_k, s_k^2)     (ML: Bakk, Tekle and Vermunt, 2013,
    Categorical   maximises sum_i w_i log sum_k L_ik p_k(y_i)                Sociological Methodology 43)

A categorical outcome is a matrix of indicators (unit, level); its means are proportions. Class sizes are held.
"""

from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import log_softmax, softmax

from mixstat.exceptions import DataError
from mixstat.inference.external import Climbed, Evaluation, Evidence, Expected, LastStep, climb

EMPTY_LEVEL = 1e-12
"""Proportion put for a level that a class does not have, so that its logit stays finite."""
COLLAPSED = 1e-6
"""Share of the outcome's variance under which the variance of a class counts as collapsed."""


class Reported(NamedTuple):
    """Means (class, column) and their derivatives (class * column, parameter)."""

    means: np.ndarray
    jacobian: np.ndarray


class Outcome(LastStep, Protocol):
    """A model of the outcome given the class."""

    def begin(self, evidence: Evidence) -> np.ndarray:
        """Parameters from which Newton starts."""

    def report(self, parameters: np.ndarray) -> Reported:
        """Parameters as means."""


class Means(NamedTuple):
    """Weighted means of `values` (unit, column); parameters (class, column)."""

    values: np.ndarray

    def evaluate(self, parameters: np.ndarray, evidence: Evidence) -> Evaluation:
        """Score R_ik (y_i - m_k); information R_.k."""
        means = parameters.reshape(-1, self.values.shape[1])
        membership = evidence.expect(np.zeros((len(self.values), len(means)))).membership
        residual = self.values[:, None] - means
        scores = membership[:, :, None] * residual
        total = np.repeat(membership.sum(axis=0), self.values.shape[1])
        return Evaluation(-0.5 * float(np.sum(scores * residual)), scores.reshape(len(scores), -1), np.diag(total))

    def begin(self, evidence: Evidence) -> np.ndarray:
        """The weighted means: the solution."""
        membership = _membership(evidence)
        return (membership.T @ self.values / membership.sum(axis=0)[:, None]).ravel()

    def report(self, parameters: np.ndarray) -> Reported:
        """The parameters are the means."""
        return Reported(parameters.reshape(-1, self.values.shape[1]), np.eye(len(parameters)))


class Gaussian(NamedTuple):
    """N(m_k, s_k^2) of `values` (unit,); parameters (class, 2): m_k, log s_k."""

    values: np.ndarray

    def log_density(self, parameters: np.ndarray) -> np.ndarray:
        """(unit, class)."""
        mean, log_scale = parameters.reshape(-1, 2).T
        standard = (self.values[:, None] - mean) * np.exp(-log_scale)
        return -0.5 * standard**2 - log_scale - 0.5 * np.log(2 * np.pi)

    def evaluate(self, parameters: np.ndarray, evidence: Evidence) -> Evaluation:
        """Score e / s^2 and (e / s)^2 - 1 of a class."""
        mean, log_scale = parameters.reshape(-1, 2).T
        scale = np.exp(log_scale)
        standard = (self.values[:, None] - mean) / scale
        scores = np.stack([standard / scale, standard**2 - 1], axis=2)
        cross = 2 * standard / scale
        curvature = np.stack([np.broadcast_to(scale**-2, standard.shape), cross, cross, 2 * standard**2], axis=2)
        expected = evidence.expect(self.log_density(parameters))
        return _evaluation(expected, scores, curvature.reshape(*standard.shape, 2, 2))

    def begin(self, evidence: Evidence) -> np.ndarray:
        """EM, each step the weighted means and variances."""
        return _expectation_maximization(self, evidence)

    def maximize(self, membership: np.ndarray) -> np.ndarray:
        """Weighted means and variances."""
        total = membership.sum(axis=0)
        mean = membership.T @ self.values / total
        variance = np.sum(membership * (self.values[:, None] - mean) ** 2, axis=0) / total
        overall = np.average((self.values - self.values.mean()) ** 2, weights=membership.sum(axis=1))
        if (variance <= COLLAPSED * overall).any():
            raise DataError(
                f"the outcome's variance in class {int(np.argmin(variance)) + 1} collapses to 0, where the likelihood "
                "has no maximum; use method='BCH', or categorical=True if the outcome takes a few values"
            )
        return np.column_stack([mean, 0.5 * np.log(variance)]).ravel()

    def report(self, parameters: np.ndarray) -> Reported:
        """The first of each class's two parameters."""
        return Reported(parameters.reshape(-1, 2)[:, :1], np.eye(len(parameters))[::2])


class Categorical(NamedTuple):
    """softmax of logits (class, level), redundant by one a class; `values` (unit, level) are indicators."""

    values: np.ndarray

    def log_density(self, parameters: np.ndarray) -> np.ndarray:
        """(unit, class)."""
        return self.values @ log_softmax(parameters.reshape(-1, self.values.shape[1]), axis=1).T

    def evaluate(self, parameters: np.ndarray, evidence: Evidence) -> Evaluation:
        """Score 1[y = c] - p_kc; curvature diag p - p p'."""
        p = softmax(parameters.reshape(-1, self.values.shape[1]), axis=1)
        curvature = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None]
        expected = evidence.expect(self.log_density(parameters))
        return _evaluation(
            expected, self.values[:, None] - p, np.broadcast_to(curvature, (len(self.values), *curvature.shape))
        )

    def begin(self, evidence: Evidence) -> np.ndarray:
        """EM, each step the weighted proportions."""
        return _expectation_maximization(self, evidence)

    def maximize(self, membership: np.ndarray) -> np.ndarray:
        """Logits of the weighted proportions."""
        counts = membership.T @ self.values
        return np.log(np.maximum(counts / counts.sum(axis=1, keepdims=True), EMPTY_LEVEL)).ravel()

    def report(self, parameters: np.ndarray) -> Reported:
        """Proportions and the derivatives diag p - p p'."""
        p = softmax(parameters.reshape(-1, self.values.shape[1]), axis=1)
        jacobian = np.zeros((*p.shape, *p.shape))
        for k, row in enumerate(p):
            jacobian[k, :, k] = np.diag(row) - np.outer(row, row)
        return Reported(p, jacobian.reshape(p.size, -1))


def _evaluation(expected: Expected, scores: np.ndarray, curvature: np.ndarray) -> Evaluation:
    """Louis' identity: `scores` (unit, class, P) and `curvature` (unit, class, P, P) = - second derivatives."""
    membership, spread = expected.membership, expected.spread
    units, classes, width = scores.shape
    information = np.zeros((classes, width, classes, width))
    for k in range(classes):
        information[k, :, k] = np.einsum("i,ipq->pq", membership[:, k], curvature[:, k])
    if spread is not None:
        information -= np.einsum("ikm,ikp,imq->kpmq", spread, scores, scores, optimize=True)
    weighted = (membership[:, :, None] * scores).reshape(units, -1)
    return Evaluation(expected.value, weighted, information.reshape(classes * width, -1))


def _expectation_maximization(model: Gaussian | Categorical, evidence: Evidence, max_iter: int = 500) -> np.ndarray:
    """EM to a relative gain of 1e-9: near enough for Newton."""
    parameters, value = model.maximize(_membership(evidence)), -np.inf
    for _ in range(max_iter):
        expected = evidence.expect(model.log_density(parameters))
        if expected.value - value < 1e-9 * (1 + abs(value)):
            break
        parameters, value = model.maximize(expected.membership), expected.value
    return parameters


def _membership(evidence: Evidence) -> np.ndarray:
    """(unit, class) memberships before the outcome is seen; every class needs a positive total."""
    membership = evidence.expect(np.zeros(1)).membership
    total = membership.sum(axis=0)
    if (total <= 0).any():
        raise DataError(
            f"class {int(np.argmin(total)) + 1} has a total weight of {total.min():.3g} among the units with an "
            "outcome; use method='two_stage' or 'ML', or fewer classes"
        )
    return membership


def fit_outcome(model: Outcome, evidence: Evidence) -> Climbed:
    """Start and climb."""
    return climb(model, model.begin(evidence), evidence)
