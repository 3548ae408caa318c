"""Smoothing: |t - g| around a random knot g as sqrt((t - g)^2 + c), the constant c being a column of the data."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mixstat.families.growth.coordinates import Coordinates

if TYPE_CHECKING:
    from mixstat.families.growth.curves import Curve
    from mixstat.families.growth.mixed import Occasions

Array = Any
STEP = 10.0
"""By how much a smoothing constant falls from one search to the next."""


class SmoothedCurve:
    """What the smoothing constant of a growth model leads to; see `GrowthForm` for `smoothing` and `softness`."""

    curve: "Curve | None"
    columns: tuple[str, ...]
    levels: tuple[float, ...]
    smoothing: int
    softness: tuple[float, ...]
    constants: tuple[float, ...]

    @property
    def turned(self) -> int:
        """How many columns coordinates turn: those of formulas, which stand first."""
        return len(self.columns) - len(self.levels) - (self.smoothing >= 0)

    @property
    def coordinates(self) -> Coordinates:
        """In which times and columns enter."""
        return Coordinates.of(self.constants, self.turned)

    def curve_constants(self, at: "Occasions") -> tuple[Array, ...]:
        """What the curve takes beside its coefficients."""
        return () if self.smoothing < 0 else (at.columns[self.smoothing],)

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

    @property
    def jumps(self) -> tuple[int, ...]:
        """Predictors of the knots, if our constant is small."""
        if self.curve is None or not self.stages:
            return ()
        return tuple(range(len(self.curve.factors), len(self.curve.coefficients)))
