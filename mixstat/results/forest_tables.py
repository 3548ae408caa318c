"""Tables of a covariate forest: importances by rank, and tests of parameter instability."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixstat.inference.score_splits import LEVEL, Instability
from mixstat.results.labels import Label


def importance(names: Sequence[str], values: np.ndarray, used: np.ndarray) -> pd.DataFrame:
    """Rank, covariate, importance, std_error, trees, share; `values` and `used` are (tree, covariate)."""
    count = len(values)
    table = pd.DataFrame(
        {
            "covariate": list(names),
            "importance": values.mean(axis=0),
            "std_error": values.std(axis=0, ddof=1) / np.sqrt(count),
            "trees": used.sum(axis=0),
            "share": used.mean(axis=0),
        }
    )
    table = table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def tests(names: Sequence[str], kinds: Sequence[str], found: Sequence[Instability | None]) -> pd.DataFrame:
    """Covariate, test, statistic, df, p_value; a covariate of one value has no test (missing)."""
    rows = [
        {
            "covariate": name,
            "test": "chi-square" if kind == LEVEL else "sup-LM",
            "statistic": np.nan if test is None else test.statistic,
            "df": 0 if test is None else test.df,
            "p_value": np.nan if test is None else float(np.exp(test.log_p)),
        }
        for name, kind, test in zip(names, kinds, found, strict=True)
    ]
    return pd.DataFrame(rows)


def dependence(covariate: str, values: Sequence[Any], labels: Sequence[Label], estimate: np.ndarray) -> pd.DataFrame:
    """Covariate, value, parameter, term, estimate; `estimate` (value, coefficient)."""
    count = len(labels)
    return pd.DataFrame(
        {
            "covariate": covariate,
            "value": [value for value in values for _ in range(count)],
            "parameter": [label.parameter for label in labels] * len(values),
            "term": [label.term for label in labels] * len(values),
            "estimate": estimate.ravel(),
        }
    )
