"""Growth: a subject's occasions as one row, a mixed model around a growth curve.

    y = f(t; alpha) + X kappa + L zeta + e,    zeta ~ N(0, C C'),    e ~ N(0, R)

L holds the curve's derivatives by its random coefficients, and covariates with random coefficients. With W the inverse
Cholesky factor of R, A = W L C and M = I + A'A, nothing of size occasions x occasions is formed:

    log f = -(n log 2 pi + log|R| + log|M| + |W r - A b|^2 + |b|^2) / 2,    b = M^-1 A' W r

(Laird and Ware, 1982, Biometrics 38). Both are sums of squares, so that nothing cancels for a small residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Family, Natural, Parameter
from mixstat.core.special import HALF_LOG_TWO_PI
from mixstat.families import _growth_start
from mixstat.families._growth_curvature import Roles, score_and_curvature
from mixstat.families._residuals import RESIDUALS, Residual
from mixstat.families._small import Matrix, cholesky, solve_lower, solve_upper
from mixstat.families.curves import Curve

Array = Any
COVARIANCE = "random_covariance"
VARIANCE = "residual_variance"


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


@dataclass(frozen=True)
class Growth(Family):
    """Gaussian growth curve with random coefficients.

    curve     the curve, or None where covariates alone make the mean
    columns   names of the occasion-level columns in the data
    fixed     columns with a coefficient in the mean
    random    curve coefficients (by name) and columns (by number) with a random coefficient
    blocks    lists of random coefficients (by position) that correlate; None: all do
    residual  name of the residual structure; `scale_columns` are the columns of its log standard deviation
    levels    times that have a variance each (residual "occasion")
    effects   whether covariates act on the coefficients of an expanded curve
    """

    curve: Curve | None = None
    columns: tuple[str, ...] = ()
    fixed: tuple[int, ...] = ()
    random: tuple[str | int, ...] = ()
    blocks: tuple[tuple[int, ...], ...] | None = None
    residual: str = "iid"
    scale_columns: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()
    effects: bool = False
    name: ClassVar[str] = "growth"
    unbounded: ClassVar[bool] = True
    repeated: ClassVar[bool] = True

    @property
    def coefficients(self) -> tuple[str, ...]:
        return () if self.curve is None else self.curve.coefficients

    @property
    def random_names(self) -> tuple[str, ...]:
        """What random coefficients are called."""
        return tuple(name if isinstance(name, str) else self.columns[name] for name in self.random)

    @property
    def expands(self) -> bool:
        """Whether a nonlinear coefficient is random: the curve is then expanded around the class's own values."""
        return self.curve is not None and any(name in self.curve.nonlinear for name in self.random)

    @property
    def _has_effects(self) -> bool:
        return self.expands and self.effects

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(j, i), j >= i: entries of the random coefficients' covariance, row by row."""
        q = len(self.random)
        blocks = (tuple(range(q)),) if self.blocks is None else self.blocks
        return tuple((j, i) for j in range(q) for i in range(j + 1) if any(j in b and i in b for b in blocks))

    @property
    def structure(self) -> Residual:
        return RESIDUALS[self.residual]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        curve = [Parameter(name, location=True) for name in self.coefficients]
        moved = [Parameter(name, location=True, key="effects") for name in self.coefficients if self._has_effects]
        fixed = [Parameter("mean", key="kappa", term=self.columns[c]) for c in self.fixed]
        return (*curve, *moved, *fixed, *self._random_parameters(), *self.residual_parameters)

    def _random_parameters(self) -> list[Parameter]:
        names = self.random_names
        return [
            Parameter(
                COVARIANCE, "log" if i == j else "identity", term=names[j] if i == j else f"{names[j]},{names[i]}"
            )
            for j, i in self.pairs
        ]

    @property
    def residual_parameters(self) -> list[Parameter]:
        """The log standard deviation, or its coefficients; then those of the structure."""
        if self.levels:
            scale = [Parameter(VARIANCE, "log", term=self.columns[c]) for c in self.scale_columns]
        elif self.scale_columns:
            scale = [Parameter("residual_sd", "log", term=self.columns[c]) for c in self.scale_columns]
        else:
            scale = [Parameter(VARIANCE, "log")]
        return [*scale, *(Parameter(name, "log") for name in self.structure.parameters)]

    @property
    def order_by(self) -> int:
        """The first knot or rate, else the first coefficient."""
        return 0 if self.curve is None or not self.curve.nonlinear else len(self.curve.factors)

    @property
    def natural(self) -> tuple[Natural, ...]:
        """Covariances instead of Cholesky factors, variances and rates instead of their logs."""
        entries, size = self.roles.entries, len(self.parameters)
        shown = [Natural(entries, self._covariances, self._factors)] if entries else []
        first = size - len(self.residual_parameters)
        rest = size - len(self.structure.parameters)
        if self.levels or not self.scale_columns:
            shown.append(Natural(tuple(range(first, rest)), lambda v: jnp.exp(2.0 * v), lambda v: 0.5 * np.log(v)))
        return (*shown, Natural(tuple(range(rest, size)), jnp.exp, np.log)) if rest < size else tuple(shown)

    def _covariances(self, entries: Array) -> Array:
        factor = self.factor(list(entries))
        full = [
            [sum(factor[j][m] * factor[i][m] for m in range(i + 1)) for i in range(j + 1)] for j in range(len(factor))
        ]
        return jnp.stack([full[j][i] for j, i in self.pairs])

    def _factors(self, covariances: np.ndarray) -> np.ndarray:
        matrix = np.zeros((len(self.random),) * 2)
        for (j, i), value in zip(self.pairs, covariances, strict=True):
            matrix[j, i] = matrix[i, j] = value
        lower = np.linalg.cholesky(matrix)
        return np.array([np.log(lower[j, i]) if i == j else lower[j, i] for j, i in self.pairs])

    def factor(self, entries: Sequence[Array]) -> list[list[Array]]:
        """C as rows, from its entries with log diagonal."""
        q = len(self.random)
        zero = 0.0 * entries[0] if len(entries) else 0.0
        factor: list[list[Array]] = [[zero] * (j + 1) for j in range(q)]
        for (j, i), value in zip(self.pairs, entries, strict=True):
            factor[j][i] = jnp.exp(value) if i == j else value
        return factor

    def read(self, data: Array) -> Occasions:
        """(field * occasion, subject) -> Occasions."""
        fields = data.reshape(3 + len(self.columns), -1, *data.shape[1:])
        return Occasions(fields[0], fields[1], fields[2], fields[3:])

    def write(self, occasions: Occasions) -> np.ndarray:
        """Occasions -> (field * occasion, subject)."""
        fields = np.concatenate([np.stack(occasions[:3]), np.asarray(occasions.columns)])
        return fields.reshape(-1, fields.shape[-1])

    @property
    def roles(self) -> Roles:
        """What each predictor does."""
        curve, residual = len(self.coefficients), len(self.residual_parameters)
        factors = 0 if self.curve is None else len(self.curve.factors)
        first = curve + (curve if self._has_effects else 0)
        entries = first + len(self.fixed)
        last = entries + len(self.pairs)
        iid = self.residual in ("iid", "occasion") and not self.scale_columns
        rest = () if iid else range(last, last + residual)
        linear = range(curve, entries) if self.expands else (*range(factors), *range(first, entries))
        moving = (*(range(curve) if self.expands else range(factors, curve)), *rest)
        return Roles(tuple(linear), moving, tuple(range(entries, last)), last if iid else -1)

    @property
    def _linear_names(self) -> tuple[str | int, ...]:
        """Curve coefficients and columns that act linearly, in the order of `roles.linear`."""
        if not self.expands:
            return (*(() if self.curve is None else self.curve.factors), *self.fixed)
        return (*(self.coefficients if self._has_effects else ()), *self.fixed)

    @property
    def _basis_names(self) -> tuple[str | int, ...]:
        """The same, then what has a random coefficient alone."""
        linear = self._linear_names
        return (*linear, *(name for name in self.random if name not in linear))

    @property
    def vectors(self) -> int:
        """How many vectors over occasions there are: the residual and the columns of `basis`."""
        return 1 + len(self._basis_names)

    @property
    def random_places(self) -> tuple[int, ...]:
        """Where the random coefficients' loadings stand in (r, `basis`)."""
        return tuple(1 + self._basis_names.index(name) for name in self.random)

    def basis(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, list[Array]]:
        """Mean (occasion, subject); columns of the coefficients that are linear in it, then of purely random ones."""
        size = len(self.coefficients)
        values = [jnp.broadcast_to(e, at.y.shape[1:]) for e in eta[:size]]
        columns: list[Array] = [
            self.curve.loading(at.time, values, self.coefficients.index(name))
            if isinstance(name, str) and self.curve is not None
            else at.columns[name]
            for name in self._basis_names
        ]
        mean = jnp.zeros_like(at.y) if self.curve is None else self.curve.mean(at.time, values)
        if self._has_effects:
            mean = mean + sum(e * column for e, column in zip(eta[size : 2 * size], columns, strict=False))
            size *= 2
        for kappa, column in zip(eta[size : size + len(self.fixed)], self.fixed, strict=True):
            mean = mean + kappa * at.columns[column]
        return mean, columns

    def whiten(self, eta: Sequence[Array], vectors: list[Array], at: Occasions) -> tuple[list[Array], Array]:
        """W v of each vector (occasion, subject), and log|R| (subject,)."""
        return self.structure.whiten(vectors, self.log_sigma(eta, at), self._structural(eta), at.time, at.seen)

    def log_sigma(self, eta: Sequence[Array], at: Occasions) -> Array:
        """Log standard deviation of the independent residuals, (occasion, subject)."""
        residual = eta[len(eta) - len(self.residual_parameters) :]
        if not self.scale_columns:
            return residual[0] * jnp.ones_like(at.y)
        return sum(r * at.columns[c] for r, c in zip(residual, self.scale_columns, strict=False))

    def _structural(self, eta: Sequence[Array]) -> Sequence[Array]:
        """Predictors of the residual structure."""
        return eta[len(eta) - len(self.structure.parameters) :]

    def deviations(self, eta: Sequence[Array], at: Occasions) -> Deviations:
        mean, basis = self.basis(eta, at)
        loadings = [basis[place - 1] for place in self.random_places]
        factor = self.factor([eta[p] for p in self.roles.entries])
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

    def score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        return score_and_curvature(self, eta, self.read(data))

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        """One subject a row, without occasions: what stands where a response is not known."""
        return np.zeros((3 + len(self.columns), len(y)))

    def mean(self, eta: Sequence[Array]) -> Array:
        """The intercept; means at given times are `mean_given`'s."""
        return eta[0]

    def mean_given(self, eta: Sequence[Array], data: Array) -> Array:
        """(occasion, subject)."""
        return self.basis(eta, self.read(data))[0]

    def random_effects(self, eta: Sequence[Array], data: Array) -> tuple[Array, Array]:
        """E[zeta | y] (coefficient, subject) and its covariance (coefficient, coefficient, subject)."""
        found = self.deviations(eta, self.read(data))
        factor, size = self.factor([eta[p] for p in self.roles.entries]), len(self.random)
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
        factor = self.factor([values[p] for p in self.roles.entries])
        normal = rng.normal(size=(len(self.random), at.y.shape[1]))
        drawn = np.asarray(mean) + self.structure.draw(
            rng, self.log_sigma(values, at), self._structural(values), at.time
        )
        for j, place in enumerate(self.random_places):
            deviation = sum(np.asarray(factor[j][i]) * normal[i] for i in range(j + 1))
            drawn = drawn + np.asarray(columns[place - 1]) * deviation
        return drawn.T

    def redrawn(self, data: np.ndarray, values: np.ndarray) -> np.ndarray:
        at = self.read(data)
        return self.write(at._replace(y=np.where(at.seen > 0, values.T, 0.0)))

    def drawn(self, data: np.ndarray) -> int:
        return data.shape[0] // (3 + len(self.columns))

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return _growth_start.start(self, self.read(data), weight)

    def observations(self, data: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.read(data).seen.sum(axis=0)
        return found

    def features(self, data: np.ndarray) -> np.ndarray:
        return _growth_start.features(self, self.read(data))
