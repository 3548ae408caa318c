"""Tables of a fit: coefficients (`tidy`), the fit in one row (`glance`), the starts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from mixstat.fit.solution import Start
from mixstat.results.labels import Label


def label_columns(labels: Sequence[Label]) -> dict[str, Any]:
    """The columns expert, parameter and term; `expert` is missing where a coefficient is shared."""
    return {
        "expert": pd.array([label.expert or None for label in labels], dtype="Int64"),
        "parameter": [label.parameter for label in labels],
        "term": [label.term for label in labels],
    }


def standard_errors(covariance: np.ndarray) -> np.ndarray:
    """Roots of the diagonal; NaN stays, rounding below zero is zero."""
    return np.sqrt(np.diag(covariance).clip(min=0.0)) if len(covariance) else np.zeros(0)


def wald_columns(
    estimate: np.ndarray, error: np.ndarray, level: float, df: np.ndarray | float = np.inf
) -> dict[str, np.ndarray]:
    """estimate, std_error, statistic, p_value, conf_low, conf_high: normal, or Student's t with `df`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / error
    half = t.ppf(0.5 + level / 2, df) * error
    return {
        "estimate": estimate,
        "std_error": error,
        "statistic": statistic,
        "p_value": 2 * t.sf(np.abs(statistic), df),
        "conf_low": estimate - half,
        "conf_high": estimate + half,
    }


def tidy(labels: Sequence[Label], estimate: np.ndarray, covariance: np.ndarray, level: float) -> pd.DataFrame:
    """One row an estimated coefficient, on the scale of its linear predictor, with Wald statistics."""
    return pd.DataFrame(label_columns(labels) | wald_columns(estimate, standard_errors(covariance), level))


def starts_table(starts: Sequence[Start]) -> pd.DataFrame:
    """One row a start: number (1-based), kind, log-likelihood reached, verdict, how many starts reached it."""
    table = pd.DataFrame(starts, columns=Start._fields)
    table.insert(0, "start", np.arange(1, len(table) + 1))
    return table[["start", "kind", "log_likelihood", "hits", "iterations", "status"]]
