"""Variances at their boundary: the maximum there, by brute force, its errors, and what the status says of it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

import mixstat as ms
from mixstat.families.growth import Growth
from mixstat.families.growth.boundaries import of_random
from mixstat.families.growth.curves import make_curve
from mixstat.families.growth.shown import root_of_entries

CONDITIONAL = "standard errors are conditional on the boundary"


def lines(seed: int, root: np.ndarray, units: int = 80) -> pd.DataFrame:
    """y = 5 + t + b_0 + b_1 t + e at 0, ..., 5, b = root z."""
    rng = np.random.default_rng(seed)
    b = rng.normal(size=(units, root.shape[1])) @ root.T
    i, t = np.repeat(np.arange(units), 6), np.tile(np.arange(6.0), units)
    return pd.DataFrame({"id": i, "t": t, "y": 5 + b[i, 0] + (1 + b[i, 1]) * t + rng.normal(size=len(i))})


def growth(**options: object) -> ms.GrowthCurve:
    return ms.GrowthCurve("y ~ linear(t)", **{"unit": "id", "verbose": 0, **options})


def rank_one_log_likelihood(values: np.ndarray, data: pd.DataFrame) -> float:
    """Psi = v v', values = (intercept, slope, v_0, v_1, log sigma)."""
    t = data["t"].to_numpy()[:6]
    residual = data["y"].to_numpy().reshape(-1, 6) - values[0] - values[1] * t
    loading = values[2] + values[3] * t
    covariance = np.outer(loading, loading) + np.exp(2 * values[4]) * np.eye(6)
    quadratic = np.einsum("ij,ji->", residual @ np.linalg.inv(covariance), residual.T)
    return -0.5 * (len(residual) * np.linalg.slogdet(2 * np.pi * covariance)[1] + quadratic)


def test_a_singular_covariance_is_a_maximum_of_its_own():
    """Of a covariance of rank one, at which standard errors are those of that model."""
    data = lines(4, np.array([[1.0], [0.4]]))
    model = growth().fit(data)
    assert model.status_.startswith(
        "converged: a maximum with positive definite information; boundary: the covariance of intercept and slope is "
        f"singular; {CONDITIONAL}"
    )
    found = minimize(lambda v: -rank_one_log_likelihood(v, data), [5, 1, 1, 0.4, 0], method="BFGS", tol=1e-8)
    assert model.log_likelihood_ == pytest.approx(-found.fun, abs=1e-6)
    step, size = 1e-4, 5
    hessian = np.zeros((size, size))
    for j, k in product(range(size), repeat=2):
        a, b = np.eye(size)[[j, k]] * step
        four = [rank_one_log_likelihood(found.x + s * a + u * b, data) * s * u for s, u in product((1, -1), repeat=2)]
        hessian[j, k] = sum(four) / (4 * step**2)
    covariance = np.linalg.inv(-hessian)
    v, b = found.x, model.tidy().set_index(["parameter", "term"])
    assert_allclose(b.loc[["intercept", "slope"], "std_error"], np.sqrt(np.diag(covariance)[:2]), rtol=1e-4)
    slopes = {"intercept": [2 * v[2], 0], "slope,intercept": [v[3], v[2]], "slope": [0, 2 * v[3]]}
    for name, slope in slopes.items():
        error = np.sqrt(np.array(slope) @ covariance[2:4, 2:4] @ slope)
        assert b.loc[("random_covariance", name), "std_error"] == pytest.approx(error, rel=1e-3)
    assert model.bootstrap(3, random_state=0).converged.all()


def test_a_variance_of_zero_is_the_model_without_it():
    """Subjects that differ less than chance has it."""
    data = lines(1, np.zeros((2, 1)))
    data["y"] -= data.groupby("id")["y"].transform("mean") - data["y"].mean()
    model = growth(random="intercept").fit(data)
    plain = growth(random="none").fit(data)
    assert f"boundary: the variance of intercept is 0; {CONDITIONAL}" in model.status_
    assert model.converged_
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-6)
    a, b = (m.tidy().set_index(["parameter", "term"]) for m in (model, plain))
    assert_allclose(a.loc[b.index, "std_error"], b["std_error"], rtol=1e-6)


def test_what_the_data_inform_is_not_held():
    assert "boundary" not in growth().fit(lines(0, np.array([[1.0, 0.0], [0.0, 0.4]]))).status_


def test_part_of_the_residuals():
    """An autoregressive process that is seen without measurement error, by its dense likelihood."""
    noise = np.random.default_rng(5).normal(size=(80, 6))
    for j in range(1, 6):
        noise[:, j] = 0.8 * noise[:, j - 1] + 0.6 * noise[:, j]
    data = lines(2, np.zeros((2, 1)))
    data["y"] = 5 + data["t"] + noise.ravel()
    model = growth(random="none", residual="ar1").fit(data)
    assert f"boundary: residual_variance is 0; {CONDITIONAL}" in model.status_
    assert "residual_variance" not in set(model.tidy()["parameter"])
    t, y = np.arange(6.0), data["y"].to_numpy().reshape(-1, 6)

    def loss(values: np.ndarray) -> float:
        covariance = np.exp(2 * values[2] - np.exp(values[3]) * np.abs(t[:, None] - t))
        residual = y - values[0] - values[1] * t
        quadratic = np.einsum("ij,jk,ik->", residual, np.linalg.inv(covariance), residual)
        return 0.5 * (len(y) * np.linalg.slogdet(2 * np.pi * covariance)[1] + quadratic)

    found = minimize(loss, [5, 1, 0, -1.5], method="BFGS", tol=1e-8)
    assert model.log_likelihood_ == pytest.approx(-found.fun, abs=1e-6)
    estimate = model.tidy().set_index("parameter")["estimate"]
    assert_allclose(estimate[["ar_sd", "ar_rate"]], np.exp(found.x[2:]), rtol=1e-5)


@pytest.mark.parametrize("n_experts", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_small_classes_of_a_mixture(n_experts):
    """Nine subjects of 600 lie far above: their covariance is singular, and the status names their class."""
    data = lines(0, np.array([[1.0, 0.0], [0.0, 0.3]]), 600)
    data.loc[data["id"] < 9, "y"] += 15
    model = ms.MixtureOfExperts(growth(), n_experts=n_experts, n_init=4, random_state=1, verbose=0).fit(data)
    assert model.converged_
    assert "boundary: the covariance of intercept and slope is singular (expert 2)" in model.status_ or n_experts > 2
    assert model.status_.count(CONDITIONAL) == 1
    assert "not converged" not in model.status_


GROUPS = (("intercept", "slope2"), ("slope1",))


@pytest.mark.parametrize("options", [{}, {"proportional": True}, {"blocks": GROUPS}, {"blocks": ()}], ids=str)
def test_limits_are_covariances_without_a_pivot(options):
    family = Growth(make_curve("bilinear"), random=("intercept", "slope1", "slope2"), **options)
    eta, form = np.random.default_rng(0).normal(size=len(family.parameters)), family.covariance_form
    entries = list(family.entries)
    limits = list(of_random(family, eta))
    assert [family.entries[form.pairs.index((j, j))] for j in range(3)] == [limit.held[0] for limit in limits]
    for pivot, limit in enumerate(limits):
        root = root_of_entries(form, eta[entries])
        if pivot or not family.proportional:
            root[pivot, pivot] = 0.0
        else:
            root[:] = 0.0
        there = root_of_entries(form, limit.eta[entries])
        assert_allclose(there @ there.T, root @ root.T, atol=1e-6)
        others = np.setdiff1d(np.arange(len(eta)), entries)
        assert_allclose(limit.eta[others], eta[others])
