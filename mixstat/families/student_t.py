"""Student t: `f(y) = Gamma((df+1)/2) / (Gamma(df/2) sqrt(df pi) sigma) (1 + z^2/df)^(-(df+1)/2)`, z = (y - mean)/sigma.

Reference: Lange, Little and Taylor (1989), Robust statistical modeling using the t distribution, JASA 84, 881-896.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.special import betaln, log_ndtr

from mixstat.core.family import Array, Family, Parameter, Tails
from mixstat.core.special import FLAT, HALF_LOG_TWO_PI, scaled_log1p, stirling_error
from mixstat.families._host import column, median, real, row_shape, spread
from mixstat.families._tails import beta_tails

LOG_TWO = 0.6931471805599453
START_DF = 5.0
GAUSSIAN_DF = 1e7
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

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        df = np.exp(np.clip(eta[2], -FLAT, FLAT))
        z = (y - eta[0]) * np.exp(-eta[1])
        outer = _log_outer_tail(df, np.abs(z))
        inner = np.log1p(-np.exp(outer))
        return Tails(np.where(z < 0, outer, inner), np.where(z < 0, inner, outer))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        df = np.exp(np.clip(eta[2], -FLAT, FLAT))
        with np.errstate(over="ignore"):
            draw = eta[0] + np.exp(eta[1]) * rng.standard_t(df, row_shape(eta, data))
        return np.clip(draw, -LARGEST, LARGEST)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        centre = median(data[0], weight)
        scale = spread(1.3 * median(np.abs(data[0] - centre), weight), centre)
        return np.array([centre, np.log(scale), np.log(START_DF)])


def _log_outer_tail(df: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log P(T > z), z >= 0: half an incomplete beta function; its leading power far out; nearly Gaussian at huge df.

    Reference: Wallace (1959), Bounds on normal approximations to Student's and the chi-square distributions, Annals of
    Mathematical Statistics 30, 1121-1130.
    """
    with np.errstate(divide="ignore"):
        log_ratio = 2.0 * np.log(z) - np.log(df)
    log_x, log_rest = -np.logaddexp(0.0, log_ratio), -np.logaddexp(0.0, -log_ratio)
    half = 0.5 * np.minimum(df, GAUSSIAN_DF)
    inner = beta_tails(half, np.array(0.5), np.exp(log_x), np.exp(log_rest)).lower
    power = half * log_x - np.log(half) - betaln(half, 0.5)
    gaussian = LOG_TWO + log_ndtr(-np.sqrt(-log_x * df) * (df + 0.125) / (df + 0.375))
    return np.where(df > GAUSSIAN_DF, gaussian, np.where(log_x < -600.0, power, inner)) - LOG_TWO
