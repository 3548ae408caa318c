"""A subject's occasions as one Gaussian vector: a mean, random coefficients and residuals.

    y = mu + L zeta + e,    zeta ~ N(0, C C'),    e ~ N(0, R)

With W the inverse Cholesky factor of R, A = W L C and M = I + A'A, nothing of size occasions x occasions is formed:

    log f = -(n log 2 pi + log|R| + log|M| + |W r - A b|^2 + |b|^2) / 2,    b = M^-1 A' W r

(Laird and Ware, 1982, Biometrics 38). Both are sums of squares, so that nothing cancels for a small residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Family, Limit, Natural
from mixstat.core.special import HALF_LOG_TWO_PI
from mixstat.families.growth import boundaries
from mixstat.families.growth.algebra import Matrix, cholesky, solve_lower, solve_upper
from mixstat.families.growth.centring import Use
from mixstat.families.growth.coordinates import natural, passage
from mixstat.families.growth.curvature import score_and_curvature
from mixstat.families.growth.proportional import chain, expand
from mixstat.families.growth.random import RandomPart

if TYPE_CHECKING:
    from mixstat.families.growth.form import GrowthForm

Array = Any


class Roles(NamedTuple):
    """Places of predictors by what they do.

    linear   coefficients of the mean, in the order of the first columns of `basis`
    moving   groups of what acts nonlinearly (knots, rates, structured residuals), differentiated group by group
    entries  of the Cholesky factor C
    sigma    the log standard deviation of iid residuals, else -1
    """

    linear: tuple[int, ...]
    moving: tuple[tuple[int, ...], ...]
    entries: tuple[int, ...]
    sigma: int


class Occasions(NamedTuple):
    """A subject's data: y, seen (1 or 0), time, each (occasion, subject); columns (column, occasion, subject)."""

    y: Array
    seen: Array
    time: Array
    columns: Array


class Deviations(NamedTuple):
    """Given the class: whitened residual (occasion, subject) and loadings, b, Cholesky factor of M, log|R|."""

    residual: Array
    loadings: list[Array]
    mode: list[Array]
    factor: Matrix
    log_residual: Array


class Stated:
    """What a form of a subject's occasions states: its mean, loadings and residuals, from which all else follows."""

    @property
    def parts(self) -> "Sequence[tuple[int, GrowthForm]]":
        """(place of the first predictor of its mean, form) of every outcome."""
        raise NotImplementedError

    @property
    def roles(self) -> Roles:
        """What each predictor does."""
        raise NotImplementedError

    @property
    def basis_size(self) -> int:
        """How many columns `basis` has."""
        raise NotImplementedError

    @property
    def residual_rows(self) -> tuple[int, ...]:
        """Rows of `moments` whose sum is r."""
        return (0,)

    @property
    def column_rows(self) -> tuple[int, ...]:
        """Rows of `moments` of the columns of `basis`."""
        return tuple(range(1, 1 + self.basis_size))

    @property
    def random_places(self) -> tuple[int, ...]:
        """Where the random coefficients' loadings stand in (r, `basis`)."""
        raise NotImplementedError

    def read(self, data: Array) -> Occasions:
        """(field * occasion, subject) -> Occasions."""
        raise NotImplementedError

    def split(self, data: Array) -> list[Occasions]:
        """The occasions of each outcome."""
        return [self.read(data)]

    def write(self, occasions: Occasions) -> np.ndarray:
        """Occasions -> (field * occasion, subject)."""
        raise NotImplementedError

    def entered(self, data: np.ndarray) -> np.ndarray:
        """Data as they were given, in our coordinates."""
        raise NotImplementedError

    def centrings(self, data: np.ndarray, weight: np.ndarray, use: Use) -> "list[MixedModel]":
        """The same form in the coordinates to try, the best first, from data in their own."""
        raise NotImplementedError

    def basis(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, list[Array]]:
        """Mean (occasion, subject); columns of the coefficients that are linear in it, then of purely random ones."""
        raise NotImplementedError

    def whiten(self, eta: Sequence[Array], vectors: list[Array], at: Occasions) -> tuple[list[Array], Array]:
        """W v of each vector (occasion, subject), and log|R| (subject,)."""
        raise NotImplementedError

    def draw_residuals(self, rng: np.random.Generator, eta: Sequence[np.ndarray], at: Occasions) -> np.ndarray:
        """e (occasion, subject)."""
        raise NotImplementedError


@dataclass(frozen=True)
class MixedModel(Stated, RandomPart, Family):
    """What follows from a mean, loadings, the covariance of random coefficients and a structure that whitens."""

    unbounded: ClassVar[bool] = True
    repeated: ClassVar[bool] = True

    @property
    def head(self) -> int:
        """How many predictors the means have: they stand first."""
        return sum(member.head for _, member in self.parts)

    @property
    def random_natural(self) -> list[Natural]:
        """Means and covariances of random coefficients, as tables show them."""
        return natural(self)

    def order_value(self, eta: np.ndarray) -> float:
        ways = [member.coordinates for _, member in self.parts]
        means = passage(self, eta[: self.head], ways).means(eta[: self.head, None])
        return float(means[self.order_by, 0])

    def limits(self, eta: np.ndarray) -> list[Limit]:
        return list(boundaries.of_random(self, eta))

    @property
    def approximate(self) -> bool:
        return any(member.expands for _, member in self.parts)

    def centre(self, eta: Sequence[Array]) -> list[Array]:
        """What class and covariates say of the random coefficients, (subject,) each; 0 without a coefficient."""
        raise NotImplementedError

    def moments(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, Array]:
        """G (v, v, subject), products of the whitened (r, `basis`) in some order, and log|R| (subject,)."""
        mean, basis = self.basis(eta, at)
        vectors, log_residual = self.whiten(eta, [at.y - mean, *basis], at)
        size = len(vectors)
        products = {(j, i): jnp.sum(vectors[j] * vectors[i], axis=0) for j in range(size) for i in range(j + 1)}
        full = [[products[max(i, j), min(i, j)] for i in range(size)] for j in range(size)]
        return jnp.stack([jnp.stack(row) for row in full]), log_residual

    def deviations(self, eta: Sequence[Array], at: Occasions) -> Deviations:
        mean, basis = self.basis(eta, at)
        loadings = [basis[place - 1] for place in self.random_places]
        factor = self.factor(eta)
        size = len(loadings)
        scaled = [sum(factor[j][i] * loadings[j] for j in range(i, size)) for i in range(size)]
        whitened, log_residual = self.whiten(eta, [at.y - mean, *scaled], at)
        r, columns = whitened[0], whitened[1:]
        inner = [[jnp.sum(columns[j] * columns[i], axis=0) + float(i == j) for i in range(j + 1)] for j in range(size)]
        lower = cholesky(inner)
        mode = solve_upper(lower, solve_lower(lower, [jnp.sum(c * r, axis=0) for c in columns]))
        return Deviations(r, columns, mode, lower, log_residual)

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        at = self.read(data)
        found = self.deviations(eta, at)
        error = found.residual - sum(c * b for c, b in zip(found.loadings, found.mode, strict=True))
        square = jnp.sum(error**2, axis=0) + sum(b**2 for b in found.mode)
        log_m = 2.0 * sum(jnp.log(found.factor[j][j]) for j in range(len(found.mode)))
        count = jnp.sum(at.seen, axis=0)
        return -count * HALF_LOG_TWO_PI - 0.5 * (found.log_residual + log_m + square)

    def score(self, eta: Array, data: Array) -> Array:
        return self.score_and_curvature(eta, data)[0]

    def score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        if not self.proportional:
            return score_and_curvature(self, eta, self.read(data))
        entries = self.entries
        values = jnp.stack(expand(list(eta[jnp.array(entries)]), self.pairs))
        found = score_and_curvature(self, eta.at[jnp.array(entries)].set(values), self.read(data))
        return chain(*found, eta, entries, self.pairs)

    def mean(self, eta: Sequence[Array]) -> Array:
        """The intercept; means at given times are `mean_given`'s."""
        return eta[0]

    def mean_given(self, eta: Sequence[Array], data: Array) -> Array:
        """(occasion, subject)."""
        return self.basis(eta, self.read(data))[0]

    def random_effects(self, eta: Sequence[Array], data: Array) -> tuple[Array, Array]:
        """E[zeta | y] (coefficient, subject) and its covariance (coefficient, coefficient, subject)."""
        found = self.deviations(eta, self.read(data))
        factor, size = self.factor(eta), len(self.random_names)
        ones = jnp.ones_like(found.log_residual)
        half = [
            solve_lower(found.factor, [ones * factor[j][i] if i <= j else 0.0 * ones for i in range(size)])
            for j in range(size)
        ]
        mean = [sum(factor[j][i] * found.mode[i] for i in range(j + 1)) for j in range(size)]
        covariance = [
            [sum(a * b for a, b in zip(half[j], half[i], strict=True)) for i in range(size)] for j in range(size)
        ]
        return jnp.stack(mean), jnp.stack([jnp.stack(row) for row in covariance])

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        """(subject, occasion), also where nothing was seen."""
        assert data is not None
        at = self.read(np.asarray(data))
        values = [np.broadcast_to(np.asarray(e, dtype=float), at.y.shape[1:]) for e in eta]
        mean, columns = self.basis(values, at)
        factor = self.factor(values)
        normal = rng.normal(size=(len(self.random_names), at.y.shape[1]))
        drawn = np.asarray(mean) + self.draw_residuals(rng, values, at)
        for j, place in enumerate(self.random_places):
            deviation = sum(np.asarray(factor[j][i]) * normal[i] for i in range(j + 1))
            drawn = drawn + np.asarray(columns[place - 1]) * deviation
        return drawn.T

    def redrawn(self, data: np.ndarray, values: np.ndarray) -> np.ndarray:
        at = self.read(data)
        return self.write(at._replace(y=np.where(at.seen > 0, values.T, 0.0)))

    def drawn(self, data: np.ndarray) -> int:
        return len(self.read(data).y)

    def observations(self, data: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.read(data).seen.sum(axis=0)
        return found
