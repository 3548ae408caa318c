"""Logistic: `log f(y) = -z - 2 log(1 + e^-z) - log sigma`, z = (y - mean) / sigma, sigma with a log link.

Heavier tails than the Gaussian and a bounded score. Reference: Johnson, Kotz and Balakrishnan (1995), Continuous
Univariate Distributions 2, chapter 23.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np

import mixstat as ms


@dataclass(frozen=True)
class Logistic(ms.Family):
    """A user's family: the two linear predictors are `mean` and `sigma` (log link)."""

    name: ClassVar[str] = "logistic"
    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[ms.Parameter, ...]:
        return (ms.Parameter("mean", location=True), ms.Parameter("sigma", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        y = np.asarray(y, dtype=np.float64)
        if y.ndim != 1 or np.isinf(y).any():
            raise ms.DataError(f"logistic needs one column of finite numbers; check column '{name}'")
        return y[None]

    def log_density(self, eta: Sequence[Any], data: Any) -> Any:
        z = (data[0] - eta[0]) * jax.numpy.exp(-eta[1])
        return -z - 2.0 * jax.nn.softplus(-z) - eta[1]

    def mean(self, eta: Sequence[Any]) -> Any:
        return eta[0]

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        rows = np.broadcast_shapes(eta[0].shape, eta[1].shape, () if data is None else data.shape[-1:])
        return rng.logistic(eta[0], np.exp(eta[1]), rows)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = np.where(np.isfinite(data[0]), weight, 0.0)
        weight = weight if weight.any() else np.isfinite(data[0]).astype(float)
        y, share = np.nan_to_num(data[0]), weight / weight.sum()
        mean = share @ y
        deviation = np.sqrt(share @ (y - mean) ** 2)
        return np.array([mean, np.log(max(np.sqrt(3) / np.pi * deviation, 1e-3 * max(abs(mean), 1.0)))])
