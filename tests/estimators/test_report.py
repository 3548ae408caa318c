"""What a fit reports: exact columns, intervals, covariances of all kinds, criteria, summaries."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import softmax, xlogy

from mixstat import LocalOptimumWarning
from tests.estimators.data import SIZE, frame, mixture, regression

DATA = frame()
COLUMNS = {
    "expert": "Int64",
    "parameter": "str",
    "term": "str",
    "estimate": "float64",
    "std_error": "float64",
    "statistic": "float64",
    "p_value": "float64",
    "conf_low": "float64",
    "conf_high": "float64",
}


@pytest.fixture(scope="module")
def model():
    return mixture(regression("y ~ x"), gate="~ z", cluster="u").fit(DATA)


def test_tidy(model):
    table = model.tidy(level=0.9)
    assert list(table.columns) == list(COLUMNS)
    for name, kind in COLUMNS.items():
        assert pd.api.types.is_string_dtype(table[name]) if kind == "str" else table[name].dtype == kind
    assert list(table["expert"]) == [1, 1, 1, 2, 2, 2, 2, 2]
    assert list(table["parameter"]) == ["mean", "mean", "sigma"] * 2 + ["gate", "gate"]
    assert list(table["term"]) == ["Intercept", "x", "Intercept"] * 2 + ["Intercept", "z"]
    error = np.sqrt(np.diag(model.covariance()))
    np.testing.assert_allclose(table["std_error"], error)
    np.testing.assert_allclose(table["p_value"], 2 * stats.norm.sf(np.abs(table["statistic"])))
    np.testing.assert_allclose(table["conf_high"] - table["conf_low"], 2 * stats.norm.ppf(0.95) * error)


def test_confint(model):
    table = model.confint(level=0.9, kind="robust")
    error = np.sqrt(np.diag(model.covariance("robust")))
    assert list(table.columns) == ["expert", "parameter", "term", "conf_low", "conf_high"]
    np.testing.assert_allclose(table["conf_high"] - table["conf_low"], 2 * stats.norm.ppf(0.95) * error)


def scores(model, data):
    """d log p / d parameters of each row, in the order of the table (row, parameter)."""
    table = model.tidy()
    value = {key: part["estimate"].to_numpy() for key, part in table.groupby(["parameter", "expert"])}
    X, V = np.column_stack([np.ones(SIZE), data.x]), np.column_stack([np.ones(SIZE), data.z])
    weight, gate = (
        model.responsibilities(data),
        softmax(np.column_stack([np.zeros(SIZE), V @ value["gate", 2]]), axis=1),
    )
    columns = []
    for k in (1, 2):
        sigma = np.exp(value["sigma", k])
        z = (data.y.to_numpy() - X @ value["mean", k]) / sigma
        r = weight[:, k - 1]
        columns += [(r * z / sigma)[:, None] * X, (r * (z**2 - 1))[:, None]]
    columns.append((weight[:, 1] - gate[:, 1])[:, None] * V)
    return np.column_stack(columns)


@pytest.mark.parametrize("weighted", [False, True])
def test_sandwich(weighted):
    weight = np.where(DATA.g == "a", 2.0, 0.5) if weighted else np.ones(SIZE)
    model = mixture(regression("y ~ x"), gate="~ z", cluster="u", scale_penalty=0).fit(DATA, sample_weight=weight)
    rows = scores(model, DATA) * weight[:, None]
    np.testing.assert_allclose(rows.sum(axis=0), 0.0, atol=1e-6)
    bread = model.covariance()
    np.testing.assert_allclose(model.covariance("robust"), bread @ rows.T @ rows @ bread, rtol=1e-5)
    sums = np.add.reduceat(rows, np.arange(0, SIZE, 4))
    np.testing.assert_allclose(model.covariance("cluster"), bread @ sums.T @ sums @ bread, rtol=1e-5)


@pytest.mark.parametrize(("family", "response"), [("poisson", "n"), ("binomial", "b")])
def test_against_statsmodels(family, response):
    model = regression(f"{response} ~ x + z", family=family, cluster="u").fit(DATA)
    exog = np.column_stack([np.ones(SIZE), DATA.x, DATA.z])
    glm = sm.GLM(DATA[response], exog, family=getattr(sm.families, family.title())())
    plain, groups = glm.fit(tol=1e-12), 30
    np.testing.assert_allclose(model.tidy()["estimate"], plain.params, rtol=1e-6)
    np.testing.assert_allclose(model.covariance(), plain.cov_params(), rtol=1e-5)
    np.testing.assert_allclose(model.covariance("robust"), glm.fit(cov_type="HC0", tol=1e-12).cov_params(), rtol=1e-5)
    cluster = glm.fit(cov_type="cluster", cov_kwds={"groups": DATA["u"]}, tol=1e-12).cov_params()
    factor = groups / (groups - 1) * (SIZE - 1) / (SIZE - exog.shape[1])
    np.testing.assert_allclose(model.covariance("cluster") * factor, cluster, rtol=1e-5)


def test_glance(model):
    row = model.glance().iloc[0]
    weight = model.responsibilities(DATA)
    entropy = xlogy(weight, weight).sum()
    assert row["n_units"] == SIZE == model.n_units_
    assert row["n_parameters"] == 8 == model.n_parameters_
    assert row["log_likelihood"] == model.log_likelihood_
    assert model.aic() == pytest.approx(-2 * model.log_likelihood_ + 16)
    assert model.bic() == pytest.approx(-2 * model.log_likelihood_ + 8 * np.log(SIZE))
    assert model.icl() == pytest.approx(model.bic() - 2 * entropy)
    assert model.entropy() == pytest.approx(1 + entropy / (SIZE * np.log(2)))
    assert regression("y ~ x").fit(DATA).entropy() == 1.0


def test_starts(model):
    assert {"start", "log_likelihood", "status", "hits"} <= set(model.starts_.columns)
    assert len(model.starts_) == 3
    assert model.starts_["log_likelihood"].max() == pytest.approx(model.log_likelihood_)


@pytest.mark.parametrize(("reached", "carried", "warns"), [(0, 3, True), (1, 3, True), (2, 10, True), (3, 10, False)])
def test_a_warning_where_few_starts_agree(monkeypatch, reached, carried, warns):
    model = mixture(regression("y ~ x"), n_experts=2, n_init=5).fit(DATA)
    monkeypatch.setattr("mixstat.estimators.model.report.hits", lambda fitted: (reached, carried))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model._warn()
    assert [w.category for w in caught] == [LocalOptimumWarning] * warns


def test_summary(model):
    text = str(model.summary())
    for words in ("Log-likelihood", "Expert 1", "Expert 2", "Gate (multinomial logit", "converged", "sigma (log)"):
        assert words in text
    assert model.summary()._repr_html_().count("<table") == 4


def test_order_of_experts():
    model = mixture(regression("y ~ 1"), n_experts=2).fit(frame(y=np.where(DATA.z > 0, 9.0, -3.0) + DATA.x))
    means = model.tidy().query("parameter == 'mean'")["estimate"].to_numpy()
    assert means[0] < means[1]
