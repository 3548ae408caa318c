"""The one-state problem: exact values, and what Adam reaches with each estimator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.exceptions import OptionError
from mixstat.policies import MixtureHead, OneState

PROBLEM = OneState()
ON_A_GOAL = MixtureHead(jnp.zeros(1), jnp.arctanh(jnp.array([[0.6, 0.0]])), jnp.full((1, 2), -1.0))


def improved(estimator, n_experts, seed, *, problem=PROBLEM, steps=2000, **options):
    """KL of the head that Adam reaches."""
    of_start, of_steps = jax.random.split(jax.random.key(seed))
    found = problem.improve(problem.start(of_start, n_experts), of_steps, estimator=estimator, steps=steps, **options)
    return problem.divergence(found.head)


def test_value_by_a_finer_grid():
    assert PROBLEM.value() == pytest.approx(PROBLEM.value(2401), abs=1e-6)
    assert PROBLEM.value() == pytest.approx(0.78335, abs=1e-4)


def test_a_reward_of_nothing_has_the_value_of_the_uniform_law():
    """Goals out of reach: pi* is uniform on the square, V* = alpha log 4, and J of it is V*."""
    away = OneState(goals=((9.0, 0.0),))
    assert away.value() == pytest.approx(0.1 * np.log(4.0), abs=1e-9)


def test_divergence_by_draws_and_by_quadrature():
    head = PROBLEM.start(jax.random.key(0), 5)
    assert PROBLEM.divergence(head, jax.random.key(1)) == pytest.approx(PROBLEM.divergence(head), abs=0.05)


def test_eight_experts_match_the_four_bumps():
    assert improved("marginal", 8, 0) < 0.05


def test_the_best_gaussian_misses_by_log_four():
    found = PROBLEM.improve(ON_A_GOAL, jax.random.key(0), estimator="unimodal")
    assert 1.3 < PROBLEM.divergence(found.head) < 1.5
    assert improved("marginal", 1, 0) > 3.0


@pytest.mark.parametrize("primitives", ["best", "all"])
def test_frequency_is_another_objective(primitives):
    """It rewards the experts' own entropy, so it stays wide."""
    assert improved("frequency", 4, 0, primitives=primitives, steps=1000) > 1.0


def test_gate_learns_the_win_probabilities():
    """With experts held where they are, the gate's fixed point is how often each wins."""
    head = PROBLEM.start(jax.random.key(4), 3)
    draws = jax.vmap(head.rsample_components)(jax.random.split(jax.random.key(5), 100_000))
    wins = np.bincount(np.argmax(PROBLEM.reward(draws.action), axis=-1), minlength=3) / 100_000
    found = PROBLEM.improve(
        head, jax.random.key(6), estimator="frequency", steps=3000, batch=256, gate_weight=1.0, frozen_experts=True
    ).head
    assert found.mean == pytest.approx(np.asarray(head.mean))
    assert np.asarray(found.weights) == pytest.approx(wins, abs=0.03)


def test_hostile_options():
    with pytest.raises(OptionError, match="spread and alpha must be positive"):
        OneState(alpha=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "steps"), [(0.2, 2000), (0.12, 3000)])
def test_ten_seeds(spread, steps):
    problem = OneState(spread=spread)
    found = [improved("marginal", 8, seed, problem=problem, steps=steps) for seed in range(10)]
    print(f"spread {spread}: KL {np.round(found, 4).tolist()}")
    assert np.sum(np.array(found) < 0.05) >= 9
