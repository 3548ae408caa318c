"""Tables of effects: estimates with standard errors, Wald statistics and intervals, named as in marginaleffects."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from mixstat.exceptions import OptionError

SCALES = ("identity", "log", "logit", "cloglog")
STATISTICS = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")


def effect_table(
    keys: pd.DataFrame, estimate: np.ndarray, error: np.ndarray, level: float, scale: str = "identity"
) -> pd.DataFrame:
    """`keys` with estimate, std_error, statistic, p_value, conf_low, conf_high, one row each.

    The interval is Wald's on `scale`, mapped back; the statistic tests a value of 0 on that scale (1 for "log", 1/2
    for "logit", 1/e for "cloglog", log(-log p)) and is missing where estimate and error are both 0, and at the ends of
    the scale. `std_error` is that of the estimate itself. Without an error, 0 and infinity are on the "log" scale too.
    """
    inner, slope = _on_scale(estimate, error, scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = norm.ppf(0.5 + level / 2) * error * slope
        back = {"identity": np.asarray, "log": np.exp, "logit": expit, "cloglog": _from_cloglog}[scale]
        ends = np.sort([back(inner - half), back(inner + half)], axis=0)
        statistic = np.where(np.isinf(inner), np.nan, inner / (error * slope))
    return keys.assign(
        estimate=estimate,
        std_error=error,
        statistic=statistic,
        p_value=2 * norm.sf(np.abs(statistic)),
        conf_low=ends[0],
        conf_high=ends[1],
    )


def _from_cloglog(value: np.ndarray) -> np.ndarray:
    return np.exp(-np.exp(value))


def _on_scale(estimate: np.ndarray, error: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """The estimate on the scale, and the derivative of the scale there."""
    if scale == "identity":
        return estimate, np.ones_like(estimate)
    if scale == "cloglog":
        return _on_cloglog(estimate)
    ends = (estimate == 0) & ~(error > 0) if scale == "log" else False
    bad = ((estimate <= 0) & ~ends) | ((estimate >= 1.0) if scale == "logit" else False)
    if bad.any():
        span = "positive estimates" if scale == "log" else "estimates between 0 and 1"
        raise OptionError(f"intervals on the {scale} scale need {span}, got {estimate[bad][0]:g}")
    if scale == "log":
        with np.errstate(divide="ignore"):
            return np.log(estimate), np.where(estimate > 0, 1 / estimate, 0.0)
    return logit(estimate), 1 / (estimate * (1 - estimate))


def _on_cloglog(estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(-log p) and the size of its derivative; a probability of 0 or 1 has no width."""
    inside = (estimate > 0) & (estimate < 1)
    safe = np.where(inside, estimate, 0.5)
    inner = np.where(inside, np.log(-np.log(safe)), np.where(estimate > 0.5, -np.inf, np.inf))
    return inner, np.where(inside, np.abs(1 / (safe * np.log(safe))), 0.0)
