"""Intervals of the bootstrap: Efron's formula, SciPy's on the same draws, and what happens where there are none."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mixstat as ms
from mixstat.estimators.model.report import to_user_coefficients
from mixstat.exceptions import OptionError
from mixstat.inference.bootstrap import bootstrap
from mixstat.inference.bootstrap_intervals import accelerations, corrected, ends
from tests.inference.conftest import make_frame, make_mixture

LOW, HIGH = stats.norm.ppf([0.025, 0.975])
Z = np.array([[LOW], [HIGH]])


@pytest.fixture(scope="module")
def skewed() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"y": rng.gamma(2.0, size=80), "g": np.repeat(np.arange(20), 4), "w": rng.uniform(1, 2, 80)})


@pytest.fixture(scope="module")
def draws(skewed):
    return ms.Regression("y ~ 1", verbose=0).fit(skewed).bootstrap(399, random_state=0)


def skewness_sixth(u: np.ndarray) -> float:
    return float((u**3).sum() / (6 * (u**2).sum() ** 1.5))


def below(draws) -> np.ndarray:
    return 0.5 * ((draws.theta < draws.estimate).mean(axis=0) + (draws.theta <= draws.estimate).mean(axis=0))


def scipys(sample: np.ndarray, statistic, values: np.ndarray) -> tuple[float, float]:
    """SciPy's interval from the draws given; its acceleration is the jackknife's, its quantiles numpy's default."""
    known = SimpleNamespace(bootstrap_distribution=values)
    found = stats.bootstrap((sample,), statistic, n_resamples=0, bootstrap_result=known, method="BCa")
    return found.confidence_interval.low, found.confidence_interval.high


def test_scipy_has_the_same_interval(draws, skewed):
    """For the mean the jackknife's acceleration is the analytic one; for log sigma they differ in the order of 1/n."""
    assert [label.name for label in draws.labels] == ["1:mean:Intercept", "1:sigma:Intercept"]
    at = corrected(stats.norm.ppf(below(draws)), draws.acceleration, Z)
    mean, log_sigma = (np.quantile(draws.theta[:, j], at[:, j]) for j in (0, 1))
    y = skewed.y.to_numpy()
    np.testing.assert_allclose(mean, scipys(y, np.mean, draws.theta[:, 0]), rtol=1e-8)
    theirs = scipys(y, lambda v, axis=-1: np.log(np.std(v, axis=axis)), draws.theta[:, 1])
    np.testing.assert_allclose(log_sigma, theirs, atol=0.03 * np.ptp(theirs))


def test_efrons_formula_step_by_step(draws):
    """Equations 14.9 to 14.14 of Efron and Tibshirani (1993), the quantile p as the (B + 1) p-th smallest draw."""
    table = draws.tidy()
    for j, row in table.iterrows():
        ordered, z0 = np.sort(draws.theta[:, j]), stats.norm.ppf(below(draws)[j])
        for z, end in ((LOW, row.conf_low), (HIGH, row.conf_high)):
            p = stats.norm.cdf(z0 + (z0 + z) / (1 - draws.acceleration[j] * (z0 + z)))
            whole, part = divmod(400 * p, 1)
            expected = (1 - part) * ordered[int(whole) - 1] + part * ordered[int(whole)]
            assert end == pytest.approx(expected, rel=1e-10)


def test_it_is_the_default_and_moves_log_sigma_up(draws):
    """Draws of log sigma lie below the estimate, which lies below the truth."""
    pd.testing.assert_frame_equal(draws.tidy(), draws.tidy(interval="bca"))
    bca, percentile = draws.tidy().iloc[1], draws.tidy(interval="percentile").iloc[1]
    assert percentile["bias"] < 0
    assert bca["conf_low"] > percentile["conf_low"]
    assert bca["conf_high"] > percentile["conf_high"]


def test_thirty_nine_draws_have_their_extremes(skewed):
    draws = ms.Regression("y ~ 1", verbose=0).fit(skewed).bootstrap(39, random_state=1)
    table = draws.tidy(interval="percentile")
    np.testing.assert_allclose(table["conf_low"], draws.theta.min(axis=0))
    np.testing.assert_allclose(table["conf_high"], draws.theta.max(axis=0))


@pytest.mark.parametrize(("weight", "cluster"), [(None, None), ("w", None), (None, "g"), ("w", "g")])
def test_acceleration_in_closed_form(skewed, weight, cluster):
    """A weighted mean moves by w (y - mean), log sigma by w ((y - mean)^2 / sigma^2 - 1) / 2, summed in clusters."""
    model = ms.Regression("y ~ 1", cluster=cluster, verbose=0).fit(skewed, sample_weight=weight)
    w = skewed.w if weight else np.ones(80)
    residual = skewed.y - np.average(skewed.y, weights=w)
    moves = [w * residual, w * (residual**2 / np.average(residual**2, weights=w) - 1)]
    group = skewed.g if cluster else np.arange(80)
    expected = [skewness_sixth(move.groupby(group).sum()) for move in map(pd.Series, moves)]
    np.testing.assert_allclose(model.bootstrap(2, random_state=0).acceleration, expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"expert": ms.Regression("y ~ x", shared=["sigma"])}])
def test_acceleration_by_differences(options):
    """A mixture refitted with a little more and a little less of each unit in turn, on the user's scale."""
    units, step = 100, 0.02
    frame = make_frame(units, seed=2).assign(x=lambda d: 3 + 2 * d.x, z=lambda d: 5 * d.z - 1)
    model = make_mixture(**options).fit(frame)
    changes = np.concatenate([step * np.eye(units), -step * np.eye(units)])
    theta = bootstrap(model._problem, model.fitted_.solution.theta, iter(1 + changes), 2 * units).theta
    more, less = np.split(to_user_coefficients(model.fitted_, theta), 2)
    expected = [skewness_sixth(column) for column in ((more - less) / (2 * step)).T]
    np.testing.assert_allclose(model.bootstrap(2, random_state=0).acceleration, expected, rtol=0.01, atol=1e-4)


def test_no_influence_is_no_acceleration():
    influence = np.array([[1.0, -1.0, 3.0], [0.0, 0.0, 0.0], [np.nan, np.nan, np.nan]])
    found = accelerations(influence)
    assert found[0] == pytest.approx(27 / (6 * 11**1.5))
    np.testing.assert_array_equal(found[1:], 0.0)


def test_draws_that_do_not_vary_are_their_interval():
    found = ends("bca", np.full((19, 1), 2.0), np.array([2.0]), acceleration=np.zeros(1), level=0.9)
    np.testing.assert_array_equal(found.ravel(), [2.0, 2.0])


def test_beyond_the_pole_stands_the_last_draw():
    """1 - c (z0 + z) <= 0 at the upper end alone, then at the lower."""
    upper, lower = corrected(np.array([1.0, -1.0]), np.array([0.5, -0.5]), Z).T
    assert upper[1] == 1.0
    assert lower[0] == 0.0
    assert upper[0] == pytest.approx(stats.norm.cdf(1 + (1 + LOW) / (1 - 0.5 * (1 + LOW))))
    assert lower[1] == pytest.approx(1 - upper[0])


def test_draws_on_one_side_have_no_interval_and_say_so(skewed):
    draws = ms.Regression("y ~ 1", verbose=0).fit(skewed).bootstrap(19, random_state=0)
    draws.theta[:, 0] = draws.estimate[0] + np.arange(1, 20)
    with pytest.warns(UserWarning, match=r"no bca interval, for: 1:mean:Intercept; draw more"):
        table = draws.tidy(0.9)
    assert table[["conf_low", "conf_high"]].isna().to_numpy().tolist() == [[True, True], [False, False]]
    assert draws.tidy(0.9, "percentile")["conf_low"].notna().all()


def test_a_coefficient_at_zero_by_a_lasso():
    """Draws that are zero too count half as below, so that its interval holds zero."""
    model = ms.Regression("y ~ x + u", penalty=0.05, l1_ratio=1.0, verbose=0).fit(make_frame(200))
    draws = model.bootstrap(99, random_state=0)
    place = model.coefficient_names_.index("1:mean:u")
    assert draws.estimate[place] == 0
    assert 0 < (draws.theta[:, place] == 0).mean() < 1
    row = draws.tidy().iloc[place]
    assert row.conf_low <= 0 <= row.conf_high
    assert row.conf_low < row.conf_high


def test_exponential_weights_have_percentiles(skewed):
    draws = ms.Regression("y ~ 1", verbose=0).fit(skewed).bootstrap(19, weights="exponential", random_state=0)
    pd.testing.assert_frame_equal(draws.tidy(0.9), draws.tidy(0.9, "percentile"))
    with pytest.raises(OptionError, match="interval='bca' needs weights='multinomial'"):
        draws.tidy(interval="bca")
