"""How often slopes of a penalised fit are kept, and how they vary."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from mixstat.results.plots import support as plots


class SelectionStability(NamedTuple):
    """Replicates of a penalised fit with other weights of the rows.

    `table` has a row a slope at the fit's own penalty: `parameter`, `term`, `estimate`, `kept` (share of replicates in
    which it is not zero), `same_sign` (share in which it has the estimate's sign, missing for zeros), `low` and `high`
    (quantiles of the replicates, zeros among them: they describe the shrunken estimate's spread, and are no confidence
    interval of the truth), `stable` (kept in the share `threshold` or more). `path` is long: `penalty`, `parameter`,
    `term`, `kept`. `expected_false` bounds the mean number of stable slopes that are kept no more often than at random
    (of weights="half" alone, else NaN).
    """

    table: pd.DataFrame
    path: pd.DataFrame
    threshold: float
    expected_false: float
    replicates: int
    weights: str
    marks: Mapping[str, float]

    def stable(self) -> pd.DataFrame:
        """The slopes that are kept in the share `threshold` of replicates or more."""
        return self.table[self.table["stable"]].reset_index(drop=True)

    def plot(self, *, ax: Any = None) -> Any:
        """Shares at the fit's penalty, a row a slope, most often kept first; filled where the fit keeps it."""
        return plots.kept_shares(self.table, self.threshold, ax=ax)

    def plot_path(self, *, ax: Any = None) -> Any:
        """Shares against the penalty, a colour a term and a dash a parameter."""
        return plots.stability_paths(self.path, self.threshold, self.marks, ax=ax)

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False, escape=True)
