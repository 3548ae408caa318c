"""How tables show the constants of a growth model: a covariance instead of its log Cholesky factor, variances and rates
instead of their logs.

All maps to what is shown are analytic in numpy, so that complex steps give their derivatives.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mixstat.core.family import Natural

Pairs = tuple[tuple[int, int], ...]


class CovarianceForm(NamedTuple):
    """Which entries of a factor C (size, size) there are, and whether they are those of proportional covariances,
    (log sd of the first coefficient, entries of the factor of S)."""

    pairs: Pairs
    size: int
    proportional: bool = False


def root_of_entries(form: CovarianceForm, entries: np.ndarray) -> np.ndarray:
    """C from its entries, the diagonal in logs."""
    factor, first = np.zeros((form.size, form.size), dtype=np.result_type(entries, float)), 0.0
    if form.proportional:
        first, entries = entries[0], np.concatenate([[0.0], entries[1:]])
    for (j, i), value in zip(form.pairs, entries, strict=True):
        factor[j, i] = np.exp(value) if i == j else value
    return np.exp(first) * factor


def entries_of_root(form: CovarianceForm, root: np.ndarray) -> np.ndarray:
    """The entries whose factor C has C C' = `root` `root`', by orthogonal triangularisation."""
    upper = np.linalg.qr(root.T, mode="r")
    lower = (np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None] * upper).T
    first = lower[0, 0] if form.proportional else 1.0
    lower = lower / first
    entries = np.array([np.log(lower[j, i]) if i == j else lower[j, i] for j, i in form.pairs])
    return np.concatenate([[np.log(first)], entries[1:]]) if form.proportional else entries


def covariances(form: CovarianceForm, root: np.ndarray) -> np.ndarray:
    """Entries of Psi = `root` `root`'; of proportional covariances Psi_11, then those of S = Psi / Psi_11."""
    full = root @ root.T
    shown = np.array([full[j, i] for j, i in form.pairs], dtype=full.dtype)
    return np.concatenate([shown[:1], shown[1:] / shown[0]]) if form.proportional else shown


def constants(parameters: tuple[int, ...], to: Callable[[np.ndarray], np.ndarray]) -> Natural:
    """Of predictors that are constant."""
    return Natural(parameters, lambda v: to(v[:, 0])[:, None])


def covariance(parameters: tuple[int, ...], pairs: Pairs, size: int) -> Natural:
    """Entries `pairs` of C C' from those of C, whose diagonal is logs."""
    form = CovarianceForm(pairs, size)
    return constants(parameters, lambda entries: covariances(form, root_of_entries(form, entries)))


def exponential(parameters: tuple[int, ...], power: float, unit: np.ndarray | float = 1.0) -> Natural:
    """unit x exp(power x predictor)."""
    return constants(parameters, lambda v: unit * np.exp(power * v))
