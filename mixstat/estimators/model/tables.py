"""Tables: `X` and `y` as users and scikit-learn pass them become one table that holds the response."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError
from mixstat.formula.frame import Table
from mixstat.formula.left import Left
from mixstat.formula.terms import parse_left


def refuse_array(X: Any) -> None:
    """A formula needs names."""
    if not hasattr(X, "columns") and getattr(getattr(X, "dtype", None), "names", None) is None and np.ndim(X) == 2:
        raise DataError(
            "a model with a formula needs a table with named columns, got an array; in a Pipeline call "
            "set_output(transform='pandas'), or leave the formula out and give fit(X, y)"
        )


def join_response(X: Any, y: Any, formulas: Sequence[str]) -> Any:
    """X with y as the response's column if it lacks it; an error where y and the formula's response conflict."""
    if y is None:
        return X
    lefts = {parse_left(formula) for formula in formulas}
    if len(lefts) > 1 or np.ndim(y) != 1:
        return X if _same_rows(X, y) else _refuse_length(X, y)
    if not _same_rows(X, y):
        _refuse_length(X, y)
    left = next(iter(lefts))
    if left.form != "column" or left.parts[0].is_call:
        return X
    return _with_column(X, left, y)


def _same_rows(X: Any, y: Any) -> bool:
    return len(y) == Table(X).n_rows


def _refuse_length(X: Any, y: Any) -> None:
    raise DataError(f"y has {len(y)} entries, the table {Table(X).n_rows} rows; leave y out: the formula names it")


def _with_column(X: Any, left: Left, y: Any) -> Any:
    name, values = left.parts[0].text, y
    table = Table(X)
    if name not in table.names:
        columns = {column: table.source[column] for column in table.names}
        return X.assign(**{name: np.asarray(y)}) if isinstance(X, pd.DataFrame) else {**columns, name: np.asarray(y)}
    own = pd.Series(table.raw(name)[0])
    given = pd.Series(np.asarray(values))
    same = (own == given) | (own.isna() & given.isna())
    if not same.all():
        raise DataError(
            f"y differs from the formula's response, column {name!r}, in {int((~same).sum())} rows (first: row "
            f"{int(np.argmin(same))}); with a formula leave y out, or pass that column"
        )
    return X
