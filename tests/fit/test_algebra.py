"""Small algebra of the fit: ties, standardising, solving, the proximal step."""

import numpy as np
import pytest
from scipy.optimize import minimize

from mixstat.core.expert import Experts
from mixstat.core.gate import Gate
from mixstat.core.mixture import Mixture, log_likelihood
from mixstat.families import Gaussian
from mixstat.fit.linear_algebra import invert, least_squares, solve_ascent
from mixstat.fit.precision import double
from mixstat.fit.proximal import optimality_residual, solve_lasso
from mixstat.fit.standardize import aliased, learn_scaling
from mixstat.fit.ties import TieMap, Ties
from tests.core.models import free, outcome, two_gaussians

RNG = np.random.default_rng(0)


def test_ties_expand_and_pull_back_derivatives() -> None:
    ties = Ties(TieMap(np.array([0, 1, -1, 0, 2]), np.array([0.0, 0.0, 3.5, 0.0, 0.0])))
    theta = np.array([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(ties.expand(theta), [1.0, 2.0, 3.5, 1.0, 4.0])
    np.testing.assert_array_equal(ties.contract(ties.expand(theta)), theta)
    matrix = RNG.normal(size=(5, 5))
    np.testing.assert_allclose(ties.information(matrix), ties.matrix.T @ matrix @ ties.matrix)
    np.testing.assert_allclose(ties.gradient(matrix[0]), ties.matrix.T @ matrix[0])
    np.testing.assert_array_equal(ties.representative, [0, 1, 4])


@double
def test_standardised_coefficients_map_back_to_the_same_likelihood() -> None:
    mixture, data = two_gaussians(200)
    data = data._replace(columns=data.columns * np.array([[1.0], [30.0], [0.01]]) + np.array([[0.0], [500.0], [-3.0]]))
    scaling = learn_scaling(mixture, free(mixture), data.columns, data.weight)
    scaled = data._replace(columns=scaling.apply(data.columns))
    phi = 0.3 * RNG.normal(size=mixture.size)
    values = []
    for part, coefficients in ((scaled, phi), (data, scaling.jacobian(mixture) @ phi)):
        values.append(float(log_likelihood(mixture, coefficients, part.pack(part.layout()))))
    assert values[0] == pytest.approx(values[1], rel=1e-11)
    np.testing.assert_allclose(scaled.columns[1:].mean(axis=1), 0.0, atol=1e-12)


def test_a_shared_intercept_forbids_centring() -> None:
    mixture = Mixture((Experts((outcome(Gaussian(), width=2),), 2),), Gate(2, (0,)))
    index = np.array([0, 1, 2, 0, 3, 4, 5])
    values = np.stack([np.ones(50), RNG.normal(size=50) + 7])
    shared = learn_scaling(mixture, Ties(TieMap(index, np.zeros(7))), values, np.ones(50))
    assert shared.centre[1] == 0.0
    assert learn_scaling(mixture, free(mixture), values, np.ones(50)).centre[1] == pytest.approx(values[1].mean())


def test_aliased_columns_are_those_explained_by_earlier_ones() -> None:
    x = RNG.normal(size=(3, 100))
    columns = np.stack([np.ones(100), x[0], x[1], 2 * x[0] - x[1] + 5, x[2], np.full(100, 3.0)])
    assert aliased(columns, np.ones(100), (0, 1, 2, 3, 4, 5)) == [3, 5]
    assert aliased(columns, np.ones(100), (1, 2, 4)) == []


def test_ascent_steps_solve_and_point_uphill_where_the_matrix_is_indefinite() -> None:
    root = RNG.normal(size=(4, 4))
    definite = root @ root.T + np.eye(4)
    gradient = RNG.normal(size=4)
    step, sound = solve_ascent(definite, gradient)
    assert sound
    np.testing.assert_allclose(definite @ step, gradient, atol=1e-12)
    step, sound = solve_ascent(np.diag([1.0, -1.0, 2.0, 1e-30]), gradient)
    assert not sound
    assert step @ gradient > 0


def test_flat_directions_have_no_variance() -> None:
    inverse, flat = invert(np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    np.testing.assert_array_equal(flat, [False, True, True])
    assert inverse[0, 0] == pytest.approx(0.5)
    assert np.isnan(inverse[1, 1])


def test_least_squares_of_a_singular_gram_is_finite() -> None:
    x = np.stack([np.ones(20), RNG.normal(size=20), np.zeros(20)])
    y = 1 + 2 * x[1]
    step = least_squares((x @ x.T)[None], (x @ y)[None, :, None])[0, :, 0]
    np.testing.assert_allclose(step, [1.0, 2.0, 0.0], atol=1e-10)


def test_the_proximal_step_of_a_badly_scaled_curvature() -> None:
    """Parameters without penalty that differ by orders of magnitude and are nearly collinear; zeros are exact."""
    scale = np.array([1e-4, 1e3, 1.0, 1.0, 50.0, 0.1])
    root = RNG.normal(size=(6, 6))
    root[:, 1] = root[:, 0] + 1e-3 * root[:, 1]
    matrix = (root.T @ root) * np.outer(scale, scale)
    gradient, theta = matrix @ (RNG.normal(size=6) / scale), np.array([0.3, -0.2, 0.1, 0.2, 0.01, -0.3])
    lasso = np.array([0.0, 0.0, 0.3, 30.0, 40.0, 0.0])
    step = solve_lasso(matrix, gradient, theta, lasso)
    residual = optimality_residual(gradient - matrix @ step, theta + step, lasso)
    np.testing.assert_allclose(residual / scale, 0.0, atol=1e-7)
    assert (theta + step == 0).tolist() == [False, False, False, True, False, False]
    np.testing.assert_allclose(
        solve_lasso(matrix, gradient, theta, 0 * lasso), np.linalg.solve(matrix, gradient), rtol=1e-5
    )


def test_the_proximal_step_equals_a_general_optimiser() -> None:
    root = RNG.normal(size=(5, 5))
    matrix, gradient, theta = root @ root.T + 0.5 * np.eye(5), RNG.normal(size=5), RNG.normal(size=5)
    lasso = np.array([0.0, 0.4, 0.4, 2.0, 10.0])
    step = solve_lasso(matrix, gradient, theta, lasso)

    def loss(split: np.ndarray) -> float:
        target = split[:5] - split[5:]
        d = target - theta
        return -gradient @ d + d @ matrix @ d / 2 + lasso @ (split[:5] + split[5:])

    start = np.concatenate([np.maximum(theta, 0), np.maximum(-theta, 0)])
    found = minimize(loss, start, bounds=[(0, None)] * 10, options={"ftol": 1e-15, "gtol": 1e-10})
    np.testing.assert_allclose(theta + step, found.x[:5] - found.x[5:], atol=1e-5)
    residual = optimality_residual(gradient - matrix @ step, theta + step, lasso)
    np.testing.assert_allclose(residual, 0.0, atol=1e-9)
