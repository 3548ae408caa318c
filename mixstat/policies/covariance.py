"""Covariances of Gaussian experts, `u_j - mu_j = sum_{i<j} a_ji (u_i - mu_i) + sigma_j z_j`, z standard normal.

The modified Cholesky factor of `families.multivariate_gaussian`: every value of (log sigma, a) is a covariance, and a
density needs no triangular solution. Without `dependence` (the a_ji) the covariance is diagonal.
Reference: Pourahmadi (1999), Biometrika 86, 677-690.
"""

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array
from mixstat.families.gaussian import Gaussian
from mixstat.families.multivariate_gaussian import MultivariateGaussian

GAUSSIAN = Gaussian()


def pairs(size: int) -> tuple[tuple[int, int], ...]:
    """(j, i) of every entry of `dependence`, i < j."""
    return tuple((j, i) for j in range(size) for i in range(j))


def log_density(u: Array, mean: Array, log_sd: Array, dependence: Array | None) -> Array:
    """log N(u) over the last axis; arguments broadcast."""
    if dependence is None:
        return jnp.sum(GAUSSIAN.log_density((mean, log_sd), u[None]), axis=-1)
    size = mean.shape[-1]
    family = MultivariateGaussian(responses=tuple(map(str, range(size))))
    eta = [value[..., j] for value in (mean, log_sd, dependence) for j in range(value.shape[-1])]
    return family.log_density(eta, [u[..., j] for j in range(size)])


def errors(z: Array, log_sd: Array, dependence: Array | None) -> Array:
    """u - mu of standard normal draws z (..., D)."""
    scaled = jnp.exp(log_sd) * z
    if dependence is None:
        return scaled
    found = [scaled[..., j] for j in range(scaled.shape[-1])]
    for place, (j, i) in enumerate(pairs(len(found))):
        found[j] = found[j] + dependence[..., place] * found[i]
    return jnp.stack(found, axis=-1)


def factor(log_sd: Array, dependence: Array | None) -> Array:
    """L (..., D, D), lower triangular, of the covariance L L'."""
    size = log_sd.shape[-1]
    unit = jnp.eye(size, dtype=log_sd.dtype)
    columns = [errors(unit[j], log_sd, dependence) for j in range(size)]
    return jnp.stack(columns, axis=-1)


def marginal_sd(log_sd: Array, dependence: Array | None) -> Array:
    """Standard deviation of every coordinate (..., D)."""
    if dependence is None:
        return jnp.exp(log_sd)
    return jnp.sqrt(jnp.sum(factor(log_sd, dependence) ** 2, axis=-1))


def from_covariance(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log sigma, dependence) of covariance matrices (..., D, D), on the host."""
    lower = np.linalg.cholesky(covariance)
    sd = np.diagonal(lower, axis1=-2, axis2=-1)
    inverse = np.linalg.inv(lower / sd[..., None, :])
    rows = pairs(covariance.shape[-1])
    dependence = np.stack([-inverse[..., j, i] for j, i in rows], axis=-1) if rows else np.zeros((*sd.shape[:-1], 0))
    return np.log(sd), dependence
