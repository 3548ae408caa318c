"""One expert has the margins of statsmodels: overall and at means, steps of dummies, elasticities."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mixstat as ms

TIGHT = {"method": "newton", "maxiter": 200, "tol": 1e-13, "disp": 0}
SIZE = 150


def draw() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"x": rng.normal(1.0, 1.0, SIZE), "z": rng.uniform(0.5, 2.0, SIZE)})
    frame["d"] = (rng.random(SIZE) < 0.4).astype(float)
    eta = 0.3 + 0.4 * frame.x - 0.5 * frame.z + 0.6 * frame.d
    frame["n"] = rng.poisson(np.exp(eta))
    frame["b"] = (rng.random(SIZE) < 1 / (1 + np.exp(-eta))).astype(float)
    frame["k"] = np.where(rng.random(SIZE) < 0.3, "a", np.where(eta + rng.logistic(size=SIZE) > 0, "b", "c"))
    frame["y"] = eta + rng.normal(size=SIZE)
    return frame


FRAME = draw()
NAMES = ["x", "z", "d"]
DESIGN = sm.add_constant(FRAME[NAMES])
PEERS = {
    "n": ("poisson", lambda: sm.Poisson(FRAME.n, DESIGN).fit(**TIGHT)),
    "b": ("binomial", lambda: sm.Logit(FRAME.b, DESIGN).fit(**TIGHT)),
    "k": ("categorical", lambda: sm.MNLogit(FRAME.k.map({"a": 0, "b": 1, "c": 2}), DESIGN).fit(**TIGHT)),
}


@cache
def model_of(response: str) -> ms.Regression:
    return ms.Regression(f"{response} ~ x + z + d", family=PEERS[response][0], verbose=0).fit(FRAME)


def assert_same(table: pd.DataFrame, peer) -> None:
    """`peer` has a row a covariate and a column a category, as the table in order."""
    np.testing.assert_allclose(table["estimate"], peer.margeff.ravel(), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(table["std_error"], np.ravel(peer.margeff_se), rtol=1e-6)
    low, high = np.asarray(peer.conf_int()).reshape(-1, 2).T if peer.margeff.ndim == 1 else (None, None)
    if low is not None:
        np.testing.assert_allclose(table[["conf_low", "conf_high"]], np.column_stack([low, high]), rtol=1e-6)
        np.testing.assert_allclose(table["p_value"], peer.pvalues, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("response", PEERS)
def test_overall(response):
    model, result = model_of(response), PEERS[response][1]()
    assert_same(model.marginal_effects(FRAME, discrete=()), result.get_margeff(at="overall"))


@pytest.mark.parametrize("response", ["n", "b"])
def test_steps_of_dummies(response):
    model, result = model_of(response), PEERS[response][1]()
    steps = model.marginal_effects(FRAME)
    assert_same(steps, result.get_margeff(at="overall", dummy=True))
    assert list(steps["contrast"]) == ["dY/dx", "dY/dx", "1 - 0"]


def test_steps_of_dummies_of_categories():
    """statsmodels 0.15 gives the errors only where there are as many columns as categories."""
    model = ms.Regression("k ~ x + d", family="categorical", verbose=0).fit(FRAME)
    result = sm.MNLogit(FRAME.k.map({"a": 0, "b": 1, "c": 2}), DESIGN[["const", "x", "d"]]).fit(**TIGHT)
    assert_same(model.marginal_effects(FRAME), result.get_margeff(at="overall", dummy=True))


@pytest.mark.parametrize("response", PEERS)
def test_at_means(response):
    model, result = model_of(response), PEERS[response][1]()
    means = FRAME[NAMES].mean().to_frame().T
    assert_same(model.marginal_effects(means, discrete=()), result.get_margeff(at="mean"))
    if response != "k":
        assert_same(model.marginal_effects(means, discrete=["d"]), result.get_margeff(at="mean", dummy=True))


@pytest.mark.parametrize("elasticity", ["eyex", "dyex", "eydx"])
@pytest.mark.parametrize("response", ["n", "b"])
def test_elasticities(response, elasticity):
    model, result = model_of(response), PEERS[response][1]()
    table = model.marginal_effects(FRAME, ["x", "z"], elasticity=elasticity)
    peer = result.get_margeff(at="overall", method=elasticity)
    np.testing.assert_allclose(table["estimate"], peer.margeff[:2], rtol=1e-7)
    np.testing.assert_allclose(table["std_error"], peer.margeff_se[:2], rtol=1e-6)


def test_generalised_linear_model():
    model = model_of("n")
    peer = sm.GLM(FRAME.n, DESIGN, family=sm.families.Poisson()).fit(tol=1e-14).get_margeff(dummy=True)
    assert_same(model.marginal_effects(FRAME), peer)


def test_least_squares_have_their_coefficients_as_slopes():
    model = ms.Regression("y ~ x + z + d", verbose=0).fit(FRAME)
    peer = sm.OLS(FRAME.y, DESIGN).fit()
    unbiased = np.sqrt(peer.df_resid / peer.nobs)
    for by in (True, None):
        table = model.marginal_effects(FRAME, by=by).drop_duplicates("term")
        np.testing.assert_allclose(table["estimate"], peer.params[NAMES], rtol=1e-9)
        np.testing.assert_allclose(table["std_error"], peer.bse[NAMES] * unbiased, rtol=1e-9)
    line = model.predictions(FRAME)
    frame = peer.get_prediction(DESIGN).summary_frame()
    np.testing.assert_allclose(line["estimate"], frame["mean"], rtol=1e-9)
    np.testing.assert_allclose(line["std_error"], frame["mean_se"] * unbiased, rtol=1e-9)


def test_robust_predictions_and_their_link():
    model = model_of("b")
    peer = sm.GLM(FRAME.b, DESIGN, family=sm.families.Binomial()).fit(tol=1e-14, cov_type="HC0")
    table = model.predictions(FRAME, covariance="robust", transform="logit", level=0.9)
    frame = peer.get_prediction(DESIGN).summary_frame(alpha=0.1)
    np.testing.assert_allclose(table["estimate"], frame["mean"], rtol=1e-8)
    np.testing.assert_allclose(table["std_error"], frame["mean_se"], rtol=1e-6)
    np.testing.assert_allclose(table["conf_low"], frame["mean_ci_lower"], rtol=1e-6)
    np.testing.assert_allclose(table["conf_high"], frame["mean_ci_upper"], rtol=1e-6)


def test_log_intervals_are_those_of_the_linear_predictor():
    table = model_of("n").predictions(FRAME, transform="log")
    frame = PEERS["n"][1]().get_prediction(DESIGN).summary_frame()
    np.testing.assert_allclose(table["std_error"], frame["se"], rtol=1e-6)
    linear = sm.GLM(FRAME.n, DESIGN, family=sm.families.Poisson()).fit(tol=1e-14).get_prediction(DESIGN)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]], linear.conf_int(), rtol=1e-6)


def test_arrays():
    """A model of arrays takes arrays."""
    values = FRAME[NAMES].to_numpy()
    model = ms.Regression(family="poisson", verbose=0).fit(values, FRAME["n"].to_numpy())
    table = model.marginal_effects(values)
    assert list(table["term"]) == ["x0", "x1", "x2"]
    np.testing.assert_allclose(table["estimate"], model_of("n").marginal_effects(FRAME)["estimate"], rtol=1e-6)
    pd.testing.assert_frame_equal(model.marginal_effects(), table)
