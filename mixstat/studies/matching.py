"""Matching: estimates of a mixture brought to the labels of the truth."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError
from mixstat.inference.labels import Coefficient, forms_of, nearest_order, relabelling
from mixstat.studies.estimates import GATE, VALUES, Estimates


class Matched(NamedTuple):
    """Estimates by row in the truth's labels; `order` (class,) is the fit's class (from 0) at each of its places."""

    estimate: np.ndarray
    std_error: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    order: tuple[int, ...]


def match(estimates: Estimates, truth: np.ndarray, *, relabel: bool) -> Matched:
    """Permute the classes to come nearest to `truth` (row,), NaN where unknown; as they are if not `relabel`.

    Raises DataError where a permuted gate needs a covariance that the fit did not give.
    """
    table = estimates.table
    estimate, error, low, high = (_column(table, name) for name in VALUES)
    coefficients = [
        Coefficient(expert, (parameter, term), parameter == GATE) for expert, parameter, term in estimates.keys
    ]
    forms = forms_of(coefficients) if estimates.forms is None else np.asarray(estimates.forms)
    same = np.arange(len(forms))
    order = nearest_order(coefficients, estimate, truth, error, forms) if relabel and len(forms) > 1 else same
    found = Matched(estimate, error, low, high, tuple(map(int, order)))
    if np.array_equal(order, same):
        return found
    return _moved(found, relabelling(coefficients, found.order), estimates.covariance)


def _column(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(float, na_value=np.nan) if name in table else np.full(len(table), np.nan)


def _moved(old: Matched, matrix: np.ndarray, covariance: np.ndarray | None) -> Matched:
    """The permuted estimates; an interval follows where its row only takes another's place or changes its sign."""
    single = np.count_nonzero(matrix, axis=1) == 1
    if covariance is None and not single.all():
        raise DataError(
            "the classes are permuted against the truth, and standard errors of a gate of three or more classes then "
            "need the covariance: return mixstat.studies.Estimates(table, covariance=...)"
        )
    source, sign = np.argmax(np.abs(matrix), axis=1), matrix.sum(axis=1)
    error = old.std_error[source]
    if covariance is not None:
        rows = matrix[~single]
        error[~single] = np.sqrt(np.einsum("pi,ij,pj->p", rows, np.asarray(covariance, float), rows))
    low = np.where(sign > 0, old.conf_low[source], -old.conf_high[source])
    high = np.where(sign > 0, old.conf_high[source], -old.conf_low[source])
    low, high = (np.where(single, bound, np.nan) for bound in (low, high))
    return Matched(matrix @ old.estimate, error, low, high, old.order)
