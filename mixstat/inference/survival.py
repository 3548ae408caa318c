"""Survival quantities of a mixture at given times: S = sum_k pi_k S_k, f = sum_k pi_k f_k, h = f / S, all in logs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Design
from mixstat.core.mixture import Mixture, gate_log_probability
from mixstat.core.reduce import take_block
from mixstat.core.special import expm1
from mixstat.families.survival import Survival

Array = Any

CURVES = ("survival", "cumulative_hazard", "hazard", "density", "cure", "conditional_survival")
"""What is known of a class or a mixture at a time; `cure` is the share without an event ever, whatever the time, and
`conditional_survival` is survival to each time but the last, given survival to the last."""
PREFIX = "expert_"
"""Before the name of a curve: that of every class."""
LOG_LARGEST = 690.0
"""Log of the largest hazard, cumulative or not: sums of them are finite, and so are derivatives."""
NEVER = -1e4
"""log H of those to whom the event never comes."""


def is_curve(target: str) -> bool:
    """Whether a target is one of time."""
    return target.removeprefix(PREFIX) in CURVES


def curve_values(
    mixture: Mixture,
    target: str,
    places: tuple[tuple[int, int], ...],
    phi: Array,
    design: Design,
    times: Array,
    weights: Array | None,
) -> Array:
    """The target (output, row) in a design of one block.

    `places` has each group's (outcome, item); `times` (time, row) or (time, 1) are logs; `weights` (sum, time) make
    sums of times. Outputs are times or sums, of `expert_` targets classes and then these.
    """
    curve = target.removeprefix(PREFIX)
    log_total, hazard = class_logs(mixture, places, phi, design, times, limit=curve == "cure")
    total = jnp.exp(jnp.minimum(log_total, LOG_LARGEST))
    if target.startswith(PREFIX):
        values = _values(curve, total, hazard)
        values = values if weights is None else weights @ values
        return values.reshape(-1, values.shape[-1])
    log_gate = gate_log_probability(mixture, phi, design)[0][:, None]
    values = _values(curve, *_mixed(log_gate, total, hazard))
    return values if weights is None else weights @ values


def _mixed(log_gate: Array, total: Array, log_hazard: Array) -> tuple[Array, Array]:
    """H = -log sum pi_k S_k and log h = log sum (pi_k S_k / S) h_k, exact where H is small and where S underflows."""
    least = jax.lax.stop_gradient(jnp.min(total, axis=0))
    log_share = log_gate - (total - least)
    log_sum = jax.nn.logsumexp(log_share, axis=0)
    lost = -jnp.sum(jnp.exp(log_gate) * expm1(-total), axis=0)
    near = lost < 0.5
    mixed = jnp.where(near, -jnp.log1p(-jnp.where(near, lost, 0.0)), least - log_sum)
    return mixed, jax.nn.logsumexp(log_share - log_sum + log_hazard, axis=0)


def _values(curve: str, total: Array, log_hazard: Array) -> Array:
    """From H and log h (..., time, row)."""
    if curve == "conditional_survival":
        return jnp.exp(total[..., -1:, :] - total[..., :-1, :])
    return {
        "survival": lambda: jnp.exp(-total),
        "cure": lambda: jnp.exp(-total),
        "cumulative_hazard": lambda: total,
        "density": lambda: jnp.exp(log_hazard - total),
        "hazard": lambda: jnp.exp(jnp.minimum(log_hazard, LOG_LARGEST)),
    }[curve]()


def class_logs(
    mixture: Mixture, places: tuple[tuple[int, int], ...], phi: Array, design: Design, times: Array, *, limit: bool
) -> tuple[Array, Array]:
    """log H and log h (class, time, row) of every class; with `limit` log H as time goes to infinity."""
    block, rows = take_block(design, 0), design.columns.shape[-1]
    parts, _ = mixture.split(phi)
    found = []
    for group, part, (place, item) in zip(mixture.groups, parts, places, strict=True):
        outcome, theta = group.outcomes[place], group.split(part)[place]
        family = outcome.family
        assert isinstance(family, Survival)
        constants = family.read(block.responses[outcome.data][item]).constants

        def logs(eta: Array, family: Survival = family, constants: Array = constants) -> tuple[Array, Array]:
            if limit:
                total = jnp.broadcast_to(family.log_total(tuple(eta), constants), (len(times), rows))
                return total, jnp.full_like(total, -jnp.inf)
            return tuple(family.logs(tuple(eta), jnp.broadcast_to(times, (len(times), rows)), constants))

        found.append(jax.vmap(logs)(outcome.stacked(theta, block)[:, item]))
    total, hazard = (jnp.concatenate(logs) for logs in zip(*found, strict=True))
    never = jnp.full((mixture.extras, *total.shape[1:]), NEVER)
    return jnp.concatenate([total, never]), jnp.concatenate([hazard, never])


def unbounded(values: np.ndarray) -> np.ndarray:
    """Curves as floating point holds them: infinite from the largest on."""
    return np.where(values >= np.exp(LOG_LARGEST) * (1.0 - 1e-9), np.inf, values)


def log_times(times: np.ndarray) -> np.ndarray:
    """log t, finite at 0."""
    return np.log(np.maximum(times, 1e-300))
