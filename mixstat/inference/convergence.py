"""Convergence of chains: split r-hat and the effective number of draws.

    r_hat = sqrt((n - 1) / n + B / (n W)),     ess = m n / (1 + 2 sum_t rho_t)

B and W are the variances between and within the m half-chains of length n; autocorrelations rho_t are summed up to the
first negative pair and made monotone (Geyer, 1992). (Gelman et al., 2013, Bayesian Data Analysis, section 11.4 and
11.5.)
"""

import numpy as np


def split(draws: np.ndarray) -> np.ndarray:
    """(chain, draw, ...) -> (2 chain, draw // 2, ...); the middle draw of an odd number is left out."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, draws.shape[1] - half :]])


def r_hat(draws: np.ndarray) -> np.ndarray:
    """(parameter,) from (chain, draw, parameter); NaN under four draws or where nothing moves."""
    halves = split(draws)
    if halves.shape[1] < 2:
        return np.full(draws.shape[2], np.nan)
    within, total = _variances(halves)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(total / within)


def effective_size(draws: np.ndarray) -> np.ndarray:
    """(parameter,) from (chain, draw, parameter); NaN under four draws or where nothing moves."""
    halves = split(draws)
    chains, length, parameters = halves.shape
    if length < 2:
        return np.full(parameters, np.nan)
    within, total = _variances(halves)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = 1 - (within - _autocovariance(halves) * length / (length - 1)) / total
    size = np.full(parameters, np.nan)
    for place in np.flatnonzero(within > 0):
        size[place] = chains * length / _integrated_time(correlation[:, place], chains * length)
    return size


def _variances(halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(W, the pooled estimate (n - 1) W / n + B / n)."""
    length = halves.shape[1]
    within = halves.var(axis=1, ddof=1).mean(axis=0)
    return within, within * (length - 1) / length + halves.mean(axis=1).var(axis=0, ddof=1)


def _autocovariance(halves: np.ndarray) -> np.ndarray:
    """(lag, parameter), averaged over chains, divided by the length."""
    length = halves.shape[1]
    centred = halves - halves.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, 2 * length, axis=1)) ** 2
    return np.fft.irfft(power, axis=1)[:, :length].mean(axis=0) / length


def _integrated_time(correlation: np.ndarray, total: int) -> float:
    """-1 + 2 sum of pairs rho_2t + rho_2t+1, positive and falling; at least 1 / log10(draws), for antithetic chains."""
    paired = correlation.copy()
    paired[0] = 1.0
    pairs = paired[: len(paired) // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    kept = pairs[: negative[0]] if len(negative) else pairs
    return float(max(2 * np.minimum.accumulate(kept).sum() - 1, 1 / np.log10(total)))
