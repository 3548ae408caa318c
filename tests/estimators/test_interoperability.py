"""Other packages' protocols: names and numbers as maketables and marginaleffects ask for them."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mixstat as ms
from mixstat.estimators.methods.interoperability import moved, predictions
from tests.estimators.data import SIZE, frame, mixture, regression

DATA = frame()


@pytest.fixture(scope="module")
def model():
    return mixture(regression("y ~ x + z", shared="sigma"), gate="~ z").fit(DATA)


def test_coefficient_table(model):
    table, tidy = model.__maketables_coef_table__, model.tidy()
    np.testing.assert_array_equal(table[["b", "se", "t", "p"]], tidy[["estimate", "std_error", "statistic", "p_value"]])
    np.testing.assert_array_equal(table[["ci95l", "ci95u"]], tidy[["conf_low", "conf_high"]])
    names = ["expert 1, Intercept", "expert 1, x", "expert 1, z", "shared, sigma, Intercept"]
    names += ["expert 2, Intercept", "expert 2, x", "expert 2, z", "gate 2, Intercept", "gate 2, z"]
    assert list(table.index) == names
    assert table.index.name == "Coefficient"


def test_names_of_one_expert_are_plain():
    table = regression("y ~ x + g", sigma="~ x").fit(DATA).__maketables_coef_table__
    assert list(table.index) == ["Intercept", "x", "g[T.b]", "g[T.c]", "sigma, Intercept", "sigma, x"]


@pytest.mark.parametrize(
    "expert",
    [
        ms.Joint([regression("y ~ x"), regression("z ~ x")]),
        regression("cbind(y, z) ~ x", family="multivariate_gaussian"),
        regression("g ~ x", family="categorical"),
    ],
)
def test_names_are_distinct_and_read_as_they_stand(expert):
    index = mixture(expert, n_experts=1).fit(DATA).__maketables_coef_table__.index
    assert index.is_unique
    assert not index.str.contains(r"[:\[\]]").any()


def test_statistics(model):
    assert model.__maketables_stat__("N") == SIZE
    assert model.__maketables_stat__("ll") == model.log_likelihood_
    assert model.__maketables_stat__("bic") == model.bic()
    assert model.__maketables_stat__("r2") is None
    assert model.__maketables_depvar__ == "y"
    shown = model.__maketables_default_stat_keys__
    assert all(model.__maketables_stat__(key) is not None for key in shown)
    assert set(model.__maketables_stat_labels__) >= set(shown) - {"ll", "aic", "bic"}
    assert model.__maketables_vcov_info__["vcov_type"] == model.__maketables_stat__("se_type")


def test_a_model_that_is_not_fitted_has_no_table():
    assert not hasattr(mixture(), "__maketables_coef_table__")


@pytest.mark.parametrize(
    "expert",
    [
        regression("y ~ x + z", shared="x + sigma"),
        regression("y ~ x + z", fixed={"x": 0.5}),
        regression("y ~ 0 + x + z", shared="z"),
        regression("y ~ x + z", shared="Intercept"),
    ],
)
def test_moved_to_the_estimate_is_the_fit(expert):
    """The user's coefficients are those of the ties at the user's free parameters."""
    model = mixture(expert, gate="~ x").fit(DATA.assign(x=3 + 10 * DATA.x))
    again = moved(model, model.tidy()["estimate"].to_numpy())
    np.testing.assert_allclose(again.fitted_.phi, model.fitted_.phi, rtol=1e-12)
    assert again.predict(DATA)[0] == pytest.approx(model.predict(DATA)[0])


def test_moving_moves_the_named_coefficient(model):
    theta = model.tidy()["estimate"].to_numpy().copy()
    theta[1] += 1.0
    before, after = (m.predict(DATA, kind="expert_mean") for m in (model, moved(model, theta)))
    np.testing.assert_allclose(after[:, 0] - before[:, 0], DATA.x)
    np.testing.assert_allclose(after[:, 1], before[:, 1])


def test_predictions_by_kind(model):
    mean, none = predictions(model, DATA, "mean")
    assert none is None
    np.testing.assert_allclose(mean[:, 0], model.predict(DATA))
    experts, names = predictions(model, DATA, "expert_mean")
    gate, classes = predictions(model, DATA, "gate")
    np.testing.assert_allclose((experts * gate).sum(axis=1), mean[:, 0])
    assert (names, classes) == (["expert 1", "expert 2"], ["class 1", "class 2"])
    several = regression("cbind(y, n) ~ x", family="multivariate_gaussian").fit(DATA)
    assert predictions(several, DATA, "mean")[1] == ["y", "n"]
    with pytest.raises(ms.OptionError, match="expert_mean"):
        predictions(several, DATA, "expert_mean")
    joint = mixture(ms.Joint([regression("y ~ x"), regression("n ~ x")]), n_experts=1).fit(DATA)
    assert predictions(joint, DATA, "mean")[1] == ["y", "n"]
    category = regression("g ~ x", family="categorical").fit(DATA)
    values, levels = predictions(category, DATA, "mean")
    np.testing.assert_allclose(values.sum(axis=1), 1.0)
    assert levels == ["a", "b", "c"]


def test_without_the_package_the_error_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "marginaleffects", None)
    with pytest.raises(ImportError, match="pip install marginaleffects"):
        model.to_marginaleffects(DATA)


class Stub:
    """Stands for marginaleffects' base class: holds what it is given."""

    def __init__(self, model, vault):
        self.model, self.vault = model, vault


@pytest.fixture
def stubbed(monkeypatch):
    classes = ModuleType("marginaleffects.classes")
    classes.ModelAbstract, classes.ModelVault = Stub, SimpleNamespace
    package = ModuleType("marginaleffects")
    package.classes = classes
    monkeypatch.setitem(sys.modules, "marginaleffects", package)
    monkeypatch.setitem(sys.modules, "marginaleffects.classes", classes)


@pytest.mark.usefixtures("stubbed")
def test_average_slope_and_its_error_equal_least_squares():
    """The adapter's numbers alone give the slope and, by the delta method, its standard error."""
    data = frame(w=DATA.x * DATA.z)
    model = regression("y ~ x + z + x:z").fit(data)
    adapter = model.to_marginaleffects(data)
    vault, step = adapter.vault, 1e-4

    def slope(theta):
        table = vault.modeldata
        up = adapter.get_predict(theta, adapter.get_exog(table.with_columns(x=table["x"] + step)))
        return (up["estimate"] - adapter.get_predict(theta, table)["estimate"]).mean() / step

    jacobian = np.array(
        [(slope(vault.coef + e) - slope(vault.coef - e)) / 2e-4 for e in 1e-4 * np.eye(len(vault.coef))]
    )
    exog = np.column_stack([np.ones(SIZE), data.x, data.z, data.w])
    ols = sm.OLS(data.y, exog).fit()
    direction = np.array([0, 1, 0, data.z.mean()])
    scale = (SIZE - 4) / SIZE
    assert slope(vault.coef) == pytest.approx(direction @ ols.params, rel=1e-5)
    expected = np.sqrt(direction @ ols.cov_params() @ direction * scale)
    assert np.sqrt(jacobian @ vault.vcov @ jacobian) == pytest.approx(expected, rel=1e-4)
    assert list(vault.coefnames) == ["Intercept", "x", "z", "x:z", "sigma, Intercept"]


@pytest.mark.usefixtures("stubbed")
def test_adapter_of_a_mixture(model):
    import polars as pl

    grown = mixture(regression("y ~ x"), gate="~ g").fit(DATA)
    adapter = grown.to_marginaleffects(kind="gate")
    assert adapter.vault.modeldata["g"].dtype == pl.Categorical
    assert adapter.vault.variable_names == ["y", "x", "g"]
    assert adapter.vault.formula == "y ~ x + g"
    made = adapter.get_predict(adapter.vault.coef, adapter.vault.modeldata)
    assert made.columns == ["rowid", "group", "estimate"]
    expected = grown.gate_proba(DATA).T.ravel()
    np.testing.assert_allclose(made["estimate"], expected)
    np.testing.assert_allclose(adapter.vault.vcov, grown.covariance())


@pytest.mark.usefixtures("stubbed")
def test_adapter_refuses_names_that_marginaleffects_cannot_read():
    model = regression("y ~ `a b`").fit(pd.DataFrame({"y": DATA.y, "a b": DATA.x}))
    with pytest.raises(ms.OptionError, match="'a b'"):
        model.to_marginaleffects()
    with pytest.raises(ms.OptionError, match="kind"):
        model.to_marginaleffects(kind="median")
