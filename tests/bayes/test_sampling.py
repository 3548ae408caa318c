"""Posterior draws: against a posterior known in closed form, against Laplace's approximation, labels and interrupts."""

import pickle
import warnings
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.special import digamma, polygamma
from scipy.stats import kstest, t

import mixstat as ms
from mixstat.exceptions import ConvergenceWarning, DataError, OptionError
from mixstat.fit.order import permute
from mixstat.inference import nuts
from mixstat.inference.convergence import r_hat
from mixstat.inference.relabel import relabel
from tests.bayes.library import lines, three_counts, two_lines
from tests.estimators.data import frame as small_frame
from tests.estimators.data import mixture, regression

pytestmark = pytest.mark.slow

pytest.importorskip("blackjax")


def test_one_gaussian_expert_has_the_known_posterior():
    """With flat priors of coefficients and log sigma: Student t and, for the variance, inverse chi-square."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(2.0, 3.0, 15)})
    frame["y"] = 1.0 + 0.5 * frame.x + rng.normal(size=15)
    model = ms.Regression("y ~ x", verbose=0).fit(frame)
    flat = {"intercept": 1e4, "slope": 1e4, "scale": 1e4}
    draws = model.sample_posterior(1000, 4, priors=flat, random_state=0)
    design = np.column_stack([np.ones(15), frame.x])
    beta, residual, *_ = np.linalg.lstsq(design, frame.y, rcond=None)
    df, variance = 13, residual[0] / 13
    error = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    table = draws.summary()
    assert (table["r_hat"] < 1.01).all()
    for place in (0, 1):
        z = (draws.theta[:, place] - beta[place]) / error[place]
        assert abs(z.mean()) < 4 * z.std() / np.sqrt(table["ess"][place])
        assert z.std() == pytest.approx(np.sqrt(df / (df - 2)), rel=0.07)
        assert kstest(z[::4], t(df).cdf).pvalue > 1e-3
    log_sigma = draws.theta[:, 2]
    expected = 0.5 * (np.log(variance * df / 2) - digamma(df / 2))
    deviation = 0.5 * np.sqrt(polygamma(1, df / 2))
    assert abs(log_sigma.mean() - expected) < 4 * deviation / np.sqrt(table["ess"][2])
    assert log_sigma.std() == pytest.approx(deviation, rel=0.07)


def test_agrees_with_laplace_where_the_sample_is_large():
    model = two_lines(3000)
    draws = model.sample_posterior(500, 2, warmup=200, random_state=2)
    table, theory = draws.summary(), model.tidy()
    assert draws.is_sound
    assert (np.abs(table["mean"] - theory["estimate"]) < 0.12 * theory["std_error"]).all()
    assert np.allclose(table["sd"], theory["std_error"], rtol=0.1)
    laplace = model.laplace_draws(20_000, random_state=0)
    assert np.allclose(laplace.mean(axis=0), model.fitted_.theta, atol=4 * theory["std_error"].max() / 20_000**0.5)
    assert np.allclose(np.cov(laplace.T), model.covariance(), atol=0.05 * np.diag(model.covariance()).max())


def test_one_seed_gives_the_same_draws():
    model = two_lines(300)
    first, second, other = (_short(model, random_state=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.values, second.values)
    assert not np.array_equal(first.values, other.values)
    assert first.values.dtype == np.float64
    assert not np.array_equal(first.values[0], first.values[1])


def _short(model, draws=20, chains=2, **options):
    """A few draws, too few for a verdict."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.sample_posterior(draws, chains, **{"warmup": 40, "random_state": 0, **options})


@pytest.mark.parametrize(
    "model",
    [
        mixture(regression("g ~ x", family="categorical"), "equal"),
        mixture(ms.Joint([regression("y ~ x"), regression("n ~ 1", family="poisson")]), unit="u"),
        mixture(regression("y ~ x", shared="x", fixed={"sigma": 0.4}), extra=[ms.Noise()]),
    ],
    ids=["categorical", "joint", "noise"],
)
def test_every_kind_of_model_is_sampled(model):
    frame = small_frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(frame)
    draws = _short(model)
    assert draws.values.shape == (2, 20, model.n_parameters_)
    assert np.isfinite(draws.values).all()
    assert (draws.values.std(axis=1) > 0).all()
    assert len(set(draws.names)) == model.n_parameters_
    assert list(draws.summary()["term"]) == [label.term for label in draws.labels]


def test_narrow_priors_pull_and_only_what_they_name():
    model = two_lines(300)
    plain, narrow = _short(model, 100), _short(model, 100, priors={"x": 0.001})
    terms = np.array([label.term for label in plain.labels])
    assert np.abs(narrow.values[..., terms == "x"]).max() < 0.05
    assert np.abs(plain.values[..., terms == "x"]).min() > 0.05
    assert np.abs(narrow.values[..., terms == "z"]).max() > 0.05


def test_exchanged_chains_are_brought_together():
    model = two_lines(300)
    problem, theta = model._problem, model.fitted_.solution.theta
    draws = theta + 0.02 * np.random.default_rng(0).normal(size=(2, 50, len(theta)))
    swapped = np.stack([draws[0], [_permute(problem, draw, [1, 0]) for draw in draws[1]]])
    assert r_hat(swapped).max() > 5
    found, moved = relabel(problem, theta, swapped.reshape(100, -1))
    assert moved == 50
    assert np.allclose(found.reshape(draws.shape), draws, atol=1e-12)


def _permute(problem, theta, order):
    return problem.ties.contract(permute(problem.mixture, problem.ties.expand(theta), np.array(order)))


def test_relabelling_minimises_the_criterion_over_all_permutations():
    """Kullback-Leibler divergence of responsibilities by brute force, for draws wide enough to be unclear."""
    model, _ = three_counts()
    problem, theta = model._problem, model.fitted_.solution.theta
    draws = theta + 0.6 * np.random.default_rng(4).normal(size=(30, len(theta)))
    base = _responsibilities(model, theta)
    found, moved = relabel(problem, theta, draws)
    best = []
    for draw in draws:
        options = [_permute(problem, draw, order) for order in permutations(range(3))]
        costs = [-(base * np.log(np.maximum(_responsibilities(model, option), 1e-300))).sum() for option in options]
        best.append(options[int(np.argmin(costs))])
    assert np.allclose(found, best)
    assert 0 < moved < 30


def _responsibilities(model, theta):
    """(unit, expert) from the definition, for Poisson experts and the standardised design."""
    problem = model._problem
    experts, gate = problem.mixture.split(problem.ties.expand(theta))
    columns, count = np.asarray(problem.design.columns)[0], problem.layout.row
    columns, y = columns[:, count], np.asarray(problem.design.responses[0])[0, 0, 0, count]
    outcome = problem.mixture.groups[0].outcomes[0]
    eta = experts[0] @ columns[list(outcome.columns[0])]
    gates = np.vstack([np.zeros(len(y)), gate @ columns[list(problem.mixture.gate.columns)]])
    joint = gates + y * eta - np.exp(eta)
    share = np.exp(joint - joint.max(axis=0))
    return (share / share.sum(axis=0)).T


def test_partly_known_classes_keep_their_labels():
    frame = lines(200)
    frame["known"] = np.where(np.arange(200) < 50, np.where(frame.y > 3, 2.0, 1.0), np.nan)
    model = mixture(regression("y ~ x"), prior_classes="known").fit(frame)
    draws = np.stack([_permute(model._problem, model.fitted_.solution.theta, [1, 0])])
    found, moved = relabel(model._problem, model.fitted_.solution.theta, draws)
    assert moved == 0
    assert np.array_equal(found, draws)


def test_an_interrupt_keeps_complete_rounds(monkeypatch):
    model = two_lines(300)
    advance, calls = nuts.advance, []

    def stopping(*arguments):
        calls.append(arguments)
        if len(calls) == limit:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(nuts, "advance", stopping)
    warm = 2 * sum(-(-length // nuts.CHUNK) for length, _ in nuts.windows(40))
    limit = warm + 5
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        draws = model.sample_posterior(200, 2, warmup=40, random_state=0)
    assert draws.interrupted
    assert draws.values.shape[:2] == (2, 2 * nuts.CHUNK)
    calls.clear()
    limit = 2
    with pytest.raises(KeyboardInterrupt):
        model.sample_posterior(200, 2, warmup=40, random_state=0)


def test_nothing_compiles_anew():
    """Other sizes of the sample within a bucket, chains, draws, warm-ups, priors: one program."""
    model = two_lines(300)
    _short(model)
    program = nuts.advance.compiled(model.fitted_.assembled.mixture)
    compiled = program._cache_size()
    _short(two_lines(330), 31, 3, warmup=55, priors={"slope": 1.0}, target_acceptance=0.9)
    assert compiled
    assert program._cache_size() == compiled


@pytest.mark.parametrize("warmup", [20, 60, 149, 150, 500, 1000, 1234])
def test_windows_fill_the_warm_up(warmup):
    windows = nuts.windows(warmup)
    assert sum(length for length, _ in windows) == warmup
    assert [learns for _, learns in windows] == [False] + [True] * (len(windows) - 2) + [False]
    assert all(length > 0 for length, _ in windows)


def test_disagreeing_chains_are_told():
    model = two_lines(300)
    with pytest.warns(ConvergenceWarning, match="r_hat"):
        model.sample_posterior(4, 2, warmup=20, random_state=0)


def test_bad_arguments():
    model = two_lines(300)
    with pytest.raises(OptionError, match=r"priors names 'slop'; expected one of: intercept, slope"):
        model.sample_posterior(priors={"slop": 1.0})
    with pytest.raises(OptionError, match=r"priors\['slope'\] must be above 0"):
        model.sample_posterior(priors={"slope": 0.0})
    with pytest.raises(OptionError, match="priors must be a mapping"):
        model.sample_posterior(priors=2.5)
    with pytest.raises(OptionError, match="draws must be a whole number of at least 4"):
        model.sample_posterior(2)
    with pytest.raises(OptionError, match="target_acceptance"):
        model.sample_posterior(target_acceptance=1.5)
    with pytest.raises(OptionError, match="n must be a whole number"):
        model.laplace_draws(0)
    saved = pickle.loads(pickle.dumps(model))
    with pytest.raises(DataError, match="training data"):
        saved.sample_posterior()
    assert saved.laplace_draws(3, random_state=0).shape == (3, model.n_parameters_)


def test_laplace_draws_need_standard_errors():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "v": rng.normal(size=60)})
    frame["y"] = frame.x + rng.normal(size=60)
    model = ms.Regression("y ~ x + v", penalty=0.3, l1_ratio=1.0, verbose=0).fit(frame)
    if np.isfinite(model.covariance()).all():
        assert np.isfinite(model.laplace_draws(10, random_state=0)).all()
    model.fitted_ = model.fitted_._replace(
        solution=model.fitted_.solution._replace(information=np.diag([1.0, 0.0, 1.0, 1.0]))
    )
    with pytest.raises(DataError, match="no standard error"):
        model.laplace_draws()


@pytest.mark.slow
def test_chains_that_exchange_labels_agree_after_relabelling():
    """Two experts that overlap and a short sample: labels switch while sampling."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": np.concatenate([rng.normal(0, 1, 12), rng.normal(2.0, 1, 12)])})
    model = mixture(regression("y ~ 1"), n_experts=2).fit(frame)
    draws = model.sample_posterior(2000, 4, target_acceptance=0.95, random_state=0)
    assert draws.relabelled > 100
    assert r_hat(draws.values).max() < 1.05
