"""Growth: a subject's occasions as one row, a mixed model around a growth curve.

    y = f(t; alpha) + X kappa + L zeta + e,    zeta ~ N(0, C C'),    e ~ N(0, R)

L holds the curve's derivatives by its random coefficients, and covariates with random coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.families.growth import start as starting
from mixstat.families.growth.centring import Use, choices, keeps_groups
from mixstat.families.growth.form import GrowthForm
from mixstat.families.growth.mixed import MixedModel, Occasions

Array = Any


@dataclass(frozen=True)
class Growth(GrowthForm):
    """Gaussian growth curve with random coefficients."""

    name: ClassVar[str] = "growth"

    @property
    def members(self) -> "tuple[Growth, ...]":
        """The growth models of every outcome: this one."""
        return (self,)

    def read(self, data: Array) -> Occasions:
        fields = data.reshape(3 + len(self.columns), -1, *data.shape[1:])
        return Occasions(fields[0], fields[1], fields[2], fields[3:])

    def write(self, occasions: Occasions) -> np.ndarray:
        fields = np.concatenate([np.stack(occasions[:3]), np.asarray(occasions.columns)])
        return fields.reshape(-1, fields.shape[-1])

    def entered(self, data: np.ndarray) -> np.ndarray:
        return self.write(self.inside(self.read(data))) if self.constants else data

    def centrings(self, data: np.ndarray, weight: np.ndarray, use: Use) -> list[MixedModel]:
        found = choices(self, self.read(data), weight, use)
        return [replace(self, constants=way.constants) for way in found if keeps_groups(self, [way])]

    def basis(self, eta: Sequence[Array], at: Occasions) -> tuple[Array, list[Array]]:
        size = len(self.coefficients)
        values = [jnp.broadcast_to(e, at.y.shape[1:]) for e in eta[:size]]
        constants = self.curve_constants(at)
        columns: list[Array] = [
            self.curve.loading(at.time, values, self.coefficients.index(name), constants)
            if isinstance(name, str) and self.curve is not None
            else at.columns[name]
            for name in self.basis_names
        ]
        mean = jnp.zeros_like(at.y) if self.curve is None else self.curve.mean(at.time, values, constants)
        if self.has_effects:
            mean = mean + sum(e * column for e, column in zip(eta[size : 2 * size], columns, strict=False))
            size *= 2
        for kappa, column in zip(eta[size : size + len(self.fixed)], self.fixed, strict=True):
            mean = mean + kappa * at.columns[column]
        return mean, columns

    def whiten(self, eta: Sequence[Array], vectors: list[Array], at: Occasions) -> tuple[list[Array], Array]:
        return self.structure.whiten(vectors, self.log_sigma(eta, at), self._structural(eta), at.time, at.seen)

    def log_sigma(self, eta: Sequence[Array], at: Occasions) -> Array:
        """Log standard deviation of the independent residuals, (occasion, subject)."""
        residual = eta[len(eta) - len(self.residual_parameters) :]
        if not self.scale_columns:
            return residual[0] * jnp.ones_like(at.y)
        return sum(r * at.columns[c] for r, c in zip(residual, self.scale_columns, strict=False))

    def _structural(self, eta: Sequence[Array]) -> Sequence[Array]:
        """Predictors of the residual structure."""
        return eta[len(eta) - len(self.structure.parameters) :]

    def draw_residuals(self, rng: np.random.Generator, eta: Sequence[np.ndarray], at: Occasions) -> np.ndarray:
        return self.structure.draw(rng, self.log_sigma(eta, at), self._structural(eta), at.time)

    def centre(self, eta: Sequence[Array]) -> list[Array]:
        size = len(self.coefficients)
        moved = eta[size : 2 * size] if self.has_effects else [0.0] * size
        curve = [e + m for e, m in zip(eta[:size], moved, strict=True)]
        fixed = dict(zip(self.fixed, eta[self.head - len(self.fixed) : self.head], strict=True))
        return [
            curve[self.coefficients.index(name)] if isinstance(name, str) else fixed.get(name, 0.0 * eta[0])
            for name in self.random
        ]

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        """One subject a row, without occasions: what stands where a response is not known."""
        fields = np.zeros((3 + len(self.columns), len(y)))
        if self.smoothing >= 0:
            fields[3 + self.smoothing] = self.softness[0]
        return fields

    def softened(self, data: np.ndarray, stage: int) -> np.ndarray:
        return self.write(self.smoothed(self.read(data), self.constant_at(stage))) if self.stages else data

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.starts(data, weight)[0]
        return found

    def starts(self, data: np.ndarray, weight: np.ndarray) -> Sequence[np.ndarray]:
        return starting.Starts(self, self.read(data), weight)

    def features(self, data: np.ndarray) -> np.ndarray:
        return starting.features(self, self.read(data))
