"""Drivers: EM never falls, Newton certifies, searches agree, starts of any kind reach the same maximum."""

import jax
import numpy as np
import pytest

from mixstat.core.mixture import log_likelihood
from mixstat.fit.em import em, squarem
from mixstat.fit.maximize import Model, maximize
from mixstat.fit.newton import newton
from mixstat.fit.options import Options
from mixstat.fit.order import Order
from mixstat.fit.penalty import Penalty
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.fit.starts import kmeans, random_assignment, random_subsets
from tests.core.models import free, mixed_joint, two_gaussians, unpenalised

QUIET = Options(verbose=0, n_init=4)


def model_of(rows: int = 500, closed: bool = True, epsilon: float = 0.0) -> Model:
    mixture, data = two_gaussians(rows, closed=closed)
    return Model(mixture, data, free(mixture), unpenalised(mixture.size, epsilon))


def problem_of(model: Model) -> Problem:
    return Problem(model.mixture, model.data, model.ties, model.penalty)


@double
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("driver", [em, squarem])
def test_em_never_falls(closed: bool, driver) -> None:
    problem = problem_of(model_of(closed=closed, epsilon=1e-6))
    theta = 0.5 * np.random.default_rng(3).normal(size=problem.ties.size)
    values = [driver(problem, theta, tol=0.0, max_iter=steps).objective for steps in range(0, 24, 2)]
    assert (np.diff(values) >= -1e-9).all()
    assert values[-1] > values[0]


@double
def test_em_never_falls_on_a_joint_model_with_units_and_missing_items() -> None:
    mixture, data = mixed_joint()
    problem = Problem(mixture, data, free(mixture), unpenalised(mixture.size))
    theta = 0.4 * np.random.default_rng(5).normal(size=mixture.size)
    values = [em(problem, theta, tol=0.0, max_iter=steps).objective for steps in range(0, 12, 3)]
    assert (np.diff(values) >= -1e-9).all()


@double
def test_the_solution_is_a_certified_maximum() -> None:
    model = model_of(epsilon=1e-8)
    found = maximize(model, QUIET, np.random.default_rng(0))
    solution = found.solution
    assert solution.verdict.converged
    assert solution.decrement < 1e-9
    assert np.abs(solution.gradient).max() / 500 < 1e-8
    hessian = jax.hessian(lambda phi: log_likelihood(model.mixture, phi, found.problem.design))(solution.phi)
    scale = np.abs(np.asarray(hessian)).max()
    np.testing.assert_allclose(solution.information, -np.asarray(hessian), atol=1e-9 * scale)
    assert sum(start.hits > 0 for start in solution.starts) >= 3


@double
@pytest.mark.parametrize("kind", [kmeans, random_assignment, random_subsets])
def test_partitions_are_labels_of_units_with_weight(kind) -> None:
    rng = np.random.default_rng(0)
    weight = np.where(np.arange(200) < 20, 0.0, 1.0)
    labels = kind(rng, rng.normal(size=(200, 3)), weight, 4)
    assert labels.shape == (200,)
    assert set(np.unique(labels)) <= {-1, 0, 1, 2, 3}
    assert len(np.unique(labels[labels >= 0])) == 4


@double
def test_closed_form_and_newton_m_steps_reach_the_same_maximum() -> None:
    results = [maximize(model_of(closed=closed), QUIET, np.random.default_rng(0)).solution for closed in (True, False)]
    assert results[0].log_likelihood == pytest.approx(results[1].log_likelihood, abs=1e-9)
    np.testing.assert_allclose(results[0].phi, results[1].phi, atol=1e-7)


@double
def test_em_alone_and_squarem_reach_newtons_maximum() -> None:
    model = model_of()
    best = maximize(model, QUIET, np.random.default_rng(0)).solution
    for algorithm in ("em", "squarem"):
        options = Options(verbose=0, n_init=2, algorithm=algorithm, tol=1e-13, max_iter=2000)
        solution = maximize(model, options, np.random.default_rng(0)).solution
        assert solution.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-7)
        assert solution.information is None


@double
def test_a_search_on_a_subset_reaches_the_same_maximum() -> None:
    model = model_of(rows=3000)
    whole = maximize(model, QUIET, np.random.default_rng(0)).solution
    options = Options(verbose=0, n_init=4, screen_above=1000, screen_units=600)
    screened = maximize(model, options, np.random.default_rng(0)).solution
    assert screened.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-9)
    assert len(screened.starts) == 4
    assert max(start.hits for start in screened.starts) >= 3


@double
def test_experts_come_in_order_whatever_the_start() -> None:
    model = model_of()
    solutions = [maximize(model, QUIET, np.random.default_rng(seed)).solution for seed in (1, 2)]
    np.testing.assert_allclose(solutions[0].phi, solutions[1].phi, atol=1e-8)
    experts, _ = model.mixture.split(solutions[0].phi)
    averages = experts[0][:, :3] @ model.data.columns.mean(axis=1)
    assert averages[0] < averages[1]


@double
def test_reordering_changes_no_likelihood() -> None:
    problem = problem_of(model_of())
    theta = np.random.default_rng(1).normal(size=problem.ties.size)
    order = Order(problem, keep=False)
    swapped = order.canonical(theta)
    assert not np.array_equal(swapped, theta) or np.array_equal(order.permutation(theta), [0, 1])
    assert problem.expect(swapped).log_likelihood == pytest.approx(problem.expect(theta).log_likelihood, rel=1e-13)


@double
def test_a_spike_is_called_spurious_and_not_chosen() -> None:
    model = model_of(rows=300)
    labels = np.ones(300, dtype=int)
    labels[:2] = 0
    solution = maximize(model, QUIET, np.random.default_rng(0), start=labels).solution
    clean = maximize(model, QUIET, np.random.default_rng(0)).solution
    assert clean.verdict.converged
    assert not solution.verdict.converged or solution.log_likelihood <= clean.log_likelihood + 1e-6


@double
def test_the_scale_penalty_bounds_an_unbounded_likelihood() -> None:
    model = model_of(rows=60)
    spiked = model.ties.expand(np.zeros(model.ties.size))
    experts, _ = model.mixture.split(spiked)
    x = model.data.columns[:, :3]
    experts[0][0, :3] = np.linalg.solve(x.T, model.data.responses[0][0, 0, :3])
    values = []
    for epsilon in (0.0, 0.01 / 60**2):
        problem = Problem(model.mixture, model.data, model.ties, unpenalised(model.ties.size, epsilon))
        experts[0][0, 3] = -20.0
        values.append(problem.expect(model.ties.contract(spiked)).objective)
    assert values[0] > values[1] + 1e6


@double
def test_lasso_meets_its_optimality_conditions() -> None:
    model = model_of(closed=False)
    size = model.ties.size
    lasso = np.zeros(size)
    lasso[[1, 2, 5, 6, 9]] = 0.05 * 500
    penalised = model._replace(penalty=Penalty(np.zeros(size), lasso, 0.0))
    solution = maximize(penalised, QUIET, np.random.default_rng(0)).solution
    assert np.abs(solution.gradient).max() / 500 < 1e-8
    assert (solution.theta[lasso > 0] == 0).any()
    problem = problem_of(penalised)
    rng = np.random.default_rng(0)
    for _ in range(50):
        near = solution.theta + 1e-3 * rng.normal(size=size)
        assert problem.expect(near).objective < solution.objective


@double
def test_ridge_shrinks_and_is_stationary() -> None:
    model = model_of()
    ridge = np.zeros(model.ties.size)
    ridge[-1] = 100.0
    free_fit = maximize(model, QUIET, np.random.default_rng(0)).solution
    penalised = model._replace(penalty=Penalty(ridge, np.zeros(model.ties.size), 0.0))
    solution = maximize(penalised, QUIET, np.random.default_rng(0)).solution
    assert abs(solution.theta[-1]) < abs(free_fit.theta[-1])
    assert np.abs(solution.gradient).max() / 500 < 1e-8


@double
def test_newton_reports_that_it_has_not_converged() -> None:
    problem = problem_of(model_of())
    result = newton(problem, np.zeros(problem.ties.size), tol=1e-9, max_iter=1)
    assert not result.converged


@double
def test_a_new_number_of_rows_in_the_same_bucket_compiles_nothing(caplog) -> None:
    options = Options(verbose=0, n_init=2)
    maximize(model_of(rows=400), options, np.random.default_rng(0))
    maximize(model_of(rows=1600), options, np.random.default_rng(0))
    with jax.log_compiles(), caplog.at_level("WARNING"):
        maximize(model_of(rows=1700), options, np.random.default_rng(1))
    compiled = [record.getMessage() for record in caplog.records if "Compiling" in record.getMessage()]
    assert compiled == []
