"""Array mode: `fit(X, y)` without a formula becomes a table and a formula with an intercept and all columns."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d, validate_data

from mixstat.exceptions import DataError
from mixstat.formula.lexer import sides


def table_from_arrays(
    estimator: Any, X: Any, y: Any, *, reset: bool, several: bool = False, numeric: bool = True
) -> tuple[pd.DataFrame, str | None]:
    """(table, formula or None where y is None). Columns keep their names, or are x0, x1, ...; the response is `y`."""
    if reset and y is None:
        raise ValueError(
            f"{type(estimator).__name__} without a formula requires y to be passed, but the target y is None; "
            "give fit(X, y), or a formula such as 'y ~ x'"
        )
    values = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
    given = getattr(estimator, "feature_names_in_", None)
    names = [f"x{index}" for index in range(values.shape[1])] if given is None else [str(name) for name in given]
    if len(set(names)) < len(names):
        raise DataError(f"column names are not unique: {sorted({n for n in names if names.count(n) > 1})}")
    table = pd.DataFrame(values, columns=names)
    right = " + ".join(f"`{name}`" for name in names)
    if y is None:
        return table, None
    response = _response(y, several=several, numeric=numeric)
    check_consistent_length(values, response)
    label = "y"
    while label in names:
        label += "_"
    if response.ndim == 1:
        table[label] = response
        return table, f"`{label}` ~ {right}"
    labels = [f"{label}{index}" for index in range(response.shape[1])]
    table[labels] = response
    return table, f"cbind({', '.join(f'`{name}`' for name in labels)}) ~ {right}"


def is_structured(y: Any) -> bool:
    """Whether y holds times with the event, as scikit-survival has them: records of (event, time)."""
    return getattr(getattr(y, "dtype", None), "names", None) is not None


def table_with_times(estimator: Any, X: Any, y: Any, formula: str | None, *, reset: bool) -> tuple[Any, str]:
    """(table, formula) of a right side, or of all columns of X, and a structured y."""
    names = y.dtype.names
    kinds = [y.dtype[name].kind for name in names]
    if len(names) != 2 or kinds[0] != "b" or kinds[1] not in "fiu":
        raise DataError(
            f"a structured y has two fields, the event (boolean) and the time (a number), in this order; got {y.dtype}"
        )
    if formula is None:
        frame, _ = table_from_arrays(estimator, X, np.zeros(len(y)), reset=reset)
        right = "~ " + " + ".join(f"`{name}`" for name in frame.columns[:-1])
        frame = frame[frame.columns[:-1]]
    else:
        frame, right = pd.DataFrame(X) if not hasattr(X, "columns") else X, formula
        if sides(right).left is not None:
            raise DataError(f"the formula {right!r} names a response, and y is one; leave one of them out")
    taken = {str(column) for column in frame.columns}
    event, time = (name if name not in taken else f"{name}_" for name in names)
    columns = {column: frame[column] for column in frame.columns}
    table = {**columns, event: y[names[0]], time: y[names[1]].astype(float)}
    return pd.DataFrame(table), f"Surv(`{time}`, `{event}`) {right}"


def _response(y: Any, *, several: bool, numeric: bool) -> np.ndarray:
    if not numeric:
        check_classification_targets(y)
        labels = column_or_1d(y, warn=True)
        if len(pd.unique(labels)) < 2:
            raise DataError(f"y holds one class alone, {labels[0]!r}; a categorical response needs two or more classes")
        return labels
    values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    return values if several and values.ndim == 2 else column_or_1d(values, warn=True).astype(np.float64)
