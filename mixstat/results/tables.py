"""Tables of a fit: coefficients (`tidy`), the fit in one row (`glance`), the starts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from mixstat.fit.solution import Start
from mixstat.results.labels import Label


def tidy(labels: Sequence[Label], estimate: np.ndarray, covariance: np.ndarray, level: float) -> pd.DataFrame:
    """One row an estimated coefficient, on the scale of its linear predictor, with Wald statistics."""
    error = np.sqrt(np.diag(covariance).clip(min=0.0)) if len(estimate) else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / error
    half = norm.ppf(0.5 + level / 2) * error
    table = pd.DataFrame(
        {
            "expert": pd.array([label.expert or None for label in labels], dtype="Int64"),
            "parameter": [label.parameter for label in labels],
            "term": [label.term for label in labels],
            "estimate": estimate,
            "std_error": error,
            "statistic": statistic,
            "p_value": 2 * norm.sf(np.abs(statistic)),
            "conf_low": estimate - half,
            "conf_high": estimate + half,
        }
    )
    return table


def starts_table(starts: Sequence[Start]) -> pd.DataFrame:
    """One row a start: number (1-based), kind, log-likelihood reached, verdict, how many starts reached it."""
    table = pd.DataFrame(starts, columns=Start._fields)
    table.insert(0, "start", np.arange(1, len(table) + 1))
    return table[["start", "kind", "log_likelihood", "hits", "iterations", "status"]]
