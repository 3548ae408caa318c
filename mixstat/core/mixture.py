"""Mixture: log p(y_i) = log sum_k pi_k(v_i) f_k(y_i | x_i), and its reductions over units.

Responsibilities and everything else here are reductions of it, written once for every family and gate. Coefficients are
one flat vector phi: each group of experts (copies, width) in order, then the gate (class - 1, column).

Where units are observed only if a selection lets them in (late entry), log p is divided by the mixture of the classes'
probabilities of it, log sum_k pi_k P_k(observed): another mixture of the same coefficients, whose sums are subtracted.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Design
from mixstat.core.expert import Experts
from mixstat.core.family import Entry
from mixstat.core.gate import Gate
from mixstat.core.kernel import kernel
from mixstat.core.reduce import each, reduce

Array = Any


@dataclass(frozen=True)
class Mixture:
    """Groups of experts, then `extras` classes without parameters, under one gate."""

    groups: tuple[Experts, ...]
    gate: Gate
    extras: int = 0

    @cached_property
    def experts(self) -> int:
        return sum(group.copies for group in self.groups)

    @property
    def classes(self) -> int:
        return self.experts + self.extras

    @property
    def has_gate(self) -> bool:
        """Whether the gate has coefficients."""
        return int(np.prod(self.gate.shape)) > 0

    @cached_property
    def size(self) -> int:
        """Length of phi."""
        return sum(group.copies * group.width for group in self.groups) + int(np.prod(self.gate.shape))

    @cached_property
    def entry(self) -> "Mixture | None":
        """The mixture of the probabilities of being observed, None where every unit is."""
        outcomes = [outcome for group in self.groups for outcome in group.outcomes]
        if not any(outcome.family.truncated for outcome in outcomes):
            return None
        groups = [
            replace(
                group,
                outcomes=tuple(replace(o, family=Entry(o.family), closed_form=False) for o in group.outcomes),
            )
            for group in self.groups
        ]
        return replace(self, groups=tuple(groups))

    def split(self, phi: Array) -> tuple[list[Array], Array]:
        """phi -> one (copies, width) a group, and the gate's (class - 1, column)."""
        parts, start = [], 0
        for group in self.groups:
            stop = start + group.copies * group.width
            parts.append(phi[start:stop].reshape(group.copies, group.width))
            start = stop
        return parts, phi[start:].reshape(self.gate.shape)


class Posterior(NamedTuple):
    """Class-wise logs of one block: all (class, unit) but `marginal` (unit,)."""

    log_gate: Array
    log_expert: Array
    log_marginal: Array
    responsibility: Array


def posterior_of(mixture: Mixture, gate: Array, experts: list[Array], block: Design) -> Posterior:
    """Bayes' rule in log space. Experts cannot reach a response that sits on an atom."""
    log_gate = mixture.gate.log_probability(gate, block)
    log_expert = jnp.concatenate(experts)
    reached = log_expert if block.atom is None else log_expert + block.atom
    log_expert = jnp.concatenate([reached, block.extra]) if mixture.extras else reached
    joint = log_gate + log_expert + block.prior
    return Posterior(log_gate, log_expert, *by_bayes(joint))


def by_bayes(joint: Array, axis: int = 0) -> tuple[Array, Array]:
    """log sum_k exp(joint_k), without the axis of the classes, and each class's share of it."""
    top = jax.lax.stop_gradient(jnp.max(joint, axis=axis, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    share = jnp.exp(joint - top)
    total = jnp.sum(share, axis=axis, keepdims=True)
    return jnp.squeeze(top + jnp.log(total), axis=axis), share / total


def weigh(weight: Array, value: Array) -> Array:
    """weight x value, 0 where the weight is 0 (padding may hold -inf)."""
    return jnp.where(weight > 0, weight * value, 0.0)


def block_posterior(mixture: Mixture, phi: Array, block: Design) -> Posterior:
    parts, gate = mixture.split(phi)
    experts = []
    for group, part in zip(mixture.groups, parts, strict=True):
        densities = [
            outcome.log_density(theta, block) for outcome, theta in zip(group.outcomes, group.split(part), strict=True)
        ]
        experts.append(sum(densities[1:], densities[0]))
    found = posterior_of(mixture, gate, experts, block)
    if mixture.entry is None:
        return found
    entered = block_posterior(mixture.entry, phi, at_entry(block)).log_marginal
    return found._replace(log_marginal=found.log_marginal - entered)


def at_entry(block: Design) -> Design:
    """The data before anything but the entry is known: classes without parameters let everybody in."""
    return block._replace(prior=jnp.zeros_like(block.prior), extra=jnp.zeros_like(block.extra), atom=None)


@kernel
def posterior(mixture: Mixture, phi: Array, design: Design) -> Posterior:
    """Posterior of every unit, with the block axis first."""
    return each(lambda block: block_posterior(mixture, phi, block), design)


@kernel
def log_likelihood(mixture: Mixture, phi: Array, design: Design) -> Array:
    """Weighted log-likelihood."""
    return reduce(lambda block: jnp.sum(weigh(block.weight, block_posterior(mixture, phi, block).log_marginal)), design)


class Diagnostics(NamedTuple):
    """Sums over units that judge a solution: r log r, r log f by class, weight of units whose gate separates."""

    entropy: Array
    density: Array
    separated: Array


@kernel
def diagnostics(mixture: Mixture, phi: Array, design: Design, limit: Array) -> Diagnostics:
    """Weighted sums; a unit is separated where some |log pi_k - log pi_1| exceeds `limit`."""

    def statistic(block: Design) -> Diagnostics:
        post = block_posterior(mixture, phi, block)
        weighted = block.weight * post.responsibility
        logs = jnp.where(weighted > 0, jnp.log(jnp.where(weighted > 0, post.responsibility, 1.0)), 0.0)
        density = jnp.where(weighted > 0, weighted * post.log_expert, 0.0)
        spread = jnp.max(jnp.abs(post.log_gate - post.log_gate[:1]), axis=0)
        return Diagnostics(jnp.sum(weighted * logs), jnp.sum(density, axis=1), jnp.sum(block.weight * (spread > limit)))

    return reduce(statistic, design)


@kernel
def expert_means(mixture: Mixture, phi: Array, design: Design) -> tuple[tuple[Array, ...], ...]:
    """E[y | x, expert], group -> outcome -> (block, expert, outcome, ..., row)."""

    def means(block: Design) -> tuple[tuple[Array, ...], ...]:
        parts, _ = mixture.split(phi)
        return tuple(
            tuple(outcome.means(theta, block) for outcome, theta in zip(group.outcomes, group.split(part), strict=True))
            for group, part in zip(mixture.groups, parts, strict=True)
        )

    return each(means, design)


@kernel
def expert_predictors(mixture: Mixture, phi: Array, design: Design) -> tuple[tuple[Array, ...], ...]:
    """Linear predictors, group -> outcome -> (block, expert, outcome, P, row)."""

    def predictors(block: Design) -> tuple[tuple[Array, ...], ...]:
        parts, _ = mixture.split(phi)
        return tuple(
            tuple(
                outcome.stacked(theta, block) for outcome, theta in zip(group.outcomes, group.split(part), strict=True)
            )
            for group, part in zip(mixture.groups, parts, strict=True)
        )

    return each(predictors, design)


@kernel
def gate_log_probability(mixture: Mixture, phi: Array, design: Design) -> Array:
    """log pi of every unit, (block, class, unit)."""
    return each(lambda block: mixture.gate.log_probability(mixture.split(phi)[1], block), design)
