"""Predictions, densities and responsibilities against the same formulas in plain numpy; simulation by its moments."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logsumexp, softmax

import mixstat as ms
from tests.estimators.data import SIZE, frame, make_sound, mixture, regression

DATA = frame()


def coefficients(model, parameter):
    """(expert, term) estimates of a parameter, in the order of the table."""
    table = model.tidy().query("parameter == @parameter")
    return np.array([part["estimate"].to_numpy() for _, part in table.groupby("expert")])


@pytest.fixture(scope="module")
def model():
    return make_sound(mixture(regression("y ~ x", sigma="~ z"), gate="~ z").fit(DATA))


@pytest.fixture(scope="module")
def parts(model):
    """(gate (row, 2), means (row, 2), log densities (row, 2)) by hand."""
    ones = np.ones(SIZE)
    X, V = np.column_stack([ones, DATA.x]), np.column_stack([ones, DATA.z])
    mean = X @ coefficients(model, "mean").T
    scale = np.exp(V @ coefficients(model, "sigma").T)
    gate = softmax(np.column_stack([0 * ones, V @ coefficients(model, "gate")[0]]), axis=1)
    return gate, mean, stats.norm.logpdf(DATA.y.to_numpy()[:, None], mean, scale)


def test_means_and_probabilities(model, parts):
    gate, mean, log_f = parts
    joint = np.log(gate) + log_f
    density = logsumexp(joint, axis=1)
    weight = np.exp(joint - density[:, None])
    np.testing.assert_allclose(model.gate_proba(DATA), gate)
    np.testing.assert_allclose(model.predict(DATA), (gate * mean).sum(axis=1))
    np.testing.assert_allclose(model.predict(DATA, kind="expert_mean"), mean)
    np.testing.assert_allclose(model.predict(DATA, kind="log_density"), density)
    np.testing.assert_allclose(model.predict(DATA, kind="density"), np.exp(density))
    np.testing.assert_allclose(model.responsibilities(DATA), weight, atol=1e-12)
    np.testing.assert_allclose(model.predict(DATA, weights="responsibilities"), (weight * mean).sum(axis=1))
    assert model.log_likelihood_ == pytest.approx(density.sum())


def test_score(model):
    expected = model.log_likelihood_ / SIZE
    weight = np.arange(SIZE) + 1.0
    log_density = model.predict(DATA, kind="log_density")
    assert model.score(DATA) == pytest.approx(expected)
    assert model.score(DATA.drop(columns="y"), DATA["y"]) == pytest.approx(expected)
    assert model.score(DATA, sample_weight=weight) == pytest.approx(np.average(log_density, weights=weight))
    assert model.score(frame(w=weight), sample_weight="w") == pytest.approx(np.average(log_density, weights=weight))


def test_simulated_moments(model, parts):
    gate, mean, _ = parts
    rng = np.random.default_rng(0)
    draws = np.array([model.simulate(DATA, random_state=rng) for _ in range(400)])
    scale = np.exp(np.column_stack([np.ones(SIZE), DATA.z]) @ coefficients(model, "sigma").T)
    expected = (gate * mean).sum(axis=1)
    spread = np.sqrt((gate * (scale**2 + mean**2)).sum(axis=1) - expected**2)
    assert np.abs((draws.mean(axis=0) - expected) / (spread / 20)).max() < 5
    np.testing.assert_allclose((draws.std(axis=0) / spread).mean(), 1.0, atol=0.02)
    np.testing.assert_array_equal(model.simulate(DATA, random_state=3), model.simulate(DATA, random_state=3))


def test_rows_of_units():
    data = frame(v=np.repeat(np.random.default_rng(1).normal(size=SIZE // 4), 4))
    model = mixture(gate="~ v", unit="u", n_init=2).fit(data)
    shuffled = data.sample(frac=1, random_state=0)
    assert model.n_units_ == SIZE // 4
    assert model.n_rows_ == SIZE
    assert model.responsibilities(data).shape == (SIZE // 4, 2)
    assert model.gate_proba(data).shape == (SIZE // 4, 2)
    assert model.gate_proba(data.drop(columns="u")).shape == (SIZE, 2)
    order = shuffled["u"].drop_duplicates().to_numpy()
    np.testing.assert_allclose(model.responsibilities(shuffled), model.responsibilities(data)[order], atol=1e-10)
    by_row = model.predict(data, weights="responsibilities")
    means = model.predict(data, kind="expert_mean")
    np.testing.assert_allclose(by_row, (model.responsibilities(data)[data.u] * means).sum(axis=1))
    assert model.score(data) == pytest.approx(model.log_likelihood_ / 30)
    assert model.score(data, sample_weight=np.ones(SIZE)) == pytest.approx(model.score(data))


@pytest.mark.parametrize(
    "response", [pd.Series(DATA.b == 1), pd.Series(np.where(DATA.b == 1, "yes", "no")), pd.Categorical(DATA.b)]
)
def test_two_outcomes_in_any_form(response):
    plain = regression("b ~ x", family="binomial").fit(DATA)
    model = regression("k ~ x", family="binomial").fit(frame(k=response))
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_)
    np.testing.assert_allclose(
        model.predict(DATA), expit(np.column_stack([np.ones(SIZE), DATA.x]) @ coefficients(plain, "mean")[0])
    )
    classes = regression("k ~ x", family="categorical").fit(frame(k=response))
    assert classes.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-8)
    np.testing.assert_allclose(classes.predict_proba(DATA)[:, 1], plain.predict(DATA), atol=1e-6)


def test_grouped_binomial():
    trials = np.arange(SIZE) % 7 + 1
    success = np.random.default_rng(2).binomial(trials, expit(0.5 + DATA.x))
    data = frame(s=success, t=trials, f=trials - success)
    quotient = regression("s / t ~ x", family="binomial").fit(data)
    pair = regression("cbind(s, f) ~ x", family="binomial").fit(data)
    assert quotient.log_likelihood_ == pytest.approx(pair.log_likelihood_)
    probability = quotient.predict(data.drop(columns=["s", "t", "f"]))
    assert quotient.log_likelihood_ == pytest.approx(stats.binom.logpmf(success, trials, probability).sum())
    draws = np.array([quotient.simulate(data, random_state=seed) for seed in range(200)])
    assert (draws <= trials).all()
    np.testing.assert_allclose(draws.mean() / (trials * probability).mean(), 1.0, atol=0.02)
    assert quotient.simulate(data[["x"]], random_state=0).max() == 1
    with pytest.raises(ms.DataError, match="successes"):
        regression("s / t ~ x", family="binomial").fit(data.assign(t=0))
    with pytest.raises(ms.DataError, match=r"cbind\(successes, failures\)"):
        regression("cbind(s, f, t) ~ x", family="binomial").fit(data)


def test_labels():
    labels = np.where(DATA.x + DATA.z > 1, "c", np.where(DATA.x > 0.2 * DATA.n - 0.5, "b", "a"))
    model = mixture(regression("k ~ x", family="categorical"), n_experts=1).fit(frame(k=labels))
    probability = model.predict_proba(DATA)
    assert list(model.classes_) == ["a", "b", "c"]
    np.testing.assert_array_equal(model.predict(DATA), model.classes_[probability.argmax(axis=1)])
    assert set(model.simulate(DATA, random_state=0)) == {"a", "b", "c"}
    codes = regression("k ~ x", family="categorical").fit(frame(k=np.searchsorted(model.classes_, labels) * 10))
    np.testing.assert_allclose(codes.predict_proba(DATA), probability, atol=1e-6)
    assert list(codes.classes_) == [0, 10, 20]
    with pytest.raises(ms.DataError, match="category 5, unseen"):
        codes.score(frame(k=5))


def test_several_responses():
    data = frame(w=DATA.y + DATA.x)
    model = mixture(regression("cbind(y, w) ~ z", family="multivariate_gaussian"), n_init=2).fit(data)
    assert model.predict(data).shape == (SIZE, 2)
    assert model.predict(data, kind="expert_mean").shape == (SIZE, 2, 2)
    assert list(model.simulate(data, random_state=0).columns) == ["y", "w"]
