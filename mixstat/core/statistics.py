"""Statistics: sums over units that a fit is made of, for the M-step (`complete_statistics`) and for Newton (`louis`).

Written once for every family and gate (Louis, 1982, JRSS-B 44). Under a selection the sums of the mixture of entry are
subtracted.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Design
from mixstat.core.expert import Experts, gram, to_rows
from mixstat.core.gate import Gate
from mixstat.core.kernel import kernel
from mixstat.core.mixture import Mixture, Posterior, at_entry, posterior_of, weigh
from mixstat.core.reduce import each, reduce

Array = Any


class Pieces(NamedTuple):
    """Statistics of the complete data, given the responsibilities (each summed over units)."""

    log_likelihood: Array
    class_weight: Array  # (class,)
    prior_density: Array  # sum over experts and units of weight x log f, the scale penalty's sum
    gate_gradient: Array  # (class - 1, column)
    gate_information: Array  # (pair of classes, pair of columns), upper triangles, complete data
    experts: tuple[tuple[Any, ...], ...]  # group -> outcome -> (gradient, information), or moments of a closed form


class Rows(NamedTuple):
    """One group of experts on one block: log f by unit (expert, unit); score and curvature by row of each outcome."""

    density: Array
    scores: list[Array | None]
    curvatures: list[Array | None]


def _block_rows(mixture: Mixture, parts: list[Array], block: Design, *, scores: bool, curvature: bool) -> list[Rows]:
    """What a block's statistics need: outcomes with a closed form have scores only on demand, curvatures never."""
    result = []
    for group, part in zip(mixture.groups, parts, strict=True):
        rows = []
        for outcome, theta in zip(group.outcomes, group.split(part), strict=True):
            if outcome.closed_form and not scores:
                rows.append((outcome.log_density(theta, block), None, None))
            else:
                rows.append(outcome.derivatives(theta, block, curvature=curvature and not outcome.closed_form))
        densities, first, second = zip(*rows, strict=True)
        result.append(Rows(sum(densities[1:], densities[0]), list(first), list(second)))
    return result


def _pieces(
    mixture: Mixture, parts: list[Array], rows: list[Rows], post: Posterior, block: Design, epsilon: Array | None
) -> Pieces:
    weighted = block.weight * post.responsibility
    experts, start = [], 0
    for group, part, row in zip(mixture.groups, parts, rows, strict=True):
        own = weighted[start : start + group.copies]
        seen = own if epsilon is None else own + epsilon * block.weight
        experts.append(_outcome_statistics(group, part, row, to_rows(seen, block), block))
        start += group.copies
    prior = 0.0 if epsilon is None else sum(jnp.sum(weigh(block.weight, row.density)) for row in rows)
    gradient, information = _gate_statistics(mixture.gate, post, weighted, block)
    value = jnp.sum(weigh(block.weight, post.log_marginal))
    return Pieces(value, jnp.sum(weighted, axis=1), jnp.asarray(prior), gradient, information, tuple(experts))


def _outcome_statistics(group: Experts, part: Array, rows: Rows, weight: Array, block: Design) -> tuple:
    statistics: list[tuple[Array, Array]] = []
    for outcome, theta, score, curvature in zip(
        group.outcomes, group.split(part), rows.scores, rows.curvatures, strict=True
    ):
        if outcome.closed_form:
            statistics.append(outcome.moments(weight, theta, block))
        else:
            statistics.append((outcome.gradient(weight, score, block), outcome.contract(weight, curvature, block)))
    return tuple(statistics)


@kernel
def complete_statistics(mixture: Mixture, phi: Array, design: Design, epsilon: Array | None) -> Pieces:
    """What one M-step needs. `epsilon` is the pseudo-weight of every unit in every expert (the scale penalty).

    None leaves its sums out, which halves the work of a density. Under a selection the gradients are those of the
    observed likelihood, so that the M-step is a step of ascent with the same fixed points.
    """

    def statistic(block: Design) -> Pieces:
        own = _block_statistics(mixture, phi, block, epsilon)
        if mixture.entry is None:
            return own
        return _selected(mixture, own, _block_statistics(mixture.entry, phi, at_entry(block), None))

    return reduce(statistic, design)


def _block_statistics(mixture: Mixture, phi: Array, block: Design, epsilon: Array | None) -> Pieces:
    parts, gate = mixture.split(phi)
    rows = _block_rows(mixture, parts, block, scores=False, curvature=True)
    post = posterior_of(mixture, gate, [row.density for row in rows], block)
    return _pieces(mixture, parts, rows, post, block, epsilon)


def _selected(mixture: Mixture, own: Pieces, entered: Pieces) -> Pieces:
    """Log-likelihood and gradients given the selection; weights and information of the complete data as they are."""
    experts = tuple(
        tuple(
            mine if outcome.closed_form else (mine[0] - theirs[0], mine[1])
            for outcome, mine, theirs in zip(group.outcomes, found, others, strict=True)
        )
        for group, found, others in zip(mixture.groups, own.experts, entered.experts, strict=True)
    )
    return own._replace(
        log_likelihood=own.log_likelihood - entered.log_likelihood,
        gate_gradient=own.gate_gradient - entered.gate_gradient,
        experts=experts,
    )


def _gate_statistics(gate: Gate, post: Posterior, weighted: Array, block: Design) -> tuple[Array, Array]:
    """Gradient and complete-data information of the multinomial logit with soft responses."""
    if not (gate.columns and gate.classes > 1):
        return jnp.zeros(gate.shape), jnp.zeros((0, 0))
    columns, weight, response = gate.covariates(block), block.weight, weighted[1:]
    probability = jnp.exp(post.log_gate[1:])
    if gate.is_constant:
        columns, probability = jnp.ones((1, 1)), probability[:, :1]
        weight, response = jnp.sum(weight, keepdims=True), jnp.sum(response, axis=1, keepdims=True)
    gradient = (response - weight * probability) @ columns.T
    k, m = np.triu_indices(gate.classes - 1)
    spread = (k == m)[:, None] * probability[k] - probability[k] * probability[m]
    return gradient, gram(weight * spread, columns)


class Louis(NamedTuple):
    """Parts of Louis' identity, summed over units; `fit.information` puts them together.

    With s_k the score of expert k, v the gate's columns and r responsibilities: `mixed` (phi, phi) = sum u u' of
    u = (r_1 s_1, ..., r_K s_K, r_2 v, ..., r_G v); `own[g]` (expert, width, width + column) = sum r_k s_k (s_k, v)';
    `gate_own` (class - 1, pair of columns) = sum r_k v v'; `complete[g][o]` the complete-data information.
    """

    pieces: Pieces
    gradient: Array
    own: tuple[Array, ...]
    gate_own: Array
    mixed: Array
    complete: tuple[tuple[Array, ...], ...]


def _unit_scores(mixture: Mixture, rows: list[Rows], block: Design) -> list[Array]:
    """s_k of every expert, one (expert, width, unit) a group."""
    result = []
    for group, row in zip(mixture.groups, rows, strict=True):
        parts = [o.unit_scores(score, block) for o, score in zip(group.outcomes, row.scores, strict=True)]
        result.append(parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1))
    return result


def _mean_scores(mixture: Mixture, post: Posterior, scores: list[Array], block: Design) -> Array:
    """u (phi, unit): r_k s_k of every expert, and r_k v of classes 2, 3, ... (the gate's score up to its constant)."""
    mean, start = [], 0
    for score in scores:
        responsibility = post.responsibility[start : start + score.shape[0]]
        mean.append((responsibility[:, None] * score).reshape(-1, score.shape[-1]))
        start += score.shape[0]
    if mixture.has_gate:
        gate = post.responsibility[1:, None] * mixture.gate.covariates(block)
        mean.append(gate.reshape(-1, gate.shape[-1]))
    return jnp.concatenate(mean)


@kernel
def louis(mixture: Mixture, phi: Array, design: Design, epsilon: Array | None) -> Louis:
    """Log-likelihood, gradient and the parts of the observed information at phi."""
    own = _louis(mixture, phi, design, epsilon)
    if mixture.entry is None:
        return own
    entered = _louis(mixture.entry, phi, at_entry(design), None)
    complete = tuple(
        tuple(
            mine if outcome.closed_form else mine - theirs
            for outcome, mine, theirs in zip(group.outcomes, found, others, strict=True)
        )
        for group, found, others in zip(mixture.groups, own.complete, entered.complete, strict=True)
    )
    pieces = _selected(mixture, own.pieces, entered.pieces)
    information = own.pieces.gate_information - entered.pieces.gate_information
    return Louis(
        pieces._replace(gate_information=information),
        own.gradient - entered.gradient,
        tuple(mine - theirs for mine, theirs in zip(own.own, entered.own, strict=True)),
        own.gate_own - entered.gate_own,
        own.mixed - entered.mixed,
        complete,
    )


def _louis(mixture: Mixture, phi: Array, design: Design, epsilon: Array | None) -> Louis:
    """The parts of one mixture, whatever it is divided by."""
    parts, gate = mixture.split(phi)

    def statistic(block: Design) -> Louis:
        rows = _block_rows(mixture, parts, block, scores=True, curvature=True)
        post = posterior_of(mixture, gate, [row.density for row in rows], block)
        pieces = _pieces(mixture, parts, rows, post, block, epsilon)
        scores = _unit_scores(mixture, rows, block)
        mean = _mean_scores(mixture, post, scores, block)
        heavy = block.weight * mean
        columns = mixture.gate.covariates(block)
        plain = jnp.concatenate([score.reshape(-1, score.shape[-1]) for score in scores])
        gradient = jnp.sum(heavy[: plain.shape[0]], axis=1)
        gradient = gradient if epsilon is None else gradient + epsilon * (plain @ block.weight)
        own, start = [], 0
        for score in scores:
            stop = start + score.shape[0] * score.shape[1]
            both = jnp.concatenate([score, jnp.broadcast_to(columns, (score.shape[0], *columns.shape))], axis=1)
            own.append(heavy[start:stop].reshape(score.shape) @ jnp.swapaxes(both, 1, 2))
            start = stop
        gate_own = gram(block.weight * post.responsibility[1:], columns)
        gradient = jnp.concatenate([gradient, pieces.gate_gradient.ravel()])
        return Louis(pieces, gradient, tuple(own), gate_own, heavy @ mean.T, ())

    total = reduce(statistic, design)
    return total._replace(complete=_complete_information(mixture, parts, total.pieces))


def _complete_information(mixture: Mixture, parts: list[Array], pieces: Pieces) -> tuple[tuple[Array, ...], ...]:
    """group -> outcome -> contracted curvature, or (expert, outcome, width, width) from a closed form's moments."""
    return tuple(
        tuple(
            outcome.moments_information(theta, *statistic) if outcome.closed_form else statistic[1]
            for outcome, theta, statistic in zip(group.outcomes, group.split(part), statistics, strict=True)
        )
        for group, part, statistics in zip(mixture.groups, parts, pieces.experts, strict=True)
    )


@kernel
def unit_scores(mixture: Mixture, phi: Array, design: Design) -> Array:
    """d log p(y_i) / d phi of every unit, (block, phi, unit)."""

    def scores(block: Design) -> Array:
        own = _block_scores(mixture, phi, block)
        return own if mixture.entry is None else own - _block_scores(mixture.entry, phi, at_entry(block))

    return each(scores, design)


def _block_scores(mixture: Mixture, phi: Array, block: Design) -> Array:
    parts, gate_part = mixture.split(phi)
    rows = _block_rows(mixture, parts, block, scores=True, curvature=False)
    post = posterior_of(mixture, gate_part, [row.density for row in rows], block)
    mean = _mean_scores(mixture, post, _unit_scores(mixture, rows, block), block)
    if not mixture.has_gate:
        return mean
    gate = jnp.exp(post.log_gate[1:])[:, None] * mixture.gate.covariates(block)
    gate = gate.reshape(-1, gate.shape[-1])
    return mean.at[-gate.shape[0] :].add(-gate)
