"""Random coefficients: the Cholesky factor of their covariance as predictors, and how tables show it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from mixstat.core.family import Parameter
from mixstat.families.growth.proportional import expand
from mixstat.families.growth.shown import CovarianceForm

Array = Any
COVARIANCE = "random_covariance"
SHAPE = "random_shape"
Pairs = tuple[tuple[int, int], ...]
Groups = tuple[tuple[str, ...], ...]


class RandomPart:
    """zeta ~ N(0, C C') of a family; C has an entry for each pair of coefficients that correlate.

    blocks        groups of random coefficients (by the names of `random_names`) that correlate; None: all do
    proportional  whether covariances are proportional across classes
    """

    blocks: Groups | None
    proportional: bool

    @property
    def random_names(self) -> tuple[str, ...]:
        """What random coefficients are called."""
        raise NotImplementedError

    @property
    def entries(self) -> tuple[int, ...]:
        """Places of the predictors of `pairs`."""
        raise NotImplementedError

    @property
    def pairs(self) -> Pairs:
        """(j, i), j >= i: entries of the random coefficients' covariance, row by row."""
        names = self.random_names
        groups = (names,) if self.blocks is None else self.blocks
        below = [(j, i) for j in range(len(names)) for i in range(j + 1)]
        return tuple((j, i) for j, i in below if i == j or any({names[j], names[i]} <= set(group) for group in groups))

    @property
    def random_parameters(self) -> list[Parameter]:
        """Entries of the Cholesky factor; of proportional ones the first is the class's own, the others are common."""
        names = self.random_names
        return [
            Parameter(
                SHAPE if self.proportional and place else COVARIANCE,
                "log" if i == j else "identity",
                term=names[j] if i == j else f"{names[j]},{names[i]}",
                common=self.proportional and place > 0,
            )
            for place, (j, i) in enumerate(self.pairs)
        ]

    @property
    def covariance_form(self) -> CovarianceForm:
        """How tables see the covariance."""
        return CovarianceForm(self.pairs, len(self.random_names), self.proportional)

    def factor(self, eta: Sequence[Array]) -> list[list[Array]]:
        """C as rows, from the predictors of its entries."""
        entries = [eta[place] for place in self.entries]
        entries = expand(entries, self.pairs) if self.proportional else entries
        return lower_factor(entries, self.pairs, len(self.random_names))


def lower_factor(entries: Sequence[Array], pairs: Pairs, size: int) -> list[list[Array]]:
    """A lower triangle as rows, from its entries, the diagonal in logs; 0 where there is none."""
    zero = 0.0 * entries[0] if len(entries) else 0.0
    factor: list[list[Array]] = [[zero] * (j + 1) for j in range(size)]
    for (j, i), value in zip(pairs, entries, strict=True):
        factor[j][i] = jnp.exp(value) if i == j else value
    return factor
