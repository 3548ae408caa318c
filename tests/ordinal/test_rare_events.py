"""Predictions of rare categories: scores against scikit-learn and by hand, calibration, and the comparison."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binomtest
from sklearn import metrics

import mixstat as ms
from mixstat.inference import rare_events
from mixstat.inference.rare_events import Forecast
from tests.ordinal.example import FORMULA, table


@pytest.fixture(scope="module")
def model():
    return ms.OrdinalRegression(FORMULA, verbose=0).fit(table())


@pytest.fixture(scope="module")
def forecast():
    rng = np.random.default_rng(1)
    chance = np.round(rng.beta(0.5, 12, 3000), 3).clip(0.001, 0.99)
    return Forecast(chance, (rng.random(3000) < chance).astype(float), rng.integers(1, 4, 3000).astype(float))


def test_scores_are_those_of_scikit_learn(forecast):
    chance, event, weight = forecast
    assert rare_events.auc(forecast) == pytest.approx(metrics.roc_auc_score(event, chance, sample_weight=weight))
    assert rare_events.average_precision(forecast) == pytest.approx(
        metrics.average_precision_score(event, chance, sample_weight=weight)
    )
    log_loss = rare_events.mean(rare_events.log_losses(forecast), weight)[0]
    assert log_loss == pytest.approx(metrics.log_loss(event, chance, sample_weight=weight))
    brier = rare_events.mean(rare_events.brier_losses(forecast), weight)[0]
    assert brier == pytest.approx(metrics.brier_score_loss(event, chance, sample_weight=weight))


def test_the_calibration_error_by_hand():
    """Ten groups of two: sorted predictions stand in pairs, whatever the order of the rows."""
    chance = np.arange(1, 21) / 21
    event = np.tile([0.0, 1.0, 1.0, 1.0], 5)
    share = np.repeat(event.reshape(10, 2).mean(axis=1), 2)
    mixed = np.random.default_rng(0).permutation(20)
    found = rare_events.osce(Forecast(chance[mixed], event[mixed], np.ones(20)))
    assert found == pytest.approx(((chance - share) ** 2).mean())


def test_a_forecast_that_knows_beats_a_constant_and_one_that_exaggerates():
    """A constant at the base rate is calibrated, so that noise alone is between it and a forecast that tells much."""
    rng = np.random.default_rng(5)
    chance = expit(6 * rng.normal(size=3000))
    event = (rng.random(3000) < chance).astype(float)
    constant, wrong = np.full(3000, event.mean()), np.clip(2 * chance, 0, 1)
    knows, constant, wrong = (rare_events.osce(Forecast(p, event, np.ones(3000))) for p in (chance, constant, wrong))
    assert knows < constant
    assert knows < wrong / 2


def test_recalibration(forecast):
    intercept, slope = rare_events.recalibration(forecast)
    assert intercept == pytest.approx(0, abs=0.3)
    assert slope == pytest.approx(1, abs=0.1)
    constant = forecast._replace(chance=np.full(3000, 0.04))
    assert np.isnan(rare_events.recalibration(constant)[1])


def test_groups_of_expected_events(forecast):
    found = rare_events.groups(forecast._replace(weight=np.ones(3000)), 6, "events", 0.95)
    assert found.n.sum() == 3000
    np.testing.assert_allclose(found.n * found.predicted, forecast.chance.sum() / 6, rtol=0.05)
    for k in range(6):
        known = binomtest(int(found.events[k]), int(found.n[k])).proportion_ci(method="wilson")
        assert (found.conf_low[k], found.conf_high[k]) == pytest.approx((known.low, known.high))
    rows = rare_events.groups(forecast._replace(weight=np.ones(3000)), 6, "rows", 0.95)
    assert np.ptp(rows.n) <= 1


def test_an_event_of_probability_zero_has_an_infinite_log_loss():
    known = Forecast(np.array([0.0, 0.5]), np.array([1.0, 0.0]), np.ones(2))
    assert rare_events.mean(rare_events.log_losses(known), known.weight)[0] == np.inf


def test_methods_of_a_fit(model):
    data = table()
    chances = model.predict_proba(data)
    np.testing.assert_allclose(model.cumulative_proba(data), np.cumsum(chances, axis=1)[:, :-1])
    scores = model.rare_scores().iloc[0]
    assert scores["event"] == "4"
    assert scores["events"] == 6
    assert scores["mean_predicted"] == pytest.approx(chances[:, 3].mean())
    assert scores["auc"] == pytest.approx(metrics.roc_auc_score(data["y"] == 4, chances[:, 3]))
    both = model.rare_scores(data, rare=[3, 4]).iloc[0]
    assert both["event"] == "3 or 4"
    assert both["events"] == 66
    table_ = model.rare_calibration(groups=4, rare=[3, 4])
    assert list(table_.columns) == ["group", "n", "events", "predicted", "observed", "conf_low", "conf_high"]
    assert table_["events"].sum() == 66
    curve = model.precision_recall(rare=[3, 4])
    assert curve["recall"].iloc[-1] == 1
    assert curve["precision"].iloc[-1] == pytest.approx(0.066)
    model.plot_rare_calibration()
    model.plot_precision_recall()


def test_weights_count(model):
    weight = np.where(table()["y"] == 4, 2.0, 1.0)
    assert model.rare_scores(table(), sample_weight=weight)["events"].iloc[0] == 12
    fitted = ms.OrdinalRegression("y ~ x4", verbose=0).fit(table(), sample_weight=weight)
    assert fitted.rare_scores()["n"].iloc[0] == 1006


def test_arrays_take_the_response_as_y():
    data = table()
    model = ms.OrdinalRegression(verbose=0).fit(data[["x1", "x4"]], data["y"])
    assert model.rare_scores(data[["x1", "x4"]], data["y"])["events"].iloc[0] == 6


def test_unknown_categories_are_refused(model):
    for rare in (7, [], [1, 2, 3, 4]):
        with pytest.raises(ms.OptionError, match="rare must name"):
            model.rare_scores(rare=rare)


def test_the_comparison_scores_rows_that_were_left_out():
    data = pd.concat([table(), table().query("y == 4")], ignore_index=True).assign(
        x1=lambda d: d["x1"].where(d.index != 7)
    )
    formula = "y ~ x1 + x4 + x5"
    partial = ms.OrdinalRegression(formula, separate="x4", verbose=0)
    found = ms.compare_rare(formula, data, cv=3, models={"partial": partial, "shrunken": None}, random_state=1)
    assert list(found.table["model"]) == ["logistic", "proportional odds", "partial"]
    assert found.event == "4"
    assert sorted(found.predictions["row"]) == [row for row in range(1006) if row != 7]
    assert (found.predictions["event"].to_numpy() == (data.loc[found.predictions["row"], "y"] == 4)).all()
    row = found.table.set_index("model").loc["proportional odds"]
    expected = metrics.log_loss(found.predictions["event"], found.predictions["proportional odds"])
    assert row["log_loss"] == pytest.approx(expected)
    first = found.table.iloc[0]
    assert row["log_loss_change"] == pytest.approx(row["log_loss"] - first["log_loss"])
    assert first["log_loss_change"] == 0
    found.plot_calibration()
    found.plot_precision_recall()
    assert "proportional odds" in repr(found)


def test_the_comparison_fits_logistic_regression_of_the_category():
    data = table().assign(z=lambda d: (d["y"] >= 3).astype(int))
    found = ms.compare_rare(
        "y ~ x4", data, rare=[3, 4], cv=2, models={"shrunken": None, "proportional odds": None}, random_state=1
    )
    rows = found.predictions["row"].to_numpy()
    half = len(rows) // 2
    for test, train in ((rows[:half], rows[half:]), (rows[half:], rows[:half])):
        alone = ms.OrdinalRegression("z ~ x4", verbose=0).fit(data.iloc[train])
        known = found.predictions.set_index("row").loc[test, "logistic"]
        np.testing.assert_allclose(alone.predict_proba(data.iloc[test])[:, 1], known, atol=1e-8)


def test_groups_stay_together_in_folds_that_have_every_category():
    from mixstat.estimators.rare_events import _splits

    code = table()["y"].to_numpy() - 1
    group = np.arange(len(code)) // 4
    splits = _splits(code, group.astype(str), (1, 2, 3, 4), 3, 2, np.random.default_rng(0))
    assert len(splits) == 6
    for train, test in splits:
        assert not set(group[train]) & set(group[test])
        assert len(np.unique(code[train])) == 4


def test_models_that_may_cross_are_sorted():
    from mixstat.estimators.rare_events import uncrossed

    mixture = uncrossed(ms.MixtureOfExperts(ms.OrdinalRegression("y ~ x1", slopes="separate"), n_experts=2))
    for model in (mixture.expert, uncrossed(ms.OrdinalRegression("y ~ x1"))):
        assert model.family.rearranged
    assert uncrossed(ms.Regression("y ~ x1", family="categorical")).family == "categorical"


def test_the_comparison_says_what_it_cannot_do():
    few = pd.concat([table().query("y < 4"), table().query("y == 4").head(1)])
    with pytest.raises(ms.DataError, match="fewer folds"):
        ms.compare_rare("y ~ x1", few, cv=3)
    with pytest.raises(ms.OptionError, match="no model of categories"):
        ms.compare_rare("y ~ x1", table(), models={"mean": ms.Regression("y ~ x1")})
    with pytest.raises(ms.OptionError, match="takes a formula"):
        ms.compare_rare(None, table())
