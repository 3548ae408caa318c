"""Tests of parallel slopes and of effects on the scale: against R's ordinal, Brant's formulas in R, and what fails."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.estimators.methods.ordinal_tests import ALL
from tests.ordinal.example import FORMULA, reference, table


@pytest.fixture(scope="module")
def model():
    return ms.OrdinalRegression(FORMULA, verbose=0).fit(table())


@pytest.mark.parametrize(("test", "key"), [("nominal_test", "clm_nominal_test"), ("scale_test", "clm_scale_test")])
def test_terms_one_by_one_equal_clm(model, test, key):
    found, known = getattr(model, test)().set_index("term"), pd.DataFrame(reference()[key]).T
    assert list(found.index) == list(known.index)
    np.testing.assert_allclose(found["statistic"], known["lrt"], atol=1e-6)
    np.testing.assert_allclose(found["p_value"], known["p"], rtol=1e-5)
    np.testing.assert_allclose(found["log_likelihood"], known["loglik"], atol=1e-7)
    np.testing.assert_allclose(found["aic"], known["aic"], atol=1e-6)
    assert (found["df"] == known["df"]).all()


def test_proportional_odds_of_all_terms_is_that_of_separate_slopes(model):
    found = model.test_proportional_odds()
    separate = ms.OrdinalRegression(FORMULA, slopes="separate", crossing="rearrange", verbose=0).fit(table())
    expected = ms.likelihood_ratio_test(model, separate).iloc[0]
    assert list(found["term"]) == [ALL, *(f"x{j}" for j in range(1, 11))]
    assert found.loc[0, "statistic"] == pytest.approx(expected["statistic"])
    assert found.loc[0, "df"] == expected["df"] == 20
    pd.testing.assert_frame_equal(separate.test_proportional_odds(), found)


def test_brant_equals_its_formulas_in_r(model):
    """glm of y > k, and the covariances of Brant (1990), in R 4.2."""
    found = model.brant_test().set_index("term")
    assert found.loc[ALL, "statistic"] == pytest.approx(31.73180432, abs=1e-6)
    assert found.loc["x4", "statistic"] == pytest.approx(15.80190873, abs=1e-6)
    assert (found["df"] == [20, *[2] * 10]).all()
    assert (found["status"] == "").all()


def test_profile_intervals_equal_clm(model):
    """confint(clm(...)) of R's ordinal, which interpolates its profile."""
    found = model.profile(["1:location:x4", "1:location:x1"])
    np.testing.assert_allclose(
        found[["conf_low", "conf_high"]], [[-0.7664147950, -0.3274455593], [-0.3347892769, 0.0950067661]], atol=1e-3
    )


@pytest.mark.slow
def test_terms_of_several_columns_are_tested_together():
    data = table().assign(group=lambda d: pd.cut(d["x1"], 3, labels=["low", "mid", "high"]))
    model = ms.OrdinalRegression("y ~ group + x4", verbose=0).fit(data)
    for found in (model.nominal_test(), model.brant_test().iloc[1:]):
        assert list(found["term"]) == ["group", "x4"]
        assert list(found["df"]) == [4, 2]
    assert list(model.scale_test()["df"]) == [2, 1]


def test_a_partial_model_is_tested_for_the_rest():
    model = ms.OrdinalRegression("y ~ x1 + x4", separate="x4", scale="x1", verbose=0).fit(table())
    assert list(model.nominal_test()["term"]) == ["x1"]
    assert list(model.scale_test()["term"]) == ["x4"]


def test_arrays_are_tested_too():
    data = table()
    model = ms.OrdinalRegression(verbose=0).fit(data[["x1", "x4"]], data["y"])
    named = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data)
    for test in ("nominal_test", "brant_test"):
        pd.testing.assert_frame_equal(getattr(model, test)(), getattr(named, test)(), check_exact=False, rtol=1e-6)


def test_weights_count_as_copies():
    data, weight = table(), np.random.default_rng(2).integers(1, 3, len(table()))
    weighted = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data, sample_weight=weight)
    copied = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data.loc[data.index.repeat(weight)])
    for test in ("brant_test", "nominal_test"):
        np.testing.assert_allclose(getattr(weighted, test)()["statistic"], getattr(copied, test)()["statistic"], 1e-6)


def test_a_cut_without_a_regression_is_named():
    data = table().query("y < 4 or x4 < -0.2").assign(x4=lambda d: d["x4"].where(d["y"] < 4, d["x4"] - 3))
    found = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data).brant_test()
    assert found["statistic"].isna().all()
    assert found["status"].str.contains("y > 3 has no maximum").all()


def test_a_larger_model_whose_maximum_is_at_infinity_says_so():
    data = table().assign(x4=lambda d: np.where(d["y"] == 4, -1.0, d["x4"].clip(lower=-0.9)))
    found = ms.OrdinalRegression("y ~ x1 + x4", verbose=0).fit(data).nominal_test().set_index("term")
    assert "boundary" in found.loc["x4", "status"]
    assert "boundary" not in found.loc["x1", "status"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_larger_model_that_cannot_be_fitted_says_why():
    data = pd.concat([part.head(4) for _, part in table().groupby("y")])
    found = ms.OrdinalRegression("y ~ x1 + x2 + x3 + x4", verbose=0).fit(data.head(14)).test_proportional_odds()
    assert np.isnan(found.loc[0, "statistic"])
    assert found.loc[0, "status"].startswith("not fitted: ")


@pytest.mark.parametrize("test", ["test_proportional_odds", "nominal_test", "scale_test", "brant_test"])
def test_penalised_fits_are_refused(test):
    model = ms.OrdinalRegression("y ~ x1", slopes="shrunken", penalty=0.05, verbose=0).fit(table())
    with pytest.raises(ms.OptionError, match="without penalty="):
        getattr(model, test)()


def test_brant_is_for_cumulative_logits():
    with pytest.raises(ms.OptionError, match="cumulative logits"):
        ms.OrdinalRegression("y ~ x1", link="probit", verbose=0).fit(table()).brant_test()
