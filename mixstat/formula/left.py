"""Left: the checked left side of a formula, and the response that it gives on data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixstat.formula.grammar import Factor


@dataclass(frozen=True)
class Left:
    """The left side: `form` is "column", "cbind", "parallel", "waves", "quotient", "ordered" or "Surv"; `parts` are its
    columns.

    `infinite` names columns in which infinite values are legitimate, `open` those in which missing ones are (bounds of
    intervals). `roles` says what each part is, and `title` how the response is called, where the form needs it.
    """

    form: str
    parts: tuple[Factor, ...]
    infinite: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    title: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What the response's columns are called."""
        return (self.title,) if self.title else tuple(part.text for part in self.parts)

    @property
    def variables(self) -> tuple[str, ...]:
        """The raw columns used."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.variables))


@dataclass(frozen=True, eq=False)
class Response:
    """One response. `kind`: "numeric", "vector" (cbind, parallel, waves), "quotient" (successes, trials), "categorical"
    or "survival".

    `values` is float64, (row,) or (row, m); of a categorical response codes 0, 1, ... into `levels`; of survival times
    (entry, lower, upper, background). NaN is missing. `ordered` tells that the levels have an order (an ordered
    categorical column, or `ordered(y)`).
    """

    kind: str
    names: tuple[str, ...]
    values: np.ndarray
    levels: tuple[Any, ...] | None = None
    ordered: bool = False
