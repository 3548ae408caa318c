"""Log-normal: `log f(y) = log phi((log y - mean_log) / sigma) - log sigma - log y`, sigma with a log link.

Reference: Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 14.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Parameter, Tails
from mixstat.families._host import positive_with_log
from mixstat.families.gaussian import Gaussian


@dataclass(frozen=True)
class Lognormal(Gaussian):
    """Gaussian in `log y`; `data` holds y and log y."""

    name: ClassVar[str] = "lognormal"
    safe_value: ClassVar[float] = 1.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean_log", location=True), Parameter("sigma", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        return positive_with_log(y, name, self.name)

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        return super().log_density(eta, data[1:]) - data[1]

    def mean(self, eta: Sequence[Array]) -> Array:
        return jnp.exp(eta[0] + 0.5 * jnp.exp(2.0 * eta[1]))

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        with np.errstate(divide="ignore"):
            return super().tails(eta, np.log(np.maximum(y, 0.0)))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        return np.exp(super().sample(rng, eta, data))

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return super().start(data[1:], weight)

    def residuals(self, eta: Sequence[Array], data: Array) -> Array:
        return super().residuals(eta, data[1:])
