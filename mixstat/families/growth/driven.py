"""Driven growth: a time-varying covariate v, decomposed by latent change scores, acts on other outcomes.

    v = eta0 + eta1 c(t; r) + e_v,   c = sum_l r_l d_l,  r_1 = 1     change scores over intervals of duration d_l
    y = f(t; alpha) + kappa eta1 s(t; r) + L zeta + e                zeta, given the trait eta0, is independent of eta1

The state eta1 s that acts at an occasion is that of v in the interval that ends there: "rate" s = r_l, "change"
s = r_l d_l, or "since_first" s = c (1, 2 and 3 of `decompose` in nlpsem); there is none at the first wave. What the
trait does to a growth factor of y is their covariance over its variance. v stands first in the Cholesky factor C, whose
zeros say that zeta tells nothing of eta1 beyond eta0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Parameter
from mixstat.families.growth.centring import Use
from mixstat.families.growth.mixed import MixedModel, Occasions, Roles
from mixstat.families.growth.parallel import ParallelGrowth
from mixstat.families.growth.random import Pairs
from mixstat.families.growth.residuals_together import of_outcome

Array = Any
STATES = ("rate", "change", "since_first")
SLOPE, RATES = 1, 2
"""Where the slope and the first rate stand among the coefficients of change scores."""


@dataclass(frozen=True)
class DrivenGrowth(ParallelGrowth):
    """Parallel growth in which a state of the first outcome, of `change_scores`, acts on the others."""

    state: str = "rate"

    @property
    def effects(self) -> tuple[int, ...]:
        """Predictors kappa of the other outcomes: they stand last."""
        first = self.head + len(self.pairs) + len(self.residual.parameters)
        return tuple(range(first, first + self.dimension - 1))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        own = [of_outcome(Parameter(f"{self.state}_effect"), name) for name in self.names[1:]]
        return (*super().parameters, *own)

    @property
    def pairs(self) -> Pairs:
        random = self.members[0].random
        slope = random.index("slope") if "slope" in random else -1
        return tuple((j, i) for j, i in super().pairs if i != slope or j < len(random))

    @property
    def order_by(self) -> int:
        return self.heads[1] + self.members[1].order_by

    @property
    def roles(self) -> Roles:
        found = super().roles
        first, *others = found.moving
        return found._replace(moving=((*first, *self.effects), *others))

    @property
    def residual_rows(self) -> tuple[int, ...]:
        return (0,)

    @property
    def column_rows(self) -> tuple[int, ...]:
        return tuple(range(1, 1 + self.basis_size))

    def _residual_of(self, eta: Sequence[Array]) -> Sequence[Array]:
        return super()._residual_of(eta)[: len(self.residual.parameters)]

    def basis(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, list[Array]]:
        """The slope of the first outcome has a loading in the others, too."""
        mean, columns = super().basis(eta, at)
        state = self._state(eta, at.columns[0])
        driven = jnp.concatenate([0.0 * state, *(eta[place] * state for place in self.effects)])
        place = self.own_places[0][SLOPE] - 1
        columns[place] = columns[place] + driven
        return mean + eta[SLOPE] * driven, columns

    def _state(self, eta: Sequence[Array], at: Occasions) -> Array:
        """s (occasion, subject)."""
        duration = self.members[0].curve_constants(at)[0]
        reached = duration != 0
        last = reached & ~jnp.concatenate([reached[1:], jnp.zeros_like(reached[:1])])
        weight = {"rate": last.astype(duration.dtype), "change": last * duration, "since_first": duration}[self.state]
        rates = eta[RATES : RATES + len(weight) - 1]
        return weight[0] + sum(rate * part for rate, part in zip(rates, weight[1:], strict=True))

    def moments(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, Array]:
        return MixedModel.moments(self, eta, at)

    def centrings(self, data: np.ndarray, weight: np.ndarray, use: Use) -> list[MixedModel]:
        """The first outcome stays in its own coordinates, so that effects of its state do."""
        return [self._with(found) for found in super().centrings(data, weight, use)]

    def _with(self, centred: MixedModel) -> MixedModel:
        assert isinstance(centred, ParallelGrowth)
        return replace(self, members=(self.members[0], *centred.members[1:]))

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Without effects."""
        return np.concatenate([super().start(data, weight), np.zeros(self.dimension - 1)])
