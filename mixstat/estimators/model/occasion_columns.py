"""Columns of occasions that say nothing new, beside a curve's growth factors and beside one another."""

from collections.abc import Mapping, Sequence

import numpy as np

from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.plan import OutcomePlan, Plan
from mixstat.estimators.model.responses import ResponseData
from mixstat.exceptions import DataError
from mixstat.families.growth import Growth, Occasions
from mixstat.fit.precision import double
from mixstat.fit.standardize import aliased


@double
def collinear_occasions(
    plan: Plan, responses: Mapping[str, ResponseData], columns: Columns, values: np.ndarray, weight: np.ndarray
) -> set[str]:
    """ "key:column" of columns of occasions that are linear combinations of those before them.

    First stand the growth factors of the curve with the covariates `values` (column, subject) that act on them.
    """
    found: set[str] = set()
    for outcome in plan.outcomes:
        family = responses[outcome.key].family
        if isinstance(family, Growth):
            at = family.read(responses[outcome.key].data)
            _require_random(outcome, family, at, weight)
            means, scales = _of_mean(outcome, family, at, columns, values, weight), []
            if not family.levels:
                scales = _aliased([], [at.columns[c] for c in family.scale_columns], at, weight)
            found |= {f"{outcome.part_key('kappa')}:{family.columns[family.fixed[place]]}" for place in means}
            found |= {
                f"{outcome.part_key('residual_sd')}:{family.columns[family.scale_columns[place]]}" for place in scales
            }
    return found


def _of_mean(
    outcome: OutcomePlan, family: Growth, at: Occasions, columns: Columns, values: np.ndarray, weight: np.ndarray
) -> list[int]:
    """Places in `family.fixed` of columns that depend on those before them at whatever knots and rates."""
    own = [at.columns[c] for c in family.fixed]
    curve = family.curve
    if curve is None or not own:
        return _aliased([], own, at, weight)
    keys = [outcome.formula_key(parameter) for parameter in family.parameters[: len(curve.factors)]]
    acting = [values[list(columns.places[key])] for key in keys]
    grid = curve.starts(at.time[at.seen > 0])
    dependent = []
    for nonlinear in grid[[0, -1]] if len(grid) > 1 else grid:
        loadings = _loadings(family, nonlinear, at)
        before = [loading * z for loading, part in zip(loadings, acting, strict=True) for z in part]
        dependent.append(set(_aliased(before, own, at, weight)))
    return sorted(set.intersection(*dependent))


def _loadings(family: Growth, nonlinear: np.ndarray, at: Occasions) -> list[np.ndarray]:
    """Of the growth factors, in which the mean is linear, (occasion, subject) each."""
    count = len(family.coefficients) - len(nonlinear)

    def mean(factors: np.ndarray) -> np.ndarray:
        eta = np.zeros(family.head)
        eta[: len(family.coefficients)] = [*factors, *nonlinear]
        return np.asarray(family.basis(list(eta), at)[0])

    level = mean(np.zeros(count))
    return [mean(factors) - level for factors in np.eye(count)]


def _aliased(before: Sequence[np.ndarray], own: Sequence[np.ndarray], at: Occasions, weight: np.ndarray) -> list[int]:
    """Places in `own`, each (occasion, subject), of what depends on `before` and on earlier ones."""
    used = (at.seen > 0) & (weight > 0)
    matrix = np.array([np.ones(used.sum()), *(column[used] for column in (*before, *own))])
    chosen = tuple(range(1, len(matrix)))
    found = aliased(matrix, np.broadcast_to(weight, used.shape)[used], chosen)
    return [place - len(before) for place in found if place >= len(before)]


def _require_random(outcome: OutcomePlan, family: Growth, at: Occasions, weight: np.ndarray) -> None:
    """An error where columns with random coefficients depend on one another: their covariance has no maximum."""
    chosen = [name for name in family.random if not isinstance(name, str)]
    found = _aliased([], [at.columns[c] for c in chosen], at, weight)
    if found:
        names = [family.columns[c] for c in chosen]
        raise DataError(
            f"{names[found[0]]!r} has a random coefficient in {outcome.shown!r}, but is a linear combination of "
            f"{', '.join(map(repr, names[: found[0]])) or 'nothing: it is 0'}; leave it out of random="
        )
