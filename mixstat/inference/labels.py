"""Label switching: a permutation of classes as a linear map of coefficients, and the permutation nearest a target.

Experts change places as a whole. The gate's coefficients are contrasts with class 1, gamma_k = g_k - g_1, so that
after a permutation o they are gamma_{o(k)} - gamma_{o(1)}: differences of the old ones. Both are linear,
theta' = M theta, and a covariance becomes M C M' (Stephens, 2000, JRSS-B 62, on label switching).
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixstat.exceptions import DataError

REFUSED = 1e12
"""Cost of matching classes that may not change places."""


class Coefficient(NamedTuple):
    """Whose a coefficient is: `expert` is 1-based, 0 where shared; `name` tells it from the expert's others."""

    expert: int
    name: Hashable
    gate: bool = False


def forms_of(coefficients: Sequence[Coefficient]) -> np.ndarray:
    """(class,) a number for each set of own coefficients: classes of equal number may change places.

    Classes that have no coefficients beside the gate's (noise, point masses) keep theirs.
    """
    classes = max((c.expert for c in coefficients), default=1)
    sets: list[Hashable] = []
    for expert in range(1, classes + 1):
        own = frozenset(c.name for c in coefficients if c.expert == expert and not c.gate)
        sets.append(own or expert)
    return np.array([sets.index(own) for own in sets])


def relabelling(coefficients: Sequence[Coefficient], order: Sequence[int] | np.ndarray) -> np.ndarray:
    """M (parameter, parameter) of the permutation that puts class `order[j]` (from 0) at place j.

    Raises DataError where a class that moves has not the coefficients of the place it comes to.
    """
    place = {coefficient: index for index, coefficient in enumerate(coefficients)}
    matrix = np.zeros((len(coefficients), len(coefficients)))
    for row, (expert, name, gate) in enumerate(coefficients):
        if expert == 0:
            matrix[row, row] = 1.0
            continue
        sources = [(order[expert - 1] + 1, 1.0)] + ([(order[0] + 1, -1.0)] if gate else [])
        for source, sign in sources:
            if gate and source == 1:
                continue
            column = place.get(Coefficient(source, name, gate))
            if column is None:
                raise DataError(f"classes {expert} and {source} cannot change places: {source} has no {name!r}")
            matrix[row, column] += sign
    return matrix


def nearest_order(
    coefficients: Sequence[Coefficient],
    estimate: np.ndarray,
    target: np.ndarray,
    scale: np.ndarray,
    forms: np.ndarray | None = None,
) -> np.ndarray:
    """(class,) the `order` that brings `estimate` nearest to `target` (NaN where unknown), distances in `scale`.

    The squared distance is summed over coefficients in units of the root mean square of `scale` over the classes (e.g.
    standard errors), the gate's taken about their mean over classes so that no class is its reference. It is then a
    sum over classes, and the best permutation an assignment (Kuhn, 1955). Only classes of equal form change places.
    """
    forms = forms_of(coefficients) if forms is None else np.asarray(forms)
    classes = len(forms)
    cost = np.zeros((classes, classes))
    for gate, name in dict.fromkeys((c.gate, c.name) for c in coefficients if c.expert):
        rows = [index for index, c in enumerate(coefficients) if c.expert and (c.gate, c.name) == (gate, name)]
        places = [coefficients[row].expert - 1 for row in rows]
        now, wanted = (_by_class(vector[rows], places, classes, gate=gate) for vector in (estimate, target))
        difference = (now[None] - wanted[:, None]) / _unit(scale[rows])
        cost += np.where(np.isfinite(difference), difference, 0.0) ** 2
    cost = np.where(forms[:, None] == forms[None], cost, REFUSED * (1.0 + cost.max(initial=0.0)))
    best = linear_sum_assignment(cost)[1]
    return best if _total(cost, best) < np.trace(cost) else np.arange(classes)


def _by_class(values: np.ndarray, places: Sequence[int], classes: int, *, gate: bool) -> np.ndarray:
    """(class,) one coefficient over the classes, NaN where a class has none; of a gate about its mean."""
    full = np.full(classes, np.nan)
    full[list(places)] = values
    if gate:
        full[0] = 0.0
        full -= full.mean()
    return full


def _unit(scale: np.ndarray) -> float:
    """Root mean square of the known scales, 1 where none is known."""
    known = scale[np.isfinite(scale) & (scale > 0)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else 1.0


def _total(cost: np.ndarray, order: np.ndarray) -> float:
    return float(cost[np.arange(len(order)), order].sum())
