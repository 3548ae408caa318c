"""Columns of occasions that say nothing new, beside a curve's growth factors and beside one another."""

from collections.abc import Mapping, Sequence

import numpy as np

from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.plan import OutcomePlan, Plan
from mixstat.estimators.model.responses import ResponseData
from mixstat.exceptions import DataError
from mixstat.families.growth.centring import LEAST
from mixstat.families.growth.form import GrowthForm
from mixstat.families.growth.mixed import MixedModel, Occasions
from mixstat.fit.precision import double


@double
def collinear_occasions(
    plan: Plan, responses: Mapping[str, ResponseData], columns: Columns, values: np.ndarray, weight: np.ndarray
) -> set[str]:
    """ "key:column" of columns of occasions that are linear combinations of those before them.

    First stand the growth factors of the curve with the covariates `values` (column, subject) that act on them.
    """
    found: set[str] = set()
    for outcome in plan.outcomes:
        response = responses[outcome.key]
        family = response.family
        if isinstance(family, MixedModel):
            members = zip(outcome.own, family.parts, family.split(response.data), strict=True)
            for own, (_, member), at in members:
                found |= _of_outcome(own, member, at, columns, values, weight)
    return found


def _of_outcome(
    outcome: OutcomePlan, family: GrowthForm, at: Occasions, columns: Columns, values: np.ndarray, weight: np.ndarray
) -> set[str]:
    _require_random(outcome, family, at, weight)
    means, scales = _of_mean(outcome, family, at, columns, values, weight), []
    if not family.levels:
        scales = _aliased([], [at.columns[c] for c in family.scale_columns], at, weight)
    kappa, sd = outcome.part_key("kappa"), outcome.part_key("residual_sd")
    return {f"{kappa}:{family.columns[family.fixed[place]]}" for place in means} | {
        f"{sd}:{family.columns[family.scale_columns[place]]}" for place in scales
    }


def _of_mean(
    outcome: OutcomePlan, family: GrowthForm, at: Occasions, columns: Columns, values: np.ndarray, weight: np.ndarray
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


def _loadings(family: GrowthForm, nonlinear: np.ndarray, at: Occasions) -> list[np.ndarray]:
    """Of the growth factors, in which the mean is linear, (occasion, subject) each."""
    count = len(family.coefficients) - len(nonlinear)

    def mean(factors: np.ndarray) -> np.ndarray:
        eta = np.zeros(family.head)
        eta[: len(family.coefficients)] = [*factors, *nonlinear]
        return np.asarray(family.basis(list(eta), at)[0])

    level = mean(np.zeros(count))
    return [mean(factors) - level for factors in np.eye(count)]


def _aliased(before: Sequence[np.ndarray], own: Sequence[np.ndarray], at: Occasions, weight: np.ndarray) -> list[int]:
    """Places in `own`, each (occasion, subject), of what depends on `before` and on earlier ones.

    By orthogonalisation, not by products: t and its square differ by a millionth where t counts from far away.
    """
    used = (at.seen > 0) & (weight > 0)
    kept, found = np.zeros((0, int(used.sum()))), []
    for place, column in enumerate((*before, *own)):
        left = column[used]
        size = np.linalg.norm(left)
        for _ in range(2):
            left = left - (left @ kept.T) @ kept
        if not np.linalg.norm(left) > LEAST * size:
            found.append(place)
        else:
            kept = np.concatenate([kept, left[None] / np.linalg.norm(left)])
    return [place - len(before) for place in found if place >= len(before)]


def _require_random(outcome: OutcomePlan, family: GrowthForm, at: Occasions, weight: np.ndarray) -> None:
    """An error where columns with random coefficients depend on one another: their covariance has no maximum."""
    chosen = [name for name in family.random if not isinstance(name, str)]
    found = _aliased([], [at.columns[c] for c in chosen], at, weight)
    if found:
        names = [family.columns[c] for c in chosen]
        raise DataError(
            f"{names[found[0]]!r} has a random coefficient in {outcome.shown!r}, but is a linear combination of "
            f"{', '.join(map(repr, names[: found[0]])) or 'nothing: it is 0'}; leave it out of random="
        )
