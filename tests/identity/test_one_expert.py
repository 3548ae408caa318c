"""One expert is the regression that statsmodels fits: log-likelihood, estimates, standard errors."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.tools.numdiff import approx_fprime

import mixstat as ms
from tests.identity.simulate import single_frame

TIGHT = {"method": "newton", "maxiter": 200, "tol": 1e-12, "disp": 0}


def design(frame: pd.DataFrame) -> pd.DataFrame:
    return sm.add_constant(frame[["x"]])


def regression(frame: pd.DataFrame, formula: str, family: str, **options) -> tuple[ms.Regression, pd.DataFrame]:
    model = ms.Regression(formula, family=family, verbose=0).fit(frame, **options)
    assert model.converged_, model.status_
    return model, model.tidy()


def assert_same(table: pd.DataFrame, estimate, error, rtol: float) -> None:
    np.testing.assert_allclose(table["estimate"], np.asarray(estimate), rtol=rtol)
    np.testing.assert_allclose(table["std_error"], np.asarray(error), rtol=rtol)


def test_gaussian_is_ordinary_least_squares():
    frame = single_frame("gaussian")
    model, table = regression(frame, "y ~ x", "gaussian")
    peer = sm.OLS(frame["y"], design(frame)).fit()
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    unbiased = np.sqrt(peer.df_resid / peer.nobs)
    assert_same(table[table.parameter == "mean"], peer.params, peer.bse * unbiased, 1e-10)
    sigma = table[table.parameter == "sigma"].iloc[0]
    assert sigma["estimate"] == pytest.approx(np.log(np.sqrt(peer.ssr / peer.nobs)), abs=1e-10)
    assert sigma["std_error"] == pytest.approx(1 / np.sqrt(2 * peer.nobs), rel=1e-10)


def test_weighted_gaussian_is_weighted_least_squares():
    frame = single_frame("gaussian")
    _, table = regression(frame, "y ~ x", "gaussian", sample_weight="w")
    peer = sm.WLS(frame["y"], design(frame), frame["w"]).fit()
    np.testing.assert_allclose(table["estimate"][:2], peer.params, rtol=1e-10)
    scale = frame["w"] @ (frame["y"] - peer.fittedvalues) ** 2 / frame["w"].sum()
    assert table["estimate"][2] == pytest.approx(np.log(scale) / 2, abs=1e-10)


def test_poisson_with_offset():
    frame = single_frame("poisson")
    model, table = regression(frame, "y ~ x + offset(o)", "poisson")
    peer = sm.Poisson(frame["y"], design(frame), offset=frame["o"]).fit(**TIGHT)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    assert_same(table, peer.params, peer.bse, 1e-9)


def test_negative_binomial_nb2():
    frame = single_frame("negative_binomial")
    model, table = regression(frame, "y ~ x", "negative_binomial")
    start = np.append(table["estimate"][:2], np.exp(table["estimate"][2])) * 1.01
    peer = sm.NegativeBinomial(frame["y"], design(frame), loglike_method="nb2").fit(start_params=start, **TIGHT)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-11)
    alpha = peer.params.iloc[2]
    assert_same(table[:2], peer.params[:2], peer.bse[:2], 1e-6)
    assert table["estimate"][2] == pytest.approx(np.log(alpha), abs=1e-6)
    assert table["std_error"][2] == pytest.approx(peer.bse.iloc[2] / alpha, rel=1e-5)


def test_binomial_logit():
    frame = single_frame("binomial").assign(b=lambda f: (f["y"] > f["failures"]).astype(float))
    model, table = regression(frame, "b ~ x", "binomial")
    peer = sm.Logit(frame["b"], design(frame)).fit(**TIGHT)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    assert_same(table, peer.params, peer.bse, 1e-9)


def test_grouped_binomial():
    frame = single_frame("binomial")
    model, table = regression(frame, "cbind(y, failures) ~ x", "binomial")
    peer = sm.GLM(frame[["y", "failures"]], design(frame), family=sm.families.Binomial()).fit(tol=1e-14)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-11)
    assert_same(table, peer.params, peer.bse, 1e-8)


@pytest.mark.parametrize(
    ("family", "peer_family"),
    [("gamma", sm.families.Gamma), ("inverse_gaussian", sm.families.InverseGaussian)],
)
def test_glm_coefficients_with_log_link(family, peer_family):
    """The maximum of the mean's coefficients does not depend on the shape, so a GLM finds the same."""
    frame = single_frame(family)
    _, table = regression(frame, "y ~ x", family)
    peer = sm.GLM(frame["y"], design(frame), family=peer_family(sm.families.links.Log())).fit(tol=1e-14)
    np.testing.assert_allclose(table["estimate"][:2], peer.params, rtol=1e-7)


def test_categorical_is_multinomial_logit():
    frame = single_frame("categorical")
    model, table = regression(frame, "y ~ x", "categorical")
    codes = frame["y"].map({"a": 0, "b": 1, "c": 2})
    peer = sm.MNLogit(codes, design(frame)).fit(**TIGHT)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    wide = table.pivot(index="term", columns="parameter", values=["estimate", "std_error"])
    np.testing.assert_allclose(wide["estimate"].loc[["Intercept", "x"]], peer.params, rtol=1e-8)
    np.testing.assert_allclose(wide["std_error"].loc[["Intercept", "x"]], peer.bse, rtol=1e-8)


def test_lognormal_is_least_squares_of_logarithms():
    frame = single_frame("lognormal")
    model, table = regression(frame, "y ~ x", "lognormal")
    peer = sm.OLS(np.log(frame["y"]), design(frame)).fit()
    np.testing.assert_allclose(table["estimate"][:2], peer.params, rtol=1e-10)
    assert model.log_likelihood_ == pytest.approx(peer.llf - np.log(frame["y"]).sum(), rel=1e-11)


def test_multivariate_gaussian_is_sample_covariance():
    frame = single_frame("multivariate_gaussian")
    _, table = regression(frame, "cbind(y, z) ~ 1", "multivariate_gaussian")
    value = table.set_index("parameter")["estimate"]
    covariance = np.cov(frame[["y", "z"]].T, ddof=0)
    np.testing.assert_allclose(value[["mean[y]", "mean[z]"]], frame[["y", "z"]].mean(), rtol=1e-10)
    slope = covariance[0, 1] / covariance[0, 0]
    assert value["dependence[z,y]"] == pytest.approx(slope, rel=1e-10)
    assert np.exp(2 * value["sigma[y]"]) == pytest.approx(covariance[0, 0], rel=1e-10)
    assert np.exp(2 * value["sigma[z]"]) == pytest.approx(covariance[1, 1] - slope * covariance[0, 1], rel=1e-10)


def test_zero_inflated_poisson_is_a_point_mass_beside_one_expert():
    """The Hessian that statsmodels 0.15 gives here is not the derivative of its score, which is used instead."""
    frame = single_frame("poisson")
    inflated = np.random.default_rng(4).random(len(frame)) < 1 / (1 + np.exp(1 - frame["v"]))
    frame["y"] = np.where(inflated, 0, frame["y"])
    model = ms.MixtureOfExperts(
        ms.Regression("y ~ x", family="poisson"),
        gate="~ v",
        n_experts=1,
        extra=[ms.PointMass(0)],
        n_init=2,
        random_state=1,
        verbose=0,
    ).fit(frame)
    table = model.tidy().sort_values("parameter", kind="stable")
    peer = sm.ZeroInflatedPoisson(frame["y"], design(frame), exog_infl=sm.add_constant(frame[["v"]]))
    result = peer.fit(start_params=table["estimate"] * 1.01, **TIGHT)
    assert model.log_likelihood_ == pytest.approx(result.llf, rel=1e-10)
    np.testing.assert_allclose(table["estimate"], result.params, rtol=1e-6)
    information = -approx_fprime(result.params.to_numpy(), peer.score, centered=True)
    np.testing.assert_allclose(table["std_error"], np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-5)


def test_one_expert_of_a_mixture_is_the_regression():
    frame = single_frame("poisson")
    expert = ms.Regression("y ~ x", family="poisson", verbose=0)
    alone = expert.fit(frame).tidy()
    mixture = ms.MixtureOfExperts(expert, n_experts=1, verbose=0).fit(frame).tidy()
    pd.testing.assert_frame_equal(alone, mixture)


@pytest.mark.parametrize("kind", ["robust", "cluster"])
def test_robust_covariance(kind):
    """White's and the clustered sandwich without small-sample factors."""
    frame = single_frame("poisson").assign(town=lambda f: np.arange(len(f)) % 40)
    model = ms.Regression("y ~ x", family="poisson", cluster="town", verbose=0).fit(frame)
    groups = {"groups": frame["town"], "use_correction": False}
    option = {"cov_type": "HC0"} if kind == "robust" else {"cov_type": "cluster", "cov_kwds": groups}
    peer = sm.GLM(frame["y"], design(frame), family=sm.families.Poisson()).fit(tol=1e-14, **option)
    np.testing.assert_allclose(model.covariance(kind), peer.cov_params(), rtol=1e-7)


def test_robust_covariance_of_least_squares():
    frame = single_frame("gaussian")
    model, _ = regression(frame, "y ~ x", "gaussian")
    peer = sm.OLS(frame["y"], design(frame)).fit(cov_type="HC0")
    np.testing.assert_allclose(model.covariance("robust")[:2, :2], peer.cov_params(), rtol=1e-8)
