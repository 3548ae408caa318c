"""Classes, classification tables and augmented tables."""

import pickle

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.external.cases import ITEMS, fitted, sample, separated


def test_modal_classes():
    responsibility = fitted().responsibilities(sample())
    expected = 1 + np.argmax(responsibility, axis=1)
    np.testing.assert_array_equal(fitted().classify(), expected)
    np.testing.assert_array_equal(fitted().classify(sample().head(7)), expected[:7])
    model, table = separated()
    np.testing.assert_array_equal(model.classify(), table["k"])


def test_table_by_counting():
    responsibility, modal = fitted().responsibilities(sample()), fitted().classify()
    table = fitted().classification_table()
    for s in (1, 2):
        members = responsibility[modal == s]
        np.testing.assert_allclose(table.average_posterior.loc[s], members.mean(axis=0), atol=1e-9)
        row = table.classes.set_index("class").loc[s]
        right, share = members[:, s - 1].mean(), responsibility[:, s - 1].mean()
        assert row["units"] == (modal == s).sum()
        assert row["modal_share"] == pytest.approx((modal == s).mean())
        assert row["share"] == pytest.approx(share)
        assert row["odds_correct"] == pytest.approx(right / (1 - right) / (share / (1 - share)))
        for t in (1, 2):
            joint = responsibility[modal == s, t - 1].sum()
            assert table.errors.loc[t, s] == pytest.approx(joint / responsibility[:, t - 1].sum())
    np.testing.assert_allclose(table.errors.sum(axis=1), 1.0)
    given = fitted().classification_table(sample())
    pd.testing.assert_frame_equal(given.classes, table.classes)


def test_table_of_certain_classes():
    model, _ = separated()
    table = model.classification_table()
    np.testing.assert_allclose(table.average_posterior, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(table.errors, np.eye(3), atol=1e-12)
    assert (table.classes["odds_correct"] > 1e6).all()
    assert "Average posterior probabilities" in str(table)
    assert "<table" in table._repr_html_()


def test_a_class_without_modal_members():
    model, table = separated()
    part = model.classification_table(table[table["k"] != 2])
    assert part.classes["units"][1] == 0
    assert part.average_posterior.loc[2].isna().all()
    assert "class 2 is the most probable one of no unit" in str(part)


def test_augment_a_regression():
    table = sample().set_index(np.arange(600)[::-1])
    model = ms.MixtureOfExperts(ms.Regression("d ~ z"), gate="~ z", n_init=3, random_state=0, verbose=0).fit(table)
    found = model.augment(table)
    pd.testing.assert_frame_equal(found[list(table)], table)
    new = ["fitted", "residual", "gate_1", "gate_2", "responsibility_1", "responsibility_2", "class", "density"]
    assert list(found)[len(table.columns) :] == new
    np.testing.assert_allclose(found["fitted"], model.predict(table))
    np.testing.assert_allclose(found["residual"], table["d"] - model.predict(table))
    np.testing.assert_allclose(found[["gate_1", "gate_2"]], model.gate_proba(table))
    np.testing.assert_allclose(found[["responsibility_1", "responsibility_2"]], model.responsibilities(table))
    np.testing.assert_array_equal(found["class"], model.classify(table))
    np.testing.assert_allclose(found["density"], model.predict(table, kind="density"))
    with pytest.raises(ms.DataError, match="has a column 'fitted' already"):
        model.augment(found)
    assert "fit_class" in model.augment(found, prefix="fit_")


def test_augment_several_outcomes_with_missing_ones():
    gaps = sample().assign(b1=sample()["b1"].mask(sample().index < 5))
    found = fitted().augment(gaps)
    means = fitted().predict(gaps)
    np.testing.assert_allclose(found["fitted_b1"], means["b1"])
    assert found["residual_b1"].isna().sum() == 5
    np.testing.assert_allclose(found["residual_b2"], gaps["b2"] - means["b2"])


def test_augment_units_and_kinds_of_response():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"id": np.repeat(np.arange(60), 3), "x": rng.normal(size=180)})
    rows["n"] = rng.integers(1, 6, 180)
    rows["s"] = rng.binomial(rows["n"], np.where(rows["id"] % 2, 0.8, 0.2))
    settings = {"unit": "id", "n_init": 2, "random_state": 0, "verbose": 0}
    grouped = ms.MixtureOfExperts(ms.Regression("s / n ~ x", family="binomial"), **settings).fit(rows)
    found = grouped.augment(rows)
    np.testing.assert_allclose(found["residual"], rows["s"] / rows["n"] - grouped.predict(rows))
    np.testing.assert_array_equal(found["class"], grouped.classify()[rows["id"]])
    np.testing.assert_allclose(found["density"], grouped.predict(rows, kind="density")[rows["id"]])
    _, table = separated()
    nominal = ms.Regression("g ~ z", family="categorical", verbose=0).fit(table).augment(table)
    np.testing.assert_allclose(nominal["fitted_g[no]"] + nominal["fitted_g[yes]"], 1.0)
    assert not [name for name in nominal if name.startswith("residual")]


def test_arrays():
    _, table = separated()
    arrays = ms.MixtureOfExperts(n_init=3, random_state=0, verbose=0).fit(table[["z"]].to_numpy(), table["y"])
    found = arrays.augment(table[["z"]].to_numpy(), table["y"])
    np.testing.assert_allclose(found["fitted"] + found["residual"], table["y"])
    assert len(arrays.classify()) == len(table)
    outcome = arrays.distal({"d": table["d"].to_numpy()}, "d", method="proportional")
    assert outcome.estimates.shape == (2, 1)


def test_without_training_data():
    saved = pickle.loads(pickle.dumps(fitted()))
    np.testing.assert_array_equal(saved.classify(sample()), fitted().classify())
    with pytest.raises(ms.DataError, match="does not hold the training data; pass the table"):
        saved.classify()
    with pytest.raises(ms.DataError, match="which a saved model does not hold; refit"):
        saved.membership(sample(), "~ z")


def test_the_table_must_hold_the_responses():
    with pytest.raises(ms.DataError, match="column 'b1' is not in the data"):
        fitted().augment(sample().drop(columns=ITEMS[:1]))
