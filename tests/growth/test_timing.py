"""The times of a formula without a curve: named, or the one column that can be them; never the first name."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import mixstat as ms
from mixstat.estimators.methods.over_time import time_label
from mixstat.exceptions import OptionError


@cache
def trial() -> pd.DataFrame:
    """40 persons at own times; trt (a number) and arm (a text) belong to the person, v to the occasion."""
    rng = np.random.default_rng(7)
    person = np.repeat(np.arange(40), 6)
    t = np.tile(np.arange(6.0), 40) + rng.uniform(-0.3, 0.3, 240)
    trt = person % 2
    effects = rng.normal([5, 1], [1, 0.4], (40, 2))
    y = effects[person, 0] + effects[person, 1] * t + 0.5 * trt + rng.normal(0, 0.5, 240)
    arm = np.where(trt > 0, "new", "old")
    return pd.DataFrame({"id": person, "t": t, "trt": trt, "arm": arm, "v": rng.normal(size=240), "y": y})


def growth(formula: str, **options: Any) -> ms.GrowthCurve:
    return ms.GrowthCurve(formula, **{"unit": "id", "verbose": 0, **options})


def autoregressive_log_likelihood(model: ms.GrowthCurve, data: pd.DataFrame) -> float:
    """Dense normal log-density of y ~ t + trt with a random intercept and AR(1) in the column t."""
    found = model.tidy().set_index(["parameter", "term"])["estimate"]
    psi = found.get(("random_covariance", "Intercept"), 0.0)  # no row where it is 0, at its boundary
    sigma = found["residual_variance", "Intercept"]
    sd, rate = found["ar_sd", "Intercept"], found["ar_rate", "Intercept"]
    total = 0.0
    for _, own in data.groupby("id"):
        mean = found["mean", "Intercept"] + found["mean", "t"] * own.t + found["mean", "trt"] * own.trt
        gap = np.abs(own.t.to_numpy()[:, None] - own.t.to_numpy()[None])
        covariance = psi + sd**2 * np.exp(-rate * gap) + sigma * np.eye(len(own))
        total += multivariate_normal(mean, covariance).logpdf(own.y)
    return total


@pytest.mark.filterwarnings("ignore::mixstat.ConvergenceWarning")
@pytest.mark.parametrize("formula", ["y ~ t + trt", "y ~ trt + t"])
def test_an_autoregressive_model_is_one_of_time_in_any_order(formula):
    model = growth(formula, random="1", residual="ar1").fit(trial())
    assert model.log_likelihood_ == pytest.approx(autoregressive_log_likelihood(model, trial()), abs=1e-6)


@pytest.mark.parametrize(
    ("formula", "random"),
    [
        ("y ~ poly(t, 2) + trt", "1 + t"),
        ("y ~ trt + poly(t, 2)", "1"),
        ("y ~ arm + bs(t, df=4)", "1"),
        ("y ~ arm * t", "1"),
        ("y ~ v + t", "1 + t"),
        ("y ~ trt", "1 + log(t + 2)"),
    ],
)
def test_the_time_is_found_where_one_column_can_be_it(formula, random):
    model = growth(formula, random=random).fit(trial())
    assert time_label(model.fitted_) == "t"
    assert "times: t" in str(model.summary())
    assert model.trajectories(times=[0, 3])["mean"].notna().all()


def test_times_are_asked_for_where_two_columns_can_be_them():
    model = growth("y ~ v + t", random="1").fit(trial())
    with pytest.raises(OptionError, match="give GrowthCurve"):
        model.trajectories(times=[0, 3])
    for residual in ("ar1", "brownian", "occasion"):
        with pytest.raises(OptionError, match=f"residual='{residual}' needs times.*'v', 't'.*time='column'"):
            growth("y ~ v + t", random="1", residual=residual).fit(trial())


def test_no_column_of_persons_is_a_time():
    with pytest.raises(OptionError, match="none of its columns is a number that varies within a unit"):
        growth("y ~ trt + arm", random="1", residual="ar1").fit(trial())


def test_time_has_the_last_word():
    named = growth("y ~ v + t", random="1 + v", time="t").fit(trial())
    assert time_label(named.fitted_) == "t"
    assert time_label(growth("y ~ v + t", random="1 + v").fit(trial()).fitted_) == "v"


def test_a_mixture_and_its_file_know_the_time(tmp_path):
    data = trial().rename(columns={"t": "time since start"})
    formula = "y ~ trt + `time since start`"
    model = ms.MixtureOfExperts(growth(formula), n_experts=2, n_init=2, random_state=0, verbose=0).fit(data)
    model.save(tmp_path / "model")
    loaded = ms.load(tmp_path / "model")
    new = data.head(1).drop(columns="y")
    pd.testing.assert_frame_equal(loaded.predict(new, times=[0, 5]), model.predict(new, times=[0, 5]))
