"""What a table tells beside covariates and responses: known classes, numbers of trials, responses that are missing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mixstat as ms
from tests.estimators.data import SIZE, frame, mixture, regression

DATA = frame()
KNOWN = np.where(np.arange(SIZE) % 4 == 0, np.where(DATA.z > 0, 1.0, 2.0), np.nan)
TABLE = DATA[["x", "z", "y", "u"]].assign(known=KNOWN)


@pytest.fixture(scope="module")
def labelled() -> ms.MixtureOfExperts:
    return mixture(gate="~ z", prior_classes="known").fit(TABLE)


def test_a_table_with_known_classes_is_read_as_the_fit_read_it(labelled):
    found = labelled.responsibilities(TABLE)
    told = ~np.isnan(KNOWN)
    np.testing.assert_array_equal(found[told], np.eye(2)[KNOWN[told].astype(int) - 1])
    assert labelled.score(TABLE) * SIZE == pytest.approx(labelled.log_likelihood_, rel=1e-12)
    np.testing.assert_array_equal(labelled.classify(TABLE), labelled.classify())
    assert labelled.augment(TABLE)["class"].tolist() == labelled.classify().tolist()
    plain = labelled.responsibilities(TABLE.drop(columns="known"))
    np.testing.assert_allclose(plain[~told], found[~told], rtol=1e-12)
    assert (plain[told] != found[told]).all()
    unknown = labelled.responsibilities(TABLE.assign(known=np.nan))
    np.testing.assert_array_equal(unknown, plain)


def test_known_classes_follow_experts_that_change_places(labelled, tmp_path):
    turned = labelled.reorder([2, 1])
    np.testing.assert_allclose(turned.responsibilities(TABLE)[:, ::-1], labelled.responsibilities(TABLE), rtol=1e-9)
    twice = turned.reorder([2, 1])
    np.testing.assert_allclose(twice.responsibilities(TABLE), labelled.responsibilities(TABLE), rtol=1e-9)
    for model in (labelled, turned):
        model.save(tmp_path / "model.mix")
        loaded = ms.load(tmp_path / "model.mix")
        np.testing.assert_array_equal(loaded.responsibilities(TABLE), model.responsibilities(TABLE))


def test_known_probabilities_of_units():
    shares = np.random.default_rng(1).dirichlet([2.0, 2.0], SIZE // 4)[DATA.u]
    table = TABLE.assign(p=shares[:, 0], q=shares[:, 1])
    model = mixture(prior_classes=["p", "q"], unit="u").fit(table)
    assert model.score(table) * model.n_units_ == pytest.approx(model.log_likelihood_, rel=1e-12)


def test_the_dot_does_not_stand_for_known_classes():
    table = TABLE.drop(columns="u")
    model = mixture(regression("y ~ ."), prior_classes="known", n_init=1).fit(table)
    assert model.n_rows_ == SIZE
    assert set(model.tidy()["term"]) == {"Intercept", "x", "z"}


@pytest.mark.parametrize("convert", [lambda t: t, pl.from_pandas, lambda t: {name: t[name].to_numpy() for name in t}])
def test_trials_alone_are_enough_to_draw_and_predict(convert):
    table = DATA[["x"]].assign(trials=20, wins=np.random.default_rng(2).binomial(20, 1 / (1 + np.exp(-DATA.x))))
    model = regression("wins / trials ~ x", family="binomial").fit(table)
    told = convert(table[["x", "trials"]])
    np.testing.assert_array_equal(model.simulate(told, random_state=0), model.simulate(table, random_state=0))
    np.testing.assert_array_equal(model.quantile(told, 0.5), model.quantile(table, 0.5))
    np.testing.assert_array_equal(model.prediction_interval(told), model.prediction_interval(table))
    assert model.simulate(told, random_state=0).max() > 5
    unknown = table.assign(wins=np.nan)
    np.testing.assert_array_equal(model.simulate(unknown, random_state=0), model.simulate(table, random_state=0))
    assert model.simulate(convert(table[["x"]]), random_state=0).max() == 1


def test_trials_of_one_of_several_outcomes():
    table = DATA[["x", "y", "g"]].assign(trials=30, wins=np.random.default_rng(2).binomial(30, 0.3, SIZE))
    outcomes = [regression("wins / trials ~ x", family="binomial"), regression("y ~ x")]
    model = mixture(ms.Joint([*outcomes, regression("g ~ 1", family="categorical")]), n_init=2).fit(table)
    drawn = model.simulate(table[["x", "trials"]], random_state=3)
    pd.testing.assert_frame_equal(drawn, model.simulate(table, random_state=3))
    assert drawn["wins"].max() > 5


def test_a_unit_without_any_response_has_its_gate():
    table = DATA[["x", "z", "y", "g"]].assign(trials=6, wins=np.random.default_rng(2).binomial(6, 0.4, SIZE))
    gaps = table.astype({"wins": float}).copy()
    gaps.loc[3, ["y", "g", "wins"]] = np.nan
    gaps.loc[5, ["wins"]] = np.nan
    outcomes = [regression("y ~ x"), regression("wins / trials ~ 1", family="binomial")]
    model = mixture(ms.Joint(outcomes), gate="~ z", n_init=2).fit(gaps)
    assert model.n_rows_ == SIZE - 1
    found = model.responsibilities(gaps)
    assert found.shape == (SIZE, 2)
    np.testing.assert_allclose(found[3], model.gate_proba(gaps)[3], rtol=1e-12)
    assert len(model.augment(gaps)) == SIZE
    assert model.score(gaps) * model.n_units_ == pytest.approx(model.log_likelihood_, rel=1e-12)
    with pytest.raises(ms.DataError, match="missing values") as caught:
        regression("y ~ x").fit(gaps).responsibilities(gaps)
    assert "missing=" not in str(caught.value)


def test_a_response_that_is_needed_and_not_given_as_y():
    model = ms.MixtureOfExperts(n_init=1, random_state=0, verbose=0).fit(DATA[["x", "z"]].to_numpy(), DATA.y.to_numpy())
    with pytest.raises(ms.DataError, match="a model without a formula takes it as y"):
        model.responsibilities(DATA[["x", "z"]].to_numpy())
