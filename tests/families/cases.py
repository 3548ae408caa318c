"""One or more truths a family: the family, its predictors, and scipy's distribution with the same law."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mixstat.core.family import Family
from mixstat.families import get_family

LEVELS = ("a", "b", "c")

_density = jax.jit(lambda family, eta, data: family.log_density(tuple(eta), data), static_argnums=0)
_derivatives = jax.jit(lambda family, eta, data: family.score_and_curvature(eta, data), static_argnums=0)


def _pad(values: np.ndarray, rows: int) -> jax.Array:
    """Repeat the last row up to a power of 8, so that few shapes are compiled."""
    size = 8
    while size < rows:
        size *= 8
    values = np.asarray(values)
    return jnp.asarray(np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, size - values.shape[-1])], mode="edge"))


def density(family: Family, eta: np.ndarray, data: np.ndarray) -> np.ndarray:
    """log f of rows; eta (P, row), data (m, row)."""
    rows = data.shape[-1]
    return np.asarray(_density(family, _pad(eta, rows), _pad(data, rows)))[:rows]


def derivatives(family: Family, eta: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score (P, row) and curvature (P, P, row)."""
    rows = data.shape[-1]
    score, curvature = _derivatives(family, _pad(eta, rows), _pad(data, rows))
    return np.asarray(score)[:, :rows], np.asarray(curvature)[..., :rows]


@dataclass(frozen=True)
class Case:
    name: str
    eta: tuple[float, ...]
    scipy: Callable[..., Any]
    support: str
    trials: int = 1

    @property
    def family(self) -> Family:
        family = get_family(self.name)
        if self.support == "levels":
            return family.specialize(["y"], LEVELS)
        return family.specialize(["y1", "y2"] if self.support == "plane" else ["y"], None)

    @property
    def constants(self) -> tuple[np.ndarray, ...]:
        """Predictors (1,)."""
        return tuple(np.array([e]) for e in self.eta)

    def encode(self, y: np.ndarray) -> np.ndarray:
        if self.trials > 1:
            y = np.stack([y, np.full(len(y), float(self.trials))], axis=1)
        return self.family.encode(y, "y")

    def sample(self, size: int, seed: int = 0) -> np.ndarray:
        eta = tuple(np.full(size, e) for e in self.eta)
        trials = self.encode(np.zeros(size)) if self.trials > 1 else None
        return self.family.sample(np.random.default_rng(seed), eta, trials)

    def __str__(self) -> str:
        return f"{self.name}{self.eta}"


def _chance(eta: float) -> float:
    return float(1 / (1 + np.exp(-eta)))


def _beta(mean: float, precision: float) -> Any:
    m, phi = _chance(mean), np.exp(precision)
    return stats.beta(m * phi, (1 - m) * phi)


def _negative_binomial(mean: float, dispersion: float) -> Any:
    size = np.exp(-dispersion)
    return stats.nbinom(size, size / (size + np.exp(mean)))


class _Categorical:
    def __init__(self, *eta: float) -> None:
        self.p = np.exp([0.0, *eta]) / np.exp([0.0, *eta]).sum()

    def logpmf(self, y: np.ndarray) -> np.ndarray:
        return np.log(self.p[y.astype(int)])


def _plane(m1: float, m2: float, s1: float, s2: float, a: float = 0.0) -> Any:
    v1, v2 = np.exp(2 * s1), np.exp(2 * s2)
    return stats.multivariate_normal([m1, m2], [[v1, a * v1], [a * v1, v2 + a * a * v1]])


CASES = [
    Case("gaussian", (1.3, 0.4), lambda m, s: stats.norm(m, np.exp(s)), "line"),
    Case("student_t", (-0.7, 0.2, 1.6), lambda m, s, d: stats.t(np.exp(d), m, np.exp(s)), "line"),
    Case("student_t", (0.5, -0.3, 4.0), lambda m, s, d: stats.t(np.exp(d), m, np.exp(s)), "line"),
    Case("lognormal", (0.4, -0.5), lambda m, s: stats.lognorm(np.exp(s), scale=np.exp(m)), "half"),
    Case("gamma", (1.1, 0.6), lambda m, a: stats.gamma(np.exp(a), scale=np.exp(m - a)), "half"),
    Case("gamma", (-2.0, -0.5), lambda m, a: stats.gamma(np.exp(a), scale=np.exp(m - a)), "half"),
    Case("inverse_gaussian", (0.3, 0.9), lambda m, a: stats.invgauss(np.exp(m - a), scale=np.exp(a)), "half"),
    Case("beta", (0.7, 1.5), _beta, "unit"),
    Case("beta", (-1.2, 4.0), _beta, "unit"),
    Case("poisson", (1.4,), lambda m: stats.poisson(np.exp(m)), "counts"),
    Case("poisson", (-2.0,), lambda m: stats.poisson(np.exp(m)), "counts"),
    Case("negative_binomial", (1.2, -0.4), _negative_binomial, "counts"),
    Case("negative_binomial", (2.5, -8.0), _negative_binomial, "counts"),
    Case("binomial", (-0.6,), lambda m: stats.binom(1, _chance(m)), "counts"),
    Case("binomial", (0.8,), lambda m: stats.binom(12, _chance(m)), "counts", trials=12),
    Case("categorical", (0.5, -0.9), _Categorical, "levels"),
    Case("multivariate_gaussian", (0.5, -1.0, 0.2, -0.3, 0.7), _plane, "plane"),
    Case("diagonal_gaussian", (0.5, -1.0, 0.2, -0.3), _plane, "plane"),
]
