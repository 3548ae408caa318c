"""Rubin's rules: one estimate from fits to multiply imputed data.

    b = mean b_m,  V = mean V_m + (1 + 1/M) B,  B = covariance of the b_m

with degrees of freedom of Barnard and Rubin (1999, Biometrika 86). Reference: Rubin (1987), Multiple Imputation for
Nonresponse in Surveys.
"""

from typing import NamedTuple

import numpy as np


class Pool(NamedTuple):
    """Estimate (p,), covariance (p, p), degrees of freedom (p,) and fraction of missing information (p,)."""

    estimate: np.ndarray
    covariance: np.ndarray
    df: np.ndarray
    missing_information: np.ndarray


def pool(estimates: np.ndarray, covariances: np.ndarray, residual_df: float) -> Pool:
    """Combine `estimates` (M, p) and `covariances` (M, p, p); `residual_df` = units - p of the complete data."""
    count = len(estimates)
    within = covariances.mean(axis=0)
    between = np.cov(estimates.T).reshape(within.shape)
    extra = (1 + 1 / count) * between
    total = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.diag(extra) / np.diag(total)
        large = (count - 1) / share**2
        observed = (residual_df + 1) / (residual_df + 3) * residual_df * (1 - share)
        df = 1 / (1 / large + 1 / observed)
        ratio = np.diag(extra) / np.diag(within)
        missing = (ratio + 2 / (df + 3)) / (1 + ratio)
    return Pool(estimates.mean(axis=0), total, df, missing)
