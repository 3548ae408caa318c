"""The form of a growth model: its predictors, what each of them does, and how tables show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp

from mixstat.core.family import Family, Natural, Parameter
from mixstat.families.growth.curves import Curve
from mixstat.families.growth.proportional import expand, shape
from mixstat.families.growth.residuals import RESIDUALS, Residual
from mixstat.families.growth.shown import covariance, exponential

Array = Any
COVARIANCE = "random_covariance"
SHAPE = "random_shape"
VARIANCE = "residual_variance"


class Roles(NamedTuple):
    """Places of predictors by what they do; `sigma` is the log standard deviation of iid residuals, else -1."""

    linear: tuple[int, ...]
    moving: tuple[int, ...]
    entries: tuple[int, ...]
    sigma: int


class Occasions(NamedTuple):
    """A subject's data: y, seen (1 or 0), time, each (occasion, subject); columns (column, occasion, subject)."""

    y: Array
    seen: Array
    time: Array
    columns: Array


@dataclass(frozen=True)
class GrowthForm(Family):
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
    """

    curve: Curve | None = None
    columns: tuple[str, ...] = ()
    fixed: tuple[int, ...] = ()
    random: tuple[str | int, ...] = ()
    blocks: tuple[tuple[str, ...], ...] | None = None
    proportional: bool = False
    residual: str = "iid"
    scale_columns: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()
    effects: bool = False

    @property
    def coefficients(self) -> tuple[str, ...]:
        return () if self.curve is None else self.curve.coefficients

    @property
    def random_names(self) -> tuple[str, ...]:
        """What random coefficients are called."""
        return tuple(name if isinstance(name, str) else self.columns[name] for name in self.random)

    @property
    def expands(self) -> bool:
        """Whether a nonlinear coefficient is random: the curve is then expanded around the class's own values."""
        return self.curve is not None and any(name in self.curve.nonlinear for name in self.random)

    @property
    def _has_effects(self) -> bool:
        return self.expands and self.effects

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(j, i), j >= i: entries of the random coefficients' covariance, row by row."""
        names = self.random_names
        groups = (names,) if self.blocks is None else self.blocks
        below = [(j, i) for j in range(len(names)) for i in range(j + 1)]
        return tuple((j, i) for j, i in below if i == j or any({names[j], names[i]} <= set(group) for group in groups))

    @property
    def structure(self) -> Residual:
        return RESIDUALS[self.residual]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        curve = [Parameter(name, location=True) for name in self.coefficients]
        moved = [Parameter(name, location=True, key="effects") for name in self.coefficients if self._has_effects]
        fixed = [Parameter("mean", key="kappa", term=self.columns[c]) for c in self.fixed]
        return (*curve, *moved, *fixed, *random_parameters(self), *self.residual_parameters)

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
    def order_by(self) -> int:
        """The first knot or rate, else the first coefficient."""
        return 0 if self.curve is None or not self.curve.nonlinear else len(self.curve.factors)

    @property
    def kinks(self) -> tuple[int, ...]:
        if self.curve is None or not self.curve.broken:
            return ()
        return tuple(range(len(self.curve.factors), len(self.coefficients)))

    @property
    def natural(self) -> tuple[Natural, ...]:
        """Covariances instead of Cholesky factors, variances and rates instead of their logs."""
        entries, size = self.roles.entries, len(self.parameters)
        shown = []
        if entries and self.proportional:
            shown = [exponential(entries[:1], 2.0), shape(entries[1:], self.pairs, len(self.random))]
        elif entries:
            shown = [covariance(entries, self.pairs, len(self.random))]
        first = size - len(self.residual_parameters)
        rest = size - len(self.structure.parameters)
        if self.levels or not self.scale_columns:
            shown.append(exponential(tuple(range(first, rest)), 2.0))
        return (*shown, exponential(tuple(range(rest, size)), 1.0)) if rest < size else tuple(shown)

    def factor(self, eta: Sequence[Array]) -> list[list[Array]]:
        """C as rows, from the predictors of its entries."""
        q, entries = len(self.random), [eta[place] for place in self.roles.entries]
        entries = expand(entries, self.pairs) if self.proportional else entries
        zero = 0.0 * entries[0] if entries else 0.0
        factor: list[list[Array]] = [[zero] * (j + 1) for j in range(q)]
        for (j, i), value in zip(self.pairs, entries, strict=True):
            factor[j][i] = jnp.exp(value) if i == j else value
        return factor

    @property
    def roles(self) -> Roles:
        """What each predictor does."""
        curve, residual = len(self.coefficients), len(self.residual_parameters)
        factors = 0 if self.curve is None else len(self.curve.factors)
        first = curve + (curve if self._has_effects else 0)
        entries = first + len(self.fixed)
        last = entries + len(self.pairs)
        iid = self.residual in ("iid", "occasion") and not self.scale_columns
        rest = () if iid else range(last, last + residual)
        linear = range(curve, entries) if self.expands else (*range(factors), *range(first, entries))
        moving = (*(range(curve) if self.expands else range(factors, curve)), *rest)
        return Roles(tuple(linear), moving, tuple(range(entries, last)), last if iid else -1)

    @property
    def _linear_names(self) -> tuple[str | int, ...]:
        """Curve coefficients and columns that act linearly, in the order of `roles.linear`."""
        if not self.expands:
            return (*(() if self.curve is None else self.curve.factors), *self.fixed)
        return (*(self.coefficients if self._has_effects else ()), *self.fixed)

    @property
    def basis_names(self) -> tuple[str | int, ...]:
        """Columns of `basis`: the linear ones, then what has a random coefficient alone."""
        linear = self._linear_names
        return (*linear, *(name for name in self.random if name not in linear))

    @property
    def random_places(self) -> tuple[int, ...]:
        """Where the random coefficients' loadings stand in (r, `basis`)."""
        return tuple(1 + self.basis_names.index(name) for name in self.random)


def random_parameters(form: GrowthForm) -> list[Parameter]:
    """Entries of the Cholesky factor; of proportional ones the first is the class's own, the others are common."""
    names = form.random_names
    return [
        Parameter(
            SHAPE if form.proportional and place else COVARIANCE,
            "log" if i == j else "identity",
            term=names[j] if i == j else f"{names[j]},{names[i]}",
            common=form.proportional and place > 0,
        )
        for place, (j, i) in enumerate(form.pairs)
    ]
