"""Multivariate Gaussian by its modified Cholesky factor: `log f(y) = sum_j [-log sigma_j - z_j^2/2 - log(2 pi)/2]`,
`z_j = (y_j - mean_j - sum_{i<j} a_ji (y_i - mean_i)) / sigma_j`.

sigma_j is the standard deviation of response j given the earlier ones and a_ji ("dependence") its regression
coefficient on response i, so every value of the predictors is a valid covariance.
Reference: Pourahmadi (1999), Joint mean-covariance models, Biometrika 86, 677-690.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter
from mixstat.core.special import HALF_LOG_TWO_PI
from mixstat.exceptions import DataError
from mixstat.families._host import check, log_scale, numeric, real, row_shape, solve, spread, usable


@dataclass(frozen=True)
class MultivariateGaussian(Family):
    """`covariance` is "full" or "diagonal" (then there is no dependence); `data` holds the responses (d, row)."""

    responses: tuple[str, ...] = ()
    covariance: str = "full"
    name: ClassVar[str] = "multivariate_gaussian"
    unbounded: ClassVar[bool] = True
    has_closed_form: ClassVar[bool] = True
    safe_value: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if self.covariance not in ("full", "diagonal"):
            raise ValueError(f"covariance must be 'full' or 'diagonal', got {self.covariance!r}")

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(j, i) of each dependence, i < j."""
        return tuple((j, i) for j in range(self.dimension) for i in range(j)) if self.covariance == "full" else ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        y = self.responses
        means = tuple(Parameter(f"mean[{r}]", location=True, key="mean") for r in y)
        sigmas = tuple(Parameter(f"sigma[{r}]", "log", key="sigma") for r in y)
        return means + sigmas + tuple(Parameter(f"dependence[{y[j]},{y[i]}]", key="dependence") for j, i in self.pairs)

    @property
    def dimension(self) -> int:
        return len(self.responses)

    def specialize(self, names: Sequence[str], levels: Sequence | None) -> "MultivariateGaussian":
        return replace(self, responses=tuple(names))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        y = numeric(y, name, self.name)
        y = y[:, None] if y.ndim == 1 else y
        if y.ndim != 2 or y.shape[1] != self.dimension:
            wanted = f"{self.dimension} response columns {list(self.responses)}"
            raise DataError(f"{self.name} needs {wanted}; '{name}' has shape {y.shape}")
        for response, values in zip(self.responses, y.T, strict=True):
            check(values, response, self.name, real(values), "finite numbers", "remove or mark them as missing")
        return np.ascontiguousarray(y.T)

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        d = self.dimension
        errors = [data[j] - eta[j] for j in range(d)]
        remaining = list(errors)
        for (j, i), a in zip(self.pairs, eta[2 * d :], strict=True):
            remaining[j] = remaining[j] - a * errors[i]
        terms = [-0.5 * (e * jnp.exp(-s)) ** 2 - s for e, s in zip(remaining, eta[d : 2 * d], strict=True)]
        return sum(terms[1:], terms[0]) - d * HALF_LOG_TWO_PI

    def mean(self, eta: Sequence[Array]) -> Array:
        return jnp.stack(jnp.broadcast_arrays(*eta[: self.dimension]))

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        d = self.dimension
        errors = np.exp(np.stack(np.broadcast_arrays(*eta[d : 2 * d]))) * rng.normal(size=(d, *row_shape(eta, data)))
        for (j, i), a in zip(self.pairs, eta[2 * d :], strict=True):
            errors[j] += a * errors[i]
        return (np.stack(np.broadcast_arrays(*eta[:d])) + errors).T

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = usable(data, weight)
        data = np.where(weight > 0, data, 0.0)
        mean = data @ weight / max(weight.sum(), 1.0)
        error = data - mean[:, None]
        covariance = (error * weight) @ error.T / max(weight.sum(), 1.0)
        floor = [spread(v**0.5, m) ** 2 for v, m in zip(np.diag(covariance), mean, strict=True)]
        np.fill_diagonal(covariance, 1.0001 * np.array(floor))
        return np.concatenate([mean, self._factor(covariance, np.diag(covariance), 1.0)])

    def residuals(self, eta: Sequence[Array], data: Array) -> Array:
        return jnp.stack([data[j] - eta[j] for j in range(self.dimension)])

    def fit_scatter(self, scatter: np.ndarray, total: np.ndarray, weight: float) -> np.ndarray:
        return self._factor(scatter, total, weight)

    def scatter_log_density(self, constants: Array, scatter: Array, weight: Array) -> Array:
        d = self.dimension
        factor = jnp.eye(d)
        if self.pairs:
            rows, columns = np.array(self.pairs).T
            factor = factor.at[rows, columns].set(-constants[d:])
        residual = jnp.einsum("ji,ik,jk->j", factor, scatter, factor)
        return -weight * jnp.sum(constants[:d]) - 0.5 * jnp.sum(residual * jnp.exp(-2.0 * constants[:d]))

    def _factor(self, scatter: np.ndarray, total: np.ndarray, weight: float) -> np.ndarray:
        """log sigma (d,) and dependence of a scatter matrix (d, d): each response regressed on the earlier ones."""
        d = self.dimension
        sigma = np.zeros(d)
        dependence: list[float] = []
        for j in range(d):
            earlier = scatter[:j, j] if self.covariance == "full" else np.zeros(0)
            a = solve(scatter[: len(earlier), : len(earlier)], earlier)
            sigma[j] = log_scale(scatter[j, j] - earlier @ a, float(total[j]), weight)
            dependence.extend(a)
        return np.concatenate([sigma, dependence])

    def covariance_matrix(self, eta: Sequence[np.ndarray]) -> np.ndarray:
        """The covariance matrix (d, d) of constant predictors, each of one entry."""
        d = self.dimension
        values = np.array([np.asarray(e, dtype=np.float64).reshape(()) for e in eta])
        unit = np.eye(d)
        for (j, i), a in zip(self.pairs, values[2 * d :], strict=True):
            unit[j, i] = -a
        factor = np.linalg.solve(unit, np.diag(np.exp(values[d : 2 * d])))
        return factor @ factor.T


@dataclass(frozen=True)
class DiagonalGaussian(MultivariateGaussian):
    """Responses independent given the expert."""

    covariance: str = "diagonal"
    name: ClassVar[str] = "diagonal_gaussian"
