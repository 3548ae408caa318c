"""Performance measures of estimates over replicates, with Monte-Carlo standard errors.

The formulas are those of Morris, White and Crowther (2019), Statistics in Medicine 38, Table 6, for estimates e_i with
reported standard errors s_i and intervals [l_i, u_i] over n replicates, and the true value t:

    bias                          mean e - t
    relative_bias                 mean e / t - 1
    empirical_se                  sqrt(sum (e_i - mean e)^2 / (n - 1))
    mse, rmse                     mean (e_i - t)^2, and its root
    model_se                      sqrt(mean s_i^2)
    relative_error_se             model_se / empirical_se - 1
    coverage                      share of l_i <= t <= u_i
    bias_eliminated_coverage      share of l_i <= mean e <= u_i
    rejection                     share of intervals without 0: power, or type I error where t = 0

Relative figures are fractions, not per cent. Each figure has its own n (`n_replicates`): replicates without a standard
error have an estimate, but no interval.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from mixstat.studies.estimates import VALUES

MEASURES = (
    "bias",
    "relative_bias",
    "empirical_se",
    "mse",
    "rmse",
    "model_se",
    "relative_error_se",
    "coverage",
    "bias_eliminated_coverage",
    "rejection",
)
RATES = ("convergence", "failure", "label_switch")


class Sample(NamedTuple):
    """One parameter over replicates, each (replicate,); `truth` is NaN where unknown."""

    estimate: np.ndarray
    std_error: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    truth: float


class Measure(NamedTuple):
    """A figure, its Monte-Carlo standard error (NaN where a single replicate gives none) and the replicates used."""

    measure: str
    value: float
    mcse: float
    n_replicates: int


def sample_of(results: pd.DataFrame, level: float, truth: float) -> Sample:
    """One parameter's rows of `Study.results()`, with Wald intervals at `level` where the fit gave none of its own."""
    estimate, error, low, high = (np.asarray(results[name], dtype=float) for name in VALUES)
    half = norm.ppf(0.5 + level / 2) * error
    low, high = np.where(np.isnan(low), estimate - half, low), np.where(np.isnan(high), estimate + half, high)
    return Sample(estimate, error, low, high, truth)


def measures_of(sample: Sample) -> Iterator[Measure]:
    """All measures that the sample allows, in the order of `MEASURES`."""
    found = {m.measure: m for m in [*_of_estimates(sample), *_of_errors(sample), *_of_intervals(sample)]}
    return (found[name] for name in MEASURES if name in found)


def rate(name: str, events: np.ndarray) -> Measure:
    """A share, with its binomial standard error."""
    n = len(events)
    share = float(np.mean(events)) if n else np.nan
    return Measure(name, share, float(np.sqrt(share * (1 - share) / n)) if n else np.nan, n)


def _of_estimates(sample: Sample) -> Iterator[Measure]:
    estimate, truth, n = sample.estimate, sample.truth, len(sample.estimate)
    if not n:
        return
    spread = _deviation(estimate)
    yield Measure("empirical_se", spread, spread / np.sqrt(2 * (n - 1)) if n > 1 else np.nan, n)
    if np.isnan(truth):
        return
    mean, square = float(np.mean(estimate)), (estimate - truth) ** 2
    yield Measure("bias", mean - truth, spread / np.sqrt(n), n)
    if truth != 0:
        yield Measure("relative_bias", mean / truth - 1, spread / np.sqrt(n) / abs(truth), n)
    mse, error = float(np.mean(square)), _deviation(square) / np.sqrt(n)
    yield Measure("mse", mse, error, n)
    yield Measure("rmse", np.sqrt(mse), error / (2 * np.sqrt(mse)) if mse > 0 else np.nan, n)


def _of_errors(sample: Sample) -> Iterator[Measure]:
    """Over the replicates that reported a standard error; compared with the spread of the same ones."""
    known = np.isfinite(sample.std_error)
    variance, n = sample.std_error[known] ** 2, int(known.sum())
    if not n:
        return
    model, wobble = float(np.sqrt(np.mean(variance))), _deviation(variance)
    yield Measure("model_se", model, wobble / (2 * np.sqrt(n) * model) if model > 0 else np.nan, n)
    spread = _deviation(sample.estimate[known])
    if n > 1 and spread > 0 and model > 0:
        ratio = model / spread
        error = ratio * np.sqrt(wobble**2 / (4 * n * model**4) + 1 / (2 * (n - 1)))
        yield Measure("relative_error_se", ratio - 1, float(error), n)


def _of_intervals(sample: Sample) -> Iterator[Measure]:
    low, high, truth = sample.conf_low, sample.conf_high, sample.truth
    known = ~(np.isnan(low) | np.isnan(high))
    if not known.any():
        return
    low, high, mean = low[known], high[known], float(np.mean(sample.estimate[known]))
    if not np.isnan(truth):
        yield rate("coverage", (low <= truth) & (truth <= high))
    yield rate("bias_eliminated_coverage", (low <= mean) & (mean <= high))
    yield rate("rejection", (low > 0) | (high < 0))


def _deviation(values: np.ndarray) -> float:
    """Standard deviation with n - 1; NaN of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
