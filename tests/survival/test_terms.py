"""Terms of the likelihood by brute force: late entry, intervals, left-censoring, background, weights, episodes."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.survival import brute_force as bf
from tests.survival.brute_force import Law, Rows, coefficients


@cache
def sample() -> pd.DataFrame:
    """250 subjects with covariate x, late entry, censoring, and interval bounds of the same times."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=250)
    table = bf.simulate(rng, Law(np.exp(0.3 * x), 1.0, 1.4, 0.3), 4.0, 0.4, x=x)
    left = np.floor(2 * table["time"]) / 2
    return table.assign(
        left=np.where(table["event"] == 1, left, table["time"]),
        right=np.where(table["event"] == 1, left + 0.5, np.inf),
        hazard=0.05 + 0.02 * (table["x"] > 0),
        weight=rng.choice([0.5, 1.0, 2.0], len(table)),
    )


def law_of(model: ms.SurvivalRegression, x: np.ndarray) -> Law:
    found = coefficients(model)
    return Law(
        np.exp(found["1:phi:Intercept"] + found["1:phi:x"] * x),
        1.0,
        np.exp(found["1:gamma:Intercept"]),
        float(np.expm1(found["1:kappa1:Intercept"])),
    )


def rows(**changes: np.ndarray) -> Rows:
    plain = Rows.right(sample()["time"].to_numpy(), sample()["event"].to_numpy())
    return plain._replace(**{name: np.asarray(values, dtype=float) for name, values in changes.items()})


def mixed_rows() -> pd.DataFrame:
    """Exact, right-censored, left-censored and interval rows in one table."""
    kind = np.arange(len(sample())) % 3
    left = np.where(kind == 0, sample()["time"], np.where(kind == 1, np.nan, sample()["left"]))
    right = np.where(kind == 0, sample()["time"], sample()["right"])
    return sample().assign(l=left, r=np.where(np.isinf(right), np.nan, right))


def columns(*names: str) -> list[np.ndarray]:
    return [sample()[name].to_numpy() for name in names]


def cases() -> dict:
    both = mixed_rows()
    exact = both["l"] == both["r"]
    return {
        "right": ("Surv(time, event) ~ x", {}, rows()),
        "entry": ("Surv(entry, time, event) ~ x", {}, rows(entry=sample()["entry"])),
        "interval": (
            "Surv(left, right, type='interval') ~ x",
            {},
            rows(lower=sample()["left"], upper=sample()["right"]),
        ),
        "mixed": (
            "Surv(l, r, type='interval2') ~ x",
            {},
            rows(lower=both["l"].fillna(0.0), upper=both["r"].fillna(np.inf)),
        ),
        "left": (
            "Surv(time, event, type='left') ~ x",
            {},
            rows(lower=np.where(sample()["event"] == 1, sample()["time"], 0.0), upper=sample()["time"]),
        ),
        "background": ("Surv(time, event) ~ x", {"background": "hazard"}, rows(background=sample()["hazard"])),
        "entry and background": (
            "Surv(entry, time, event) ~ x",
            {"background": "hazard"},
            rows(entry=sample()["entry"], background=sample()["hazard"]),
        ),
        "all exact": ("Surv(time) ~ x", {}, rows(upper=sample()["time"])),
    } | ({} if exact.any() else {"none": ()})


@cache
def fitted(name: str) -> ms.SurvivalRegression:
    formula, options, _ = cases()[name]
    return ms.SurvivalRegression(formula, verbose=0, **options).fit(mixed_rows())


@pytest.mark.parametrize("name", list(cases()))
def test_log_likelihoods_are_those_of_the_formulas(name):
    model, seen = fitted(name), cases()[name][2]
    law = law_of(model, sample()["x"].to_numpy())
    expected = (bf.log_term(law, seen) - bf.log_entry(law, seen)).sum()
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", ["entry", "mixed", "background"])
def test_standard_errors_are_those_of_a_numeric_hessian(name):
    model, seen = fitted(name), cases()[name][2]
    x = sample()["x"].to_numpy()

    def log_likelihood(theta: np.ndarray) -> float:
        law = Law(np.exp(theta[0] + theta[1] * x), 1.0, np.exp(theta[2]), float(np.expm1(theta[3])))
        return float((bf.log_term(law, seen) - bf.log_entry(law, seen)).sum())

    at = model.tidy()["estimate"].to_numpy()
    errors = np.sqrt(np.diag(np.linalg.inv(-bf.numeric_hessian(log_likelihood, at))))
    np.testing.assert_allclose(model.tidy()["std_error"], errors, rtol=1e-5)
    gradient = [(log_likelihood(at + h) - log_likelihood(at - h)) / 2e-5 for h in 1e-5 * np.eye(4)]
    np.testing.assert_allclose(gradient, 0.0, atol=1e-4)


def test_weights_multiply_terms_and_their_scale_does_not_matter():
    model = ms.SurvivalRegression("Surv(time, event) ~ x", verbose=0)
    weight = sample()["weight"].to_numpy()
    one = model.fit(sample(), sample_weight=weight).tidy()
    law = law_of(model, sample()["x"].to_numpy())
    assert model.log_likelihood_ == pytest.approx(weight @ bf.log_term(law, rows()), rel=1e-10)
    for factor in (1e-6, 1e5):
        other = model.fit(sample(), sample_weight=factor * weight).tidy()
        np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(other["std_error"], one["std_error"] / np.sqrt(factor), rtol=1e-6)


def test_weights_are_copies_of_rows():
    twice = pd.concat([sample(), sample()[sample()["event"] == 1]], ignore_index=True)
    model = ms.SurvivalRegression("Surv(entry, time, event) ~ x", verbose=0)
    one = model.fit(sample(), sample_weight=1.0 + sample()["event"]).tidy()
    other = model.fit(twice).tidy()
    np.testing.assert_allclose(one[["estimate", "std_error"]], other[["estimate", "std_error"]], rtol=1e-7)


def test_episodes_of_a_subject_are_the_subject():
    """Rows cut at any time, with late entry, give the fit of the uncut rows where the model is constant in time."""
    cut = 0.7
    early = sample().assign(event=np.where(sample()["time"] > cut, 0, sample()["event"]))
    early["time"] = np.minimum(sample()["time"], cut)
    late = sample()[sample()["time"] > cut].assign(entry=cut)
    model = ms.SurvivalRegression("Surv(entry, time, event) ~ x", verbose=0)
    whole = model.fit(sample()[sample()["entry"] < cut]).tidy()
    whole_value = model.log_likelihood_
    both = pd.concat([early[early["entry"] < cut], late[late.index.isin(early.index)]], ignore_index=True)
    split = model.fit(both).tidy()
    assert model.log_likelihood_ == pytest.approx(whole_value, rel=1e-10)
    np.testing.assert_allclose(split[["estimate", "std_error"]], whole[["estimate", "std_error"]], rtol=1e-6)


def test_an_interval_shrinks_to_an_exact_time():
    """The likelihood of narrow intervals is density times width."""
    width = 1e-6
    table = sample().assign(low=sample()["time"] - width / 2, high=sample()["time"] + width / 2)
    censored = table["event"] == 0
    table.loc[censored, "low"] = table.loc[censored, "time"]
    table.loc[censored, "high"] = np.inf
    narrow = ms.SurvivalRegression("Surv(low, high, type='interval') ~ x", verbose=0).fit(table)
    exact = fitted("right")
    events = int((~censored).sum())
    assert narrow.log_likelihood_ - events * np.log(width) == pytest.approx(exact.log_likelihood_, abs=1e-5)
    np.testing.assert_allclose(narrow.tidy()["estimate"], exact.tidy()["estimate"], atol=1e-5)
