"""Classification: from responsibilities r_ik to classes, and how often that errs.

    average posterior   A_sk = mean of r_ik over the units whose modal class is s           (Nagin, 2005)
    odds of correct classification   O_k = [A_kk / (1 - A_kk)] / [p_k / (1 - p_k)],  p_k = mean r_ik     (Nagin, 2005)
    classification errors   D_ts = P(W = s | X = t) = sum_i w_i r_it a_is / sum_i w_i r_it
                            (Bolck, Croon and Hagenaars, 2004, Political Analysis 12; Vermunt, 2010, ibid. 18)

`a` (unit, class) is the assignment: 1 for the modal class and 0 else, or proportional, a = r. Averages are weighted.
"""

import numpy as np

from mixstat.core.mixture import posterior
from mixstat.exceptions import DataError
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.inference.prediction import UnitPosterior

ASSIGNMENTS = ("modal", "proportional")
SINGULAR = 1e8
"""Condition number of the classification errors above which classes count as not told apart."""


@double
def fitted_posterior(problem: Problem, theta: np.ndarray) -> UnitPosterior:
    """Bayes' rule for the units of the fit at theta; what is known of the class counts among the experts' logs."""
    layout, design = problem.layout, problem.design
    found = posterior(problem.mixture, problem.ties.expand(theta), design)
    log_gate, log_expert, log_density, responsibility = (layout.read_units(leaf).T for leaf in found)
    return UnitPosterior(log_gate, log_expert + layout.read_units(design.prior).T, log_density, responsibility)


def modal_class(responsibility: np.ndarray) -> np.ndarray:
    """(unit,) position of the largest responsibility, the first of equals."""
    return np.argmax(responsibility, axis=1)


def assign(responsibility: np.ndarray, assignment: str) -> np.ndarray:
    """a (unit, class)."""
    if assignment == "proportional":
        return responsibility
    return np.eye(responsibility.shape[1])[modal_class(responsibility)]


def average_posterior(responsibility: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A (modal class, class); a row of NaN for a class that is modal for no unit."""
    members = assign(responsibility, "modal") * weight[:, None]
    total = members.sum(axis=0)[:, None]
    sums = members.T @ responsibility
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)


def odds_of_correct_classification(average: np.ndarray, share: np.ndarray) -> np.ndarray:
    """O (class,): infinite where classification is certain, NaN for a class without modal members."""
    right = np.diag(average)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = (right / (1 - right)) / (share / (1 - share))
    return np.where(right >= 1.0, np.inf, odds)


def classification_errors(responsibility: np.ndarray, assigned: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """D (class, assigned class); rows sum to 1, or are NaN for a class of no weight."""
    total = (weight @ responsibility)[:, None]
    sums = (responsibility * weight[:, None]).T @ assigned
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)


def require_members(assigned: np.ndarray, weight: np.ndarray) -> None:
    """Every class has units assigned to it, so that its classification errors are known."""
    empty = np.flatnonzero(weight @ assigned <= 0)
    if len(empty):
        raise DataError(
            f"no unit has class {empty[0] + 1} as its most probable one, so that modal assignment says nothing of it; "
            "use assignment='proportional', method='two_stage', or fewer classes"
        )


def bch_shares(assigned: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """a D^-1 (unit, class): unbiased for the true membership, rows sum to 1, entries may be negative."""
    if np.linalg.cond(errors) > SINGULAR:
        raise DataError(
            "the classification errors cannot be inverted: some classes are not told apart by the responses; use "
            "method='two_stage' or fewer classes"
        )
    return assigned @ np.linalg.inv(errors)
