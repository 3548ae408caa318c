"""Parallel growth: several outcomes of a subject, each with a curve of its own, as one Gaussian vector.

    y_o = f_o(t; alpha_o) + L_o zeta_o + e_o,    zeta = (zeta_1, zeta_2, ...) ~ N(0, C C')

Residuals of one occasion are correlated over the outcomes, or each outcome has its own. Products of an outcome's own
vectors come first and are then put together: none is taken with the zeros that a vector has in another outcome.

Bivariate growth: MacCallum, Kim, Malarkey and Kiecolt-Glaser (1997), Multivariate Behavioral Research 32.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixstat.families.growth.centring import Use, choices, keeps_groups
from mixstat.families.growth.coordinates import Coordinates
from mixstat.families.growth.mixed import MixedModel, Occasions
from mixstat.families.growth.parallel_form import ParallelForm
from mixstat.families.growth.proportional import contract
from mixstat.families.growth.residuals_together import Blocks

Array = Any


@dataclass(frozen=True)
class ParallelGrowth(ParallelForm):
    """Growth models of several outcomes, one row a subject."""

    def split(self, data: Array) -> list[Occasions]:
        """All have the same places."""
        return [member.read(part) for member, part in zip(self.members, self._cut(data), strict=True)]

    def _cut(self, data: Array) -> list[Array]:
        fields = [3 + len(member.columns) for member in self.members]
        cuts = np.cumsum(fields)[:-1] * (data.shape[0] // sum(fields))
        parts: list[Array] = (np if isinstance(data, np.ndarray) else jnp).split(data, cuts)
        return parts

    def read(self, data: Array) -> Occasions:
        """`columns` are the outcomes' own occasions; the others are those of all, one outcome after the other."""
        own = self.split(data)
        join = np.concatenate if isinstance(data, np.ndarray) else jnp.concatenate
        y, seen, time = (join(parts) for parts in zip(*(each[:3] for each in own), strict=True))
        return Occasions(y, seen, time, tuple(own))

    def write(self, occasions: Occasions) -> np.ndarray:
        """From y, seen and times of all outcomes, and the columns of each."""
        y, seen, time = (np.split(np.asarray(part), self.dimension) for part in occasions[:3])
        own = [Occasions(y[o], seen[o], time[o], each.columns) for o, each in enumerate(occasions.columns)]
        return np.concatenate([member.write(each) for member, each in zip(self.members, own, strict=True)])

    def entered(self, data: np.ndarray) -> np.ndarray:
        parts = zip(self.members, self._cut(data), strict=True)
        return np.concatenate([member.entered(part) for member, part in parts])

    def centrings(self, data: np.ndarray, weight: np.ndarray, use: Use) -> list[MixedModel]:
        """Each outcome in its own coordinates."""
        found = [
            choices(member, at, weight, Use(*(part[first : first + member.head] for part in use)))
            for (first, member), at in zip(self.parts, self.split(data), strict=True)
        ]
        ways = [[each[min(rank, len(each) - 1)] for each in found] for rank in range(max(map(len, found)))]
        return [self._centred(way) for way in ways if keeps_groups(self, way)]

    def _centred(self, ways: Sequence[Coordinates]) -> MixedModel:
        pairs = zip(self.members, ways, strict=True)
        return replace(self, members=tuple(replace(member, constants=way.constants) for member, way in pairs))

    def _heads_of(self, eta: Sequence[Array]) -> list[Sequence[Array]]:
        """The predictors of each outcome's mean."""
        return [eta[a:b] for a, b in pairwise(self.heads)]

    def _residual_of(self, eta: Sequence[Array]) -> Sequence[Array]:
        return eta[self.heads[-1] + len(self.pairs) :]

    def basis(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, list[Array]]:
        columns: list[Array] = [None] * self.basis_size
        means: list[Array] = []
        for o, (member, head) in enumerate(zip(self.members, self._heads_of(eta), strict=True)):
            mean, mine = member.basis(head, at.columns[o])
            places = len(mean)
            around = ((o * places, (self.dimension - 1 - o) * places), (0, 0))
            for place, column in zip(self.own_places[o], mine, strict=True):
                columns[place - 1] = jnp.pad(column, around)
            means.append(mean)
        return jnp.concatenate(means), columns

    def whiten(self, eta: Sequence[Array], vectors: list[Array], at: Occasions) -> tuple[list[Array], Array]:
        split = [jnp.split(vector, self.dimension) for vector in vectors]
        seen = jnp.split(at.seen, self.dimension)
        own = [each._replace(seen=mask) for each, mask in zip(at.columns, seen, strict=True)]
        whitened, log_residual = self.residual.whiten(self._residual_of(eta), split, own)
        return [jnp.concatenate(parts) for parts in whitened], log_residual

    def moments(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, Array]:
        vectors = []
        for member, head, own in zip(self.members, self._heads_of(eta), at.columns, strict=True):
            mean, columns = member.basis(head, own)
            vectors.append(jnp.stack([own.y - mean, *columns]))
        blocks, log_residual = self.residual.products(self._residual_of(eta), vectors, at.columns)
        return _whole(blocks, self.dimension), log_residual

    def draw_residuals(self, rng: np.random.Generator, eta: Sequence[np.ndarray], at: Occasions) -> np.ndarray:
        return np.concatenate(self.residual.draw(rng, self._residual_of(eta), at.columns))

    def centre(self, eta: Sequence[Array]) -> list[Array]:
        pairs = zip(self.members, self._heads_of(eta), strict=True)
        return [value for member, head in pairs for value in member.centre(head)]

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        return np.concatenate([member.encode(y, name) for member in self.members])

    def softened(self, data: np.ndarray, stage: int) -> np.ndarray:
        """An outcome of fewer stages has its own smoothness after them."""
        return np.concatenate([m.softened(own, stage) for m, own in zip(self.members, self._cut(data), strict=True)])

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The outcomes by themselves."""
        own = zip(self.members, self.split(data), strict=True)
        found = [(member, member.start(member.write(at), weight)) for member, at in own]
        residual = [eta[len(eta) - len(member.residual_parameters) :] for member, eta in found]
        head = [eta[: member.head] for member, eta in found]
        return np.concatenate([*head, self._start_entries(found), self.residual.start(residual)])

    def _start_entries(self, found: list[tuple[Any, np.ndarray]]) -> np.ndarray:
        """Of C, from each outcome's own."""
        values: dict[tuple[int, int], float] = {}
        before = 0
        for member, eta in found:
            for (j, i), place in zip(member.pairs, member.entries, strict=True):
                values[before + j, before + i] = float(eta[place])
            before += len(member.random)
        entries = np.array([values.get(pair, 0.0) for pair in self.pairs])
        return contract(entries, self.pairs) if self.proportional else entries

    def features(self, data: np.ndarray) -> np.ndarray:
        own = zip(self.members, self.split(data), strict=True)
        return np.concatenate([member.features(member.write(at)) for member, at in own])


def _whole(blocks: Blocks, size: int) -> Array:
    """The matrix of the outcomes' blocks, 0 where there is none."""

    def block(b: int, a: int) -> Array:
        if (b, a) in blocks:
            return blocks[b, a]
        if (a, b) in blocks:
            return jnp.swapaxes(blocks[a, b], 0, 1)
        return jnp.zeros((len(blocks[b, b]), *blocks[a, a].shape[1:]))

    rows = [jnp.concatenate([block(b, a) for a in range(size)], axis=1) for b in range(size)]
    return jnp.concatenate(rows)
