"""Bad and unusual input to survival regression: a right result, or one clear error that says what to do."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mixstat as ms
from mixstat.exceptions import (
    CollinearityWarning,
    ConvergenceWarning,
    DataError,
    FormulaError,
    OptionError,
    UnknownColumnError,
)

PLAIN = "Surv(time, event) ~ x"
INTERVAL = "Surv(low, high, type='interval') ~ x"


@cache
def sample() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x, g = rng.normal(size=120), rng.integers(0, 2, 120)
    time, end = rng.weibull(1.4, 120) * np.exp(0.4 * x - 0.3 * g), rng.uniform(0, 3, 120)
    event = (time <= end).astype(int)
    time = np.minimum(time, end)
    return pd.DataFrame(
        {
            "time": time,
            "event": event,
            "x": x,
            "g": g,
            "entry": 0.0,
            "low": time,
            "high": np.where(event == 1, 1.2 * time, np.inf),
            "hazard": 0.01,
        }
    )


def weibull(formula: str = PLAIN, **options: Any) -> ms.SurvivalRegression:
    return ms.SurvivalRegression(formula, **{"baseline": "weibull", "verbose": 0, **options})


def free(formula: str = PLAIN, **options: Any) -> ms.SurvivalRegression:
    """kappa is estimated."""
    return ms.SurvivalRegression(formula, verbose=0, **options)


def at(column: str, rows: Any, value: Any) -> pd.DataFrame:
    """The sample with one column changed in some rows."""
    values = sample()[column].astype(float).copy()
    values.iloc[rows] = value
    return sample().assign(**{column: values})


def seen() -> np.ndarray:
    return np.flatnonzero(sample()["event"])


def assert_same(one: Any, other: Any) -> None:
    assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, abs=1e-9)
    np.testing.assert_allclose(one.tidy()["estimate"], other.tidy()["estimate"], atol=1e-7)


# Times


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (lambda: at("time", 3, -1.0), r"Surv\(time, event\) has a negative time in 1 row \(first: -1, row 3"),
        (lambda: at("time", seen()[:2], 0.0), "an event at time 0 in 2 rows.*as an interval"),
        (lambda: at("time", 3, np.inf), "'time' holds 1 infinite"),
        (lambda: at("time", slice(None), np.nan), "120 of 120 rows have missing values.*'time'"),
        (lambda: sample().assign(time=sample()["time"].astype(object)), "'time' is an object column"),
        (lambda: sample().assign(time=sample()["time"].astype(str)), "'time' holds 120 different numbers written as"),
        (lambda: sample().assign(time="soon"), "'time' holds texts or categories; a time is a number"),
        (lambda: sample().assign(time=pd.to_timedelta(sample()["time"], "D")), "'time' is of type timedelta64"),
        (lambda: sample().assign(time=pd.Timestamp("2020-01-01")), "'time' is of type datetime64"),
        (lambda: sample().assign(time=1e200 * sample()["time"]), "'time' holds numbers of size up to.*rescale"),
        (lambda: sample().assign(time=1.0), "is 1 in all 120 rows used"),
        (lambda: sample().head(0), "no rows"),
        (lambda: sample().head(1), "one row"),
        (lambda: sample().head(2), "2 observations cannot inform 3 parameters"),
    ],
)
def test_times_that_say_nothing(table, words):
    with pytest.raises(DataError, match=words):
        weibull().fit(table())


def test_censored_at_time_0_says_nothing():
    extra = pd.concat([sample(), sample().head(3).assign(time=0.0, event=0)], ignore_index=True)
    assert_same(weibull().fit(extra), weibull().fit(sample()))


def test_missing_rows_are_dropped():
    table = at("time", 3, np.nan)
    table.loc[5, "event"] = np.nan
    assert_same(weibull().fit(table), weibull().fit(sample().drop(index=[3, 5])))


def test_whole_numbers_ties_and_other_tables():
    table = sample().assign(time=np.ceil(10 * sample()["time"]).astype(int))
    model = weibull().fit(table)
    assert model.converged_
    assert_same(weibull().fit(table.assign(time=table["time"].astype("Int64"))), model)
    assert_same(weibull().fit(pl.from_pandas(table)), model)
    assert_same(weibull().fit(table.sample(frac=1, random_state=1)), model)


# Events


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (lambda d: d["event"] + 1, "coded 1, 2; expected 1 .or True.*event == 2"),
        (lambda d: np.full(len(d), 0.5), "coded 0.5"),
        (
            lambda d: np.where(d["event"], "dead", "alive"),
            "holds texts or categories .'alive', 'dead'.*event == 'dead'",
        ),
        (lambda d: pd.Categorical(np.where(d["event"], "y", "n")), "event == 'y'"),
        (lambda d: np.zeros(len(d)), "has no event in 120 rows"),
    ],
)
def test_events_that_are_none(event, words):
    with pytest.raises(DataError, match=words):
        weibull().fit(sample().assign(event=event(sample())))


def test_events_in_any_clear_form():
    model = weibull().fit(sample())
    forms = {
        "event": [sample()["event"].astype(bool), sample()["event"].astype("boolean"), sample()["event"].astype(float)],
        "s == 'dead'": [np.where(sample()["event"], "dead", "alive")],
        "s == 2": [sample()["event"] + 1],
        "(s == 2) & (x > -99)": [sample()["event"] + 1],
    }
    for written, columns in forms.items():
        for column in columns:
            name = "event" if written == "event" else "s"
            fitted = weibull(f"Surv(time, {written}) ~ x").fit(sample().assign(**{name: column}))
            assert_same(fitted, model)


def test_all_events():
    model = weibull().fit(sample().assign(event=1))
    assert_same(weibull("Surv(time) ~ x").fit(sample()), model)
    assert model.converged_


def test_events_of_no_weight_are_none():
    with pytest.raises(DataError, match="has no event in"):
        weibull().fit(sample(), sample_weight=1.0 - sample()["event"])


# Intervals, entries, background


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (lambda: at("high", 3, 1e-4), "an interval that ends before it begins in 1 row"),
        (lambda: at("low", 2, np.inf), "an infinite time in 1 row"),
        (lambda: at("low", 2, -0.1), "a negative time"),
        (lambda: sample().assign(high=np.inf), "has no event in 120 rows"),
        (lambda: sample().assign(low=0.0, high=np.inf), "has no event in 120 rows"),
        (lambda: sample().assign(low=0.0, high=sample()["time"]), "no row in which the event had not come"),
        (lambda: sample().assign(low=0.0, high=0.0), "an event at time 0"),
    ],
)
def test_intervals_that_say_nothing(table, words):
    with pytest.raises(DataError, match=words):
        weibull(INTERVAL).fit(table())


def test_an_interval_without_bounds_says_nothing():
    table = at("low", [0, 1], 0.0)
    table.loc[[0, 1], "high"] = np.inf
    assert_same(weibull(INTERVAL).fit(table), weibull(INTERVAL).fit(sample().iloc[2:]))
    missing = at("low", [0, 1], np.nan)
    missing.loc[[0, 1], "high"] = np.nan
    assert_same(weibull(INTERVAL).fit(missing), weibull(INTERVAL).fit(sample().iloc[2:]))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (lambda d: d["time"], "an entry at or after the exit in 120 rows.*never at risk"),
        (
            lambda d: np.where(np.arange(len(d)) == 4, 99.0, 0.0),
            "an entry at or after the exit in 1 row .first: 99, row 4",
        ),
        (lambda d: np.full(len(d), -0.1), "a negative entry"),
        (lambda d: np.full(len(d), np.inf), "infinite"),
    ],
)
def test_entries_after_the_exit(entry, words):
    with pytest.raises(DataError, match=words):
        weibull("Surv(entry, time, event) ~ x").fit(sample().assign(entry=entry(sample())))


def test_late_entry_of_intervals():
    """Rows at risk from `entry` on; entry 0 is none."""
    formula = "Surv(entry, low, high, type='interval') ~ x"
    assert_same(weibull(formula).fit(sample()), weibull(INTERVAL).fit(sample()))
    late = weibull(formula).fit(sample().assign(entry=0.5 * sample()["low"]))
    assert late.converged_
    assert late.log_likelihood_ > weibull(INTERVAL).fit(sample()).log_likelihood_


@pytest.mark.parametrize(
    ("hazard", "words"),
    [(-0.1, "a negative background hazard"), (np.inf, "infinite"), ("a", "'hazard' holds texts")],
)
def test_background_hazards_that_are_none(hazard, words):
    with pytest.raises(DataError, match=words):
        weibull(background="hazard").fit(sample().assign(hazard=hazard))


def test_background_hazards_of_any_column():
    assert_same(weibull(background="hazard").fit(sample().assign(hazard=0.0)), weibull().fit(sample()))
    named = sample().rename(columns={"hazard": "known hazard"})
    assert_same(weibull(background="known hazard").fit(named), weibull(background="hazard").fit(sample()))
    with pytest.raises(UnknownColumnError, match="no column 'nope'"):
        weibull(background="nope").fit(sample())
    with pytest.raises(OptionError, match="background must be the name of a column"):
        weibull(background=3).fit(sample())


# Weights, covariates


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.where(np.arange(120) < 10, -1.0, 1.0), "negative in 10 rows"),
        (np.where(np.arange(120) < 10, np.nan, 1.0), "missing or infinite in 10 rows"),
        (np.zeros(120), "zero in all 120 rows"),
        (np.ones(3), r"shape \(3,\), expected \(120,\)"),
    ],
)
def test_weights_that_are_none(weight, words):
    with pytest.raises(DataError, match=words):
        weibull().fit(sample(), sample_weight=weight)


def test_weights_of_any_size():
    one = weibull().fit(sample())
    for factor in (1e-300, 1e300):
        other = weibull().fit(sample(), sample_weight=np.full(120, factor))
        np.testing.assert_allclose(other.tidy()["estimate"], one.tidy()["estimate"], atol=1e-8)
    zero = weibull().fit(sample(), sample_weight=np.where(np.arange(120) < 10, 0.0, 1.0))
    assert_same(zero, weibull().fit(sample().iloc[10:]))


@pytest.mark.parametrize("column", ["constant", "twice"])
def test_columns_that_add_nothing(column):
    table = sample().assign(constant=1.0, twice=2.0 * sample()["x"])
    with pytest.warns(CollinearityWarning, match=column):
        model = weibull(f"Surv(time, event) ~ x + {column}").fit(table)
    assert_same(model, weibull().fit(sample()))


@pytest.mark.parametrize("scale", ["aft", "ph"])
def test_a_level_without_events_separates(scale):
    """Its scale runs away, which is said; survival of the other level is right."""
    table = sample().assign(event=np.where(sample()["g"] == 1, 0, sample()["event"]))
    with pytest.warns(ConvergenceWarning, match="perfect separation"):
        model = weibull("Surv(time, event) ~ g", scale=scale).fit(table)
    assert not model.converged_
    alone = weibull("Surv(time, event) ~ 1", scale=scale).fit(table[table["g"] == 0])
    new = pd.DataFrame({"g": [0, 1]})
    found = model.predict(new, kind="survival", times=[0.5, 1.0])
    np.testing.assert_allclose(found[0], alone.predict(new.head(1), kind="survival", times=[0.5, 1.0])[0], atol=1e-5)
    np.testing.assert_allclose(found[1], 1.0, atol=1e-4)


def test_covariates_of_any_size():
    one = weibull().fit(sample())
    for factor in (1e150, 1e-150):
        other = weibull().fit(sample().assign(x=factor * sample()["x"]))
        assert other.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=1e-8)
    with pytest.raises(DataError, match="'x' holds 1 infinite"):
        weibull().fit(at("x", 2, np.inf))


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    wide = sample().head(8).assign(**{f"v{i}": rng.normal(size=8) for i in range(12)})
    with pytest.raises(DataError, match="8 observations cannot inform"):
        weibull("Surv(time, event) ~ " + " + ".join(f"v{i}" for i in range(12))).fit(wide)


# Degenerate likelihoods


@pytest.mark.parametrize("other", [2.0, 0.5])
def test_all_events_at_one_time_is_a_spike_that_is_said(other):
    table = sample().assign(time=np.where(sample()["event"] == 1, 1.0, other))
    with pytest.warns(ConvergenceWarning, match="gamma runs to infinity"):
        model = free().fit(table)
    assert not model.converged_


def test_two_times_of_events():
    table = sample().assign(time=np.where(sample()["event"] == 1, np.where(sample()["x"] > 0, 1.0, 2.0), 3.0))
    assert free().fit(table).converged_


def test_few_events_end_in_words():
    """One or two events cannot tell four parameters; nothing absurd is reported."""
    for count in (1, 2):
        with pytest.warns(ConvergenceWarning):
            model = free().fit(sample().assign(event=(np.arange(120) < count).astype(int)))
        assert not model.converged_
        assert -100 < model.log_likelihood_ < 10


def test_a_rate_needs_no_spread():
    """Exponential: events over time at risk, whatever the times."""
    tied = weibull("Surv(time, event) ~ 1", baseline="exponential").fit(sample().assign(time=2.0))
    assert tied.tidy()["estimate"][0] == pytest.approx(np.log(sample()["event"].sum() / 240.0), abs=1e-8)
    one = weibull("Surv(time, event) ~ 1", baseline="exponential").fit(sample().head(1).assign(event=1))
    assert one.tidy()["estimate"][0] == pytest.approx(-np.log(sample()["time"][0]), abs=1e-8)


def test_two_scales_of_a_weibull_cannot_be_told_apart():
    with pytest.warns(ConvergenceWarning, match="cannot tell phi .expert 1., lambda .expert 1. apart"):
        weibull(baseline="burr").fit(sample())


# Formulas


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("Surv() ~ x", "holds no column"),
        ("Surv(time, event, x, g) ~ x", "write Surv.time, event."),
        ("Surv(time, event, type=3) ~ x", "type= as a text"),
        ("Surv(time, event, type='foo') ~ x", "type right or left or interval, got 'foo'"),
        ("Surv(time, event, type='counting') ~ x", "with 2 arguments has type"),
        ("Surv(entry, time, event, type='right') ~ x", "with 3 arguments has type counting or interval"),
        ("Surv(time, event, foo='a') ~ x", "not foo="),
        ("Surv(time=time, event=event) ~ x", "not allowed"),
        ("Surv(time, event) + 1 ~ x", "the left side is one column"),
        ("Surv(time, event)", "no '~'"),
        ("Surv(time, event) ~", "nothing stands right"),
        ("~ x", "a response is missing"),
        ("time ~ x", "must be a survival time"),
        ("log(time) ~ x", "must be a survival time"),
        ("Surv(time, event) ~ x | g", "names a gate"),
        ("Surv(Surv(time, event), event) ~ x", "stands alone on the left"),
        ("Surv(time, event) ~ Surv(time, event)", "stands alone on the left"),
        ("surv(time, event) ~ x", "no function 'surv'"),
        ("Surv(time, 1) ~ x", "has to hold a column"),
        ("Surv(5, event) ~ x", "has to hold a column"),
        ("Surv(*time) ~ x", "starred"),
        ("Surv(time, **event) ~ x", "not allowed"),
        ("Surv(time, event if event else x) ~ x", "conditional expression"),
        ("Surv(time, not event) ~ x", "need conditions"),
        ("Surv(time, event & g) ~ x", "need conditions"),
        ("Surv(time, [event]) ~ x", "not allowed"),
    ],
)
def test_formulas_that_are_none(formula, words):
    with pytest.raises(FormulaError, match=words):
        weibull(formula).fit(sample())


@pytest.mark.parametrize(
    "formula",
    [
        "Surv(time, __import__('os').system('echo')) ~ x",
        "Surv(time, (lambda: 1)()) ~ x",
        "Surv(time, event.__class__) ~ x",
        "Surv(time, event, background='__import__(\"os\")') ~ x",
        "Surv(time, (x := event)) ~ x",
        "Surv(time, [y for y in event]) ~ x",
    ],
)
def test_nothing_is_executed(formula):
    with pytest.raises(FormulaError):
        weibull(formula).fit(sample())


def test_expressions_inside():
    model = weibull().fit(sample())
    moved = weibull("Surv(time / 12, event == 1) ~ x").fit(sample())
    events = sample()["event"].sum()
    assert moved.log_likelihood_ == pytest.approx(model.log_likelihood_ + events * np.log(12), abs=1e-7)
    with pytest.raises(DataError, match=r"Surv\(log\(time\), event\) has a negative time"):
        weibull("Surv(log(time), event) ~ x").fit(sample())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "foo"}, "scale must be one of"),
        ({"baseline": "foo"}, "baseline must be None .* got 'foo'"),
        ({"baseline": "weibull", "shape": "~ x"}, "shape= acts on kappa"),
        ({"baseline": "lognormal", "scale": "ph"}, "goes with scale='aft'"),
        ({"baseline": "exponential", "power": "~ x"}, "power= acts on gamma, which is 1"),
        ({"baseline": "loglogistic", "scale": "ph"}, "lambda = 1.*baseline='burr'"),
        ({"scale": "po"}, "goes with baseline='odds_spline'"),
        ({"time_scale": 2.0}, "phi is estimated here"),
        ({"scale": "ph", "time_scale": 0.0}, "time_scale must be"),
        ({"baseline": "hazard_spline", "scale": "ph", "knots": -1}, "knots must be"),
        ({"penalty": -1.0}, "penalty must be"),
        ({"max_iter": 0}, "max_iter must be"),
    ],
)
def test_options_that_are_none(options, words):
    with pytest.raises(OptionError, match=words):
        free(**options).fit(sample())


@pytest.mark.parametrize("power", ["x", 3, "time ~ x"])
def test_formulas_of_parameters_are_one_sided(power):
    with pytest.raises(FormulaError):
        free(power=power).fit(sample())


def test_a_spline_needs_times_of_events():
    table = sample().assign(time=np.where(sample()["x"] > 0, 1.0, 2.0))
    with pytest.raises(DataError, match="needs 4 distinct times of events, got 2; use fewer knots"):
        ms.SurvivalRegression(PLAIN, baseline="hazard_spline", scale="ph", verbose=0).fit(table)


# After the fit


@pytest.fixture(scope="module")
def fitted() -> ms.SurvivalRegression:
    return weibull().fit(sample())


@pytest.mark.parametrize("times", [-1.0, [1.0, np.nan], np.inf, [], "a", [[1.0, 2.0]], None])
def test_times_of_curves(fitted, times):
    with pytest.raises(OptionError, match="times"):
        fitted.predict(sample(), kind="survival", times=times)


def test_what_is_no_question(fitted):
    with pytest.raises(OptionError, match="given= conditions survival"):
        fitted.curves(sample(), [1.0], kind="hazard", given=0.5)
    with pytest.raises(OptionError, match="kind must be one of"):
        fitted.curves(sample(), [1.0], kind="foo")
    with pytest.raises(OptionError, match="'g' is no covariate"):
        fitted.hazard_ratio("g")
    with pytest.raises(OptionError, match="between 0 and 1"):
        fitted.survival_quantiles(sample(), [0.5, 1.5])
    with pytest.raises(OptionError, match="one estimated kappa"):
        fitted.suggested_baseline()
    gaussian = ms.Regression("x ~ g", verbose=0).fit(sample())
    with pytest.raises(OptionError, match="is for survival times"):
        gaussian.curves(sample(), [1.0])


def test_new_rows_need_no_response(fitted):
    new = sample()[["x"]]
    assert fitted.predict(new, kind="survival", times=[1.0]).shape == (120, 1)
    assert fitted.survival_quantiles(new.head(2)).shape[0] == 2
    with pytest.raises(UnknownColumnError, match="'time'"):
        fitted.survival_residuals(new)
    with pytest.raises(DataError, match=r"use ms\.SurvivalRegression"):
        ms.Regression(PLAIN, verbose=0).fit(sample())
