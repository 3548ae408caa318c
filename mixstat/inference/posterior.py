"""Posterior: the log-density of the free standardised parameters given the data, and draws of a normal approximation.

    log p(theta | y) = sum_i w_i log p(y_i | theta) + log Normal(theta; centre, precision^-1) + constant

The likelihood is the unpenalised one: the prior of the log scales already bounds it. Sampling runs in coordinates z,
theta = origin + factor z, in which the posterior is about standard normal.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Design
from mixstat.core.kernel import kernel
from mixstat.core.mixture import Mixture, block_posterior
from mixstat.core.reduce import each, reduce
from mixstat.fit.linear_algebra import unit_diagonal
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.inference.prior import Prior

Array = Any
FLOOR = 1e-6


class Target(NamedTuple):
    """Everything a log-posterior depends on but the mixture and z, as arrays.

    `index` and `value` (phi,) are the ties, `origin` (theta,) and `factor` (theta, theta) the coordinates, `constant`
    the log normalising constant of the prior.
    """

    design: Design
    index: Array
    value: Array
    origin: Array
    factor: Array
    centre: Array
    precision: Array
    constant: Array


def make_target(problem: Problem, prior: Prior, origin: np.ndarray, information: np.ndarray) -> Target:
    """The posterior in coordinates whitened by the curvature at `origin`, information + prior precision."""
    constant = 0.5 * np.linalg.slogdet(prior.precision)[1] - 0.5 * len(origin) * np.log(2 * np.pi)
    return Target(
        problem.design,
        problem.ties.index,
        problem.ties.value,
        origin,
        whitening(information + prior.precision),
        prior.centre,
        prior.precision,
        np.asarray(constant),
    )


def whitening(curvature: np.ndarray) -> np.ndarray:
    """F with F F' = curvature^-1; directions without positive curvature are given a small one."""
    scaled, scale = unit_diagonal(curvature)
    values, vectors = np.linalg.eigh(scaled)
    return vectors / np.sqrt(np.maximum(values, FLOOR)) / scale[:, None]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _log_likelihood(mixture: Mixture, phi: Array, design: Design) -> Array:
    return reduce(lambda block: _block_log_likelihood(phi, mixture, block), design)


def _block_log_likelihood(phi: Array, mixture: Mixture, block: Design) -> Array:
    marginal = block_posterior(mixture, phi, block).log_marginal
    return jnp.sum(jnp.where(block.weight > 0, block.weight * marginal, 0.0))


def _forward(mixture: Mixture, phi: Array, design: Design) -> tuple[Array, Array]:
    """Value and gradient block by block: a loop over blocks cannot be differentiated backwards as a whole."""
    return reduce(lambda block: jax.value_and_grad(_block_log_likelihood)(phi, mixture, block), design)


_log_likelihood.defvjp(_forward, lambda mixture, gradient, change: (change * gradient, None))


def log_density(mixture: Mixture, target: Target, z: Array) -> Array:
    """log p(theta(z), y), differentiable in z."""
    theta = target.origin + target.factor @ z
    phi = jnp.where(target.index < 0, target.value, theta[jnp.maximum(target.index, 0)])
    step = theta - target.centre
    prior = target.constant - 0.5 * step @ target.precision @ step
    return _log_likelihood(mixture, phi, target.design) + prior


@kernel
def _value_and_gradient(mixture: Mixture, target: Target, z: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(log_density, argnums=2)(mixture, target, z)


@double
def log_posterior(problem: Problem, prior: Prior, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """(log p(theta, y), its gradient (theta,)), all constants included."""
    target = make_target(problem, prior, theta, np.eye(len(theta)))._replace(factor=np.eye(len(theta)))
    value, gradient = _value_and_gradient(problem.mixture, target, np.zeros(len(theta)))
    return float(value), np.asarray(gradient)


@kernel
def _unit_log_density(mixture: Mixture, phi: Array, design: Design) -> Array:
    return each(lambda block: block_posterior(mixture, phi, block).log_marginal, design)


@double
def unit_log_likelihoods(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """w_i log p(y_i | theta) for each draw in `theta` (draw, theta): (draw, unit), units in data order.

    One draw at a time: the result is all the memory it takes.
    """
    weight = problem.layout.read_units(problem.design.weight)
    result = np.empty((len(theta), len(weight)))
    for row, one in zip(result, theta, strict=True):
        values = _unit_log_density(problem.mixture, problem.ties.expand(one), problem.design)
        np.multiply(weight, np.where(weight > 0, problem.layout.read_units(values), 0.0), out=row)
    return result


def normal_draws(rng: np.random.Generator, mean: np.ndarray, covariance: np.ndarray, size: int) -> np.ndarray:
    """(size, parameter) from Normal(mean, covariance), whatever the parameters' scales."""
    scaled, scale = unit_diagonal(covariance)
    values, vectors = np.linalg.eigh(scaled)
    factor = vectors * np.sqrt(np.maximum(values, 0.0)) * scale[:, None]
    return mean + rng.standard_normal((size, len(mean))) @ factor.T
