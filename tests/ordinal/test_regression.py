"""OrdinalRegression by maximum likelihood: against clm, brute force and scikit-learn, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import mixstat as ms
from tests.ordinal.example import FORMULA, reference, table


def fitted(formula=FORMULA, data=None, **options):
    return ms.OrdinalRegression(formula, verbose=0, **options).fit(table() if data is None else data)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog"])
def test_equals_clm(link):
    model, known = fitted(link=link), reference()["proportional_odds"][link]
    assert model.log_likelihood_ == pytest.approx(known["loglik_clm"], abs=1e-7)
    found = model.tidy().assign(name=lambda t: np.where(t["term"] == "Intercept", t["parameter"], t["term"]))
    found = found.set_index("name")
    cuts = dict(zip(("1|2", "2|3", "3|4"), ("cut_1", "cut_2", "cut_3"), strict=True))
    for name, value in {**known["coef"], **known["thresholds"]}.items():
        assert found.loc[cuts.get(name, name), "estimate"] == pytest.approx(value, abs=2e-6)
    for name, value in known["se"].items():
        assert found.loc[cuts.get(name, name), "std_error"] == pytest.approx(value, rel=2e-5)


def test_cauchit_reaches_the_maximum_that_clm_stops_short_of():
    assert fitted(link="cauchit").log_likelihood_ == pytest.approx(-874.943188, abs=1e-5)


def test_partial_proportional_odds_and_scale_effects_equal_clm():
    assert fitted(separate="x1").log_likelihood_ == pytest.approx(-861.435258, abs=1e-6)
    assert fitted(scale="x1").log_likelihood_ == pytest.approx(-861.185139, abs=1e-6)


def test_nominal_tests_equal_clm():
    free = fitted(separate="x4").log_likelihood_
    assert 2 * (free - fitted().log_likelihood_) == pytest.approx(16.1404, abs=1e-4)
    assert 2 * (fitted(scale="x4").log_likelihood_ - fitted().log_likelihood_) == pytest.approx(10.2142, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "slopes"), [("stopping", "separate"), ("stopping", "parallel"), ("adjacent", "parallel")]
)
def test_other_kinds_against_brute_force(kind, slopes):
    data = table().assign(x2=lambda d: d["x2"] + 3.0)
    model = fitted("y ~ x1 + x2", data, kind=kind, slopes=slopes)
    x, y = data[["x1", "x2"]].to_numpy(), data["y"].to_numpy() - 1

    def loss(theta):
        slope = theta[3:].reshape(-1, 2) if slopes == "separate" else np.tile(theta[3:], (3, 1))
        eta = theta[:3, None] - slope @ x.T
        if kind == "stopping":
            stop = -np.logaddexp(0, -eta)
            going = np.cumsum(np.vstack([np.zeros(len(x)), -np.logaddexp(0, eta)]), axis=0)
            logs = going + np.vstack([stop, np.zeros(len(x))])
        else:
            logs = np.vstack([np.cumsum(eta[::-1], axis=0)[::-1], np.zeros(len(x))])
            logs = logs - np.logaddexp.reduce(logs, axis=0)
        return -logs[y, np.arange(len(x))].sum()

    size = 3 + (6 if slopes == "separate" else 2)
    found = minimize(loss, np.zeros(size), method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
    assert model.log_likelihood_ == pytest.approx(-found.fun, abs=1e-6)


def test_predictions_reproduce_the_log_likelihood_on_covariates_far_from_zero():
    data = table().assign(x4=lambda d: 1000 + 7 * d["x4"])
    model = fitted(data=data, separate="x4")
    chances = model.predict_proba(data)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
    own = chances[np.arange(len(data)), data["y"] - 1]
    assert np.log(own).sum() == pytest.approx(model.log_likelihood_, abs=1e-10 * len(data))
    assert fitted(separate="x4").log_likelihood_ == pytest.approx(model.log_likelihood_, abs=1e-6)


def test_two_categories_are_logistic_regression():
    data = table().assign(y=lambda d: d["y"] > 2)
    model = fitted("y ~ x1 + x4", data)
    other = LogisticRegression(C=np.inf, tol=1e-10).fit(data[["x1", "x4"]], data["y"])
    slopes = model.tidy().query("parameter == 'location'")["estimate"]
    np.testing.assert_allclose(slopes, other.coef_[0], rtol=1e-4)
    assert list(model.classes_) == [False, True]


def test_weights_are_copies_and_zero_is_absence():
    data, weight = table(), np.random.default_rng(1).integers(0, 3, len(table()))
    weight[data["y"] == 4] = 1
    weighted = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data, sample_weight=weight)
    copied = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data.loc[data.index.repeat(weight)])
    assert weighted.log_likelihood_ == pytest.approx(copied.log_likelihood_, abs=1e-8)


def test_an_order_is_asked_for_and_used():
    names = {1: "none", 2: "mild", 3: "severe", 4: "dead"}
    data = table().assign(y=lambda d: d["y"].map(names))
    with pytest.raises(ms.DataError, match=r"no order.*pd\.Categorical"):
        fitted("y ~ x1", data)
    ordered = data.assign(y=pd.Categorical(data["y"], list(names.values()), ordered=True))
    model = fitted("y ~ x1", ordered)
    assert list(model.classes_) == list(names.values())
    assert model.log_likelihood_ == pytest.approx(fitted("y ~ x1").log_likelihood_, abs=1e-9)
    assert set(model.predict(ordered)) <= set(names.values())


def test_a_level_without_observations_is_named():
    weight = (table()["y"] != 4).astype(float)
    with pytest.raises(ms.DataError, match="no observation of 4"):
        ms.OrdinalRegression("y ~ x1", verbose=0).fit(table(), sample_weight=weight)


def test_a_class_of_one_observation():
    data = table().query("y < 4").copy()
    data.loc[data.index[0], "y"] = 4
    model = fitted("y ~ x1 + x4", data)
    assert model.converged_
    assert np.isfinite(model.log_likelihood_)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "adjacent", "link": "probit"}, "logit"),
        ({"slopes": "separate", "separate": "x1"}, "separate="),
        ({"slopes": "shrunken"}, "penalty="),
        ({"link": "logistic"}, "link"),
        ({"penalty": 0.1, "penalty_factors": {"x1": -1}}, "penalty_factors"),
    ],
)
def test_options_that_contradict_are_refused(options, words):
    with pytest.raises(ms.OptionError, match=words):
        fitted(**options)


def test_an_expert_of_a_mixture_recovers_two_groups():
    rng = np.random.default_rng(3)
    n = 3000
    z, x = rng.normal(size=(2, n))
    first = rng.random(n) < 1 / (1 + np.exp(-1.5 * z))
    latent = np.where(first, 2.5 * x, -2 * x + 1) + rng.logistic(size=n)
    data = pd.DataFrame({"y": np.digitize(latent, [-1, 0.5, 2]), "x": x, "z": z})
    model = ms.MixtureOfExperts(
        ms.OrdinalRegression("y ~ x", shared="cuts"), gate="~ z", n_experts=2, n_init=4, random_state=0, verbose=0
    ).fit(data)
    slopes = model.tidy().query("parameter == 'location'")
    for truth, row in zip((-2.0, 2.5), slopes.sort_values("estimate").itertuples(), strict=True):
        assert abs(row.estimate - truth) < 4 * row.std_error + 0.35
    chances = model.predict_proba(data)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
