"""Experts without parameters that stand beside the K experts of a mixture, as further classes of the gate.

Their density of a unit depends on the data alone, so it is computed once, on the host.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from mixstat.core.family import Family
from mixstat.estimators.model.responses import ResponseData
from mixstat.exceptions import DataError, OptionError
from mixstat.families.survival import Survival
from mixstat.inference.distribution import AtomLaw, Law, UniformLaw


class Box(NamedTuple):
    """The range of one response in the data, (dimension,)."""

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Noise:
    """Uniform density over the box that the responses span: units that fit no expert (Banfield and Raftery, 1993).

    A continuous response contributes 1 / (max - min) a row, a count 1 / (max - min + 1), a categorical one
    1 / levels; several responses multiply. New rows outside the box have density 0.
    """

    name = "noise"

    def learn(self, responses: list[ResponseData], weight: np.ndarray) -> list[Box]:
        """The box of the fitted data; rows of zero weight do not count."""
        boxes = []
        for response in responses:
            values = response.values[:, response.seen & (weight > 0)]
            if response.family.categories:
                boxes.append(Box(np.zeros(1), np.array([len(response.family.categories) - 1.0])))
            else:
                boxes.append(Box(values.min(axis=1), values.max(axis=1)))
        return boxes

    def log_density(self, state: list[Box], responses: list[ResponseData]) -> np.ndarray:
        """(row,)."""
        total = np.zeros(len(responses[0].seen))
        for box, response in zip(state, responses, strict=True):
            size = box.high - box.low + (1.0 if response.family.discrete else 0.0)
            inside = ((response.values >= box.low[:, None]) & (response.values <= box.high[:, None])).all(axis=0)
            density = np.where(inside, -np.log(np.where(size > 0, size, 1.0)).sum(), -np.inf)
            total += np.where(response.seen, density, 0.0)
        return total

    def mean(self, state: list[Box], response: int, family: Family) -> np.ndarray:
        """(dimension,), or (category,) equal probabilities."""
        if family.categories:
            return np.full(len(family.categories), 1.0 / len(family.categories))
        return (state[response].low + state[response].high) / 2

    def sample(
        self, rng: np.random.Generator, state: list[Box], response: int, family: Family, rows: int
    ) -> np.ndarray:
        """(row, dimension)."""
        box = state[response]
        if family.discrete:
            return rng.integers(box.low.astype(int), box.high.astype(int) + 1, size=(rows, len(box.low))).astype(float)
        return rng.uniform(box.low, box.high, size=(rows, len(box.low)))

    def law(self, state: list[Box], response: int, family: Family) -> Law:
        """The distribution of one numeric response."""
        low, high = float(state[response].low[0]), float(state[response].high[0])
        return UniformLaw(low, high, family.discrete) if family.discrete or low < high else AtomLaw(low)

    def atom(self) -> float | None:
        return None


@dataclass(frozen=True)
class PointMass:
    """All mass at one value of the response: `PointMass(0)` beside a count family is zero inflation.

    A continuous expert has density zero at the atom, so such rows belong to the point mass with certainty.
    """

    value: float = 0.0
    name = "point_mass"

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, Real) or not np.isfinite(self.value):
            raise OptionError(f"PointMass takes a finite number, got {self.value!r}")

    def learn(self, responses: list[ResponseData], weight: np.ndarray) -> list[Box]:
        """Nothing; categories are refused."""
        for response in responses:
            if response.family.categories:
                raise DataError(f"PointMass needs a response of numbers; {response.names[0]!r} is categorical")
        return []

    def log_density(self, state: list[Box], responses: list[ResponseData]) -> np.ndarray:
        """(row,): 0 at the value, -inf elsewhere."""
        total = np.zeros(len(responses[0].seen))
        for response in responses:
            here = (response.values == self.value).all(axis=0)
            total += np.where(here | ~response.seen, 0.0, -np.inf)
        return total

    def mean(self, state: list[Box], response: int, family: Family) -> np.ndarray:
        return np.full(family.dimension, float(self.value))

    def sample(
        self, rng: np.random.Generator, state: list[Box], response: int, family: Family, rows: int
    ) -> np.ndarray:
        return np.full((rows, family.dimension), float(self.value))

    def law(self, state: list[Box], response: int, family: Family) -> Law:
        """The distribution of one numeric response."""
        return AtomLaw(float(self.value))

    def atom(self) -> float | None:
        return float(self.value)


@dataclass(frozen=True)
class Never:
    """Those to whom the event never comes: S(t) = 1 for ever, beside experts of survival times (mixture cure).

    They explain no event, and every censored row to some extent. Reference: Boag (1949), JRSS-B 11.
    """

    name = "never"

    def learn(self, responses: list[ResponseData], weight: np.ndarray) -> list[Box]:
        """Nothing; other responses than survival times are refused."""
        for response in responses:
            if not isinstance(response.family, Survival):
                raise DataError(
                    f"Never stands beside survival times; {response.names[0]!r} is none (Surv(time, event))"
                )
        return []

    def log_density(self, state: list[Box], responses: list[ResponseData]) -> np.ndarray:
        """(row,): 0 where the event was not seen, -inf where it was (the log of a background hazard, if any)."""
        total = np.zeros(len(responses[0].seen))
        for response in responses:
            assert isinstance(response.family, Survival)
            total += np.where(response.seen, response.family.log_never(response.data), 0.0)
        return total

    def mean(self, state: list[Box], response: int, family: Family) -> np.ndarray:
        return np.full(family.dimension, np.inf)

    def sample(
        self, rng: np.random.Generator, state: list[Box], response: int, family: Family, rows: int
    ) -> np.ndarray:
        return np.full((rows, family.dimension), np.inf)

    def law(self, state: list[Box], response: int, family: Family) -> Law:
        """All mass at infinity."""
        return AtomLaw(np.inf)

    def atom(self) -> float | None:
        return None


Extra = Noise | PointMass | Never


def extra_densities(
    extras: Sequence[Extra],
    states: Sequence[list[Box]],
    responses: list[ResponseData],
    unit: np.ndarray | None,
    units: int,
) -> np.ndarray:
    """(extra, unit) log densities; a unit's rows add up."""
    densities = np.zeros((len(extras), units))
    for index, (extra, state) in enumerate(zip(extras, states, strict=True)):
        rows = extra.log_density(state, responses)
        densities[index] = rows if unit is None else np.bincount(unit, rows, minlength=units)
    return densities
