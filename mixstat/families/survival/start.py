"""Where fits start: on the host, from moments of log times and the number of events."""

import numpy as np
from scipy.special import logsumexp

PRIOR_EVENTS = 2.0
"""Events that the spread of all log times counts for beside that of the events."""
FAR, HALVINGS = 40.0, 50


def spread(log_time: np.ndarray, events: np.ndarray, weight: np.ndarray) -> float:
    """Standard deviation of the log times of events (weights `events`), of few drawn towards that of all rows."""
    everybody = _variance(log_time, weight)
    count = np.count_nonzero(events)
    if count < 2:
        return float(np.sqrt(everybody))
    return float(np.sqrt((count * _variance(log_time, events) + PRIOR_EVENTS * everybody) / (count + PRIOR_EVENTS)))


def _variance(values: np.ndarray, weight: np.ndarray) -> float:
    centre = np.average(values, weights=weight)
    return float(np.average((values - centre) ** 2, weights=weight))


def log_sum_of_totals(u: np.ndarray, nu: float, weight: np.ndarray) -> float:
    """log of the weighted sum of H0 at log z = u."""
    seen = weight > 0
    return float(logsumexp(log_total(u[seen], nu), b=weight[seen]))


def scale_for(power: float, log_time: np.ndarray, nu: float, weight: np.ndarray, log_events: float) -> float:
    """log phi at which H0((phi t)^power) adds up to the number of events."""
    seen = log_time[weight > 0]
    low, high = -float(seen.max()) - FAR / power, FAR / power - float(seen.min())
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = log_sum_of_totals(power * (middle + log_time), nu, weight) > log_events
        low, high = (low, middle) if above else (middle, high)
    return 0.5 * (low + high)


def log_total(u: np.ndarray, nu: float) -> np.ndarray:
    """log H0 at log z = u and nu = log(kappa + 1)."""
    w = np.exp(-nu)
    with np.errstate(over="ignore"):
        soft = np.where(u - nu < -30.0, 0.0, np.logaddexp(0.0, u - nu))
        log_b = np.where(u - nu < -30.0, u, nu + np.log(np.where(soft > 0, soft, 1.0)))
        step = (1.0 - w) * np.exp(np.minimum(log_b, 690.0))
    near, far = np.abs(step) < 1e-8, step > 30.0
    inner = np.where(near | far, 1.0, step)
    rise = np.log(np.expm1(inner) / inner)
    return log_b + np.where(near, 0.5 * step, np.where(far, step - np.log(np.where(far, step, 1.0)), rise))
