"""Label switching: the linear map of a permutation, and the permutation nearest to a target."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.estimators.model.report import labels_of
from mixstat.exceptions import DataError
from mixstat.fit.order import permute
from mixstat.fit.precision import double
from mixstat.inference.labels import Coefficient, forms_of, nearest_order, relabelling
from mixstat.studies import Estimates, wald
from mixstat.studies.matching import match


def three_classes(rng: np.random.Generator, n: int = 240) -> pd.DataFrame:
    x, v = rng.normal(size=n), rng.normal(size=n)
    eta = np.column_stack([np.zeros(n), 0.3 + 0.5 * v, -0.2 - 0.4 * v])
    z = np.argmax(eta + rng.gumbel(size=eta.shape), axis=1)
    y = np.array([-4.0, 0.0, 4.0])[z] + np.array([0.5, -0.5, 1.0])[z] * x + rng.normal(size=n)
    return pd.DataFrame({"x": x, "v": v, "y": y})


def coefficients_of(model) -> list[Coefficient]:
    return [
        Coefficient(label.expert, (label.parameter, label.term), label.parameter == "gate")
        for label in labels_of(model.fitted_)
    ]


@pytest.fixture(scope="module")
def model():
    expert = ms.Regression("y ~ x", shared="sigma")
    data = three_classes(np.random.default_rng(3))
    return ms.MixtureOfExperts(expert, "~ v", 3, n_init=3, random_state=1, verbose=0).fit(data)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_map_agrees_with_permuting_all_coefficients(model, order):
    """The same as `fit.order.permute` on phi, contracted to the free parameters."""
    fitted = model.fitted_
    ties = fitted.assembled.named.ties
    wanted = ties.contract(permute(fitted.assembled.mixture, fitted.phi, np.array(order)))
    np.testing.assert_allclose(relabelling(coefficients_of(model), order) @ fitted.theta, wanted, rtol=1e-13)


def test_permuted_parameters_give_the_same_likelihood_and_their_own_information(model):
    """M C M' is the covariance that the permuted fit reports itself."""
    order = np.array([2, 0, 1])
    matrix = relabelling(coefficients_of(model), order)
    fitted, problem = model.fitted_, model._problem
    ties = fitted.assembled.named.ties
    moved = ties.contract(permute(problem.mixture, ties.expand(fitted.solution.theta), order))
    at = double(problem.evaluate_likelihood)(moved)
    assert at.log_likelihood == pytest.approx(model.log_likelihood_, rel=1e-12)
    own = fitted.jacobian @ np.linalg.inv(at.information) @ fitted.jacobian.T
    np.testing.assert_allclose(matrix @ model.covariance() @ matrix.T, own, rtol=1e-7, atol=1e-12)


def test_maps_compose():
    coefficients = [Coefficient(e, n, g) for e in range(1, 5) for n, g in (("a", False), ("g", True)) if e > 1 or not g]
    first, second = np.array([2, 0, 3, 1]), np.array([1, 3, 0, 2])
    product = relabelling(coefficients, second) @ relabelling(coefficients, first)
    np.testing.assert_array_equal(product, relabelling(coefficients, first[second]))


@pytest.mark.parametrize("seed", range(5))
def test_nearest_order_is_the_best_of_all(seed):
    """Against brute force over 24 permutations; the gate is compared about its mean over classes."""
    rng = np.random.default_rng(seed)
    coefficients = [Coefficient(e, n) for e in range(1, 5) for n in "ab"] + [
        Coefficient(e, "g", True) for e in (2, 3, 4)
    ]
    estimate, target = rng.normal(size=11), rng.normal(size=11)
    scale = np.repeat([1.0, 2.0], [8, 3])

    def distance(order) -> float:
        difference = relabelling(coefficients, order) @ estimate - target
        gate = np.append(0.0, difference[8:])
        return (difference[:8] ** 2).sum() + ((gate - gate.mean()) ** 2).sum() / 4

    best = min(permutations(range(4)), key=distance)
    assert tuple(nearest_order(coefficients, estimate, target, scale)) == best


def test_unknown_targets_do_not_count_and_ties_keep_the_labels():
    coefficients = [Coefficient(e, n) for e in (1, 2) for n in "ab"]
    estimate, unknown = np.array([5.0, 0.0, 1.0, 9.0]), np.array([np.nan, 8.0, np.nan, 1.0])
    assert list(nearest_order(coefficients, estimate, unknown, np.ones(4))) == [1, 0]
    assert list(nearest_order(coefficients, estimate, np.full(4, np.nan), np.ones(4))) == [0, 1]


def test_only_experts_of_equal_form_change_places():
    coefficients = [
        Coefficient(1, "a"),
        Coefficient(2, "a"),
        Coefficient(3, "a"),
        Coefficient(3, "b"),
        Coefficient(4, "g", True),
    ]
    assert list(forms_of(coefficients)) == [0, 0, 2, 3]
    estimate, target = np.array([0.0, 5.0, 9.0, 0.0, 0.0]), np.array([9.0, 0.0, 5.0, 0.0, 0.0])
    assert list(nearest_order(coefficients, estimate, target, np.ones(5))) == [1, 0, 2, 3]
    with pytest.raises(DataError, match="cannot change places"):
        relabelling(coefficients, [2, 1, 0, 3])


def test_matching_brings_a_switched_fit_back(model):
    """A truth with the experts named in another order gives the estimates, errors and intervals of that naming."""
    found = wald(model)
    matrix = relabelling(coefficients_of(model), [1, 2, 0])
    truth = matrix @ model.fitted_.theta
    matched = match(found, truth, relabel=True)
    assert matched.order == (1, 2, 0)
    np.testing.assert_allclose(matched.estimate, truth)
    np.testing.assert_allclose(matched.std_error, np.sqrt(np.diag(matrix @ model.covariance() @ matrix.T)))
    assert match(found, truth, relabel=False).order == (0, 1, 2)
    with pytest.raises(DataError, match="need the covariance"):
        match(found._replace(covariance=None), truth, relabel=True)


def test_intervals_of_two_switched_classes_change_sides():
    """The gate's coefficient changes its sign, and so its interval; no covariance is needed."""
    table = pd.DataFrame(
        {
            "expert": [1, 2, 2],
            "parameter": ["mean", "mean", "gate"],
            "estimate": [3.0, -1.0, 0.5],
            "std_error": [0.1, 0.2, 0.3],
            "conf_low": [2.5, -1.2, 0.1],
            "conf_high": [3.1, -0.9, 0.7],
        }
    )
    matched = match(Estimates(table), np.array([-1.0, 3.0, -0.5]), relabel=True)
    assert matched.order == (1, 0)
    np.testing.assert_array_equal(matched.estimate, [-1.0, 3.0, -0.5])
    np.testing.assert_array_equal(matched.std_error, [0.2, 0.1, 0.3])
    np.testing.assert_array_equal(matched.conf_low, [-1.2, 2.5, -0.7])
    np.testing.assert_array_equal(matched.conf_high, [-0.9, 3.1, -0.1])


def test_classes_without_parameters_keep_their_numbers():
    noisy = ms.MixtureOfExperts(
        ms.Regression("y ~ 1"), None, 2, extra=[ms.Noise()], n_init=2, random_state=1, verbose=0
    )
    found = wald(noisy.fit(three_classes(np.random.default_rng(4))))
    assert found.forms == (0, 0, 2)
    swapped = match(found, relabelling(coefficients_of(noisy), [1, 0, 2]) @ noisy.fitted_.theta, relabel=True)
    assert swapped.order == (1, 0, 2)


def test_known_classes_keep_their_numbers():
    data = three_classes(np.random.default_rng(4))
    known = np.where(np.arange(len(data)) < 30, 1 + (data["y"] > 0), np.nan)
    model = ms.MixtureOfExperts(
        ms.Regression("y ~ 1"), None, 2, prior_classes=known, n_init=1, random_state=1, verbose=0
    )
    assert wald(model.fit(data)).forms == (0, 1)
