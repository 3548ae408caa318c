"""Losses of the actor: estimates of `-J = E sum_k w_k [alpha log pi(a_k|s) - q(s, a_k)]`, a_k one draw of every expert.

"marginal" is that sum itself, unbiased for gate and experts; "score", "likelihood_ratio" and "gumbel" are other
estimates of J; "frequency" is the published mixture-of-experts objective, whose gate learns how often each expert wins.
References: Ren, Li, Ding, Pan and Dong (2021), arXiv 2104.09122 (frequency); Haarnoja et al. (2018), ICML (one expert);
Williams (1992), Machine Learning 8 (score); Jang, Gu and Poole (2017), ICLR (Gumbel-softmax).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixstat.core.family import Array
from mixstat.exceptions import DataError, OptionError
from mixstat.policies.at_draws import densities
from mixstat.policies.head import MixtureHead
from mixstat.policies.policy import averaged
from mixstat.policies.squashing import stopped

Critic = Callable[[Array], Array]
RELAXATION = 0.5


class Aux(NamedTuple):
    """What comes with an actor loss, a row each (batch,).

    log_prob   what the temperature learns from: see `temperature_loss`
    q          the critic's value of the action
    winners    the expert (0-based) whose draw the critic prefers, or that was drawn
    gate_loss  the gate's own loss ("frequency"), else 0
    """

    log_prob: Array
    q: Array
    winners: Array
    gate_loss: Array


class Drawn(NamedTuple):
    """One reparameterised draw of every expert, (..., K): u, log pi and log pi_k of it, and the critic's value."""

    pre_squash: Array
    log_prob: Array
    component_log_prob: Array
    q: Array


def actor_loss(
    estimator: str,
    key: Array,
    head: MixtureHead,
    q: Critic,
    alpha: Array | float,
    *,
    primitives: str = "best",
    gate_reduction: str = "mean",
    gate_loss: str = "brier",
    gate_weight: float = 1.0,
    bonus: str = "component",
    temperature_by: str = "winner",
    relaxation: float = RELAXATION,
) -> tuple[Array, Aux]:
    """The loss to minimise and what comes with it.

    Parameters
    ----------
    estimator : "marginal", "score", "gumbel", "likelihood_ratio", "frequency", "unimodal" or "gating"
        "unimodal" is the loss of one Gaussian and takes one expert; "gating" that of the Gaussian of averaged means
        (act by it with `GaussianMixturePolicy(combine="means")`).
    key : jax key
    head : MixtureHead
        At the batch's observations, (batch,).
    q : function of actions
        The critic: actions (batch, K, D) or (batch, D) to values (batch, K) or (batch,).
    alpha : float
        The entropy's weight.
    primitives : "best" or "all"
        "frequency": whether the winner alone or every expert learns.
    gate_reduction, gate_loss, gate_weight : "mean" or "sum", "brier" or "log", float
        "frequency": see `gate_frequency_loss`; its weight beside the experts' loss.
    bonus : "component" or "mixture"
        "frequency": whose log-density is the experts' entropy bonus.
    temperature_by : "winner" or "mixture"
        "frequency": whether `Aux.log_prob` is the winner's own log-density or the mixture's.
    relaxation : float
        "gumbel": the temperature of the softmax whose gradient stands for that of the choice.
    """
    _check(estimator, primitives=primitives, bonus=bonus, temperature_by=temperature_by)
    if estimator == "gumbel":
        return gumbel(key, head, q, alpha, relaxation=relaxation)
    if estimator == "frequency":
        gate = {"reduction": gate_reduction, "loss": gate_loss}
        chosen = {"primitives": primitives, "bonus": bonus, "temperature_by": temperature_by}
        return frequency(key, head, q, alpha, gate_weight=gate_weight, gate=gate, **chosen)
    return ESTIMATORS[estimator](key, head, q, alpha)


def marginal(key: Array, head: MixtureHead, q: Critic, alpha: Array | float) -> tuple[Array, Aux]:
    """`mean sum_k w_k [alpha log pi(a_k) - q(a_k)]`, pi the full mixture: unbiased in gate and experts."""
    drawn = draw_experts(_noise(key), head, q)
    loss = _weighted(head.weights, alpha * drawn.log_prob - drawn.q)
    log_prob, value = _weighted(head.weights, drawn.log_prob), _weighted(head.weights, drawn.q)
    return jnp.mean(loss), _aux(log_prob, value, jnp.argmax(drawn.q, axis=-1))


def score(key: Array, head: MixtureHead, q: Critic, alpha: Array | float) -> tuple[Array, Aux]:
    """A drawn expert: pathwise gradient for its draw, and `(f - baseline) grad log w_k`, f = alpha log pi - q.

    The value is the mean of f. The baseline is the mean of f over the other rows.
    """
    of_noise, of_expert = jax.random.split(key)
    drawn = draw_experts(of_noise, head, q)
    chosen = jax.random.categorical(of_expert, head.logits, axis=-1)
    log_prob, value, log_weight = (_pick(part, chosen) for part in (drawn.log_prob, drawn.q, head.log_weights))
    f = alpha * log_prob - value
    return jnp.mean(f + _surprise(f, log_weight)), _aux(log_prob, value, chosen)


def likelihood_ratio(key: Array, head: MixtureHead, q: Critic, alpha: Array | float) -> tuple[Array, Aux]:
    """`(f - baseline) grad log pi(a)` of one drawn action; the value is the mean of f = alpha log pi - q."""
    of_noise, of_expert = jax.random.split(key)
    drawn = stopped(draw_experts(of_noise, head, q))
    chosen = jax.random.categorical(of_expert, head.logits, axis=-1)
    u = jnp.take_along_axis(drawn.pre_squash, chosen[..., None, None], axis=-2)[..., 0, :]
    log_prob, value = head.log_prob(pre_squash=u), _pick(drawn.q, chosen)
    f = stopped(alpha * log_prob - value)
    return jnp.mean(f + _surprise(f, log_prob)), _aux(log_prob, value, chosen)


def gumbel(
    key: Array, head: MixtureHead, q: Critic, alpha: Array | float, *, relaxation: float = RELAXATION
) -> tuple[Array, Aux]:
    """`alpha log pi(a) - q(a)` of one draw chosen by a Gumbel-softmax, straight through: biased in the gate."""
    of_noise, of_expert = jax.random.split(key)
    noise = jax.random.gumbel(of_expert, head.logits.shape, head.logits.dtype)
    perturbed = head.log_weights + noise
    chosen, soft = jnp.argmax(perturbed, axis=-1), jax.nn.softmax(perturbed / relaxation, axis=-1)
    hard = jax.nn.one_hot(chosen, head.n_experts, dtype=soft.dtype) + soft - stopped(soft)
    u = jnp.einsum("...k,...kd->...d", hard, head.rsample_components(of_noise).pre_squash)
    log_prob, value = head.log_prob(pre_squash=u), _values(q, head.to_action(u))
    return jnp.mean(alpha * log_prob - value), _aux(log_prob, value, chosen)


def frequency(
    key: Array,
    head: MixtureHead,
    q: Critic,
    alpha: Array | float,
    *,
    primitives: str = "best",
    bonus: str = "component",
    temperature_by: str = "winner",
    gate_weight: float = 1.0,
    gate: dict[str, str] | None = None,
) -> tuple[Array, Aux]:
    """`alpha log pi_k(a_k) - q(a_k)` of the draw that q prefers (or of all), and the gate's `gate_frequency_loss`.

    The entropy bonus is then that of the experts, H(a|k), a lower bound of the mixture's; the gate has no part in it.
    """
    drawn = draw_experts(_noise(key), head, q)
    winners = jnp.argmax(drawn.q, axis=-1)
    log_density = drawn.component_log_prob if bonus == "component" else drawn.log_prob
    each = alpha * log_density - drawn.q
    experts = _pick(each, winners) if primitives == "best" else jnp.sum(each, axis=-1)
    of_gate = gate_frequency_loss(head.logits, drawn.q, rowwise=True, **(gate or {}))
    own = _pick(drawn.component_log_prob, winners)
    log_prob = own if temperature_by == "winner" else _weighted(head.weights, drawn.log_prob)
    return jnp.mean(experts + gate_weight * of_gate), _aux(log_prob, _pick(drawn.q, winners), winners, of_gate)


def unimodal(key: Array, head: MixtureHead, q: Critic, alpha: Array | float) -> tuple[Array, Aux]:
    """`alpha log pi(a) - q(a)` of one Gaussian, pathwise: soft actor-critic."""
    if head.n_experts != 1:
        raise OptionError(
            f"the unimodal estimator takes one expert, got {head.n_experts}: set n_experts=1, or choose 'marginal'"
        )
    return marginal(key, head, q, alpha)


def gating(key: Array, head: MixtureHead, q: Critic, alpha: Array | float) -> tuple[Array, Aux]:
    """The unimodal loss of the one Gaussian whose parameters are the gate's averages of the experts'."""
    return marginal(key, head if head.n_experts == 1 else averaged(head), q, alpha)


ESTIMATORS: dict[str, Callable[..., tuple[Array, Aux]]] = {
    "marginal": marginal,
    "score": score,
    "gumbel": gumbel,
    "likelihood_ratio": likelihood_ratio,
    "frequency": frequency,
    "unimodal": unimodal,
    "gating": gating,
}


def gate_frequency_loss(
    logits: Array, q: Array, *, reduction: str = "mean", loss: str = "brier", rowwise: bool = False
) -> Array:
    """`||v - w||^2`, w = softmax(logits) and v the indicator of the expert of largest q, which carries no gradient.

    A Brier score: at its minimum w_k is the probability that expert k wins. `reduction` over the K experts is "mean" or
    "sum"; `loss="log"` is the multinomial logit on the winners, -log w, with the same minimum and no reduction. The
    mean over rows (`rowwise=True`: each row's). `logits` and `q` (batch, K).
    """
    if reduction not in ("mean", "sum") or loss not in ("brier", "log"):
        raise OptionError(
            f"reduction must be 'mean' or 'sum' and loss 'brier' or 'log', got {reduction!r} and {loss!r}"
        )
    winners = stopped(jnp.argmax(q, axis=-1))
    if loss == "log":
        rows = -_pick(jax.nn.log_softmax(logits, axis=-1), winners)
    else:
        gaps = jax.nn.one_hot(winners, logits.shape[-1], dtype=logits.dtype) - jax.nn.softmax(logits, axis=-1)
        rows = jnp.mean(gaps**2, axis=-1) if reduction == "mean" else jnp.sum(gaps**2, axis=-1)
    return rows if rowwise else jnp.mean(rows)


def temperature_loss(log_alpha: Array, log_prob: Array, target_entropy: float, *, form: str = "log") -> Array:
    """`-log_alpha (log pi + target)`, or with `form="exp"` `-alpha (log pi + target)`; log pi carries no gradient.

    Both have the fixed point `E log pi = -target`. Reference: Haarnoja et al. (2018), arXiv 1812.05905 ("exp").
    """
    if form not in ("log", "exp"):
        raise OptionError(f"form must be 'log' or 'exp', got {form!r}")
    scale = log_alpha if form == "log" else jnp.exp(log_alpha)
    return -scale * jnp.mean(stopped(log_prob) + target_entropy)


def draw_experts(key: Array, head: MixtureHead, q: Critic) -> Drawn:
    """One draw of every expert, its densities under its own and all experts, and its value."""
    action, u = head.rsample_components(key)
    return Drawn(u, *densities(head, u), _values(q, action))


def _noise(key: Array) -> Array:
    """The half of the key that all estimators take for noise, so that they agree on one expert."""
    return jax.random.split(key)[0]


def _values(q: Critic, action: Array) -> Array:
    values = q(action)
    if jnp.shape(values) != action.shape[:-1]:
        raise DataError(
            f"q must give a value an action: for actions {action.shape} {action.shape[:-1]}, got {jnp.shape(values)}"
        )
    return values


def _weighted(weights: Array, values: Array) -> Array:
    return jnp.sum(weights * values, axis=-1)


def _pick(values: Array, chosen: Array) -> Array:
    """The entry of each row's chosen expert, (..., K) to (...,)."""
    return jnp.take_along_axis(values, chosen[..., None], axis=-1)[..., 0]


def _surprise(f: Array, log_density: Array) -> Array:
    """0, with gradient (f - mean of f over the other rows) grad log_density."""
    rows = f.size
    baseline = jnp.where(rows > 1, (jnp.sum(f) - f) / max(rows - 1, 1), 0.0)
    return stopped(f - baseline) * (log_density - stopped(log_density))


def _aux(log_prob: Array, q: Array, winners: Array, gate_loss: Array | float = 0.0) -> Aux:
    return Aux(*stopped((log_prob, q, winners, jnp.broadcast_to(gate_loss, jnp.shape(q)))))


def _check(estimator: str, **chosen: Any) -> None:
    if estimator not in ESTIMATORS:
        raise OptionError(f"estimator must be one of {', '.join(map(repr, ESTIMATORS))}, got {estimator!r}")
    known = {"primitives": ("best", "all"), "bonus": ("component", "mixture"), "temperature_by": ("winner", "mixture")}
    for name, value in chosen.items():
        if value not in known[name]:
            raise OptionError(f"{name} must be one of {known[name]}, got {value!r}")
