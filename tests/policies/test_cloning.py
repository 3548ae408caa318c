"""BehaviourCloning: EM and Adam agree with each other and with the truth, weights, clipped rows, hostile input."""

import sys

import jax
import numpy as np
import pytest

import mixstat as ms
from mixstat.exceptions import ConvergenceWarning, DataError, OptionError
from mixstat.policies import BehaviourCloning, GaussianMixturePolicy, Obstacle
from mixstat.policies.cloning import verdict

OBSTACLE = Obstacle()
TRAIN, TEST = OBSTACLE.demonstrations(3000, random_state=0), OBSTACLE.demonstrations(1000, random_state=1)
LINEAR = GaussianMixturePolicy(1, 1, n_experts=2, hidden=(), squash=False)
KEY = jax.random.key(0)


def clone(policy=LINEAR, **options):
    return BehaviourCloning(policy, random_state=0, verbose=0, **options).fit(TRAIN.observations, TRAIN.actions)


def crash_rate(fit):
    observations = np.repeat(TEST.observations, 20, axis=0)
    return OBSTACLE.crashes(fit.policy.sample(fit.params_, KEY, observations))


@pytest.fixture(scope="module")
def by_em():
    return clone()


@pytest.fixture(scope="module")
def by_adam():
    return clone(method="adam")


def test_the_truth_is_known():
    grid = np.linspace(-2, 2, 40_001)
    density = np.exp(OBSTACLE.log_density(np.full(grid.shape, 0.3), grid))
    assert np.sum(density) * (grid[1] - grid[0]) == pytest.approx(1.0, abs=1e-6)


def test_em_and_gradient_agree_and_reach_the_truth(by_em, by_adam):
    truth = TEST.log_density.mean()
    em, adam = (fit.score(TEST.observations, TEST.actions) for fit in (by_em, by_adam))
    assert abs(em - adam) < 0.005
    assert abs(em - truth) < 0.02
    assert abs(adam - truth) < 0.02


def test_sampling_hardly_crashes_and_the_mean_does(by_em, by_adam):
    assert crash_rate(by_em) < 0.01
    assert crash_rate(by_adam) < 0.01
    assert OBSTACLE.crashes(LINEAR.mode(by_em.params_, TEST.observations)) < 0.01
    with pytest.warns(UserWarning, match="not an action to play"):
        assert OBSTACLE.crashes(LINEAR.mean(by_em.params_, TEST.observations)) > 0.25


def test_one_gaussian_crashes():
    fit = clone(GaussianMixturePolicy(1, 1, n_experts=1, hidden=(), squash=False))
    assert crash_rate(fit) > 0.25
    assert -fit.score(TEST.observations, TEST.actions) > 0.5


def test_em_never_falls_and_ends_at_a_maximum(by_em):
    assert (np.diff(by_em.history_) > -1e-9).all()
    assert by_em.converged_
    assert by_em.status_.startswith("converged")


def test_linear_cloning_is_the_mixture_of_experts(by_em):
    """A linear policy without squashing is the package's own model: same maximum."""
    data = {"a": TRAIN.actions[:, 0], "x": TRAIN.observations[:, 0]}
    model = ms.MixtureOfExperts(
        ms.Regression("a ~ x", sigma="~ x"), gate="~ x", n_experts=2, n_init=4, random_state=0, verbose=0
    ).fit(data)
    assert by_em.log_likelihood_ == pytest.approx(model.log_likelihood_ / 3000, abs=1e-5)
    means = model.tidy().query("parameter == 'mean' and term == 'x'")["estimate"]
    assert np.sort(by_em.params_["mean"]["weight"][0]) == pytest.approx(np.sort(means), abs=1e-3)


@pytest.mark.slow
def test_squashed_network():
    policy = GaussianMixturePolicy(1, 1, n_experts=4, hidden=(16,), activation="tanh")
    fit = clone(policy, max_iter=30, n_init=2)
    assert fit.score(TEST.observations, TEST.actions) == pytest.approx(TEST.log_density.mean(), abs=0.03)
    assert crash_rate(fit) < 0.01
    u = np.arctanh(TEST.actions)
    by_hand = fit.policy.log_prob(fit.params_, TEST.observations, pre_squash=u)
    assert fit.score(TEST.observations, TEST.actions) == pytest.approx(float(by_hand.mean()), abs=1e-4)


def test_full_covariance_recovers_a_correlation():
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 2000)
    slope = np.where(side, 0.8, -0.8)
    first = 0.2 * rng.standard_normal(2000)
    noise = np.stack([first, slope * first + 0.05 * rng.standard_normal(2000)], axis=-1)
    actions = np.where(side, 1.0, -1.0)[:, None] + noise
    policy = GaussianMixturePolicy(
        1, 2, n_experts=2, hidden=(), squash=False, covariance="full", scale="constant", gate="constant"
    )
    fit = BehaviourCloning(policy, random_state=0, verbose=0).fit(np.zeros((2000, 1)), actions)
    assert np.sort(fit.params_["dependence"]["bias"]) == pytest.approx([-0.8, 0.8], abs=0.02)


def test_weights_are_repeated_rows(by_em):
    rows = slice(0, 400)
    weight = np.random.default_rng(0).integers(1, 4, 400)
    options = {"random_state": 0, "verbose": 0, "scale_penalty": 0.0}
    weighted = BehaviourCloning(LINEAR, **options).fit(
        TRAIN.observations[rows], TRAIN.actions[rows], sample_weight=weight
    )
    repeated = BehaviourCloning(LINEAR, **options).fit(
        np.repeat(TRAIN.observations[rows], weight, axis=0), np.repeat(TRAIN.actions[rows], weight, axis=0)
    )
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, abs=1e-6)
    assert weighted.effective_rows_ < 400


def test_advantages_weigh_rows_by_their_exponential():
    """Rows of the left side are worth log 9 less: the gate's share of it falls ninefold in odds."""
    advantage = np.where(TRAIN.actions[:, 0] > 0, 0.0, -np.log(9.0))
    policy = GaussianMixturePolicy(1, 1, n_experts=2, hidden=(), squash=False, gate="constant")
    fit = BehaviourCloning(policy, random_state=0, verbose=0)
    fit.fit(TRAIN.observations, TRAIN.actions, advantages=2 * advantage, beta=2.0)
    right = np.argmax(fit.params_["mean"]["bias"])
    share = np.asarray(policy.head(fit.params_, np.zeros((1, 1), np.float32)).weights)[0, right]
    n = np.sum(TRAIN.actions > 0)
    assert share == pytest.approx(n / (n + (3000 - n) / 9), abs=0.005)


def test_clipped_rows_are_counted_and_reported():
    actions = TRAIN.actions[:300].copy()
    actions[:2] = 1.0
    actions[2] = -1.0
    policy = GaussianMixturePolicy(1, 1, n_experts=2, hidden=())
    with pytest.warns(UserWarning, match="3 of 300 rows have an action at a bound"):
        fit = BehaviourCloning(policy, random_state=0, verbose=0).fit(TRAIN.observations[:300], actions)
    assert fit.n_clipped_ == 3
    assert np.isfinite(fit.score(TRAIN.observations[:300], actions))


def test_same_seed_same_numbers():
    first, second = (clone(LINEAR, n_init=2, max_iter=5, tol=0.0) for _ in range(2))
    assert all((a == b).all() for a, b in zip(*map(jax.tree.leaves, (first.params_, second.params_)), strict=True))


def test_hostile_input():
    s, a = TRAIN.observations[:50], TRAIN.actions[:50]
    cloning = BehaviourCloning(GaussianMixturePolicy(1, 1, n_experts=2, hidden=()), verbose=0)
    spoilt = s.copy()
    spoilt[3] = np.nan
    for given, said in [
        ((s, a[:40]), "observations hold 50 rows and actions 40"),
        ((np.zeros((50, 2)), a), r"observations must have shape \(rows, 1\), got \(50, 2\)"),
        ((s[:0], a[:0]), r"observations must have shape \(rows, 1\), got \(0, 1\)"),
        ((spoilt, a), "observations hold NaN or infinite values in 1 of 50 rows"),
        ((s, 30 * a), "a squashed policy acts in"),
    ]:
        with pytest.raises(DataError, match=said):
            cloning.fit(*given)
    for options, said in [
        ({"sample_weight": np.ones(49)}, "one entry a row: got 49 for 50 rows"),
        ({"sample_weight": -np.ones(50)}, "non-negative"),
        ({"advantages": np.full(50, np.nan)}, "advantages must be finite"),
    ]:
        with pytest.raises(DataError, match=said):
            cloning.fit(s, a, **options)
    with pytest.raises(OptionError, match="temperature, must be positive"):
        cloning.fit(s, a, advantages=np.ones(50), beta=0.0)
    with pytest.raises(OptionError, match="call fit first"):
        cloning.score(s, a)
    with pytest.raises(OptionError, match="method must be one of 'em', 'adam'"):
        BehaviourCloning(LINEAR, method="sgd").fit(s, a)
    with pytest.raises(OptionError, match="policy must be a GaussianMixturePolicy"):
        BehaviourCloning("policy").fit(s, a)


def test_status_says_what_to_do():
    linear, network = {"held_out": False, "layers": False}, {"held_out": True, "layers": True}
    assert verdict(1e-8, method="em", **linear) == (True, "converged: no entry of the gradient exceeds 1.0e-08")
    assert verdict(0.5, method="em", **linear)[1].endswith("raise max_iter")
    assert verdict(np.nan, method="adam", **network)[1] == "stopped where the held-out likelihood was highest"


def test_an_interrupt_keeps_what_is_found(monkeypatch):
    def interrupted(*_):
        yield 0.0
        raise KeyboardInterrupt

    monkeypatch.setattr("mixstat.policies.cloning.climb", interrupted)
    with pytest.warns(ConvergenceWarning, match="interrupted: 1 of 200"):
        fit = BehaviourCloning(LINEAR, random_state=0, verbose=0).fit(TRAIN.observations, TRAIN.actions)
    assert not fit.converged_
    assert fit.score(TEST.observations, TEST.actions) > 0.5


def test_em_needs_no_extra_and_adam_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "optax", None)
    options = {"n_init": 1, "random_state": 0, "verbose": 0}
    BehaviourCloning(LINEAR, **options).fit(TRAIN.observations[:100], TRAIN.actions[:100])
    with pytest.raises(ms.policies.MissingExtraError, match=r"pip install mixstat\[policies\]"):
        BehaviourCloning(LINEAR, method="adam", **options).fit(TRAIN.observations[:100], TRAIN.actions[:100])
