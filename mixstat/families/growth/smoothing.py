"""What a curve takes beside its coefficients, in columns of the data: a smoothing constant, or exposures.

|t - g| around a random knot g is sqrt((t - g)^2 + c) with the constant c; exposures are those of change scores.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from mixstat.families.growth.change_scores import exposures_inside
from mixstat.families.growth.coordinates import Coordinates

if TYPE_CHECKING:
    from mixstat.families.growth.curves import Curve
    from mixstat.families.growth.mixed import Occasions

Array = Any
STEP = 10.0
"""By how much a smoothing constant falls from one search to the next."""


class CurvePart:
    """What the curve of a growth model leads to; see `GrowthForm` for `smoothing` and `softness`."""

    curve: "Curve | None"
    columns: tuple[str, ...]
    levels: tuple[float, ...]
    smoothing: int
    softness: tuple[float, ...]
    constants: tuple[float, ...]

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the curve's coefficients."""
        return () if self.curve is None else self.curve.coefficients

    @property
    def order_by(self) -> int:
        """The first knot or rate, else the first coefficient."""
        return 0 if self.curve is None or not self.curve.nonlinear else len(self.curve.factors)

    @property
    def kinks(self) -> tuple[int, ...]:
        """Predictors in which the curve is not smooth."""
        return self._nonlinear if self.curve is not None and self.curve.broken else ()

    @property
    def jumps(self) -> tuple[int, ...]:
        """Predictors of the knots, if our smoothing constant is small."""
        return self._nonlinear if self.stages else ()

    @property
    def _nonlinear(self) -> tuple[int, ...]:
        return () if self.curve is None else tuple(range(len(self.curve.factors), len(self.coefficients)))

    @property
    def exposures(self) -> int:
        """How many columns are exposures, the last ones."""
        return 0 if self.curve is None else self.curve.exposures

    @property
    def turned(self) -> int:
        """How many columns coordinates turn: those of formulas, which stand first."""
        return len(self.columns) - len(self.levels) - self.exposures - (self.smoothing >= 0)

    @property
    def coordinates(self) -> Coordinates:
        """In which times and columns enter."""
        return Coordinates.of(self.constants, self.turned)

    def curve_constants(self, at: "Occasions") -> tuple[Array, ...]:
        """What the curve takes beside its coefficients."""
        if self.exposures:
            return (at.columns[-self.exposures :],)
        return () if self.smoothing < 0 else (at.columns[self.smoothing],)

    def inside(self, at: "Occasions") -> "Occasions":
        """The data, given in the user's own coordinates, in ours."""
        way = self.coordinates
        there = way.inside(at)
        if self.smoothing >= 0:
            return self.smoothed(there, there.columns[self.smoothing])
        if self.curve is None or not self.exposures:
            return there
        columns, first = np.array(there.columns), len(self.columns) - self.exposures
        columns[first:] = exposures_inside(columns[first:], len(self.curve.times) - 1, way.centre, way.scale)
        return there._replace(columns=columns)

    def smoothed(self, at: "Occasions", constant: Any) -> "Occasions":
        """With a smoothing constant, given in the user's unit of time, in ours."""
        columns = np.array(at.columns)
        columns[self.smoothing] = constant / self.coordinates.scale**2
        return at._replace(columns=columns)

    @property
    def stages(self) -> int:
        """Steps by which a search comes from the default constant to a smaller one."""
        if self.smoothing < 0 or self.softness[1] <= self.softness[0]:
            return 0
        return int(np.ceil(np.log(self.softness[1] / self.softness[0]) / np.log(STEP)))

    def constant_at(self, stage: int) -> float:
        """The constant of a stage."""
        own, default = self.softness
        return float(default * (own / default) ** min(stage / max(self.stages, 1), 1.0))
