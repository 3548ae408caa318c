"""Residuals of several outcomes: correlated within an occasion, or each outcome's by themselves.

    together:  e_j = (e_1j, e_2j, ...) ~ N(0, F F') over the outcomes seen at occasion j, independent between occasions
    apart:     each outcome has a structure of its own

`Together` factors the covariance of what is seen at every occasion (outcome x outcome, unrolled): ones and zeros stand
where an outcome is not. Vectors of an outcome are (vector, occasion, subject), predictors those of the residuals alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Limit, Natural, Parameter
from mixstat.families.growth.algebra import Matrix, cholesky, solve_lower
from mixstat.families.growth.boundaries import of_residuals
from mixstat.families.growth.coordinates import residual_translation
from mixstat.families.growth.family import Growth
from mixstat.families.growth.form import VARIANCE
from mixstat.families.growth.mixed import Occasions
from mixstat.families.growth.random import Pairs, lower_factor
from mixstat.families.growth.shown import covariance

Array = Any
Blocks = dict[tuple[int, int], Array]
"""(b, a), b >= a: products of the whitened vectors of outcomes b and a, (vector, vector, subject)."""
Places = tuple[int, ...]
RESIDUAL_COVARIANCE = "residual_covariance"


def of_outcome(parameter: Parameter, outcome: str) -> Parameter:
    """The parameter of one outcome: name[outcome], its formula that of the outcome's own."""
    return replace(parameter, name=f"{parameter.name}[{outcome}]", key=f"{outcome}.{parameter.key}")


@dataclass(frozen=True)
class Together:
    """One covariance over the outcomes of an occasion."""

    names: tuple[str, ...]

    @property
    def pairs(self) -> Pairs:
        """(j, i), j >= i: entries of F, row by row."""
        return tuple((j, i) for j in range(len(self.names)) for i in range(j + 1))

    @property
    def parameters(self) -> list[Parameter]:
        return [
            of_outcome(Parameter(VARIANCE, "log"), self.names[j])
            if i == j
            else Parameter(RESIDUAL_COVARIANCE, term=f"{self.names[i]},{self.names[j]}")
            for j, i in self.pairs
        ]

    def natural(self, first: int) -> list[Natural]:
        """Variances and covariances; `first` is the place of the first parameter."""
        return [covariance(tuple(range(first, first + len(self.pairs))), self.pairs, len(self.names))]

    def limits(self, eta: np.ndarray, first: int) -> list[Limit]:
        """Points where a part of the residuals is 0."""
        return []

    def translation(self, source: Sequence[Growth], first: int) -> list[Natural]:
        """Predictors in the coordinates of `source`, as they are in ours: residuals know of no time."""
        return []

    def moving(self, curves: Sequence[Places], first: int) -> tuple[Places, ...]:
        """Groups of what moves, `curves` being those of each outcome's mean: the covariance is one of its own."""
        return (*curves, tuple(range(first, first + len(self.pairs))))

    def _factor(self, eta: Sequence[Array], seen: Sequence[Array]) -> Matrix:
        """Cholesky factor of the covariance of what is seen."""
        lower, size = lower_factor(eta, self.pairs, len(self.names)), len(self.names)
        full = [
            [sum(x * y for x, y in zip(lower[j], lower[i], strict=False)) for i in range(j + 1)] for j in range(size)
        ]
        return cholesky(
            [
                [seen[j] * seen[i] * full[j][i] + (1.0 - seen[j] if i == j else 0.0) for i in range(j + 1)]
                for j in range(size)
            ]
        )

    def whiten(
        self, eta: Sequence[Array], vectors: list[list[Array]], own: Sequence[Occasions]
    ) -> tuple[list[list[Array]], Array]:
        """W v of vectors in parts by outcome, (occasion, subject) each, and log|R|."""
        seen = [each.seen for each in own]
        lower = self._factor(eta, seen)
        log_residual = jnp.sum(_log_determinant(lower), axis=0)
        return [solve_lower(lower, _times(seen, parts)) for parts in vectors], log_residual

    def products(self, eta: Sequence[Array], vectors: list[Array], own: Sequence[Occasions]) -> tuple[Blocks, Array]:
        """Products of the outcomes' own vectors over the occasions of each pattern of what is seen, weighted by the
        pattern's precision; and log|R|. Predictors, which are constant, never meet an occasion."""
        pattern = np.array(list(product(*[(1.0, 0.0)] * len(own))))
        seen = jnp.stack([each.seen for each in own])
        mask = jnp.prod(jnp.where(pattern[:, :, None, None] > 0, seen, 1.0 - seen), axis=1)
        kept = [column[:, None] for column in pattern.T]
        lower = self._factor([value[:1] for value in eta], kept)
        log_residual = jnp.sum(jnp.sum(mask, axis=1) * _log_determinant(lower), axis=0)
        weight = _inverse(lower, kept)
        return {(b, a): _weighted(vectors[b], vectors[a], mask, weight[b, a]) for b, a in self.pairs}, log_residual

    def draw(self, rng: np.random.Generator, eta: Sequence[np.ndarray], own: Sequence[Occasions]) -> list[np.ndarray]:
        """e of each outcome, (occasion, subject)."""
        factor = lower_factor(eta, self.pairs, len(self.names))
        normal = rng.normal(size=(len(self.names), *own[0].y.shape))
        return [sum(np.asarray(value) * z for value, z in zip(row, normal, strict=False)) for row in factor]

    def start(self, apart: list[np.ndarray]) -> np.ndarray:
        """Predictors from those of the outcomes by themselves."""
        return np.array([apart[j][0] if i == j else 0.0 for j, i in self.pairs])


@dataclass(frozen=True)
class Apart:
    """Every outcome by itself."""

    names: tuple[str, ...]
    members: tuple[Growth, ...]

    @property
    def parameters(self) -> list[Parameter]:
        pairs = zip(self.members, self.names, strict=True)
        return [of_outcome(p, outcome) for member, outcome in pairs for p in member.residual_parameters]

    @property
    def _cuts(self) -> list[int]:
        return list(accumulate((len(member.residual_parameters) for member in self.members), initial=0))

    def _own(self, eta: Sequence[Array]) -> list[Sequence[Array]]:
        cuts = self._cuts
        return [eta[a:b] for a, b in pairwise(cuts)]

    def natural(self, first: int) -> list[Natural]:
        pairs = zip(self.members, self._cuts, strict=False)
        return [n for member, before in pairs for n in member.residual_natural(first + before)]

    def limits(self, eta: np.ndarray, first: int) -> list[Limit]:
        pairs = zip(self.members, self._cuts, strict=False)
        return [limit for member, before in pairs for limit in of_residuals(member, eta, first + before)]

    def translation(self, source: Sequence[Growth], first: int) -> list[Natural]:
        members = zip(self.members, source, self._cuts, strict=False)
        return [n for mine, other, before in members for n in residual_translation(mine, other, first + before)]

    def moving(self, curves: Sequence[Places], first: int) -> tuple[Places, ...]:
        """Outcomes are groups."""
        pairs = zip(curves, pairwise(self._cuts), strict=True)
        return tuple((*places, *range(first + a, first + b)) for places, (a, b) in pairs)

    def whiten(
        self, eta: Sequence[Array], vectors: list[list[Array]], own: Sequence[Occasions]
    ) -> tuple[list[list[Array]], Array]:
        members = zip(self.members, self._own(eta), own, zip(*vectors, strict=True), strict=True)
        found = [member.whiten(values, list(parts), at) for member, values, at, parts in members]
        return [list(parts) for parts in zip(*(each for each, _ in found), strict=True)], sum(log for _, log in found)

    def products(self, eta: Sequence[Array], vectors: list[Array], own: Sequence[Occasions]) -> tuple[Blocks, Array]:
        members = zip(self.members, self._own(eta), own, vectors, strict=True)
        found = [member.whiten(values, list(lines), at) for member, values, at, lines in members]
        stacked = [jnp.stack(lines) for lines, _ in found]
        blocks = {(a, a): jnp.sum(lines[:, None] * lines[None], axis=2) for a, lines in enumerate(stacked)}
        return blocks, sum(log for _, log in found)

    def draw(self, rng: np.random.Generator, eta: Sequence[np.ndarray], own: Sequence[Occasions]) -> list[np.ndarray]:
        members = zip(self.members, self._own(eta), own, strict=True)
        return [member.draw_residuals(rng, values, at) for member, values, at in members]

    def start(self, apart: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(apart)


def _times(seen: Sequence[Array], parts: Sequence[Array]) -> list[Array]:
    return [mask * part for mask, part in zip(seen, parts, strict=True)]


def _weighted(left: Array, right: Array, mask: Array, weight: Array) -> Array:
    """Products (a, b, subject) of vectors (a, occasion, subject) and (b, occasion, subject): sums over the occasions of
    each pattern, mask (pattern, occasion, subject), then over patterns, weight (pattern, 1)."""
    sums = jnp.sum(left[:, None, None] * right[None, :, None] * mask[None, None], axis=3)
    return jnp.sum(sums * weight, axis=2)


def _log_determinant(lower: Matrix) -> Array:
    """log|L L'|."""
    return 2.0 * sum(jnp.log(lower[j][j]) for j in range(len(lower)))


def _inverse(lower: Matrix, kept: Sequence[Array]) -> dict[tuple[int, int], Array]:
    """Entries of (L L')^-1, its lower triangle; 0 where an outcome is not kept."""
    size, one = len(lower), jnp.ones_like(lower[0][0])
    columns = [solve_lower(lower, [one * float(i == j) for i in range(size)]) for j in range(size)]
    return {
        (j, i): kept[j] * kept[i] * sum(columns[j][c] * columns[i][c] for c in range(j, size))
        for j in range(size)
        for i in range(j + 1)
    }
