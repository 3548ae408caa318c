"""Expert: the product of one or several outcomes of a unit, each a family with a linear predictor a parameter.

    log f_k(y_i) = sum_outcomes sum_rows log f(y | eta_1, ..., eta_P),     eta_p = sum_c theta_kpc x_c + offset_p

Equal outcomes (the items of a latent class model) and equal experts are stacked on leading axes (expert, outcome), so
that compile time does not grow with their number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Design
from mixstat.core.family import Family

Array = Any


@dataclass(frozen=True)
class Outcome:
    """`count` outcomes of one family and one set of formulas.

    `data` is their place in `Design.responses`; `columns[p]` and `offsets[p]` index the design's columns and offsets
    (-1: none) for parameter p. Coefficients are (expert, outcome, width), parameters in order, columns within.
    """

    family: Family
    data: int
    columns: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]
    count: int = 1
    closed_form: bool = False

    @cached_property
    def width(self) -> int:
        return sum(len(columns) for columns in self.columns)

    @cached_property
    def parameter_of(self) -> np.ndarray:
        """(width,) parameter of each coefficient."""
        return np.repeat(np.arange(len(self.columns)), [len(columns) for columns in self.columns])

    @cached_property
    def column_of(self) -> np.ndarray:
        """(width,) design column of each coefficient."""
        return np.concatenate([np.asarray(columns, dtype=np.int64) for columns in self.columns])

    def is_constant(self, parameter: int) -> bool:
        """Whether this parameter is the same in all rows (an intercept and no offset)."""
        return self.columns[parameter] == (0,) and self.offsets[parameter] < 0

    def predictors(self, coefficients: Array, block: Design) -> list[Array]:
        """P predictors, each (expert, outcome, row), or (expert, outcome, 1) where constant. One GEMM a formula."""
        by_formula: dict[tuple, list[int]] = {}
        for parameter, key in enumerate(zip(self.columns, self.offsets, strict=True)):
            by_formula.setdefault(key, []).append(parameter)
        eta: list[Array] = [None] * len(self.columns)
        for (columns, offset), parameters in by_formula.items():
            place = np.stack([np.flatnonzero(self.parameter_of == p) for p in parameters])
            theta = coefficients[:, :, place]
            if self.is_constant(parameters[0]):
                value = theta
            else:
                value = theta @ block.columns[np.asarray(columns, dtype=np.int64)]
                value = value if offset < 0 else value + block.offsets[offset]
            for index, parameter in enumerate(parameters):
                eta[parameter] = value[:, :, index]
        return eta

    def stacked(self, coefficients: Array, block: Design) -> Array:
        """Predictors of every row, (expert, outcome, P, row)."""
        rows = block.columns.shape[-1]
        eta = self.predictors(coefficients, block)
        return jnp.stack([jnp.broadcast_to(value, (*value.shape[:-1], rows)) for value in eta], axis=2)

    def means(self, coefficients: Array, block: Design) -> Array:
        """E[y | x, expert], (expert, outcome, ..., row)."""
        given = _over_experts(lambda eta, data: self.family.mean_given(tuple(eta), data))
        return given(self.stacked(coefficients, block), block.responses[self.data])

    def log_density(self, coefficients: Array, block: Design) -> Array:
        """log f summed over the outcomes and the rows of each unit, (expert, unit)."""
        eta = self.predictors(coefficients, block)
        rows = self._rows(eta, block)
        return to_units(jnp.sum(self.mask(rows, block), axis=1), block)

    def _rows(self, eta: list[Array], block: Design) -> Array:
        rows = _over_experts(self.family.log_density)(tuple(eta), block.responses[self.data])
        return jnp.broadcast_to(rows, (*rows.shape[:-1], block.columns.shape[-1]))

    def mask(self, rows: Array, block: Design) -> Array:
        """Zero where the response is missing; `rows` (..., outcome, row)."""
        observed = block.observed[self.data]
        return rows if observed is None else jnp.where(observed > 0, rows, 0.0)

    def derivatives(self, coefficients: Array, block: Design, *, curvature: bool) -> tuple[Array, Array, Array | None]:
        """log f by unit (expert, unit); score (expert, outcome, P, row) and, if asked, curvature (..., P, P, row)."""
        eta = self.predictors(coefficients, block)
        rows = self.mask(self._rows(eta, block), block)
        stacked = self.stacked(coefficients, block)
        data, observed = block.responses[self.data], block.observed[self.data]
        density = to_units(jnp.sum(rows, axis=1), block)
        if not curvature:
            score = _over_experts(self.family.score)(stacked, data)
            return density, score if observed is None else jnp.where(observed[:, None] > 0, score, 0.0), None
        score, second = _over_experts(self.family.score_and_curvature)(stacked, data)
        if observed is not None:
            score = jnp.where(observed[:, None] > 0, score, 0.0)
            second = jnp.where(observed[:, None, None] > 0, second, 0.0)
        return density, score, second

    def unit_scores(self, score: Array, block: Design) -> Array:
        """d log f / d coefficients of each unit, (expert, outcome * width, unit)."""
        rows = score[:, :, self.parameter_of] * block.columns[self.column_of]
        return to_units(rows.reshape(rows.shape[0], -1, rows.shape[-1]), block)

    def gradient(self, weight: Array, score: Array, block: Design) -> Array:
        """sum over rows of weight x score x column, (expert, outcome, P, column); `weight` (expert, row)."""
        return (weight[:, None, None] * score) @ block.columns.T

    def contract(self, weight: Array, curvature: Array, block: Design) -> Array:
        """- sum over rows of weight x curvature x column x column', (expert, outcome, pair of P, pair of columns).

        Both pairs run over an upper triangle (`numpy.triu_indices`); `gather` unfolds them on the host.
        """
        p, q = np.triu_indices(len(self.columns))
        weighted = -weight[:, None, None] * curvature[:, :, p, q]
        return gram(weighted, block.columns)

    def moments(self, weight: Array, coefficients: Array, block: Design) -> tuple[Array, Array]:
        """Weighted sums for a closed-form M-step, one GEMM for all experts; `weight` (expert, row).

        Rows are the location's columns and the residuals of expert 1 (a common reference, near the data, so that
        nothing cancels): (expert, outcome, pair of rows), upper triangle; and sums of weights (expert, outcome).
        """
        eta = [value[0] for value in self.predictors(coefficients[:1], block)]
        residual = jax.vmap(self.family.residuals)(tuple(eta), block.responses[self.data])
        columns = block.columns[np.asarray(self.columns[0], dtype=np.int64)]
        observed = block.observed[self.data]
        seen = jnp.ones((self.count, 1)) if observed is None else observed
        weights = weight[:, None] * seen

        def sums(w: Array, errors: Array) -> Array:
            return gram(w, jnp.concatenate([columns, errors]))

        return jax.vmap(sums, in_axes=(1, 0), out_axes=1)(weights, residual), jnp.sum(weights, axis=-1)

    def moments_information(self, coefficients: Array, packed: Array, weight: Array) -> Array:
        """Complete-data information from `moments`, (expert, outcome, width, width): no row is looked at again."""
        count, dimension = len(self.columns[0]), self.family.dimension
        sums = packed[..., unfold(count + dimension)]
        split = dimension * count

        def total(theta: Array, reference: Array, sums: Array, weight: Array) -> Array:
            change = (theta[:split] - reference[:split]).reshape(dimension, count)
            both = jnp.concatenate([-change, jnp.eye(dimension)], axis=1)
            return self.family.scatter_log_density(theta[split:], both @ sums @ both.T, weight)

        inner = jax.vmap(jax.hessian(total))
        return -jax.vmap(inner, in_axes=(0, None, 0, 0))(coefficients, coefficients[0], sums, weight)

    def gather(self, contracted: np.ndarray, columns: int) -> np.ndarray:
        """From `contract` to (expert, outcome, width, width), on the host."""
        p, c = self.parameter_of, self.column_of
        pair = unfold(len(self.columns))[p[:, None], p[None]]
        product = unfold(columns)[c[:, None], c[None]]
        return contracted[..., pair, product]


@dataclass(frozen=True)
class Experts:
    """`copies` experts of equal form: the product of their outcomes."""

    outcomes: tuple[Outcome, ...]
    copies: int

    @cached_property
    def width(self) -> int:
        """Coefficients of one expert."""
        return sum(outcome.count * outcome.width for outcome in self.outcomes)

    def split(self, coefficients: Array) -> list[Array]:
        """(expert, width) -> one (expert, outcome, width) an outcome."""
        parts, start = [], 0
        for outcome in self.outcomes:
            size = outcome.count * outcome.width
            part = coefficients[:, start : start + size]
            parts.append(part.reshape(-1, outcome.count, outcome.width))
            start += size
        return parts


def _over_experts(function: Callable) -> Callable:
    """Map over (expert, outcome) of the predictors and (outcome) of the data."""
    return jax.vmap(jax.vmap(function), in_axes=(0, None))


def gram(weight: Array, columns: Array) -> Array:
    """sum over rows of weight x column x column', upper triangle: (..., row), (c, row) -> (..., c (c + 1) / 2).

    One GEMM for all weights (on a CPU several times faster than a c x c product for each).
    """
    i, j = np.triu_indices(columns.shape[0])
    flat = weight.reshape(-1, weight.shape[-1])
    return ((columns[i] * columns[j]) @ flat.T).T.reshape(*weight.shape[:-1], len(i))


@lru_cache
def unfold(size: int) -> np.ndarray:
    """(size, size) place of each entry of a symmetric matrix in its upper triangle."""
    place = np.zeros((size, size), dtype=np.int64)
    i, j = np.triu_indices(size)
    place[i, j] = place[j, i] = np.arange(len(i))
    return place


def to_units(rows: Array, block: Design) -> Array:
    """Sum rows (..., row) to units (..., unit)."""
    if block.unit is None:
        return rows
    flat = jnp.moveaxis(rows, -1, 0)
    total = jax.ops.segment_sum(flat, block.unit, num_segments=block.weight.shape[-1])
    return jnp.moveaxis(total, 0, -1)


def to_rows(units: Array, block: Design) -> Array:
    """Give every row the value of its unit, (..., unit) -> (..., row)."""
    return units if block.unit is None else jnp.take(units, block.unit, axis=-1)
