"""Units, weights, known classes and clusters: per-row user input checked and turned into per-unit arrays."""

from typing import Any

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError

SMALLEST, LARGEST = 1e-301, 1e301
"""Between which the largest weight lies, so that sums of weights neither vanish nor overflow."""


def number_units(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(unit number of each row in order of first appearance, the units' labels)."""
    codes, labels = pd.factorize(pd.Series(values), sort=False)
    return codes.astype(np.int64), np.asarray(labels)


def first_rows(unit: np.ndarray) -> np.ndarray:
    """(unit,) position of each unit's first row."""
    return np.unique(unit, return_index=True)[1]


def require_constant(
    values: np.ndarray, unit: np.ndarray, labels: np.ndarray, names: list[str], what: str
) -> np.ndarray:
    """Values (row, column) that must not vary inside a unit -> (unit, column); names column and first unit at fault."""
    values = values[:, None] if values.ndim == 1 else values
    first = values[first_rows(unit)]
    differs = values != first[unit]
    if differs.any():
        column = int(np.argmax(differs.any(axis=0)))
        culprit = labels[unit[np.argmax(differs[:, column])]]
        advice = ": aggregate it (for example its mean) or drop it from the gate" if what.startswith("gate") else ""
        raise DataError(f"{what} {names[column]!r} varies inside unit {culprit}; it must be constant in a unit{advice}")
    return first


def check_weight(values: Any, rows: int, name: str) -> np.ndarray:
    """Non-negative finite weights (row,), not all zero."""
    try:
        weight = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be numbers, got {type(values).__name__}") from None
    if weight.shape != (rows,):
        raise DataError(f"{name} has shape {weight.shape}, expected ({rows},): one weight a row (sample_weight 1-D)")
    bad = ~np.isfinite(weight)
    if bad.any():
        raise DataError(f"{name} is missing or infinite in {bad.sum()} rows (first: row {np.argmax(bad)})")
    if (weight < 0).any():
        raise DataError(f"{name} is negative in {(weight < 0).sum()} rows (first: row {np.argmax(weight < 0)})")
    if not weight.any():
        raise DataError(f"{name} is zero in all {rows} rows; at least one must be positive")
    if not SMALLEST < weight.max() < LARGEST:
        raise DataError(f"the largest {name} is {weight.max():g}; rescale it, for example to a mean of 1")
    return weight


def log_prior(
    known: Any, n_given: int, kept: np.ndarray, experts: int, classes: int, unit: np.ndarray | None
) -> np.ndarray:
    """(class, unit) log prior weights from labels 1..K (missing: unknown) or probabilities (row or unit, K).

    One entry a row of the data as given (`kept` are the positions of the rows used), or one a unit.
    """
    values = _per_unit(_numbers(known), n_given, kept, unit)
    prior = np.zeros((classes, len(values)))
    if values.shape[1] == 1:
        _hold_labels(prior, values[:, 0], experts)
    elif values.shape[1] == experts:
        _hold_probabilities(prior, values)
    else:
        raise DataError(f"prior_classes has {values.shape[1]} columns, expected labels (1 column) or {experts} experts")
    return prior


def _numbers(known: Any) -> np.ndarray:
    """(row, column), NaN where missing."""
    given = np.asarray(known, dtype=object)
    if given.ndim not in (1, 2):
        raise DataError(f"prior_classes must be column names, labels or probabilities a unit, got {known!r}")
    table = pd.DataFrame(given)
    numbers = table.apply(pd.to_numeric, errors="coerce")
    bad = (numbers.isna() & table.notna()).to_numpy()
    if bad.any():
        raise DataError(f"prior_classes holds {table.to_numpy()[bad][0]!r}; expected labels 1, 2, ... or probabilities")
    return numbers.to_numpy(dtype=np.float64)


def _per_unit(values: np.ndarray, n_given: int, kept: np.ndarray, unit: np.ndarray | None) -> np.ndarray:
    units = len(kept) if unit is None else int(unit.max(initial=-1)) + 1
    if len(values) == n_given:
        values = values[kept]
        return values if unit is None else _constant_prior(values, unit)
    if len(values) != units:
        raise DataError(f"prior_classes has {len(values)} rows, expected {n_given} rows or {units} units")
    return values


def _constant_prior(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    first = values[first_rows(unit)]
    differs = ~((values == first[unit]) | (np.isnan(values) & np.isnan(first[unit]))).all(axis=1)
    if differs.any():
        raise DataError(f"prior_classes varies inside a unit (row {np.argmax(differs)}); give one value a unit")
    return first


def _hold_labels(prior: np.ndarray, labels: np.ndarray, experts: int) -> None:
    known = ~np.isnan(labels)
    wrong = known & ~np.isin(labels, np.arange(1, experts + 1))
    if wrong.any():
        raise DataError(f"prior_classes holds the label {labels[wrong][0]:g}; expected 1 to {experts}, or missing")
    prior[:, known] = -np.inf
    prior[labels[known].astype(int) - 1, np.flatnonzero(known)] = 0.0


def _hold_probabilities(prior: np.ndarray, values: np.ndarray) -> None:
    known = ~np.isnan(values).all(axis=1)
    given = values[known]
    if np.isnan(given).any() or (given < 0).any() or (given > 1).any():
        raise DataError("prior_classes must be probabilities between 0 and 1, or all missing for an unknown unit")
    if (given.sum(axis=1) == 0).any():
        raise DataError("prior_classes gives probability 0 to every expert for some unit")
    with np.errstate(divide="ignore"):
        prior[: values.shape[1], known] = np.log(given).T
    prior[values.shape[1] :, known] = -np.inf
