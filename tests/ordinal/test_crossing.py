"""Crossing: rows of negative probability are reported, sorted, or not there in the first place."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import mixstat as ms
from tests.ordinal.example import FORMULA, table

pytestmark = pytest.mark.slow

RIDGE = {"slopes": "shrunken", "penalty": 0.002, "l1_ratio": 0.0}
UNCONSTRAINED, STUCK = 0.8467305058, 0.8467430956
"""Objectives of the minimum that crosses, and of a program that stops where rows begin to cross."""


def fitted(formula=FORMULA, data=None, **options):
    return ms.OrdinalRegression(formula, verbose=0, **options).fit(table() if data is None else data)


def corners(data, names, count=400):
    """Rows whose covariates are at the ends of their ranges."""
    x = data[names].to_numpy()
    ends = np.random.default_rng(0).random((count, len(names))) < 0.5
    return pd.DataFrame(np.where(ends, x.min(axis=0), x.max(axis=0)), columns=names)


def test_the_unconstrained_fit_counts_and_refuses_crossed_rows():
    with pytest.warns(ms.CrossingWarning, match="3 of 1000 rows"):
        model = fitted(**RIDGE)
    assert model.n_crossed_ == 3
    assert model.objective_ == pytest.approx(UNCONSTRAINED, abs=1e-10)
    with pytest.raises(ms.DataError, match=r"3 of 1000 rows.*cross"):
        model.predict_proba(table())
    with pytest.raises(ms.DataError, match="3 of 1000 rows"):
        model.predict(table(), kind="expert_mean")
    assert len(model.predict(table())) == 1000


def test_rearranging_sorts():
    model = fitted(**RIDGE, crossing="rearrange")
    chances = model.predict_proba(table())
    assert chances.min() >= 0
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
    assert model.n_crossed_ == 3


def test_a_barrier_is_the_minimum_over_the_rows():
    model = fitted(**RIDGE, crossing="barrier")
    assert UNCONSTRAINED < model.objective_ < STUCK
    assert model.predict_proba(table()).min() > 0
    assert model.n_crossed_ == 0
    assert model.kkt_residual_ < 1e-9
    assert model.converged_
    assert "cross nowhere in the rows" in model.status_
    assert model.tidy()["std_error"].isna().all()


def test_a_constraint_holds_in_the_corners_of_the_ranges():
    model = fitted(**RIDGE, crossing="constrain")
    assert model.objective_ > fitted(**RIDGE, crossing="barrier").objective_
    assert model.kkt_residual_ < 1e-9
    names = [f"x{number}" for number in range(1, 11)]
    assert model.predict_proba(corners(table(), names)).min() >= 0
    assert model.predict_proba(table()).min() >= 0


def test_the_constrained_minimum_is_that_of_another_program():
    """Of a ridge, by sequential quadratic programming over the corners of two covariates."""
    data = table()
    model = fitted("y ~ x4 + x6", data, slopes="shrunken", penalty=1e-4, l1_ratio=0.0, crossing="constrain")
    x = data[["x4", "x6"]].to_numpy()
    z, y = (x - x.mean(axis=0)) / x.std(axis=0), data["y"].to_numpy() - 1
    ends = np.array([[a, b] for a in (z[:, 0].min(), z[:, 0].max()) for b in (z[:, 1].min(), z[:, 1].max())])

    def predictors(theta, rows):
        return theta[:3] + rows @ np.cumsum(theta[3:].reshape(3, 2), axis=0).T

    def loss(theta):
        below = 1 / (1 + np.exp(-predictors(theta, z)))
        chances = np.diff(np.column_stack([np.zeros(len(z)), below, np.ones(len(z))]), axis=1)
        own = chances[np.arange(len(z)), y]
        return -np.log(np.maximum(own, 1e-9)).mean() + 0.5e-4 * (theta[3:] ** 2).sum()

    start = np.array([0.0, 3.0, 5.0, *np.zeros(6)])
    held = {"type": "ineq", "fun": lambda theta: np.diff(predictors(theta, ends), axis=1).ravel()}
    found = minimize(loss, start, method="SLSQP", constraints=[held], options={"ftol": 1e-13, "maxiter": 500})
    assert model.objective_ == pytest.approx(found.fun, abs=1e-7)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog", "cauchit"])
@pytest.mark.parametrize("way", ["constrain", "barrier"])
def test_unpenalised_slopes_of_every_link(link, way):
    formula = "y ~ x2 + x4 + x6"
    free = fitted(formula, link=link, slopes="separate", crossing="rearrange")
    model = fitted(formula, link=link, slopes="separate", crossing=way)
    assert free.n_crossed_ > 0
    assert model.predict_proba(table()).min() >= 0
    if way == "constrain":
        assert model.predict_proba(corners(table(), ["x2", "x4", "x6"])).min() >= 0
    assert model.kkt_residual_ < 1e-9
    assert model.log_likelihood_ < free.log_likelihood_
    assert model.log_likelihood_ > free.log_likelihood_ - 1


@pytest.mark.parametrize("slopes", ["shrunken", "separate", "common_and_separate"])
def test_lassos_of_every_form(slopes):
    options = {"slopes": slopes, "penalty": 3e-4}
    free = fitted(**options, crossing="rearrange")
    model = fitted(**options, crossing="constrain")
    names = [f"x{number}" for number in range(1, 11)]
    assert free.n_crossed_ > 0
    assert model.predict_proba(corners(table(), names)).min() >= 0
    assert model.objective_ > free.objective_
    assert slopes != "shrunken" or model.n_parameters_ < 33
    assert model.kkt_residual_ < 1e-9


def test_a_fit_that_need_not_be_held_is_left_alone():
    plain = fitted("y ~ x1 + x4", separate="x4")
    model = fitted("y ~ x1 + x4", separate="x4", crossing="barrier")
    assert model.log_likelihood_ == plain.log_likelihood_
    assert model.tidy()["std_error"].notna().all()
    parallel = fitted("y ~ x1 + x4", crossing="constrain")
    assert parallel.log_likelihood_ == fitted("y ~ x1 + x4").log_likelihood_


def test_a_scale_and_partial_slopes_are_held_too():
    data = table().query("x4 > -0.3")
    model = fitted("y ~ x1 + x4", data, separate="x4", scale="x1", crossing="constrain")
    assert model.predict_proba(corners(data, ["x1", "x4"])).min() >= 0


def test_what_cannot_be_held_is_refused():
    with pytest.raises(ms.OptionError, match="crossing"):
        fitted(crossing="never")
    mixture = ms.MixtureOfExperts(
        ms.OrdinalRegression("y ~ x4", slopes="separate", crossing="constrain"), n_experts=2, n_init=1, verbose=0
    )
    with pytest.raises(ms.OptionError, match="one ordinal regression alone"):
        mixture.fit(table())
