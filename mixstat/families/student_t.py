"""Student t: `f(y) = Gamma((df+1)/2) / (Gamma(df/2) sqrt(df pi) sigma) (1 + z^2/df)^(-(df+1)/2)`, z = (y - mean)/sigma.

Reference: Lange, Little and Taylor (1989), Robust statistical modeling using the t distribution, JASA 84, 881-896.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter
from mixstat.core.special import FLAT, HALF_LOG_TWO_PI, scaled_log1p, stirling_error
from mixstat.families._host import column, median, real, row_shape, spread

LOG_TWO = 0.6931471805599453
START_DF = 5.0
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class StudentT(Family):
    """`mean` is the location: the expectation where df > 1, the median always."""

    name: ClassVar[str] = "student_t"
    unbounded: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("mean", location=True), Parameter("sigma", "log"), Parameter("df", "log"))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        return column(y, name, self.name, real, "finite numbers", "remove or mark them as missing")[None]

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        log_half_df = jnp.clip(eta[2], -FLAT, FLAT) - LOG_TWO
        half_df = jnp.exp(log_half_df)
        z = (data[0] - eta[0]) * jnp.exp(-eta[1])
        half_square = 0.5 * z * z
        constant = (
            scaled_log1p(log_half_df, 0.5) - 0.5 + stirling_error(half_df + 0.5) - stirling_error(half_df, log_half_df)
        )
        tail = scaled_log1p(log_half_df, half_square) + 0.5 * jnp.log1p(half_square * jnp.exp(-log_half_df))
        return constant - tail - eta[1] - HALF_LOG_TWO_PI

    def mean(self, eta: Sequence[Array]) -> Array:
        return eta[0]

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        df = np.exp(np.clip(eta[2], -FLAT, FLAT))
        with np.errstate(over="ignore"):
            draw = eta[0] + np.exp(eta[1]) * rng.standard_t(df, row_shape(eta, data))
        return np.clip(draw, -LARGEST, LARGEST)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        centre = median(data[0], weight)
        scale = spread(1.3 * median(np.abs(data[0] - centre), weight), centre)
        return np.array([centre, np.log(scale), np.log(START_DF)])
