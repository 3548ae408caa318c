"""Tests of hypotheses: Wald, likelihood-ratio and score tests from numbers alone.

Wald (1943): W = (R b - q)' (R V R')^-1 (R b - q); likelihood ratio (Wilks, 1938): 2 (l_1 - l_0); score (Rao, 1948):
S = s' I^-1 s at the restricted estimate. Each is chi-square with as many degrees of freedom as restrictions.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chi2

from mixstat.fit.linear_algebra import invert
from mixstat.fit.precision import double

RANK = 1e-10
"""Relative eigenvalue under which restrictions count as linearly dependent."""


class ChiSquare(NamedTuple):
    """A chi-square statistic with its degrees of freedom and upper tail probability."""

    statistic: float
    df: int
    p_value: float


def chi_square(statistic: float, df: int) -> ChiSquare:
    """The result of a statistic that is chi-square under the hypothesis."""
    return ChiSquare(float(statistic), int(df), float(chi2.sf(statistic, df)) if df else 1.0)


def wald(estimate: np.ndarray, covariance: np.ndarray, restriction: np.ndarray, value: np.ndarray) -> ChiSquare:
    """Test of `restriction @ b = value`; dependent restrictions count once. NaN where b has no standard error."""
    used = (restriction != 0).any(axis=0)
    if np.isnan(covariance[np.ix_(used, used)]).any():
        return ChiSquare(np.nan, len(restriction), np.nan)
    part = restriction[:, used]
    gap, spread = restriction @ estimate - value, part @ covariance[np.ix_(used, used)] @ part.T
    scale = np.sqrt(np.maximum(np.diag(spread), 1e-300))
    values, vectors = np.linalg.eigh(spread / np.outer(scale, scale))
    kept = values > RANK * max(values[-1], 1.0)
    inner = vectors[:, kept].T @ (gap / scale)
    return chi_square(float(inner @ (inner / values[kept])), int(kept.sum()))


def likelihood_ratio(restricted: float, full: float, df: int) -> ChiSquare:
    """2 (full - restricted), two log-likelihoods at their maxima."""
    return chi_square(max(2 * (full - restricted), 0.0), df)


def score_test(gradient: np.ndarray, information: np.ndarray, df: int) -> ChiSquare:
    """s' I^-1 s, with the gradient and information of the larger model at the smaller one's estimate."""
    inverse, flat = invert(information)
    if flat.any():
        return ChiSquare(np.nan, df, np.nan)
    return chi_square(float(gradient @ inverse @ gradient), df)


class Transformed(NamedTuple):
    """Names of the values g(b), the values, their Jacobian (value, b) and covariance (value, value)."""

    names: tuple[str, ...]
    estimate: np.ndarray
    jacobian: np.ndarray
    covariance: np.ndarray


@double
def delta(function: Callable, estimate: np.ndarray, covariance: np.ndarray) -> Transformed:
    """g(b) with covariance J V J' (Cramer, 1946); g gives a number, an array or a mapping of names to numbers.

    J comes from autodiff where jax can trace g, else from differences.
    """
    result = function(estimate)
    named = isinstance(result, Mapping)
    value = _flat(list(result.values()) if named else result)
    names = tuple(map(str, result)) if named else tuple(str(index) for index in range(len(value)))

    def plain(b: Any) -> Any:
        again = function(b)
        return list(again.values()) if named else again

    try:
        jacobian = np.asarray(jax.jacfwd(lambda b: jnp.ravel(jnp.asarray(plain(b))))(estimate))
    except (jax.errors.JAXTypeError, TypeError, AttributeError):
        jacobian = differences(lambda b: _flat(plain(b)), estimate)
    used = (jacobian != 0).any(axis=0)
    inner = jacobian[:, used] @ covariance[np.ix_(used, used)] @ jacobian[:, used].T
    return Transformed(names, value, jacobian, inner)


def _flat(result: Any) -> np.ndarray:
    return np.ravel(np.asarray(result, dtype=np.float64))


def differences(function: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> np.ndarray:
    """Jacobian (value, point) by central differences, extrapolated once (error of order h^4)."""
    columns = []
    for index in range(len(point)):
        step = np.zeros(len(point))
        step[index] = 1e-3 * max(abs(point[index]), 1.0)
        wide, narrow = (
            (function(point + h * step) - function(point - h * step)) / (2 * h * step[index]) for h in (1.0, 0.5)
        )
        columns.append((4 * narrow - wide) / 3)
    return np.stack(columns, axis=1) if columns else np.zeros((len(function(point)), 0))
