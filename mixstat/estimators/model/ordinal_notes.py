"""Ordinal notes: what a summary says of ordered categories, and what an ordinal regression reports of its fit."""

from typing import NamedTuple

import numpy as np

from mixstat.core.expert import Outcome
from mixstat.estimators.model.state import Fitted
from mixstat.families.ordinal import Ordinal
from mixstat.families.ordinal.form import DIFFERENCE
from mixstat.fit.crossing import row_weight
from mixstat.fit.problem import Problem

KINDS = {
    "cumulative": "P(y <= k) = F({})",
    "stopping": "P(y = k | y >= k) = F({})",
    "adjacent": "log P(y = k) - log P(y = k + 1) = {}",
}
SIGNS = {"minus": "a positive slope makes high categories likelier", "plus": "a positive slope makes low ones likelier"}


class Certificate(NamedTuple):
    """Q, the mean loss with its penalty; the KKT residual; the duality gap, NaN where it is not known."""

    objective: float
    kkt: float
    gap: float


class Standardized(NamedTuple):
    """eta_k = a_k + z'(psi_1 + ... + psi_k) of columns with mean 0 and variance 1: `intercept` (cut,), None where the
    means are not known, `psi` (cut, column), and the columns' names."""

    intercept: np.ndarray | None
    psi: np.ndarray
    terms: tuple[str, ...]


def ordinal_words(fitted: Fitted, sign: str = "minus") -> list[str]:
    """The predictor of each ordinal response, and what its sign means."""
    slots = [slot for template in fitted.assembled.stacks for stack in template for slot in stack]
    families = dict.fromkeys(slot.family for slot in slots if isinstance(slot.family, Ordinal))
    return [_words(family, sign) for family in families]


def _words(family: Ordinal, sign: str) -> str:
    slopes = "x'b_k" if family.own else "x'b"
    predictor = f"cut_k {'-' if sign == 'minus' else '+'} {slopes}"
    predictor = f"({predictor}) / exp(z's)" if family.scaled else predictor
    words = [f"{KINDS[family.kind].format(predictor)}, F {family.link}"]
    if family.own == DIFFERENCE:
        words.append("b_k = difference_1 + ... + difference_k")
    several = ["not convex: the likelihood may have several maxima"] if family.link == "cauchit" else []
    return "; ".join([*words, SIGNS[sign], *several])


def certificate(fitted: Fitted) -> Certificate:
    """Of a fit of one expert."""
    solution, total = fitted.solution, float(fitted.sample.weight.sum())
    if solution.certificate is not None:
        return Certificate(*map(float, solution.certificate))
    kkt = np.nan if solution.gradient is None else float(np.abs(solution.gradient).max(initial=0.0)) / total
    return Certificate(-solution.objective / total, kkt, np.nan)


def standardized(fitted: Fitted, problem: Problem | None) -> Standardized:
    """Of a fit of one ordinal response; means are those of its problem."""
    mixture = fitted.assembled.mixture
    outcome: Outcome = mixture.groups[0].outcomes[0]
    family = outcome.family
    assert isinstance(family, Ordinal)
    slopes = np.zeros((family.cuts, len(fitted.assembled.columns.by_place)))
    coefficients = fitted.solution.phi[: outcome.width]
    for value, parameter, column in zip(coefficients, outcome.parameter_of, outcome.column_of, strict=True):
        slopes[:, column] += family.composition[:, parameter] * value
    used = {column for p, columns in enumerate(outcome.columns) if family.composition[:, p].any() for column in columns}
    places = sorted(used - {0})
    intercept = slopes[:, 0] if (fitted.scaling.centre[places] != 0).all() else None
    if problem is not None:
        weight, columns = row_weight(problem), np.asarray(problem.design.columns)
        mean = np.einsum("bcr,br->c", columns, weight) / weight.sum()
        intercept = slopes @ mean
    psi = np.diff(slopes[:, places], axis=0, prepend=0.0)
    return Standardized(intercept, psi, tuple(fitted.assembled.columns.by_place[place] for place in places))
