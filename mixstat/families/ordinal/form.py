"""The form of an ordinal law: how parameters and their predictors make eta_1, ..., eta_q."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Family, Parameter

KINDS = ("cumulative", "stopping", "adjacent")
OWN, DIFFERENCE = "location_", "difference_"
"""Before the number of a cut: its own location, or the difference to that of the cut before."""


@dataclass(frozen=True)
class OrdinalForm(Family):
    """Parameters and predictors.

    `common`: whether there is a location that is common to the cuts; `own`: "", OWN or DIFFERENCE, what each cut has;
    `main_is_own`: whether the main formula acts on these; `scaled`: whether there is a log scale; `rearranged`: whether
    `mean` sorts cumulative probabilities that cross.
    """

    levels: tuple = ()
    kind: str = "cumulative"
    link: str = "logit"
    common: bool = True
    own: str = ""
    main_is_own: bool = False
    scaled: bool = False
    rearranged: bool = False

    @property
    def cuts(self) -> int:
        return len(self.levels) - 1

    @property
    def categories(self) -> tuple:
        return self.levels

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        numbers = range(1, self.cuts + 1)
        common = [Parameter("location", location=True, origin=True)] if self.common else []
        first = 0 if self.common else 1
        key = "location" if self.main_is_own else "separate"
        alone = self.own == OWN and not self.common
        own = [
            Parameter(f"{self.own}{k}", location=self.main_is_own, key=key, origin=True, offset=alone or k == first)
            for k in numbers
            if self.own
        ]
        cuts = [Parameter(f"cut_{k}", key="cuts") for k in numbers]
        return (*common, *own, *cuts, *([Parameter("log_scale", key="scale", origin=True)] if self.scaled else []))

    def predictors(self, eta: Sequence[Array]) -> list[Array]:
        """eta_1, ..., eta_q from the parameters' predictors."""
        parts = iter(eta)
        common = next(parts) if self.common else 0.0
        own = [next(parts) for _ in range(self.cuts)] if self.own else [0.0] * self.cuts
        if self.own == DIFFERENCE:
            for k in range(1, self.cuts):
                own[k] = own[k] + own[k - 1]
        values = [next(parts) - common - own[k] for k in range(self.cuts)]
        if not self.scaled:
            return values
        shrink = jnp.exp(-next(parts))
        return [value * shrink for value in values]

    @property
    def may_cross(self) -> bool:
        """Whether cumulative probabilities of some rows may fall from a category to the next."""
        return self.kind == "cumulative" and bool(self.own) and self.cuts > 1

    @cached_property
    def composition(self) -> np.ndarray:
        """(cut, P) what eta_1, ..., eta_q are sums of, apart from the scale."""
        plain, count = replace(self, scaled=False), len(self.parameters)
        parts = np.eye(count)[: len(plain.parameters)]
        return np.array([value + np.zeros(count) for value in plain.predictors(list(parts))])

    @property
    def steps(self) -> np.ndarray:
        """(cut - 1, P) what eta_(k+1) - eta_k is the sum of; a row crosses where it is negative."""
        return np.diff(self.composition, axis=0)

    @cached_property
    def absorbing(self) -> np.ndarray:
        """Cuts absorb what moves the predictors."""
        gains = np.eye(len(self.parameters))
        cuts = [number for number, p in enumerate(self.parameters) if p.name.startswith("cut_")]
        moving = [number for number, p in enumerate(self.parameters) if p.name != "log_scale"]
        gains[:, moving] = 0.0
        gains[np.ix_(cuts, moving)] = self.composition[:, moving]
        return gains

    def order_value(self, eta: np.ndarray) -> float:
        """Where the latent response lies between the cuts."""
        plain = replace(self, scaled=False)
        return -float(np.mean(plain.predictors(list(eta[: len(plain.parameters)]))))
