"""Categories and columns that are rare, absent, alike or separated: a right result, or one clear error."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mixstat as ms
from tests.ordinal.example import table

PENALTY = {"slopes": "shrunken", "penalty": 0.005}


def fitted(formula="y ~ x1 + x4", data=None, weight=None, **options):
    model = ms.OrdinalRegression(formula, verbose=0, **options)
    return model.fit(table() if data is None else data, sample_weight=weight)


@pytest.mark.parametrize("declared", [[1, 2, 3, 4, 5], [1, 2, 2.5, 3, 4]])
def test_a_declared_category_without_rows_is_named(declared):
    data = table().assign(y=lambda d: pd.Categorical(d["y"], declared, ordered=True))
    with pytest.raises(ms.DataError, match=r"declares the categories.*remove_unused_categories"):
        fitted(data=data)
    model = fitted(data=data.assign(y=data["y"].cat.remove_unused_categories()))
    assert list(model.classes_) == [1, 2, 3, 4]


@pytest.mark.parametrize("options", [{}, PENALTY])
def test_integers_strings_and_categoricals_of_one_order_are_one_model(options):
    names = ["d none", "c mild", "b severe", "a dead"]
    data = table().assign(
        named=lambda d: pd.Categorical(np.array(names)[d["y"] - 1], names, ordered=True),
        wide=lambda d: 10 * d["y"] ** 2,
    )
    models = [fitted(f"{name} ~ x1 + x4", data, **options) for name in ("y", "named", "wide")]
    assert [list(model.classes_) for model in models] == [[1, 2, 3, 4], names, [10, 40, 90, 160]]
    for model in models[1:]:
        np.testing.assert_allclose(model.predict_proba(data), models[0].predict_proba(data), atol=1e-12)
    with pytest.raises(ms.DataError, match="no order"):
        fitted("named ~ x1", data.assign(named=data["named"].astype(str)), **options)


def test_array_mode_sorts_the_values_of_y():
    x, names = table()[["x1", "x4"]].to_numpy(), np.array(["a", "b", "c", "d"])
    model = ms.OrdinalRegression(verbose=0).fit(x, names[table()["y"] - 1])
    assert list(model.classes_) == ["a", "b", "c", "d"]
    np.testing.assert_allclose(model.psi_standardized_, fitted().psi_standardized_, atol=1e-8)


def test_two_categories_are_a_penalised_logistic_regression():
    data = table().assign(y=lambda d: (d["y"] > 1).astype(int))
    model = fitted(data=data, **PENALTY)
    x = data[["x1", "x4"]].to_numpy()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = LogisticRegression(penalty="l1", C=1 / (1000 * 0.005), solver="saga", tol=1e-10, max_iter=10000)
        other.fit(z, data["y"])
    np.testing.assert_allclose(-model.psi_standardized_[0], other.coef_[0], atol=1e-6)
    np.testing.assert_allclose(model.intercept_standardized_, -other.intercept_, atol=1e-6)


@pytest.mark.parametrize("options", [{}, PENALTY, {**PENALTY, "crossing": "constrain"}])
def test_weights_count_copies_and_none_is_absence(options):
    data, weight = table(), np.random.default_rng(1).integers(0, 3, len(table()))
    weight[data["y"] == 4] = 1
    weighted = fitted("y ~ x1 + x4 + x6", data, weight, **options)
    copied = fitted("y ~ x1 + x4 + x6", data.loc[data.index.repeat(weight)], **options)
    assert weighted.objective_ == pytest.approx(copied.objective_, abs=1e-10)
    np.testing.assert_allclose(weighted.psi_standardized_, copied.psi_standardized_, atol=1e-6)
    np.testing.assert_allclose(weighted.intercept_standardized_, copied.intercept_standardized_, atol=1e-6)
    scaled = fitted("y ~ x1 + x4 + x6", data, weight * 1e-4, **options)
    assert scaled.objective_ == pytest.approx(weighted.objective_, abs=1e-10)


@pytest.mark.parametrize("rare", [2, 4])
def test_a_class_of_one_row(rare):
    data = table().query("y != @rare").copy()
    data.loc[data.index[7], "y"] = rare
    model = fitted("y ~ x1 + x4 + x6", data, crossing="rearrange", slopes="shrunken", penalty=0.002)
    assert model.converged_
    assert model.kkt_residual_ < 1e-8
    np.testing.assert_allclose(model.predict_proba(data).sum(axis=1), 1.0, atol=1e-12)


def test_constant_columns_are_dropped_and_copies_share():
    data = table().assign(k=3.0, twin=lambda d: d["x4"])
    with pytest.warns(ms.CollinearityWarning, match="'k'"):
        model = fitted("y ~ x1 + k + x4", data, **PENALTY)
    plain = fitted("y ~ x1 + x4", data, **PENALTY)
    assert model.terms_standardized_ == ["x1", "k", "x4"]
    np.testing.assert_allclose(model.psi_standardized_[:, [0, 2]], plain.psi_standardized_, atol=1e-9)
    assert not model.psi_standardized_[:, 1].any()
    both = fitted("y ~ x1 + x4 + twin", data, **PENALTY)
    assert both.objective_ == pytest.approx(plain.objective_, abs=1e-10)
    with pytest.warns(ms.CollinearityWarning, match="'twin'"):
        assert fitted("y ~ x1 + x4 + twin", data).log_likelihood_ == pytest.approx(fitted(data=data).log_likelihood_)


def test_separation_is_said_and_a_penalty_helps():
    data = table().assign(s=lambda d: d["y"].astype(float))
    with pytest.warns(ms.ConvergenceWarning, match="perfect separation"):
        assert not fitted("y ~ s", data).converged_
    model = fitted("y ~ s", data, **PENALTY)
    assert model.converged_
    assert model.duality_gap_ < 1e-8


def test_more_columns_than_rows_need_a_penalty():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 100)), np.arange(60) % 3
    model = ms.OrdinalRegression(verbose=0, crossing="rearrange", **{**PENALTY, "penalty": 0.05}).fit(x, y)
    assert model.kkt_residual_ < 1e-8
    assert model.duality_gap_ < 1e-8
    data = pd.DataFrame(x).add_prefix("v").assign(y=y)
    with pytest.raises(ms.DataError, match="cannot inform"):
        fitted("y ~ " + " + ".join(f"v{number}" for number in range(100)), data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": 1}, "two or more levels"),
        ({"y": np.linspace(0, 1, 1000)}, "1000 levels"),
        ({"x1": np.inf}, "infinite"),
        ({"y": np.nan}, "row"),
    ],
)
def test_responses_and_columns_that_cannot_be_used(change, words):
    with pytest.raises(ms.DataError, match=words):
        fitted(data=table().assign(**change))


def test_covariates_far_from_zero_change_nothing():
    far = table().assign(x1=lambda d: 2e6 + 3 * d["x1"], x4=lambda d: d["x4"] - 7e3)
    for options in ({}, PENALTY):
        model, moved = fitted(**options), fitted(data=far, **options)
        assert moved.converged_
        np.testing.assert_allclose(moved.psi_standardized_, model.psi_standardized_, atol=1e-9)
        np.testing.assert_allclose(moved.intercept_standardized_, model.intercept_standardized_, atol=1e-8)
        own = moved.predict_proba(far)[np.arange(1000), far["y"] - 1]
        assert np.log(own).sum() == pytest.approx(moved.log_likelihood_, abs=1e-8)


def test_an_offset_counts_once_for_shrunken_slopes():
    formula, free = "y ~ x1 + offset(x2)", {"crossing": "rearrange"}
    known = fitted(formula, slopes="separate", **free).log_likelihood_
    found = fitted(formula, slopes="shrunken", penalty=1e-9, **free).log_likelihood_
    assert found == pytest.approx(known, abs=1e-5)
