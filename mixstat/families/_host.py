"""What the families share on the host: checks of a response, weighted summaries, least squares from moments."""

from collections.abc import Callable, Sequence

import numpy as np

from mixstat.core.special import HALF_LOG_TWO_PI, stirling_error
from mixstat.exceptions import DataError

TINY = float(np.finfo(np.float64).tiny)
EPSILON = float(np.finfo(np.float64).eps)
VARIANCE_FLOOR = 1e-200


def real(y: np.ndarray) -> np.ndarray:
    return np.isfinite(y)


def positive(y: np.ndarray) -> np.ndarray:
    return (y > 0) & np.isfinite(y)


def count(y: np.ndarray) -> np.ndarray:
    return (y >= 0) & np.isfinite(y) & (y == np.floor(y))


def numeric(y: np.ndarray, name: str, family: str) -> np.ndarray:
    try:
        return np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{family} needs numbers; column '{name}' does not hold numbers ({error})") from error


def check(y: np.ndarray, name: str, family: str, valid: np.ndarray, expected: str, advice: str) -> None:
    """Raise DataError if an entry of `y` is neither NaN nor `valid`."""
    bad = np.flatnonzero(~(valid | np.isnan(y)))
    if bad.size:
        what = "1 value that is" if bad.size == 1 else f"{bad.size} values that are"
        first = f"first: {float(y[bad[0]])!r}, row {bad[0]}"
        raise DataError(f"{family} needs {expected}; column '{name}' holds {what} not ({first}); {advice}")


def column(
    y: np.ndarray, name: str, family: str, valid: Callable[[np.ndarray], np.ndarray], expected: str, advice: str
) -> np.ndarray:
    """The response as one float64 column, checked."""
    y = numeric(y, name, family)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{family} needs one response column; '{name}' has shape {y.shape}; give a single column")
    check(y, name, family, valid(y), expected, advice)
    return y


def count_data(y: np.ndarray) -> np.ndarray:
    """Rows y, log y (0 where y is 0) and `y log y - y - log y!`, the log-density of a Poisson count at its own mean."""
    safe = np.where(y == 0, 1.0, y)
    log_y = np.log(safe)
    saturated = -HALF_LOG_TWO_PI - 0.5 * log_y - stirling_error(safe, log_y, np)
    return np.stack([y, log_y, np.where(y == 0, 0.0, saturated)])


def row_shape(eta: Sequence[np.ndarray], data: np.ndarray | None) -> tuple[int, ...]:
    """Shape of one draw a row."""
    return np.broadcast_shapes(*(np.shape(e) for e in eta), (1,) if data is None else np.shape(data)[-1:])


def usable(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weights, 0 where any of `values` (m, row) is not finite; all 1 if nothing is left."""
    weight = np.where(np.isfinite(np.atleast_2d(values)).all(axis=0) & (weight > 0), weight, 0.0)
    return weight if weight.sum() > 0 else np.isfinite(np.atleast_2d(values)).all(axis=0).astype(np.float64)


def mean_and_variance(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Weighted mean and variance, (0, 0) without a usable value."""
    weight = usable(values, weight)
    total, values = weight.sum(), np.where(weight > 0, values, 0.0)
    if total <= 0:
        return 0.0, 0.0
    mean = float(weight @ values / total)
    return mean, float(weight @ (values - mean) ** 2 / total)


def positive_with_log(y: np.ndarray, name: str, family: str) -> np.ndarray:
    """The data of families on y > 0: y and log y (2, row)."""
    advice = "remove them, or model zeros apart with a point mass"
    y = column(y, name, family, positive, "finite numbers above 0", advice)
    return np.stack([y, np.log(y)])


def median(values: np.ndarray, weight: np.ndarray) -> float:
    """Weighted median, 0 without a usable value."""
    weight = usable(values, weight)
    values, weight = values[weight > 0], weight[weight > 0]
    if not values.size:
        return 0.0
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())])


def spread(scale: float, location: float) -> float:
    """`scale`, or a thousandth of the location's size where it is zero: a standard deviation to start from."""
    size = max(abs(location), 1.0)
    return float(np.clip(scale, 1e-8 * size, 1e150)) if scale > 1e-8 * size else 1e-3 * size


def solve(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Least-norm solution of `gram x = right`, gram (c, c) positive semi-definite, perhaps singular or zero."""
    scale = np.sqrt(np.maximum(np.diag(gram), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(gram * inverse[:, None] * inverse)
    kept = values > 64 * len(values) * EPSILON
    reciprocal = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    scaled = (right.T * inverse).T
    return ((vectors @ ((vectors.T @ scaled).T * reciprocal).T).T * inverse).T


def log_scale(residual: float, total: float, weight: float) -> float:
    """Half the log of `residual / weight`, floored at the rounding error of `total` (the sum before the fit)."""
    if not weight > 0:
        return 0.0
    return 0.5 * float(np.log(max(residual / weight, EPSILON * total / weight, VARIANCE_FLOOR)))
