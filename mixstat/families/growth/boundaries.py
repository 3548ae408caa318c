"""Boundaries: variances of a growth model that a fit carries to 0, their logs to minus infinity.

A pivot C_jj of the Cholesky factor that is 0 leaves its column without meaning: in the limit the column is 0, and the
others are those of the factor of the same Psi. Psi is then singular: a variance is 0, or coefficients vary together.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixstat.core.family import Limit
from mixstat.families.growth.coordinates import passage
from mixstat.families.growth.shown import CovarianceForm, root_of_entries

if TYPE_CHECKING:
    from mixstat.families.growth.form import GrowthForm
    from mixstat.families.growth.mixed import MixedModel

CONDITIONAL = "standard errors are conditional on the boundary"
FALL = 12.0
"""By how much the log of a standard deviation falls to stand for a variance of 0."""
RIVALS = (4.0, 8.0, 10.0, 12.0, 14.0)
"""Above its limit: where the likelihood must not be higher."""
LOSS = 1e-9
GONE, PART = 1e-6, 1e-2
"""Of a variance that counts as 0 beside what it was; of a coefficient in what does not vary."""


def of_random(model: "MixedModel", eta: np.ndarray) -> Iterator[Limit]:
    """Pivots of C in turn."""
    form, entries = model.covariance_form, list(model.entries)
    if not entries or np.isnan(eta[entries]).any():
        return
    for pivot in range(form.size):
        there = eta.copy()
        there[entries] = _without(form, eta[entries], pivot)
        column = [p for p, (j, i) in zip(entries, form.pairs, strict=True) if i == pivot and j > pivot]
        first = entries[form.pairs.index((pivot, pivot))]
        held = (first,) if form.proportional and not pivot else (first, *column)
        yield _limit(there, held, _words(model, eta, there))


def of_residuals(member: "GrowthForm", eta: np.ndarray, first: int) -> Iterator[Limit]:
    """The parts of residuals beside others; `first` is the place of their first predictor."""
    names = [parameter.name for parameter in member.residual_parameters]
    structural = member.structure.parameters
    several = bool(structural) or bool(member.levels)
    for place, name in enumerate(names):
        vanishes = name.endswith("_sd") if name in structural else several and not _is_formula(member)
        if not vanishes:
            continue
        there = eta.copy()
        there[first + place] -= FALL
        rest = [first + names.index(n) for n in structural if n.endswith("_rate")] if name in structural else []
        parameter = member.residual_parameters[place]
        shown = f"{name}[{parameter.term}]" if parameter.term else name
        yield _limit(there, (first + place, *rest), f"{shown} is 0")


def _is_formula(member: "GrowthForm") -> bool:
    return bool(member.scale_columns) and not member.levels


def _limit(there: np.ndarray, held: tuple[int, ...], words: str) -> Limit:
    rivals = tuple(float(there[held[0]]) + rise for rise in RIVALS)
    return Limit(there, held, f"boundary: {words}{{who}}", CONDITIONAL, LOSS, rivals)


def _without(form: CovarianceForm, entries: np.ndarray, pivot: int) -> np.ndarray:
    """Entries of the factor of the same covariance without what the pivot adds."""
    root = root_of_entries(form, entries)
    lowest = np.log(root[pivot, pivot]) - FALL
    if form.proportional and not pivot:
        return np.concatenate([entries[:1] - FALL, entries[1:]])
    root[pivot, pivot] = 0.0
    lower = _factor(root @ root.T, pivot)
    first = lower[0, 0] if form.proportional else 1.0
    lower[pivot, pivot] = np.exp(lowest)
    with np.errstate(divide="ignore"):  # another pivot may be 0 already
        found = [np.log(lower[j, i] / first) if i == j else lower[j, i] / first for j, i in form.pairs]
    return np.array([np.log(first), *found[1:]] if form.proportional else found)


def _factor(matrix: np.ndarray, pivot: int) -> np.ndarray:
    """Cholesky's factor of a matrix with one pivot that is 0, whose column is left out."""
    size = len(matrix)
    lower = np.zeros((size, size))
    for i in range(size):
        if i == pivot:
            continue
        rest = matrix[i:, i] - lower[i:, :i] @ lower[i, :i]
        lower[i:, i] = rest / np.sqrt(max(rest[0], 1e-300))
    return lower


def _words(model: "MixedModel", before: np.ndarray, after: np.ndarray) -> str:
    """Which coefficients do not vary, in the time that was given."""
    now, then = _covariance(model, after), _covariance(model, before)
    names = model.random_names
    gone = [name for name, a, b in zip(names, np.diag(now), np.diag(then), strict=True) if a <= GONE * b]
    if gone:
        return f"the variance of {' and '.join(gone)} is 0"
    scale = np.sqrt(np.diag(now))
    vector = np.linalg.eigh(now / np.outer(scale, scale))[1][:, 0]
    together = [name for name, part in zip(names, np.abs(vector), strict=True) if part > PART]
    return f"the covariance of {_listed(together)} is singular"


def _covariance(model: "MixedModel", eta: np.ndarray) -> np.ndarray:
    """Of random coefficients, in the data's own coordinates."""
    ways = [member.coordinates for _, member in model.parts]
    turn = passage(model, np.nan_to_num(eta[: model.head]), ways).random
    root = turn @ root_of_entries(model.covariance_form, eta[list(model.entries)])
    covariance: np.ndarray = root @ root.T
    return covariance


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
