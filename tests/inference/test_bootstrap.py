"""The weighted bootstrap: equal to refits, no compilation, classes aligned, clusters together."""

import pickle

import numpy as np
import pytest
from scipy.stats import norm

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from mixstat.inference.bootstrap import draw_weights, match_classes
from tests.inference.conftest import make_frame, make_mixture


def test_a_replicate_is_the_weighted_fit(frame, fitted):
    draws = fitted.bootstrap(3, random_state=5)
    weight = next(draw_weights(np.random.default_rng(5), np.ones(len(frame)), None, "multinomial"))
    refit = make_mixture(scale_penalty=0.01).fit(frame, sample_weight=weight)
    np.testing.assert_allclose(draws.theta[0], refit.fitted_.theta, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", ["multinomial", "exponential"])
def test_standard_errors_of_an_ols_slope(weights):
    data = make_frame(300, seed=9)
    model = ms.Regression("y ~ x", verbose=0).fit(data)
    draws = model.bootstrap(300, weights=weights, random_state=0)
    robust = np.sqrt(np.diag(model.covariance("robust")))
    np.testing.assert_allclose(np.sqrt(np.diag(draws.covariance)), robust, rtol=0.2)


def test_nothing_compiles_again(fitted, compilations):
    fitted.bootstrap(2, random_state=0)
    with compilations() as count:
        fitted.bootstrap(5, random_state=1)
    assert count() == 0


def test_intervals_by_definition(fitted):
    draws = fitted.bootstrap(50, random_state=2)
    percentile, basic, normal = (draws.tidy(0.9, kind) for kind in ("percentile", "basic", "normal"))
    low, high = np.quantile(draws.theta, [0.05, 0.95], axis=0, method="weibull")
    np.testing.assert_allclose(percentile[["conf_low", "conf_high"]], np.column_stack([low, high]))
    np.testing.assert_allclose(basic.conf_low, 2 * draws.estimate - high)
    np.testing.assert_allclose(basic.conf_high, 2 * draws.estimate - low)
    np.testing.assert_allclose(normal.conf_high, draws.estimate + norm.ppf(0.95) * draws.theta.std(axis=0, ddof=1))
    np.testing.assert_allclose(draws.tidy()["bias"], draws.theta.mean(axis=0) - draws.estimate)


def test_same_seed_same_draws(fitted):
    first, second = fitted.bootstrap(4, random_state=3), fitted.bootstrap(4, random_state=3)
    np.testing.assert_array_equal(first.theta, second.theta)


def test_a_cluster_is_drawn_together():
    clusters = np.repeat(np.arange(5), 4)
    weights = draw_weights(np.random.default_rng(0), np.ones(20), clusters, "multinomial")
    for _, weight in zip(range(10), weights, strict=False):
        assert (weight.reshape(5, 4) == weight.reshape(5, 4)[:, :1]).all()
        assert weight.sum() == pytest.approx(20)


def test_units_without_weight_stay_without():
    weight = np.r_[np.zeros(5), np.ones(10)]
    drawn = next(draw_weights(np.random.default_rng(0), weight, None, "exponential"))
    assert (drawn[:5] == 0).all()
    assert drawn.sum() == pytest.approx(10)


def test_classes_are_matched_by_overlap(fitted):
    mixture = fitted.fitted_.assembled.mixture
    assert match_classes(mixture, np.array([[1.0, 9.0], [8.0, 2.0]])).tolist() == [1, 0]


def test_replicates_keep_the_labels_of_the_fit():
    data = make_frame(60, seed=4)
    model = make_mixture().fit(data)
    slopes = [model.coefficient_names_.index(f"{k}:mean:x") for k in (1, 2)]
    draws = model.bootstrap(60, random_state=0)
    estimate = model.fitted_.theta[slopes]
    right = np.sign(draws.theta[:, slopes[0]] - draws.theta[:, slopes[1]]) == np.sign(estimate[0] - estimate[1])
    assert right[draws.converged].mean() > 0.95


def test_bootstrap_errors(fitted):
    with pytest.raises(DataError, match="training data"):
        pickle.loads(pickle.dumps(fitted)).bootstrap(2)
    with pytest.raises(OptionError, match="weights must be one of"):
        fitted.bootstrap(2, weights="poisson")
