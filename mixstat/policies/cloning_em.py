"""Cloning by EM: `max sum_i v_i log sum_k w_k(s_i) N_k(u_i | s_i)`, u actions before squashing, v weights of mean 1.

The E-step gives responsibilities r, the M-step maximises `sum_ik v_i r_ik [log w_k + log N_k(u_i)]` by a few steps of
L-BFGS (generalised EM); the last steps are L-BFGS on the likelihood itself. All in float64.
Every expert sees the whole sample with a total weight of `scale_penalty / n` rows, as in the package's other mixtures.
References: Dempster, Laird and Rubin (1977), JRSS-B 39; Jordan and Jacobs (1994), Neural Computation 6.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from mixstat.core.family import Array
from mixstat.core.kernel import kernel
from mixstat.core.mixture import by_bayes
from mixstat.policies.policy import GaussianMixturePolicy, Params

INNER = 10
"""Steps of L-BFGS in an M-step."""
GRADIENT = 1e-6
"""Largest entry of the gradient of the mean log-likelihood at a maximum."""

LITTLE = 1e-5
"""Gain of the mean log-likelihood in a hundred steps after which a network is left alone."""


class Sample(NamedTuple):
    """Rows to clone: observations (row, p), u (row, D), weights (row,) of mean 1."""

    observations: Array
    pre_squash: Array
    weight: Array


class Objective(NamedTuple):
    """What keeps a maximum from running away: a ridge on weights (not biases), pseudo-weight of each row and expert."""

    ridge: float
    epsilon: float


class Best:
    """The best parameters so far: by the likelihood of held-out rows if there are any, else the last ones."""

    def __init__(self, judge: Callable[[Params], float] | None, patience: int):
        self.judge, self.patience = judge, patience
        self.params: Params = {}
        self.value, self.since = -np.inf, 0

    def offer(self, params: Params) -> bool:
        """Note them; whether the search should go on."""
        value = np.inf if self.judge is None else self.judge(params)
        if value >= self.value:
            self.params, self.value, self.since = params, value, 0
        else:
            self.since += 1
        return self.since < self.patience


def joint(policy: GaussianMixturePolicy, params: Params, sample: Sample) -> tuple[Array, Array]:
    """log w_k and log N_k(u), (row, K)."""
    head = policy.head(params, sample.observations).unsquashed()
    return head.log_weights, head.component_log_prob(sample.pre_squash)


@kernel
def log_likelihood(policy: GaussianMixturePolicy, params: Params, sample: Sample) -> Array:
    """Mean log-likelihood of u."""
    return jnp.mean(sample.weight * by_bayes(sum(joint(policy, params, sample)), axis=-1)[0])


@kernel
def expect(policy: GaussianMixturePolicy, params: Params, sample: Sample, objective: Objective) -> tuple[Array, Array]:
    """Mean penalised log-likelihood, responsibilities (row, K)."""
    responsibility = by_bayes(sum(joint(policy, params, sample)), axis=-1)[1]
    return -penalised(policy, params, sample, objective), responsibility


@kernel
def complete_loss(
    policy: GaussianMixturePolicy, params: Params, sample: Sample, responsibility: Array, objective: Objective
) -> tuple[Array, Params]:
    """The M-step's loss and gradient."""

    def loss(params: Params) -> Array:
        log_weight, log_density = joint(policy, params, sample)
        seen = responsibility * log_weight + (responsibility + objective.epsilon) * log_density
        return -jnp.mean(sample.weight * jnp.sum(seen, axis=-1)) + _ridge(params, objective.ridge)

    return jax.value_and_grad(loss)(params)


def penalised(policy: GaussianMixturePolicy, params: Params, sample: Sample, objective: Objective) -> Array:
    """Minus the mean penalised log-likelihood."""
    log_weight, log_density = joint(policy, params, sample)
    seen = by_bayes(log_weight + log_density, axis=-1)[0] + objective.epsilon * jnp.sum(log_density, axis=-1)
    return -jnp.mean(sample.weight * seen) + _ridge(params, objective.ridge)


@kernel
def observed_loss(
    policy: GaussianMixturePolicy, params: Params, sample: Sample, objective: Objective
) -> tuple[Array, Params]:
    """`penalised` and its gradient."""
    return jax.value_and_grad(lambda p: penalised(policy, p, sample, objective))(params)


def _ridge(params: Params, ridge: float) -> Array:
    weights = [leaf for leaf in jax.tree.leaves(params) if jnp.ndim(leaf) > 1]
    return 0.5 * ridge * sum(jnp.sum(leaf**2) for leaf in weights)


def descend(loss: Callable[[Params], tuple[Array, Params]], params: Params, steps: int) -> tuple[Params, float, float]:
    """(parameters, largest entry of the gradient, loss) after at most `steps` of L-BFGS."""
    start, restore = ravel_pytree(params)

    def flat(vector: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(restore(jnp.asarray(vector)))
        return float(value), np.asarray(ravel_pytree(gradient)[0])

    options = {"maxiter": steps, "maxcor": 20, "ftol": 1e-14, "gtol": GRADIENT}
    found = minimize(flat, np.asarray(start), jac=True, method="L-BFGS-B", options=options)
    return restore(jnp.asarray(found.x)), float(np.max(np.abs(found.jac))), float(found.fun)


def em_step(
    policy: GaussianMixturePolicy, params: Params, sample: Sample, objective: Objective
) -> tuple[Params, float]:
    """One step of generalised EM, and the mean penalised log-likelihood before it."""
    value, responsibility = expect(policy, params, sample, objective)
    loss = lambda p: complete_loss(policy, p, sample, responsibility, objective)  # noqa: E731
    return descend(loss, params, INNER)[0], float(value)


def climb(
    policy: GaussianMixturePolicy, sample: Sample, objective: Objective, best: Best, max_iter: int, tol: float
) -> Iterator[float]:
    """EM from `best.params` until a step gains less than `tol`; gives the mean penalised log-likelihood before each."""
    params, before = best.params, -np.inf
    for _ in range(max_iter):
        params, value = em_step(policy, params, sample, objective)
        yield value
        if not best.offer(params) or value - before < tol:
            return
        before = value


def finish(policy: GaussianMixturePolicy, sample: Sample, objective: Objective, best: Best, rounds: int) -> float:
    """L-BFGS on the likelihood itself, in rounds; the largest entry of the last gradient.

    Rounds are short where held-out rows say when to stop, and of a network one that gains next to nothing is the last.
    """
    params, best.since, slope, before = best.params, 0, np.inf, np.inf
    steps = 10 * INNER if best.judge is None else INNER
    for _ in range(rounds):
        params, slope, loss = descend(lambda p: observed_loss(policy, p, sample, objective), params, steps)
        if not best.offer(params) or slope < GRADIENT or (objective.ridge > 0 and before - loss < LITTLE):
            break
        before = loss
    return slope
