"""Adapted power generalised Weibull: H(t) = lambda H0((phi t)^gamma; kappa), four predictors with log links.

phi is the time scale (accelerated failure time), lambda the hazard scale (proportional hazards), gamma the power,
kappa > -1 the shape, by log(kappa + 1), which chooses the baseline: 0 log-logistic, 1 Weibull, infinite Gompertz; below
0 a share is cured. Reference: Burke, Jones and Noufaily (2020), J. Royal Statistical Society C 69, 429-457.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Limit, Parameter
from mixstat.families._host import median, usable
from mixstat.families.survival import hazard, start
from mixstat.families.survival.family import Survival
from mixstat.families.survival.hazard import Logs
from mixstat.families.survival.jets import Jet, outer
from mixstat.families.survival.times import read

INFINITE, BEYOND = 700.0, 6.0
"""log(kappa + 1) that stands for an infinite kappa: 1/(kappa + 1) is then 0 to any precision."""
FAR = 100.0
"""log H where it has no bound: exp(-H) is then 0."""
STEEP = 3.9
"""|log| of gamma, or of kappa + 1 near kappa = -1, from which a fit is on its way to a degenerate one."""
KAPPA1 = (1.05, 2.0, 0.6, 4.0, 20.0)
"""kappa + 1 from which fits start."""


@dataclass(frozen=True)
class APGW(Survival):
    """`scale` says which predictor is the location, "aft" (phi) or "ph" (lambda); `kappa` is a fixed shape, or None.

    `pinned` names what is no parameter: lambda and gamma are then 1, phi is 1 / (the time scale of the sample).
    """

    name: ClassVar[str] = "apgw"
    scale: str = "aft"
    kappa: float | None = None
    pinned: tuple[str, ...] = ()
    common_shape: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        aft = self.scale == "aft"
        phi = Parameter("phi", "log", location=aft, key="" if aft else "other_scale")
        lam = Parameter("lambda", "log", location=not aft, key="other_scale" if aft else "")
        gamma = Parameter("gamma", "log", key="power")
        shape = Parameter("kappa1", "log", key="shape", common=self.common_shape)
        every = [*((phi, lam) if aft else (lam, phi)), gamma, *([shape] if self.kappa is None else [])]
        return tuple(parameter for parameter in every if parameter.name not in self.pinned)

    def limits(self, eta: np.ndarray) -> list[Limit]:
        names = [parameter.name for parameter in self.parameters]
        if "kappa1" not in names or not eta[names.index("kappa1")] > BEYOND:
            return []
        place = names.index("kappa1")
        there = np.where(np.arange(len(eta)) == place, INFINITE, eta)
        words = "kappa is infinite: the baseline is of the Gompertz type, and kappa has no standard error"
        return [Limit(there, (place,), words)]

    def degenerate(self, eta: np.ndarray) -> str:
        known = dict(zip((parameter.name for parameter in self.parameters), eta, strict=True))
        if known.get("gamma", 0.0) > STEEP:
            return "gamma runs to infinity (all events at one time); give another baseline, or fix one of the scales"
        both = {"phi", "lambda"} <= known.keys()
        if both and (known.get("kappa1", 0.0) < -STEEP or abs(known["lambda"]) > 4 * STEEP):
            return "lambda and kappa run to their bounds together; fix one of the scales (leave other_scale out)"
        if known.get("kappa1", 0.0) < -STEEP:
            return "kappa runs to -1, as few events cannot tell its value; give a baseline"
        return ""

    @property
    def unbounded(self) -> bool:  # type: ignore[override]
        """Whether all mass may gather at one time: not without a power, unless the hazard may rise without bound."""
        return "gamma" not in self.pinned or self.kappa is None or bool(np.isinf(self.kappa))

    @property
    def needed(self) -> int:
        return 1 if "phi" in self.pinned else 0

    def learnt(self, y: np.ndarray, weight: np.ndarray) -> "APGW":
        if "phi" not in self.pinned or self.constants:
            return self
        middle = median(read(y, self.name).last, weight)
        return replace(self, constants=(float(np.log(middle if middle > 0 else 1.0)),))

    def _named(self, eta: Sequence[Array], constants: Array) -> tuple[Array, Array, Array, Array]:
        """log phi, log lambda, log gamma and nu."""
        known = dict(zip((p.name for p in self.parameters), eta, strict=True))
        phi = -constants[0] if "phi" in self.pinned else known["phi"]
        shape = known["kappa1"] if self.kappa is None else shape_of(self.kappa)
        return phi, known.get("lambda", 0.0), known.get("gamma", 0.0), shape

    def logs(self, eta: Sequence[Array], log_time: Array, constants: Array) -> Logs:
        phi, lam, log_gamma, nu = self._named(eta, constants)
        u = jnp.exp(log_gamma) * (phi + log_time)
        found = Logs(u, 0.0 * u) if self.kappa == 1.0 else hazard.logs(u, jnp.asarray(nu))
        return Logs(lam + found.cumulative, lam + log_gamma + u - log_time + found.hazard)

    def log_total(self, eta: Sequence[Array], constants: Array) -> Array:
        _, lam, _, nu = self._named(eta, constants)
        cured = jnp.asarray(nu) < 0.0
        total = lam - jnp.log(jnp.expm1(jnp.where(cured, -nu, 1.0)))
        return jnp.where(cured, total, FAR) + 0.0 * eta[0]

    def jets(self, eta: Array, log_time: Array, constants: Array) -> tuple[Jet, Jet]:
        """In closed form: u = gamma (log phi + log t) is moved by phi and gamma, H0 and h0 by u and nu, H by lambda."""
        phi, _, log_gamma, nu = self._named(eta, constants)
        names = [parameter.name for parameter in self.parameters]
        power = jnp.exp(log_gamma) + 0.0 * log_time
        u = power * (phi + log_time)
        zero = jnp.zeros_like(u)
        by_name = {"phi": power, "gamma": u}
        u_first = jnp.stack([by_name.get(name, zero) for name in names])
        pairs = {("phi", "gamma"): power, ("gamma", "phi"): power, ("gamma", "gamma"): u}
        u_second = jnp.stack([jnp.stack([pairs.get((a, b), zero) for b in names]) for a in names])
        moved = Jet(u, u_first, u_second)
        is_ = {name: jnp.stack([zero + (name == other) for other in names]) for name in ("lambda", "gamma", "kappa1")}
        if self.kappa == 1.0:
            total, shape = moved, moved.times(0.0)
        else:
            total, shape = _through_hazard(moved, nu + zero, is_["kappa1"])
        now = self.logs(tuple(eta), log_time, constants)
        linear = moved.first + is_["lambda"] + is_["gamma"]
        return (
            Jet(now.cumulative, total.first + is_["lambda"], total.second),
            Jet(now.hazard, shape.first + linear, shape.second + moved.second),
        )

    def log_time(self, eta: Sequence[Array], log_h: Array, constants: Array) -> Array:
        phi, lam, log_gamma, nu = self._named(eta, constants)
        u = log_h - lam if self.kappa == 1.0 else hazard.inverse(log_h - lam, jnp.asarray(nu))
        return u * jnp.exp(-log_gamma) - phi

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return self.starts(data, weight)[0]

    def starts(self, data: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        shapes = np.log(KAPPA1) if self.kappa is None else [shape_of(self.kappa)]
        return [self._start(data, weight, float(nu)) for nu in shapes]

    def _start(self, data: np.ndarray, weight: np.ndarray, nu: float) -> np.ndarray:
        """gamma from the spread of log t, a scale whose H adds up to the number of events, the other by the median."""
        at = self.read(data)
        seen = at.event > 0 if at.between is None else (at.event > 0) | (at.between > 0)
        weight = usable(at.log_time, weight)
        spread = start.spread(at.log_time, weight * seen, weight)
        values = {"gamma": float(np.log(np.clip(1.2 / max(spread, 1e-6), 0.1, 10.0))), "kappa1": nu}
        power = 1.0 if "gamma" in self.pinned else np.exp(values["gamma"])
        log_events = float(np.log(max((weight * seen).sum(), 0.5)))
        if "lambda" in self.pinned:
            values["phi"] = start.scale_for(power, at.log_time, nu, weight, log_events)
        else:
            values["phi"] = -at.constants[0, 0] if "phi" in self.pinned else -median(at.log_time, weight)
            total = start.log_sum_of_totals(power * (values["phi"] + at.log_time), nu, weight)
            values["lambda"] = log_events - total
        return np.array([values[parameter.name] for parameter in self.parameters])


def _through_hazard(u: Jet, nu: Array, by_nu: Array) -> tuple[Jet, Jet]:
    """log H0 and log h0 of jets u and nu; `by_nu` (P, row) is the derivative of nu, 0 or 1."""
    found, first, second = hazard.logs(u.value, nu), hazard.slopes(u.value, nu), hazard.bends(u.value, nu)

    def jet(value: Array, slope: tuple[Array, Array], bend: tuple[Array, Array, Array]) -> Jet:
        mixed = u.first[:, None] * by_nu[None]
        curved = bend[0] * outer(u.first) + bend[1] * (mixed + jnp.swapaxes(mixed, 0, 1)) + bend[2] * outer(by_nu)
        return Jet(value, slope[0] * u.first + slope[1] * by_nu, slope[0] * u.second + curved)

    return jet(found.cumulative, first[:2], second[:3]), jet(found.hazard, first[2:], second[3:])


def shape_of(kappa: float) -> float:
    """nu = log(kappa + 1)."""
    return INFINITE if np.isinf(kappa) else float(np.log1p(kappa))
