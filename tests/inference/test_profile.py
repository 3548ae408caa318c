"""Profile-likelihood intervals against root finding on refits, and where an end does not exist."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2, poisson

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.precision import double
from mixstat.inference.profile import _maximize_on
from tests.inference.conftest import make_frame, make_mixture


def test_profile_of_a_poisson_regression_equals_brute_force():
    data = make_frame(60)
    model = ms.Regression("count ~ x", family="poisson", verbose=0).fit(data)
    y = data["count"].to_numpy()

    def deviance(slope: float) -> float:
        fit = minimize(lambda a: -poisson.logpmf(y, np.exp(a[0] + slope * data.x)).sum(), [0.0], tol=1e-12)
        return 2 * (model.log_likelihood_ + fit.fun) - chi2.ppf(0.95, 1)

    estimate = model.fitted_.theta[1]
    ends = brentq(deviance, estimate - 2, estimate), brentq(deviance, estimate, estimate + 2)
    row = model.profile("1:mean:x").iloc[0]
    assert (row.conf_low, row.conf_high) == pytest.approx(ends, abs=1e-5)


@pytest.mark.parametrize("name", ["1:mean:Intercept", "2:gate:z"])
def test_profile_of_a_mixture_meets_the_level_when_refitted_there(frame, fitted, name):
    row = fitted.profile(name).iloc[0]
    place = fitted.coefficient_names_.index(name)
    direction, problem = fitted.fitted_.jacobian[place], fitted._problem
    theta = fitted.fitted_.solution.theta
    moved = theta + direction / (direction @ direction) * (row.conf_high - row.estimate)
    top = double(_maximize_on)(problem, moved, direction)
    assert direction @ (top.theta - theta) == pytest.approx(row.conf_high - row.estimate, abs=1e-9)
    gap = 2 * (fitted.fitted_.solution.objective - top.objective)
    assert gap == pytest.approx(chi2.ppf(0.95, 1), abs=1e-4)


def test_profile_is_close_to_wald_in_a_large_sample():
    data = make_frame(3000, seed=3)
    model = make_mixture().fit(data)
    table, profile = model.tidy(), model.profile()
    np.testing.assert_allclose(profile.conf_low, table.conf_low, atol=0.15 * table.std_error.max())
    np.testing.assert_allclose(profile.conf_high, table.conf_high, atol=0.15 * table.std_error.max())


def test_an_end_at_infinity_is_infinite():
    """Hardly overdispersed counts: no small dispersion is excluded."""
    model = ms.Regression("count ~ x", family="negative_binomial", verbose=0).fit(make_frame(150, seed=6))
    row = model.profile("1:dispersion:Intercept").iloc[0]
    assert row.conf_low == -np.inf
    assert row.estimate < row.conf_high < 0


def test_profile_errors(frame, fitted):
    with pytest.raises(OptionError, match="expected one of"):
        fitted.profile("slope")
    with pytest.raises(DataError, match="penalty"):
        make_mixture(gate_penalty=0.1).fit(frame).profile()
