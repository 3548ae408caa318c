"""The form of parallel growth: the predictors of several outcomes and of what they have in common."""

from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from mixstat.core.family import Family, Limit, Natural, Parameter
from mixstat.families.growth import coordinates
from mixstat.families.growth.family import Growth
from mixstat.families.growth.mixed import MixedModel, Roles
from mixstat.families.growth.random import Groups, Pairs
from mixstat.families.growth.residuals_together import Apart, Together, of_outcome


@dataclass(frozen=True)
class ParallelForm(MixedModel):
    """What parallel growth is made of.

    names         of the outcomes
    members       their growth models, whose random coefficients are ours
    blocks, proportional   as of `Growth`, over the random coefficients of all outcomes
    by_outcome    whether those of different outcomes are uncorrelated, and those of one as its own model says
    correlated    whether residuals of an occasion are correlated over the outcomes (iid in each)
    """

    name: ClassVar[str] = "parallel_growth"

    names: tuple[str, ...] = ()
    members: tuple[Growth, ...] = ()
    blocks: Groups | None = None
    proportional: bool = False
    by_outcome: bool = False
    correlated: bool = True

    @property
    def dimension(self) -> int:
        return len(self.names)

    @property
    def residual(self) -> Together | Apart:
        """How residuals of the outcomes go together."""
        return Together(self.names) if self.correlated else Apart(self.names, self.members)

    @property
    def random_names(self) -> tuple[str, ...]:
        pairs = zip(self.members, self.names, strict=True)
        return tuple(f"{name}[{outcome}]" for member, outcome in pairs for name in member.random_names)

    @property
    def pairs(self) -> Pairs:
        if not self.by_outcome:
            return super().pairs
        before = accumulate((len(member.random) for member in self.members), initial=0)
        starts = zip(self.members, before, strict=False)
        return tuple((first + j, first + i) for member, first in starts for j, i in member.pairs)

    @property
    def parts(self) -> tuple[tuple[int, Growth], ...]:
        return tuple(zip(self.heads, self.members, strict=False))

    @property
    def heads(self) -> tuple[int, ...]:
        """Where the predictors of each outcome's mean begin, and where the last end."""
        return tuple(accumulate((member.head for member in self.members), initial=0))

    @property
    def entries(self) -> tuple[int, ...]:
        return tuple(range(self.head, self.head + len(self.pairs)))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        pairs = zip(self.members, self.names, strict=True)
        head = [of_outcome(p, outcome) for member, outcome in pairs for p in member.parameters[: member.head]]
        return (*head, *self.random_parameters, *self.residual.parameters)

    def translation(self, source: Family) -> tuple[Natural, ...]:
        if not isinstance(source, ParallelForm) or not any(
            member.constants for member in (*self.members, *source.members)
        ):
            return ()
        residual = self.residual.translation(source.members, self.head + len(self.pairs))
        return (*coordinates.translation(self, source), *residual)

    @property
    def order_by(self) -> int:
        return self.members[0].order_by

    @property
    def kinks(self) -> tuple[int, ...]:
        return tuple(first + place for first, member in self.parts for place in member.kinks)

    @property
    def stages(self) -> int:
        """Those of the outcome that has most."""
        return max((member.stages for member in self.members), default=0)

    @property
    def jumps(self) -> tuple[int, ...]:
        return tuple(first + place for first, member in self.parts for place in member.jumps)

    def limits(self, eta: np.ndarray) -> list[Limit]:
        return [*super().limits(eta), *self.residual.limits(eta, self.head + len(self.pairs))]

    @property
    def natural(self) -> tuple[Natural, ...]:
        return (*self.random_natural, *self.residual.natural(self.head + len(self.pairs)))

    @property
    def roles(self) -> Roles:
        linear: list[int] = []
        moving = []
        for first, member in self.parts:
            roles = member.roles
            linear += [first + place for place in roles.linear]
            moving.append(tuple(first + p for group in roles.moving for p in group if p < member.head))
        groups = self.residual.moving(moving, self.head + len(self.pairs))
        return Roles(tuple(linear), groups, self.entries, -1)

    @property
    def basis_size(self) -> int:
        return sum(member.basis_size for member in self.members)

    @property
    def residual_rows(self) -> tuple[int, ...]:
        return tuple(accumulate((1 + member.basis_size for member in self.members[:-1]), initial=0))

    @property
    def column_rows(self) -> tuple[int, ...]:
        rows = [0] * self.basis_size
        for first, places in zip(self.residual_rows, self.own_places, strict=True):
            for index, place in enumerate(places):
                rows[place - 1] = first + 1 + index
        return tuple(rows)

    @property
    def own_places(self) -> tuple[tuple[int, ...], ...]:
        """Where each outcome's columns stand in (r, `basis`): linear ones of all outcomes first."""
        linear = [len(member.roles.linear) for member in self.members]
        others = [member.basis_size - count for member, count in zip(self.members, linear, strict=True)]
        first, rest = list(accumulate(linear, initial=1)), list(accumulate(others, initial=1 + sum(linear)))
        return tuple((*range(*first[o : o + 2]), *range(*rest[o : o + 2])) for o in range(self.dimension))

    @property
    def random_places(self) -> tuple[int, ...]:
        members = zip(self.members, self.own_places, strict=True)
        return tuple(places[place - 1] for member, places in members for place in member.random_places)
