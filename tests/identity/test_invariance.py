"""What must not change a fit does not; what must change it does so by the known amount and no more."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.identity.simulate import mixture_frame

BASE = mixture_frame("gaussian", seed=5, size=300)


def model(**options) -> ms.MixtureOfExperts:
    settings = {"n_init": 3, "random_state": 1, "verbose": 0, **options}
    return ms.MixtureOfExperts(ms.Regression("y ~ x", sigma="~ s"), gate="~ v", n_experts=2, **settings)


@cache
def reference() -> ms.MixtureOfExperts:
    return model().fit(BASE)


def coefficients(fit: ms.MixtureOfExperts) -> pd.Series:
    return fit.tidy().set_index(["expert", "parameter", "term"])["estimate"]


def errors(fit: ms.MixtureOfExperts) -> pd.Series:
    return fit.tidy().set_index(["expert", "parameter", "term"])["std_error"]


def assert_same(fit: ms.MixtureOfExperts, tolerance: float = 1e-7) -> None:
    assert fit.log_likelihood_ == pytest.approx(reference().log_likelihood_, rel=1e-10)
    pd.testing.assert_series_equal(coefficients(fit), coefficients(reference()), rtol=tolerance, atol=tolerance)
    pd.testing.assert_series_equal(errors(fit), errors(reference()), rtol=tolerance, atol=tolerance)


def test_order_of_rows():
    assert_same(model().fit(BASE.sample(frac=1.0, random_state=3)))


def test_seed_and_number_of_starts():
    assert_same(model(random_state=99, n_init=5).fit(BASE))


def test_labels_of_the_start():
    labels = np.where(reference().responsibilities(BASE)[:, 0] > 0.5, 1, 2)
    assert_same(model(start=labels).fit(BASE))
    assert_same(model(start=3 - labels).fit(BASE))


def test_duplicated_rows_are_weights_of_two():
    doubled = model(scale_penalty=0.0).fit(pd.concat([BASE, BASE]))
    weighted = model(scale_penalty=0.0).fit(BASE, sample_weight=np.full(len(BASE), 2.0))
    assert doubled.log_likelihood_ == pytest.approx(weighted.log_likelihood_, rel=1e-11)
    np.testing.assert_allclose(coefficients(doubled), coefficients(weighted), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(errors(doubled), errors(weighted), rtol=1e-7)
    single = model(scale_penalty=0.0).fit(BASE)
    np.testing.assert_allclose(errors(doubled) * np.sqrt(2), errors(single), rtol=1e-6)


@pytest.mark.parametrize("factor", [1 / 300, 1e-6, 1e-300])
def test_weights_of_any_scale_fit_alike(factor):
    weight = np.random.default_rng(8).uniform(0.2, 1.0, len(BASE))
    fits = [model().fit(BASE, sample_weight=weight * scale) for scale in (1 / weight.mean(), factor / weight.mean())]
    assert fits[1].log_likelihood_ == pytest.approx(factor * fits[0].log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(coefficients(fits[1]), coefficients(fits[0]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(errors(fits[1]) * np.sqrt(factor), errors(fits[0]), rtol=1e-8)
    np.testing.assert_allclose(fits[1].covariance("robust"), fits[0].covariance("robust"), rtol=1e-7, atol=1e-12)
    assert fits[1].status_ == fits[0].status_
    assert fits[1].starts_["hits"].tolist() == fits[0].starts_["hits"].tolist()
    assert fits[1].entropy() == pytest.approx(fits[0].entropy(), rel=1e-10)
    drawn = [fit.bootstrap(5, random_state=0).theta for fit in fits]
    np.testing.assert_allclose(drawn[1], drawn[0], rtol=1e-7, atol=1e-9)


def test_large_weights_are_repeated_units():
    """The scale penalty is of order one over the total weight: as many units, however they are written."""
    repeated = model(scale_penalty=1.0).fit(pd.concat([BASE] * 3))
    weighted = model(scale_penalty=1.0).fit(BASE, sample_weight=np.full(len(BASE), 3.0))
    assert repeated.log_likelihood_ == pytest.approx(weighted.log_likelihood_, rel=1e-11)
    np.testing.assert_allclose(coefficients(repeated), coefficients(weighted), rtol=1e-7, atol=1e-9)
    huge = model().fit(BASE, sample_weight=np.full(len(BASE), 1e300))
    np.testing.assert_allclose(coefficients(huge), coefficients(model(scale_penalty=0.0).fit(BASE)), rtol=1e-6)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "binomial"])
def test_small_weights_are_no_separation(family):
    frame = mixture_frame(family)
    expert = ms.Regression("cbind(y, failures) ~ x" if family == "binomial" else "y ~ x", family=family, verbose=0)
    plain = expert.fit(frame).tidy()["estimate"]
    light = expert.fit(frame, sample_weight=np.full(len(frame), 1e-7))
    assert light.status_.startswith("converged: ")
    np.testing.assert_allclose(light.tidy()["estimate"], plain, rtol=1e-8)


@pytest.mark.parametrize("weight", [1e-320, 1e305])
def test_weights_whose_sums_are_no_numbers(weight):
    with pytest.raises(ms.DataError, match="largest sample_weight"):
        model().fit(BASE, sample_weight=np.full(len(BASE), weight))


def test_rows_of_weight_zero_do_not_count():
    extra = BASE.tail(50).assign(y=1e3, x=-7.0)
    weight = np.repeat([1.0, 0.0], [len(BASE), len(extra)])
    assert_same(model().fit(pd.concat([BASE, extra]), sample_weight=weight))


def test_shift_of_covariates():
    fit = model().fit(BASE.assign(x=BASE.x + 1000.0, v=BASE.v - 300.0))
    expected = coefficients(reference()).copy()
    for k in (1, 2):
        expected[(k, "mean", "Intercept")] -= 1000.0 * expected[(k, "mean", "x")]
    expected[(2, "gate", "Intercept")] += 300.0 * expected[(2, "gate", "v")]
    assert fit.log_likelihood_ == pytest.approx(reference().log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(coefficients(fit), expected, rtol=1e-6, atol=1e-7)
    slopes = [label for label in expected.index if label[2] != "Intercept"]
    np.testing.assert_allclose(errors(fit)[slopes], errors(reference())[slopes], rtol=1e-6)


def test_scale_of_covariates():
    fit = model().fit(BASE.assign(x=BASE.x * 1e4, v=BASE.v * 1e-3))
    expected = coefficients(reference()).copy()
    for k in (1, 2):
        expected[(k, "mean", "x")] *= 1e-4
    expected[(2, "gate", "v")] *= 1e3
    assert fit.log_likelihood_ == pytest.approx(reference().log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(coefficients(fit), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 1e5])
def test_shift_and_scale_of_the_response(factor):
    fit = model().fit(BASE.assign(y=(BASE.y + 20.0) * factor))
    expected = coefficients(reference()).copy()
    for k in (1, 2):
        expected[(k, "mean", "Intercept")] += 20.0
        expected[(k, "sigma", "Intercept")] += np.log(factor)
    means = [label for label in expected.index if label[1] == "mean"]
    expected[means] *= factor
    shifted = reference().log_likelihood_ - len(BASE) * np.log(factor)
    assert fit.log_likelihood_ == pytest.approx(shifted, rel=1e-9)
    np.testing.assert_allclose(coefficients(fit), expected, rtol=1e-5, atol=1e-6 * factor)


def test_equal_experts_are_one_expert():
    """Two experts with the location shared and no free gate: their density is that of one regression."""
    one = ms.Regression("y ~ x", family="poisson", verbose=0)
    frame = mixture_frame("poisson")
    shared = ms.Regression("y ~ x", family="poisson", shared=["Intercept", "x"])
    both = ms.MixtureOfExperts(shared, gate="equal", n_experts=2, n_init=2, random_state=1, verbose=0).fit(frame)
    single = one.fit(frame)
    assert both.log_likelihood_ == pytest.approx(single.log_likelihood_, rel=1e-12)
    assert both.n_parameters_ == single.n_parameters_
    np.testing.assert_allclose(both.tidy()["estimate"], single.tidy()["estimate"], rtol=1e-9)
    np.testing.assert_allclose(both.tidy()["std_error"], single.tidy()["std_error"], rtol=1e-9)


def test_relabelling_known_classes_permutes_experts():
    frame = BASE.assign(label=np.where(reference().responsibilities(BASE)[:, 0] > 0.99, 1.0, np.nan))
    first = model(prior_classes="label").fit(frame)
    second = model(prior_classes="label").fit(frame.assign(label=3 - frame.label))
    assert first.log_likelihood_ == pytest.approx(second.log_likelihood_, rel=1e-10)
    assert coefficients(first)[(1, "mean", "x")] == pytest.approx(coefficients(second)[(2, "mean", "x")], rel=1e-6)
    assert coefficients(first)[(2, "gate", "v")] == pytest.approx(-coefficients(second)[(2, "gate", "v")], rel=1e-6)
