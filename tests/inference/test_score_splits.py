"""Instability tests, cuts and trees: null distribution, hand computations, power, refits by least squares."""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import gamma, gammainc
from scipy.stats import chi2, kstest

import mixstat as ms
from mixstat.inference.score_splits import (
    Covariate,
    best_split,
    chi_square_log_p,
    instability,
    make_node,
    maximum_log_p,
)
from mixstat.inference.score_trees import (
    Branch,
    Leaf,
    Options,
    Work,
    _drawn,
    covariates_of,
    grow_trees,
    leaf_numbers,
    leaves_of,
    mean_parameters,
    portable,
    root_tests,
)

FULL = Options(2, 40, None, 1.0, "subsample", 0.632)


def ols(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Unit scores and information of (intercept, slope, log sigma), and the log-likelihood."""
    design = np.column_stack([np.ones(len(y)), x])
    error = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    variance = np.mean(error**2)
    scores = np.column_stack([design * (error / variance)[:, None], error**2 / variance - 1])
    information = np.zeros((3, 3))
    information[:2, :2], information[2, 2] = design.T @ design / variance, 2 * len(y)
    return scores, information, -0.5 * len(y) * (np.log(2 * np.pi * variance) + 1)


def node_of(x, y, weight=None):
    scores, information, _ = ols(x, y)
    weight = np.ones(len(y)) if weight is None else weight
    return make_node(scores * weight[:, None], weight, information)


def covariates(rng: np.random.Generator, n: int) -> dict[str, Covariate]:
    return {
        "numbers": Covariate(rng.normal(size=n), "number"),
        "few numbers": Covariate(rng.integers(0, 6, n).astype(float), "number"),
        "ordered": Covariate(rng.integers(0, 4, n).astype(float), "ordered", 4),
        "levels": Covariate(rng.integers(0, 4, n).astype(float), "level", 4),
        "flag": Covariate(rng.integers(0, 2, n).astype(float), "level", 2),
    }


def test_p_values_are_uniform_and_comparable_without_an_effect():
    rng, found = np.random.default_rng(5), {}
    for _ in range(300):
        x, y = rng.normal(size=(2, 250))
        node = node_of(x, y)
        for name, covariate in covariates(rng, 250).items():
            found.setdefault(name, []).append(np.exp(instability(node, covariate, 20).log_p))
    for name, values in found.items():
        assert kstest(values, "uniform").pvalue > 0.01, name
        assert 0.01 < np.mean(np.array(values) < 0.05) < 0.09, name


def test_weights_keep_the_null_distribution():
    """Scores weighed unequally: time runs with the squared weights."""
    rng, found = np.random.default_rng(6), []
    for _ in range(300):
        x, y = rng.normal(size=(2, 400))
        weight = rng.exponential(size=400)
        root = np.sqrt(weight)
        design = np.column_stack([np.ones(400), x])
        error = y - design @ np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        node = make_node(design * (weight * error)[:, None], weight, design.T @ (design * weight[:, None]))
        found.append(np.exp(instability(node, Covariate(rng.normal(size=400), "number"), 20).log_p))
    assert kstest(found, "uniform").pvalue > 0.01


def test_statistics_by_hand():
    rng = np.random.default_rng(1)
    x, y, weight = rng.normal(size=120), rng.normal(size=120), rng.uniform(0.5, 2, 120)
    scores = ols(x, y)[0] * weight[:, None]
    scores -= weight[:, None] ** 2 * scores.sum(axis=0) / (weight**2).sum()
    node = make_node(scores, weight, np.eye(3))
    inverse, share = np.linalg.inv(scores.T @ scores), weight**2 / (weight**2).sum()
    codes = rng.integers(0, 3, 120)
    sums = [scores[codes == g].sum(axis=0) for g in range(3)]
    expected = sum(s @ inverse @ s / share[codes == g].sum() for g, s in enumerate(sums))
    found = instability(node, Covariate(codes.astype(float), "level", 3), 1)
    assert found.statistic == pytest.approx(expected)
    assert (found.df, found.log_p) == (6, pytest.approx(chi2.logsf(expected, 6)))
    z, largest = rng.integers(0, 30, 120).astype(float), 0.0
    for cut in range(29):
        left = z <= cut
        t = share[left].sum()
        if 0.1 <= t <= 0.9 and min(left.sum(), (~left).sum()) >= 15:
            s = scores[left].sum(axis=0)
            largest = max(largest, s @ inverse @ s / (t * (1 - t)))
    assert instability(node, Covariate(z, "number"), 15).statistic == pytest.approx(largest)


def test_a_flag_is_the_same_as_number_and_as_levels():
    rng = np.random.default_rng(2)
    node = node_of(*rng.normal(size=(2, 200)))
    flag = rng.integers(0, 2, 200).astype(float)
    first, second = (instability(node, Covariate(flag, kind, 2), 10) for kind in ("number", "level"))
    np.testing.assert_allclose(first, second)
    assert instability(node, Covariate(np.zeros(200), "number"), 1) is None
    assert instability(node, Covariate(np.zeros(200), "level", 2), 1) is None


def tail(x: float, df: int, trim: float) -> float:
    """DeLong's (1981) expansion of the upper tail of the maximum over [trim, 1 - trim]."""
    span = np.log(((1 - trim) / trim) ** 2)
    return x ** (df / 2) * np.exp(-x / 2) / (2 ** (df / 2) * gamma(df / 2)) * (span * (1 - df / x) + 2 / x)


@pytest.mark.parametrize("df", [1, 3, 8])
@pytest.mark.parametrize("level", [0.05, 0.01, 1e-4, 1e-8])
def test_p_values_of_the_maximum_against_an_expansion(df, level):
    share = np.linspace(0.1, 0.9, 20_001)
    grid = np.linspace(df, df + 90, 20_000)
    x = float(grid[grid > 2 * df][np.argmin(np.abs(tail(grid[grid > 2 * df], df, 0.1) - level))])
    assert np.exp(maximum_log_p(x, share, df)) == pytest.approx(level, rel=0.15 if level >= 0.01 else 0.6)


def test_p_values_against_andrews_table():
    """Corrected 5% points for 15% trimming: Andrews (2003), Econometrica 71."""
    for df, point in ((1, 8.68), (2, 11.72)):
        assert np.exp(maximum_log_p(point, np.linspace(0.15, 0.85, 5000), df)) == pytest.approx(0.05, abs=0.006)


def test_p_values_of_two_cuts_by_simulation():
    rng, t = np.random.default_rng(3), np.array([0.3, 0.6])
    left, middle, right = rng.normal(size=(3, 200_000, 2)) * np.sqrt([0.3, 0.3, 0.4])[:, None, None]
    end = left + middle + right
    paths = [left - t[0] * end, left + middle - t[1] * end]
    top = np.max([(p**2).sum(axis=1) / (s * (1 - s)) for p, s in zip(paths, t, strict=True)], axis=0)
    for x in (4.0, 8.0):
        assert np.exp(maximum_log_p(x, t, 2)) == pytest.approx(np.mean(top >= x), rel=0.1)


def test_log_p_values_beyond_the_smallest_number():
    """Even degrees of freedom: P = exp(-x/2) sum_j (x/2)^j / j!."""
    exact = -2500 + np.log(1 + 2500.0)
    assert chi_square_log_p(5000.0, 4) == pytest.approx(exact, rel=1e-6)
    assert chi_square_log_p(10.0, 4) == pytest.approx(np.log(1 - gammainc(2, 5)))
    values = [maximum_log_p(x, np.linspace(0.1, 0.9, 50), 3) for x in np.linspace(0, 3000, 400)]
    assert (np.diff(values) <= 0).all()


def test_the_cut_where_a_slope_changes():
    rng = np.random.default_rng(4)
    x, z, noise = rng.normal(size=(3, 400))
    y = np.where(z > 0.3, 0.5, -0.5) * x + noise
    node, covariate = node_of(x, y), Covariate(z, "number")
    assert instability(node, covariate, 40).log_p < np.log(1e-8)
    split = best_split(node, covariate, 40)
    assert split.threshold == pytest.approx(0.3, abs=0.1)
    left = split.goes_left(z)
    gain = ols(x[left], y[left])[2] + ols(x[~left], y[~left])[2] - ols(x, y)[2]
    assert split.gain == pytest.approx(gain, rel=0.15)


def test_cuts_leave_enough_units_and_separate_neighbours():
    rng = np.random.default_rng(7)
    x, z = rng.normal(size=(2, 100))
    y = np.where(z > np.sort(z)[95], 5, 0) + rng.normal(size=100)
    split = best_split(node_of(x, y), Covariate(z, "number"), 20)
    assert 20 <= split.goes_left(z).sum() <= 80
    assert best_split(node_of(x, y), Covariate(z, "number"), 51) is None
    close = np.where(z > 0, np.nextafter(1.0, 2.0), 1.0)
    np.testing.assert_array_equal(best_split(node_of(x, y), Covariate(close, "number"), 5).goes_left(close), close == 1)


@pytest.mark.parametrize("levels", [5, 14])
def test_levels_are_parted_by_their_coefficients(levels):
    rng = np.random.default_rng(8)
    x, codes = rng.normal(size=900), rng.integers(0, levels, 900)
    high = rng.permutation(levels) < levels // 2
    y = np.where(high[codes], 1.0, -1.0) * x + rng.normal(size=900)
    split = best_split(node_of(x, y), Covariate(codes.astype(float), "level", levels), 40)
    assert np.array_equal(split.left, high) or np.array_equal(split.left, ~high)


def test_unseen_levels_go_with_the_larger_part():
    rng = np.random.default_rng(9)
    x, codes = rng.normal(size=300), np.repeat([0, 2], [100, 200])
    y = np.where(codes == 0, 1.0, -1.0) * x + rng.normal(size=300)
    left = best_split(node_of(x, y), Covariate(codes.astype(float), "level", 3), 40).left
    assert left[1] == left[2] != left[0]


@pytest.fixture(scope="module")
def work() -> tuple[Work, pd.DataFrame, ms.Regression]:
    rng = np.random.default_rng(10)
    data = pd.DataFrame({name: rng.normal(size=900) for name in "xabc"})
    data["y"] = 1 + np.where(data.a > 0.4, 1, -1) * data.x + rng.normal(size=900)
    model = ms.Regression("y ~ x", verbose=0).fit(data)
    columns = tuple(Covariate(data[name].to_numpy(), "number") for name in "abc")
    theta, weight = model.fitted_.solution.theta, model.fitted_.sample.weight
    return Work(portable(model._problem), theta, weight, columns, FULL, 3), data, model


def test_scores_of_a_fit_are_those_by_hand(work):
    given, data, model = work
    node = node_of(data.x.to_numpy(), data.y.to_numpy())
    tests = root_tests(model._problem, given.theta, given.covariates)
    for found, covariate in zip(tests, given.covariates, strict=True):
        np.testing.assert_allclose(found, instability(node, covariate, 1), rtol=1e-6)


def test_a_stump_by_least_squares(work):
    """One split: the leaves' estimates, and the mean drop over all permutations of who goes where."""
    given, data, model = work
    options = FULL._replace(max_depth=1, mtry=3)
    [grown] = grow_trees(given._replace(options=options), [0])
    rng = np.random.default_rng(np.random.SeedSequence(given.seed, spawn_key=(0,)))
    seen = _drawn(rng, np.arange(900), 900, options) > 0
    assert isinstance(grown.tree, Branch)
    assert grown.tree.split.threshold == pytest.approx(0.4, abs=0.1)
    left, density = data.a.to_numpy() <= grown.tree.split.threshold, []
    for side, leaf in ((left, grown.tree.left), (~left, grown.tree.right)):
        part = data[seen & side]
        slope, intercept = np.polyfit(part.x, part.y, 1)
        sigma = np.std(part.y - intercept - slope * part.x)
        user = model.fitted_.jacobian @ leaf.theta
        np.testing.assert_allclose(user, [intercept, slope, np.log(sigma)], atol=1e-5)
        error = (data.y - intercept - slope * data.x) / sigma
        density.append((-0.5 * error**2 - np.log(sigma))[~seen].to_numpy())
    right = ~left[~seen]
    own = np.where(right, density[1], density[0])
    shuffled = right.mean() * density[1] + (1 - right.mean()) * density[0]
    assert grown.importance[0] == pytest.approx(np.mean(own - shuffled), rel=0.15)
    assert grown.used.tolist() == [True, False, False]
    assert (grown.importance[1:] == 0).all()


def test_trees_obey_their_options(work):
    given, _, _ = work
    values = [c.values for c in given.covariates]
    for options in (FULL, FULL._replace(sampling="bootstrap", mtry=1), FULL._replace(max_depth=2, min_units=60)):
        for number, grown in enumerate(grow_trees(given._replace(options=options), range(2))):
            rng = np.random.default_rng(np.random.SeedSequence(given.seed, spawn_key=(number,)))
            counts = _drawn(rng, np.arange(900), 900, options)
            numbers = leaf_numbers(grown.tree, values)
            assert (np.bincount(numbers[counts > 0]) >= options.min_units).all()
            assert [leaf.number for leaf in leaves_of(grown.tree)] == list(range(numbers.max() + 1))
            assert set(np.flatnonzero(grown.used)) == covariates_of(grown.tree)
            assert options.max_depth is None or numbers.max() < 2**options.max_depth
    [still] = grow_trees(given._replace(options=FULL._replace(alpha=1e-12), covariates=given.covariates[1:]), [0])
    assert isinstance(still.tree, Leaf)
    assert (still.importance == 0).all()


def test_trees_compile_nothing_again(work, compilations):
    given, _, _ = work
    first = grow_trees(given, [0])
    with compilations() as count:
        second = grow_trees(given, [1, 0])
    assert count() == 0
    np.testing.assert_array_equal(first[0].importance, second[1].importance)
    assert not jax.config.jax_enable_x64


def test_mean_parameters_of_a_stump(work):
    given, data, _ = work
    [grown] = grow_trees(given._replace(options=FULL._replace(max_depth=1, mtry=3)), [0])
    values, weight = [c.values for c in given.covariates], data.b.to_numpy() ** 2
    found = mean_parameters([grown.tree], values, weight, (0, np.array([-3.0, 3.0])))
    np.testing.assert_allclose(found, [leaf.theta for leaf in leaves_of(grown.tree)])
    mixed = mean_parameters([grown.tree, Leaf(0, np.zeros(3))], values, weight, (1, np.array([0.0])))
    share = np.average(grown.tree.split.goes_left(values[0]), weights=weight)
    np.testing.assert_allclose(mixed[0], (share * found[0] + (1 - share) * found[1]) / 2)
