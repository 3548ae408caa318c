"""Generalised gamma: log T = mu + sigma W, W a standardised log-gamma variable of shape q (see `log_gamma`).

q = 0 is log-normal, q = sigma gamma, q = 1 Weibull. Reference: Prentice (1974), Biometrika 61; Cox, Chu, Schneider and
Munoz (2007), Statistics in Medicine 26.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.family import Array, Parameter
from mixstat.families._host import usable
from mixstat.families.survival import log_gamma
from mixstat.families.survival.family import Survival
from mixstat.families.survival.hazard import Logs
from mixstat.families.survival.jets import Jet, by_autodiff, outer

SHAPES = (0.5, 1.0, -0.5, 0.05)
"""q from which fits start."""


@dataclass(frozen=True)
class GeneralizedGamma(Survival):
    """Location mu (of log time), sigma with a log link and q, which `case` "lognormal" and "gamma" do not have."""

    name: ClassVar[str] = "generalized_gamma"
    case: str = "generalized_gamma"
    common_shape: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        first = Parameter("mean_log", location=True), Parameter("sigma", "log", key="power")
        shape = Parameter("q", key="shape", common=self.common_shape)
        return (*first, shape) if self.case == "generalized_gamma" else first

    def _standard(self, eta: Sequence[Array], log_time: Array) -> tuple[Array, Array]:
        """w and q."""
        w = (log_time - eta[0]) * jnp.exp(-eta[1])
        if self.case == "generalized_gamma":
            return w, eta[2] + 0.0 * w
        return w, jnp.exp(eta[1]) + 0.0 * w if self.case == "gamma" else 0.0 * w

    def logs(self, eta: Sequence[Array], log_time: Array, constants: Array) -> Logs:
        w, q = self._standard(eta, log_time)
        survival, total = log_gamma.log_normal_tails(w) if self.case == "lognormal" else log_gamma.log_tails(w, q)
        return Logs(total, log_gamma.log_density(w, q) - eta[1] - log_time - survival)

    def jets(self, eta: Array, log_time: Array, constants: Array) -> tuple[Jet, Jet]:
        """w is moved by mu and sigma, q by itself or by sigma; the tail has its derivatives in closed form."""
        w, q = self._standard(tuple(eta), log_time)
        tails = log_gamma.normal_tails(w) if self.case == "lognormal" else log_gamma.tails(w, q)
        inverse, zero, one = jnp.exp(-eta[1]) + 0.0 * w, jnp.zeros_like(w), jnp.ones_like(w)
        count = len(self.parameters)
        w_first = jnp.stack([-inverse, -w, zero][:count])
        w_second = jnp.stack(
            [jnp.stack(row[:count]) for row in [[zero, inverse, zero], [inverse, w, zero], [zero] * 3]]
        )
        by_q = {"generalized_gamma": [zero, zero, one], "gamma": [zero, q], "lognormal": [zero, zero]}[self.case]
        q_first = jnp.stack(by_q)
        q_second = outer(q_first) / jnp.maximum(q, 1e-300) if self.case == "gamma" else 0.0 * outer(q_first)
        survival, total = (_compose(tail, w_first, w_second[:count], q_first, q_second) for tail in tails)
        return total, self._density_jet(eta, log_time).plus(survival, -1.0)

    def _density_jet(self, eta: Array, log_time: Array) -> Jet:
        """log f, whose derivatives are cheap."""

        def density(e: Array) -> tuple[Array]:
            w, q = self._standard(tuple(e), log_time)
            return (log_gamma.log_density(w, q) - e[1] - log_time,)

        return by_autodiff(density, eta)[0]

    def mean(self, eta: Sequence[Array]) -> Array:
        """exp(mu) E[exp(sigma W)], infinite where q < 0 and the tail is too heavy."""
        sigma = jnp.exp(eta[1])
        if self.case == "gamma":
            return jnp.exp(eta[0]) + 0.0 * sigma
        if self.case == "lognormal":
            return jnp.exp(eta[0] + 0.5 * sigma * sigma)
        q = jnp.where(jnp.abs(eta[2]) < 1e-4, 1e-4, eta[2])
        shape, shift = 1.0 / (q * q), sigma / q
        finite = shape + shift > 0
        gammas = jax.scipy.special.gammaln(jnp.where(finite, shape + shift, 1.0)) - jax.scipy.special.gammaln(shape)
        return jnp.where(finite, jnp.exp(eta[0] + gammas - shift * jnp.log(shape)), jnp.inf)

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return self.starts(data, weight)[0]

    def starts(self, data: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        at = self.read(data)
        weight = usable(at.log_time, weight)
        centre = np.average(at.log_time, weights=weight)
        spread = np.sqrt(np.average((at.log_time - centre) ** 2, weights=weight))
        events = weight @ (at.event > 0) / weight.sum()
        first = np.array([centre + (1.0 - events) * spread, np.log(max(spread, 1e-6))])
        return [np.append(first, q) for q in SHAPES] if self.case == "generalized_gamma" else [first]


def _compose(tail: log_gamma.Tail, w1: Array, w2: Array, q1: Array, q2: Array) -> Jet:
    """The tail as a function of the predictors."""
    mixed = w1[:, None] * q1[None]
    second = tail.by_w * w2 + tail.by_q * q2 + tail.by_ww * outer(w1) + tail.by_qq * outer(q1)
    return Jet(tail.value, tail.by_w * w1 + tail.by_q * q1, second + tail.by_wq * (mixed + jnp.swapaxes(mixed, 0, 1)))
