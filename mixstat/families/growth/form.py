"""The form of a growth model: its predictors, what each of them does, and how tables show them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mixstat.core.family import Family, Limit, Natural, Parameter
from mixstat.families.growth import boundaries, coordinates
from mixstat.families.growth.curves import Curve
from mixstat.families.growth.mixed import MixedModel, Roles
from mixstat.families.growth.random import Groups
from mixstat.families.growth.residuals import RESIDUALS, Residual
from mixstat.families.growth.smoothing import CurvePart

VARIANCE = "residual_variance"


@dataclass(frozen=True)
class GrowthForm(CurvePart, MixedModel):
    """What a growth model is made of.

    curve     the curve, or None where covariates alone make the mean
    columns   names of the occasion-level columns in the data
    fixed     columns with a coefficient in the mean
    random    curve coefficients (by name) and columns (by number) with a random coefficient
    blocks    groups of random coefficients (by the names of `random_names`) that correlate; None: all do
    proportional  whether covariances of the random coefficients are proportional across classes
    residual  name of the residual structure; `scale_columns` are the columns of its log standard deviation
    levels    times that have a variance each (residual "occasion")
    effects   whether covariates act on the coefficients of an expanded curve
    smoothing  column that holds the smoothing constant of random knots, -1 without one
    softness   (that constant, its default, from which searches come to smaller ones), in squared units of time; the
               constant travels with the data, so that another compiles nothing anew
    constants  of the coordinates in which times and columns enter, none for those of the data; no kernel knows them, so
               that other values compile nothing anew
    """

    curve: Curve | None = None
    columns: tuple[str, ...] = ()
    fixed: tuple[int, ...] = ()
    random: tuple[str | int, ...] = ()
    blocks: Groups | None = None
    proportional: bool = False
    residual: str = "iid"
    scale_columns: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()
    effects: bool = False
    smoothing: int = -1
    softness: tuple[float, ...] = field(default=(), compare=False)
    constants: tuple[float, ...] = field(default=(), compare=False)

    @property
    def random_names(self) -> tuple[str, ...]:
        """What random coefficients are called."""
        return tuple(name if isinstance(name, str) else self.columns[name] for name in self.random)

    @property
    def expands(self) -> bool:
        """Whether a nonlinear coefficient is random: the curve is then expanded around the class's own values."""
        return self.curve is not None and any(name in self.curve.nonlinear for name in self.random)

    @property
    def has_effects(self) -> bool:
        return self.expands and self.effects

    @property
    def structure(self) -> Residual:
        return RESIDUALS[self.residual]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        curve = [Parameter(name, location=True, key=self._key(name)) for name in self.coefficients]
        moved = [Parameter(name, location=True, key="effects") for name in self.coefficients if self.has_effects]
        fixed = [Parameter("mean", key="kappa", term=self.columns[c]) for c in self.fixed]
        return (*curve, *moved, *fixed, *self.random_parameters, *self.residual_parameters)

    def _key(self, name: str) -> str:
        """Where the formula of a coefficient stands: that of all which are known once the data are, or its own."""
        return self.curve.family or name if self.curve is not None and name in self.curve.nonlinear else name

    @property
    def residual_parameters(self) -> list[Parameter]:
        """The log standard deviation, or its coefficients; then those of the structure."""
        if self.levels:
            scale = [Parameter(VARIANCE, "log", term=self.columns[c]) for c in self.scale_columns]
        elif self.scale_columns:
            scale = [Parameter("residual_sd", "log", term=self.columns[c]) for c in self.scale_columns]
        else:
            scale = [Parameter(VARIANCE, "log")]
        return [*scale, *(Parameter(name, "log") for name in self.structure.parameters)]

    @property
    def natural(self) -> tuple[Natural, ...]:
        """Covariances instead of Cholesky factors, variances and rates instead of their logs."""
        first = self.head + len(self.pairs)
        return (*self.random_natural, *self.residual_natural(first))

    def residual_natural(self, first: int) -> list[Natural]:
        """Variances and rates instead of their logs; `first` is the place of the first parameter of the residuals."""
        return coordinates.residual_natural(self, first)

    def translation(self, source: Family) -> tuple[Natural, ...]:
        if not isinstance(source, GrowthForm) or source.constants == self.constants:
            return ()
        first = self.head + len(self.pairs)
        return (*coordinates.translation(self, source), *coordinates.residual_translation(self, source, first))

    def limits(self, eta: np.ndarray) -> list[Limit]:
        return [*super().limits(eta), *boundaries.of_residuals(self, eta, self.head + len(self.pairs))]

    @property
    def parts(self) -> "Sequence[tuple[int, GrowthForm]]":
        return ((0, self),)

    @property
    def head(self) -> int:
        """How many predictors the mean has: they stand first."""
        return len(self.coefficients) * (2 if self.has_effects else 1) + len(self.fixed)

    @property
    def entries(self) -> tuple[int, ...]:
        return tuple(range(self.head, self.head + len(self.pairs)))

    @property
    def roles(self) -> Roles:
        curve, residual = len(self.coefficients), len(self.residual_parameters)
        factors = 0 if self.curve is None else len(self.curve.factors)
        first, head = curve * (2 if self.has_effects else 1), self.head
        last = head + len(self.pairs)
        iid = self.residual in ("iid", "occasion") and not self.scale_columns
        rest = () if iid else range(last, last + residual)
        linear = range(curve, head) if self.expands else (*range(factors), *range(first, head))
        moving = (*(range(curve) if self.expands else range(factors, curve)), *rest)
        return Roles(tuple(linear), (moving,), self.entries, last if iid else -1)

    @property
    def _linear_names(self) -> tuple[str | int, ...]:
        """Curve coefficients and columns that act linearly, in the order of `roles.linear`."""
        if not self.expands:
            return (*(() if self.curve is None else self.curve.factors), *self.fixed)
        return (*(self.coefficients if self.has_effects else ()), *self.fixed)

    @property
    def basis_names(self) -> tuple[str | int, ...]:
        """Columns of `basis`: the linear ones, then what has a random coefficient alone."""
        linear = self._linear_names
        return (*linear, *(name for name in self.random if name not in linear))

    @property
    def basis_size(self) -> int:
        return len(self.basis_names)

    @property
    def random_places(self) -> tuple[int, ...]:
        return tuple(1 + self.basis_names.index(name) for name in self.random)
