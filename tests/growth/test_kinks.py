"""Maxima where a knot meets an observed time: found, certified, and the same from every start."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.fit.kinks import find_kinks
from mixstat.fit.precision import double
from mixstat.inference.information import log_likelihood_at

pytestmark = pytest.mark.slow


def broken_lines(seed: int, n: int = 80) -> pd.DataFrame:
    """Times 0, 1, ..., 8 common to all, and a bend at 4: the likelihood has a kink at the true knot."""
    rng = np.random.default_rng(seed)
    time = np.tile(np.arange(9.0), n)
    level = np.repeat(rng.normal(size=n), 9)
    y = 5 + level + 2 * np.minimum(time, 4) - np.maximum(time - 4, 0) + rng.normal(scale=0.5, size=9 * n)
    return pd.DataFrame({"id": np.repeat(np.arange(n), 9), "time": time, "y": y})


@pytest.fixture(scope="module")
def fits() -> list[ms.GrowthCurve]:
    model = ms.GrowthCurve("y ~ bilinear(time)", unit="id", random="intercept", verbose=0)
    return [ms.GrowthCurve(**model.get_params()).fit(broken_lines(seed)) for seed in range(12)]


@double
def slopes_beside(model: ms.GrowthCurve, step: float) -> tuple[float, float]:
    """Difference quotients of the log-likelihood by the knot, to the left and to the right."""
    problem, theta = model._problem, model.fitted_.solution.theta
    place = int(problem.kinks[0])
    at = log_likelihood_at(problem, theta)
    left, right = theta.copy(), theta.copy()
    left[place] -= step
    right[place] += step
    return (at - log_likelihood_at(problem, left)) / step, (log_likelihood_at(problem, right) - at) / step


def test_every_fit_converges_to_a_maximum(fits):
    for model in fits:
        assert model.converged_, model.status_
        left, right = slopes_beside(model, 1e-4)
        assert left > 0 > right


def test_some_maxima_lie_at_the_kink(fits):
    """The derivative jumps there, so that the slopes on both sides stay away from zero."""
    knots = np.array([model.tidy().query("parameter == 'knot'")["estimate"].item() for model in fits])
    at_kink = np.abs(knots - 4) < 1e-5
    assert at_kink.any()
    assert not at_kink.all()
    for model, kink in zip(fits, at_kink, strict=True):
        left, right = slopes_beside(model, 1e-7)
        assert (min(left, -right) > 1e-2) == kink
        held = double(find_kinks)(model._problem, double(model._problem.evaluate)(model.fitted_.solution.theta)).held
        assert held.any() == kink


def test_all_seeds_end_at_the_same_of_many_close_maxima():
    """Individual times make a kink at every one of them."""
    data = ms.datasets.load_achievement().iloc[:900]
    curve = ms.GrowthCurve("math ~ bilinear(grade)", unit="child", shared="random_covariance + residual_variance")
    values = [
        ms.MixtureOfExperts(curve, n_experts=2, n_init=3, random_state=seed, verbose=0).fit(data).log_likelihood_
        for seed in (0, 1, 2)
    ]
    assert np.ptp(values) < 1e-5


def two_classes(seed: int, n: int = 50) -> pd.DataFrame:
    """Knots 2.5 and 4.5, classes from g, covariate x; times of one's own, a tenth of the responses missing."""
    rng, rows = np.random.default_rng(seed), []
    g, x = rng.normal(size=(2, n))
    root = np.linalg.cholesky(np.array([[4, 0.5, 0.2], [0.5, 0.6, 0.1], [0.2, 0.1, 0.4]]))
    for i in range(n):
        *mean, knot = [(20, 4, 1, 2.5), (24, 2, 3, 4.5)][int(rng.random() < 1 / (1 + np.exp(-0.2 - 0.8 * g[i])))]
        b = np.array(mean) + root @ rng.normal(size=3) + np.array([0.8, 0.3, 0.1]) * x[i]
        t = np.arange(8) + rng.uniform(-0.25, 0.25, 8)
        y = b[0] + b[1] * np.minimum(t, knot) + b[2] * np.maximum(t - knot, 0) + rng.normal(size=8)
        rows.append(pd.DataFrame({"id": i, "t": t, "y": y, "g": g[i], "x": x[i]})[rng.random(8) > 0.1])
    return pd.concat(rows)


@pytest.mark.slow
def test_a_maximum_some_standard_errors_away_is_found():
    """One search comes to a maximum whose knot is another one's; its starts are counted as those of the highest."""
    expert = ms.GrowthCurve("y ~ bilinear(t)", unit="id", between="~ x", covariates="joint")
    ends = []
    for seed in (0, 3):
        model = ms.MixtureOfExperts(expert, gate="~ g", n_experts=2, n_init=4, random_state=seed, verbose=0)
        ends.append(model.fit(two_classes(16)).log_likelihood_)
        best = model.starts_.loc[model.starts_["log_likelihood"].idxmax()]
        assert best["hits"] >= 1
        assert best["log_likelihood"] == pytest.approx(model.log_likelihood_, abs=1e-8)
        assert "reached by 0" not in model.status_
    assert ends[0] == pytest.approx(ends[1], abs=1e-5)
