"""Splines of log time: log H(t) = s(log t) (hazard scale) or log[S^-1 - 1] = s(log t) (odds scale).

    s(x) = eta_0 + eta_1 z + sum_j eta_(j+1) v_j(z),    v_j(z) = (z - k_j)+^3 - l_j (z - 0)+^3 - (1 - l_j) (z - 1)+^3

a natural cubic spline of z = (x - first) / (last - first) with l_j = 1 - k_j, linear before the first and after the
last log time of an event. Reference: Royston and Parmar (2002), Statistics in Medicine 21.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Parameter
from mixstat.core.special import softplus
from mixstat.exceptions import DataError
from mixstat.families._host import usable
from mixstat.families.survival.family import Survival
from mixstat.families.survival.hazard import Logs
from mixstat.families.survival.times import log, read

LEAST = 1e-6
"""Slope of s below which its logarithm goes on linearly: a decreasing s is no cumulative hazard."""


@dataclass(frozen=True)
class Spline(Survival):
    """`odds` chooses the scale; `interior` is the number of interior knots, quantiles of the log times of events."""

    name: ClassVar[str] = "spline"
    odds: bool = False
    interior: int = 2

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        first = Parameter("log_odds" if self.odds else "log_hazard", location=True), Parameter("slope", key="power")
        return (*first, *(Parameter("spline", key="shape", term=f"knot{j + 1}") for j in range(self.interior)))

    @property
    def needed(self) -> int:
        return self.interior + 2

    def learnt(self, y: np.ndarray, weight: np.ndarray) -> "Spline":
        """With the knots of this sample: first and last log time of an event, and evenly spaced quantiles between."""
        if self.constants:
            return self
        times = read(y, self.name)
        events = log(times.last[(times.event | times.between) & (weight > 0)])
        if len(np.unique(events)) < self.interior + 2:
            raise DataError(
                f"a spline with {self.interior} interior knots needs {self.interior + 2} distinct times of events, got "
                f"{len(np.unique(events))}; use fewer knots"
            )
        inner = np.quantile(events, np.linspace(0, 1, self.interior + 2))
        return replace(self, constants=tuple(float(knot) for knot in inner))

    def _curve(self, eta: Sequence[Array], log_time: Array, constants: Array) -> tuple[Array, Array]:
        """s and log ds/dx."""
        first, last = constants[0], constants[-1]
        width = last - first
        z = (log_time - first) / width
        value, slope = eta[0] + eta[1] * z, eta[1] + 0.0 * z
        below, above = jnp.maximum(z, 0.0), jnp.maximum(z - 1.0, 0.0)
        for j in range(self.interior):
            knot = (constants[j + 1] - first) / width
            beyond = jnp.maximum(z - knot, 0.0)
            value = value + eta[j + 2] * (beyond**3 - (1.0 - knot) * below**3 - knot * above**3)
            slope = slope + 3.0 * eta[j + 2] * (beyond**2 - (1.0 - knot) * below**2 - knot * above**2)
        safe = jnp.maximum(slope, LEAST)
        return value, jnp.log(safe) + jnp.minimum(slope - LEAST, 0.0) / LEAST - jnp.log(width)

    def logs(self, eta: Sequence[Array], log_time: Array, constants: Array) -> Logs:
        value, log_slope = self._curve(eta, log_time, constants)
        if not self.odds:
            return Logs(value, value + log_slope - log_time)
        return Logs(log_softplus(value), log_slope - softplus(-value) - log_time)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """A straight line: a Weibull or a log-logistic law."""
        at = self.read(data)
        weight = usable(at.log_time, weight)
        seen = at.event > 0 if at.between is None else (at.event > 0) | (at.between > 0)
        centre = np.average(at.log_time, weights=weight)
        spread = max(float(np.sqrt(np.average((at.log_time - centre) ** 2, weights=weight))), 1e-6)
        slope = (1.8 if self.odds else 1.2) / spread
        first, width = self.constants[0], self.constants[-1] - self.constants[0]
        level = np.log(np.average(seen, weights=weight).clip(1e-3, 0.999)) + slope * (first - centre)
        return np.array([level, slope * width, *np.zeros(self.interior)])


def log_softplus(x: Array) -> Array:
    """log log(1 + e^x), which tends to x - e^x / 2."""
    far = x < -18.0
    return jnp.where(far, x - 0.5 * jnp.exp(jnp.where(far, x, 0.0)), jnp.log(softplus(jnp.where(far, 0.0, x))))
