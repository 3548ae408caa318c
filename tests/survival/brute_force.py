"""Likelihoods of survival times written out in numpy from textbook formulas, away from their limits.

H0(z) = (k+1)/k [(1 + z/(k+1))^k - 1]   (k = 0: log(1 + z); k infinite: e^z - 1),   H(t) = lambda H0((phi t)^gamma)
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp


class Law(NamedTuple):
    """One expert's parameters of every row; `kappa` is one number."""

    phi: np.ndarray | float = 1.0
    lam: np.ndarray | float = 1.0
    gamma: np.ndarray | float = 1.0
    kappa: float = 1.0

    def total(self, time: np.ndarray) -> np.ndarray:
        """H."""
        z = (self.phi * time) ** self.gamma
        if np.isinf(self.kappa):
            return self.lam * np.expm1(z)
        if self.kappa == 0:
            return self.lam * np.log1p(z)
        k = self.kappa
        return self.lam * (k + 1) / k * np.expm1(k * np.log1p(z / (k + 1)))

    def log_hazard(self, time: np.ndarray) -> np.ndarray:
        """log h."""
        z = (self.phi * time) ** self.gamma
        shape = z if np.isinf(self.kappa) else (self.kappa - 1) * np.log1p(z / (self.kappa + 1))
        return np.log(self.lam) + np.log(self.gamma) + np.log(z) - np.log(time) + shape

    def quantile(self, p: float | np.ndarray) -> np.ndarray:
        """Infinite beyond the share that ever has the event."""
        y = -np.log1p(-p) / self.lam
        if np.isinf(self.kappa):
            z = np.log1p(y)
        elif self.kappa == 0:
            z = np.expm1(y)
        else:
            base = 1 + self.kappa / (self.kappa + 1) * y
            with np.errstate(invalid="ignore"):
                z = np.where(base > 0, (self.kappa + 1) * (np.abs(base) ** (1 / self.kappa) - 1), np.inf)
        return z ** (1 / self.gamma) / self.phi


class Rows(NamedTuple):
    """(entry, lower, upper, background), as `mixstat.families.survival.times` has them."""

    entry: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    background: np.ndarray

    @classmethod
    def right(cls, time: np.ndarray, event: np.ndarray, entry: np.ndarray | float = 0.0) -> "Rows":
        """Right-censored, perhaps with late entry."""
        time = np.asarray(time, dtype=float)
        zero = np.zeros(len(time))
        return cls(zero + entry, time, np.where(np.asarray(event) == 1, time, np.inf), zero)


def log_term(law: Law, rows: Rows) -> np.ndarray:
    """log density of what was seen of each row, without the truncation."""
    found = np.empty(len(rows.lower))
    for i in range(len(found)):
        own = Law(*(np.broadcast_to(part, (len(found),))[i] for part in law[:3]), law.kappa)
        low, high = rows.lower[i], rows.upper[i]
        before = own.total(low) if low > 0 else 0.0
        if low == high:
            found[i] = np.log(rows.background[i] + np.exp(own.log_hazard(low))) - before
        elif np.isinf(high):
            found[i] = -before
        else:
            found[i] = np.log(np.exp(-before) - np.exp(-own.total(high)))
    return found


def log_entry(law: Law, rows: Rows) -> np.ndarray:
    """log S(entry)."""
    with np.errstate(divide="ignore"):
        return np.where(rows.entry > 0, -law.total(np.where(rows.entry > 0, rows.entry, 1.0)), 0.0)


def never(rows: Rows) -> np.ndarray:
    """log density for those to whom the event never comes."""
    with np.errstate(divide="ignore"):
        exact = np.where(rows.lower == rows.upper, np.log(rows.background), -np.inf)
    return np.where(np.isinf(rows.upper), 0.0, exact)


def mixture(log_gate: np.ndarray, terms: list[np.ndarray], entries: list[np.ndarray]) -> np.ndarray:
    """log sum_k pi_k f_k - log sum_k pi_k S_k(entry) of each row; `log_gate` (class, row)."""
    return logsumexp(log_gate + np.array(terms), axis=0) - logsumexp(log_gate + np.array(entries), axis=0)


def numeric_hessian(function, at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Second derivatives by central differences, extrapolated once."""

    def plain(h: float) -> np.ndarray:
        size = len(at)
        eye = np.eye(size) * h
        found = np.empty((size, size))
        for i in range(size):
            for j in range(i, size):
                found[i, j] = found[j, i] = (
                    function(at + eye[i] + eye[j])
                    - function(at + eye[i] - eye[j])
                    - function(at - eye[i] + eye[j])
                    + function(at - eye[i] - eye[j])
                ) / (4 * h * h)
        return found

    return (4 * plain(step) - plain(2 * step)) / 3


def coefficients(model) -> dict[str, float]:
    """Estimates by their names in `tidy()`."""
    return dict(zip(model.coefficient_names_, model.tidy()["estimate"], strict=True))


def simulate(
    rng: np.random.Generator, law: Law, latest: float, late: float = 0.0, **columns: np.ndarray
) -> pd.DataFrame:
    """entry, time, event and the covariates of those who are observed: uniform entry and censoring."""
    count = len(next(iter(columns.values())))
    time = law.quantile(rng.random(count))
    entry = rng.uniform(0, late, count) if late else np.zeros(count)
    end = entry + rng.uniform(0, latest, count)
    table = pd.DataFrame({"entry": entry, "time": np.minimum(time, end), "event": (time <= end).astype(int), **columns})
    return table[time > entry].reset_index(drop=True)
