"""Bad and unusual input to growth curves: a right result, or one clear error that names the subject or column."""

import pickle
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import mixstat as ms
from mixstat.estimators.methods.stored import describe
from mixstat.estimators.model.fitting import prepare
from mixstat.estimators.model.times import remarks_on_times
from mixstat.exceptions import ConvergenceWarning, DataError, FormulaError, OptionError
from mixstat.families.growth.curves import make_curve
from mixstat.results import archive


@cache
def cohort() -> pd.DataFrame:
    """24 children at 5 common times; x and group belong to the child, v to the occasion."""
    rng = np.random.default_rng(0)
    child, time = np.repeat(np.arange(24), 5), np.tile(np.arange(5.0), 24)
    x, v = np.repeat(rng.normal(size=24), 5), rng.normal(size=120)
    effects = rng.normal([5, 1], [1, 0.4], (24, 2))
    y = effects[child, 0] + effects[child, 1] * time + 0.5 * v + rng.normal(0, 0.5, 120)
    return pd.DataFrame({"child": child, "time": time, "x": x, "v": v, "y": y})


def line(formula: str = "y ~ linear(time)", **options: Any) -> ms.GrowthCurve:
    return ms.GrowthCurve(formula, **{"unit": "child", "verbose": 0, **options})


@pytest.fixture(scope="module")
def fitted() -> ms.GrowthCurve:
    return line().fit(cohort())


def assert_same_fit(model: Any, other: Any) -> None:
    assert model.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(model.fitted_.theta, other.fitted_.theta, rtol=1e-7)


def changed(where: Any, **columns: Any) -> pd.DataFrame:
    table = cohort().copy()
    for name, value in columns.items():
        table.loc[where, name] = value
    return table


# What the data may hold.


def test_times_may_repeat_and_rows_stand_in_any_order():
    table = changed(cohort()["time"] == 2, time=1.0)
    shuffled = table.sample(frac=1, random_state=3)
    one, other = line().fit(table), line().fit(shuffled)
    assert_same_fit(one, other)
    np.testing.assert_allclose(one.predict(shuffled), one.predict(table)[shuffled.index], rtol=1e-12)


def test_a_repeated_time_is_two_observations():
    """Two values at one time: the likelihood of a model without random coefficients is that of its rows."""
    table = changed(cohort()["time"] == 2, time=1.0)
    model = line(random="none").fit(table)
    design = np.column_stack([np.ones(120), table["time"]])
    _, square, *_ = np.linalg.lstsq(design, table["y"], rcond=None)
    assert model.log_likelihood_ == pytest.approx(-60 * (np.log(2 * np.pi * square[0] / 120) + 1), rel=1e-9)


def test_texts_other_tables_and_weights_of_zero(fitted):
    table = cohort()
    named = table.assign(child=[f"child {c}" for c in table["child"]])
    assert_same_fit(line().fit(named), fitted)
    assert_same_fit(line().fit(pl.from_pandas(table)), fitted)
    extra = pd.concat([table, table[table["child"] == 3].assign(child=99, y=1e3)], ignore_index=True)
    weight = np.where(extra["child"] == 99, 0.0, 1.0)
    assert_same_fit(line().fit(extra, sample_weight=weight), fitted)


@pytest.mark.parametrize(
    ("column", "options", "units", "rows"),
    [("v", {"formula": "y ~ linear(time) + v"}, 23, 112), ("time", {}, 23, 112), ("x", {"between": "~ x"}, 23, 112)],
)
def test_missing_covariates_are_counted(column, options, units, rows):
    """All five of one child, three of the next."""
    model = line(**options).fit(changed(range(5, 13), **{column: np.nan}))
    assert (model.n_units_, model.n_rows_) == (units, rows)
    assert "8 of 120 rows dropped for missing values" in str(model.summary())


def test_a_child_without_response_and_one_with_a_single_occasion(fitted):
    table = cohort()
    without = changed(table["child"] == 2, y=np.nan)
    assert_same_fit(line().fit(without), line().fit(table[table["child"] != 2]))
    single = line().fit(table[(table["child"] != 2) | (table["time"] == 0)])
    assert (single.n_units_, single.n_rows_) == (24, 116)
    assert np.isfinite(single.tidy()["std_error"]).all()


def test_units_of_the_response_and_of_time_do_not_matter(fitted):
    """Not even its spread between subjects tells an exact fit, or its unit a parameter on its boundary."""
    table = cohort()
    for factor in (1e-6, 1e6):
        model = line().fit(table.assign(y=table["y"] * factor))
        assert model.status_ == fitted.status_
        assert model.log_likelihood_ == pytest.approx(fitted.log_likelihood_ - 120 * np.log(factor), rel=1e-9)
    years = line().fit(table.assign(time=1990 + 5 * table["time"]))
    assert years.log_likelihood_ == pytest.approx(fitted.log_likelihood_, abs=1e-7)
    slope = years.tidy().set_index("parameter").loc["slope"]
    expected = fitted.tidy().set_index("parameter").loc["slope"]
    assert slope["estimate"] == pytest.approx(expected["estimate"] / 5, rel=1e-6)
    assert slope["std_error"] == pytest.approx(expected["std_error"] / 5, rel=1e-5)


def test_times_far_from_zero_are_told_where_a_model_cannot_be_centred():
    """Independent random coefficients are those of the time that was given."""
    far = cohort().assign(time=1990 + 5 * cohort()["time"])
    with pytest.warns(ConvergenceWarning, match=r"times run from 1990 to 2010, far from 0.*\(time - 1990\)"):
        line("y ~ polynomial(time, degree=3)", random_covariance="diagonal").fit(far)
    for formula in ("y ~ quadratic(time)", "y ~ linear(time - 1990)"):
        assert line(formula).fit(far).converged_


def test_means_that_are_equal_are_no_constant_response():
    """Ranks in each child: all subjects have the same mean."""
    rng = np.random.default_rng(1)
    ranks = np.concatenate([rng.permutation(5) + 1.0 for _ in range(24)])
    model = line(random="none").fit(cohort().assign(y=ranks))
    assert model.converged_
    assert "exactly" not in model.status_


def test_times_with_many_digits_keep_their_own_variance():
    table = cohort().assign(time=cohort()["time"] * 0.12345678 + 100)
    model = line("y ~ 1", random="none", residual="occasion", time="time").fit(table)
    squares = (table["y"] - model.tidy()["estimate"].iloc[0]) ** 2
    expected = squares.groupby(table["time"]).mean()
    np.testing.assert_allclose(model.tidy()["estimate"].iloc[1:], expected, rtol=1e-6)
    latent = make_curve("latent_basis", times=(100.0, 100.0000001, 100.0000002, 101.0))
    assert len(set(latent.coefficients)) == 4
    assert latent == make_curve("latent_basis", times=(100.0, 100.0000001, 100.0000002, 101.0))


def test_a_class_of_almost_nobody_is_named():
    table = cohort()
    far = pd.concat([table, table[table["child"] < 2].assign(child=lambda t: t["child"] + 50, y=lambda t: t["y"] + 90)])
    mixture = ms.MixtureOfExperts(line(random="intercept"), n_init=3, random_state=0, verbose=0)
    with pytest.warns(ConvergenceWarning, match="expert 2 collapsed"):
        mixture.fit(far)


def bent(knot: float) -> pd.DataFrame:
    table = cohort()
    return table.assign(y=table["y"] - 4 * np.maximum(table["time"] - knot, 0))


def test_knots_that_few_occasions_inform_are_named():
    model = line("y ~ bilinear(time)", random="intercept").fit(bent(2.2))
    assert model.status_.startswith("converged: a maximum")
    with pytest.warns(ConvergenceWarning, match="of expert 1 has fewer than 2 occasions after it in most subjects"):
        line("y ~ bilinear(time)", random="intercept").fit(bent(3.4))
    prepared = prepare(bent(2.2), model._request(None), None)
    place = [label.parameter for label in prepared.assembled.named.labels].index("knot")
    way = prepared.responses["0.0"].family.coordinates
    for knot, message in [
        (4.5, "knot 4.5 of expert 1 lies outside the observed times 0 to 4; use fewer knots"),
        (-1.0, "knot -1 of expert 1 lies outside the observed times 0 to 4; use fewer knots"),
        (0.5, "knot 0.5 of expert 1 has fewer than 2 occasions before it in most subjects"),
        (3.0, None),
    ]:
        phi = model.fitted_.solution.phi.copy()
        phi[place] = (knot - way.centre) / way.scale
        found = remarks_on_times(prepared.assembled, phi, prepared.responses, np.ones(24), sound=True)
        assert found == ([] if message is None else [message])


# What is refused.


BAD_DATA = {
    "dates": ({}, {"time": pd.Timestamp("2020-01-01")}, "column 'time' is of type datetime64.*convert it to a number"),
    "texts as times": ({}, {"time": [str(i) for i in range(5)] * 24}, "times 'time' .* are categories"),
    "constant": ({}, {"y": 3.0}, "the response 'y' is 3 in all 120 rows"),
    "texts": ({}, {"y": ["a", "b"] * 60}, "one numeric response, but column 'y' is categorical"),
    "infinite response": ({}, {"y": [np.inf, *range(119)]}, "column 'y' holds 1 infinite"),
    "infinite time": ({}, {"time": [np.inf, *range(119)]}, "column 'time' holds 1 infinite"),
    "between varies": ({"between": "~ v"}, {}, "between column 'v' varies inside unit 0"),
    "no unit column": ({"unit": "kid"}, {}, "no column 'kid'.*'child'"),
    "no time column": ({"formula": "y ~ linear(age)"}, {}, "no column 'age'"),
    "no random column": ({"formula": "y ~ time", "random": "1 + w"}, {}, "no column 'w'"),
    "negative times": (
        {"residual": "brownian"},
        {"time": [-2.0, 0, 1, 2, 3] * 24},
        "24 times are negative .first: -2 in row 0.*ar1",
    ),
    "one common time": ({"formula": "y ~ latent_basis(time)"}, {"time": 1.0}, "at least 2 different times"),
    "no common times": (
        {"residual": "occasion"},
        {"time": np.arange(120) / 7},
        "120 different ones .at most 40.*round",
    ),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(name):
    options, columns, message = BAD_DATA[name]
    with pytest.raises(DataError, match=message):
        line(**options).fit(cohort().assign(**columns))


BAD_FORMULAS = {
    "y ~ logistic(time)": "'logistic' is neither a growth curve .bilinear, .* nor a registered function",
    "y ~ linear(time, degree=3)": "linear.. takes no degree",
    "y ~ polynomial(time, order=2)": "takes no order",
    "y ~ polynomial(time, degree=9)": "whole number from 1 to 8, got 9",
    "y ~ polynomial(time, degree=x)": "'degree' .* must be a whole number",
    "y ~ linear()": "needs one column of times",
    "y ~ linear(time, x)": "needs one column of times",
    "y ~ linear(time) + quadratic(time)": "one growth curve a formula",
    "y ~ linear(time) * x": "a growth curve stands alone",
    "y ~ x:linear(time)": "a growth curve stands alone",
    "~ linear(time)": "a response is missing",
    "y ~ linear(time) | x": "one class alone has none",
}


@pytest.mark.parametrize("formula", BAD_FORMULAS)
def test_bad_formulas(formula):
    with pytest.raises(FormulaError, match=BAD_FORMULAS[formula]):
        line(formula).fit(cohort())


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"random": "slop"}, "random= names 'slop'.*'intercept', 'slope'"),
    ({"random": ""}, "random= names nothing"),
    ({"random": "", "formula": "y ~ time"}, "random= names nothing"),
    ({"random": ["slope"]}, "random= must be a text"),
    ({"random_covariance": "banded"}, "'full', 'diagonal'"),
    ({"random_knot": "yes"}, "random_knot must be True or False"),
    ({"residual": "toeplitz"}, "iid, occasion, ar1, brownian or a formula"),
    ({"residual": "~ 0"}, "or a formula"),
    ({"residual": "y ~ time"}, "or a formula"),
    ({"residual": "ar1", "formula": "y ~ 1"}, "needs times.*time="),
    ({"between": {"slop": "~ x"}}, "between= names 'slop'; linear has intercept, slope"),
    ({"between": "y ~ x"}, "one-sided formula"),
    ({"between": "~ x", "formula": "y ~ time"}, "write the covariates in the formula"),
    ({"between": {"knot": "~ x"}, "formula": "y ~ bilinear(time)", "random_knot": True}, "not a mapping"),
    ({"covariates": "free"}, "'fixed', 'joint'"),
    ({"unit": None}, "unit= is needed"),
    ({"unit": 3}, "name of a column"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_bad_options(options, message):
    with pytest.raises((OptionError, FormulaError), match=message):
        line(**options).fit(cohort())


def test_bad_mixtures():
    for mixture, message in [
        (
            ms.MixtureOfExperts(line(), unit="x"),
            r"unit= differs between the mixture \('x'\) and its experts \(\['child'",
        ),
        (ms.MixtureOfExperts(line(unit=None)), "unit= is needed"),
        (ms.MixtureOfExperts(line(shared="nothing")), "shared= names 'nothing'"),
        (ms.MixtureOfExperts(line(), gate="~ v"), "gate column 'v' varies inside unit 0"),
        (ms.MixtureOfExperts(line(), extra=[ms.Noise()]), "extra= has no classes for growth curves"),
    ]:
        with pytest.raises((OptionError, FormulaError, DataError), match=message):
            mixture.fit(cohort())


def test_new_data_are_checked_as_well():
    model = line(residual="brownian", random="none").fit(cohort())
    with pytest.raises(DataError, match="times are negative"):
        model.responsibilities(changed(0, time=-1.0))
    with pytest.raises(DataError, match="'time'"):
        model.predict(changed(0, time=np.nan))


# What happens to estimators besides being fitted.


def test_parameters_and_copies(fitted):
    model = line(between={"slope": "~ x"}, shared=["slope"], random="intercept")
    assert clone(model).get_params() == model.get_params()
    assert clone(model).set_params(random="none").random == "none"
    mixture = ms.MixtureOfExperts(line(), gate="~ x").set_params(expert__residual="ar1")
    assert mixture.expert.residual == "ar1"
    assert clone(mixture).get_params()["expert__unit"] == "child"
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(cohort()), fitted.predict(cohort()))
    pd.testing.assert_frame_equal(again.tidy(), fitted.tidy())


SAVED: dict[str, dict[str, Any]] = {
    "line": {"between": "~ x"},
    "columns": {"formula": "y ~ time + v", "random": "1 + v"},
    "latent basis, a variance each time": {
        "formula": "y ~ latent_basis(time)",
        "random": "none",
        "residual": "occasion",
    },
    "random knot": {
        **{"formula": "y ~ bilinear(time)", "random": "intercept", "random_knot": True},
        **{"between": "~ x", "random_covariance": "diagonal"},
    },
    "formula of the variance": {"residual": "~ v", "random": "intercept", "between": {"slope": "~ x"}},
    "joint": {"between": "~ x", "covariates": "joint", "random": "intercept"},
}


def assert_saved(model: Any, path: Any) -> None:
    """Equal to the bit, but for what needs the training data."""
    table = cohort()
    model.save(path)
    again = ms.load(path)
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    np.testing.assert_array_equal(again.responsibilities(table), model.responsibilities(table))
    np.testing.assert_array_equal(again.simulate(table, random_state=1), model.simulate(table, random_state=1))
    pd.testing.assert_frame_equal(again.tidy(), model.tidy())
    assert str(again.summary()) == str(model.summary())
    assert again.get_params().keys() == model.get_params().keys()
    assert again.fitted_.assembled.mixture == model.fitted_.assembled.mixture
    assert again.fitted_.sample.repeated


@pytest.mark.filterwarnings("ignore::mixstat.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", SAVED)
def test_saved_models(name, tmp_path):
    assert_saved(line(**SAVED[name]).fit(cohort()), tmp_path / "model.npz")


def test_saved_mixture(tmp_path):
    table = changed(7, y=np.nan)
    curve = line("y ~ linear(time) + v", random="intercept", shared=["v", "residual_variance", "random_covariance"])
    mixture = ms.MixtureOfExperts(curve, gate="~ x", n_init=3, random_state=0, verbose=0)
    assert_saved(mixture.fit(table), tmp_path / "model.npz")


def test_files_that_were_changed_are_refused(tmp_path):
    """What a file tells of times and rows is compared with the arguments."""
    model = line(residual="occasion", random="none").fit(cohort())
    path = tmp_path / "model.npz"
    for change, message in [
        (lambda plain, arrays: plain["levels"].update({"0.0": [0.0, 1.0, 1.0, 3.0, 4.0]}), "increasing"),
        (lambda plain, arrays: plain["levels"].update({"0.0": [0.0, 1.0]}), "coefficients"),
        (lambda plain, arrays: arrays.pop("observed"), "observed"),
        (lambda plain, arrays: arrays.update(observed=np.ones(3, dtype=np.int32)), "observed"),
    ]:
        found = describe(model)
        change(found.manifest, found.arrays)
        archive.write(path, archive.pack(found.manifest, found.arrays))
        with pytest.raises(DataError, match=message):
            ms.load(path)
