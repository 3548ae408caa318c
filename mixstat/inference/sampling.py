"""Sampling a posterior: chains from dispersed draws around the maximum, relabelled to agree with it."""

from dataclasses import dataclass

import numpy as np

from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.inference.nuts import Schedule, sample_chains
from mixstat.inference.posterior import make_target
from mixstat.inference.prior import Prior
from mixstat.inference.relabel import relabel

DISPERSION = 2.0
"""Chains start from draws of Laplace's approximation with this many times its standard deviation."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Draws `values` (chain, draw, coefficient), standardised as `sample` makes them.

    `log_posterior`, `diverging`, `acceptance`, `energy` and `steps` (integration steps) are (chain, draw);
    `step_size` (chain,). `relabelled` counts the draws whose experts changed places to agree with the fit's;
    `interrupted` says whether the chains were cut short.
    """

    values: np.ndarray
    log_posterior: np.ndarray
    diverging: np.ndarray
    acceptance: np.ndarray
    energy: np.ndarray
    steps: np.ndarray
    step_size: np.ndarray
    relabelled: int
    interrupted: bool


@double
def sample(
    problem: Problem,
    prior: Prior,
    at: tuple[np.ndarray, np.ndarray],
    schedule: Schedule,
    rng: np.random.Generator,
    *,
    silent: bool,
) -> Sample:
    """Chains around `at`: the maximum (theta,) and the information of the likelihood there (theta, theta)."""
    origin, information = at
    target = make_target(problem, prior, origin, information)
    starts = DISPERSION * rng.standard_normal((schedule.chains, len(origin)))
    seeds = rng.integers(2**31, size=schedule.chains)
    found = sample_chains(problem.mixture, target, starts, seeds, schedule, silent=silent)
    theta = origin + found.draws.position @ target.factor.T
    flat, moved = relabel(problem, origin, theta.reshape(-1, len(origin)))
    return Sample(flat.reshape(theta.shape), *found.draws[1:], found.step_size, moved, found.interrupted)
