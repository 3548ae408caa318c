"""Soft actor-critic: target, losses and a whole update against numpy, whole runs, and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.exceptions import ConvergenceWarning, OptionError
from mixstat.policies import GaussianMixturePolicy, replay, sac_losses, sac_update, training
from mixstat.policies.critics import Critic, polyak
from mixstat.policies.environments import MultiGoal, Step
from mixstat.policies.sac import SAC, CompiledSAC
from mixstat.policies.training import TrainingError

pytest.importorskip("optax")

POLICY = GaussianMixturePolicy(2, 2, n_experts=3, hidden=(8,), log_sd_bounds=(-5.0, 1.0))
SMALL = SAC(POLICY, critic_hidden=(8,), batch_size=16, buffer_size=512, n_environments=4, random_steps=40)
ENV = MultiGoal()
KEY = jax.random.PRNGKey(7)
BEGIN = jax.jit(sac_update.begin, static_argnums=0)


def rows(n: int = 6) -> np.ndarray:
    found = np.random.default_rng(1).normal(size=(n, replay.width(2, 2))).astype(np.float32)
    found[:, -1] = np.arange(n) % 2
    return found


def by_hand(params, inputs):
    """A critic of one hidden layer."""
    layer, last = params["network"][0], params["value"]
    hidden = np.maximum(inputs @ np.asarray(layer["weight"]) + np.asarray(layer["bias"]), 0)
    return (hidden @ np.asarray(last["weight"]) + np.asarray(last["bias"]))[:, 0]


def log_density(head, u):
    """log N_k(u_b) of (batch, K) minus the Jacobian, in float64, by loops."""
    mean, sd = np.asarray(head.mean, float), np.exp(np.asarray(head.log_sd, float))
    out = np.zeros(mean.shape[:2])
    for b, k in np.ndindex(*out.shape):
        z = (u[b] - mean[b, k]) / sd[b, k]
        out[b, k] = np.sum(-0.5 * z**2 - np.log(sd[b, k]) - 0.5 * np.log(2 * np.pi) - np.log(1 - np.tanh(u[b]) ** 2))
    return out


@pytest.mark.parametrize("estimator", ["marginal", "frequency"])
def test_critic_target_by_hand(estimator):
    """r + gamma (1 - done) (min Q' - alpha l'), l' the mixture's or, as published, the acting expert's."""
    spec = replace(SMALL, estimator=estimator, gamma=0.9, temperature=0.3)
    learner = BEGIN(spec, KEY)
    batch = replay.unpack(jnp.asarray(rows()), 2, 2)
    found = jax.jit(sac_update.target_of, static_argnums=0)(spec, learner, batch, KEY)

    head = POLICY.head(learner.policy, batch.next_observation)
    of_expert, of_noise = jax.random.split(KEY)
    chosen = np.asarray(jax.random.categorical(of_expert, head.logits, axis=-1))
    noise = np.asarray(jax.random.normal(of_noise, (6, 1, 2)))[:, 0]
    each = np.arange(6)
    u = np.asarray(head.mean)[each, chosen] + np.exp(np.asarray(head.log_sd)[each, chosen]) * noise
    own = log_density(head, u)
    weights = np.asarray(head.weights, float)
    log_prob = own[each, chosen] if estimator == "frequency" else np.log(np.sum(weights * np.exp(own), axis=1))
    inputs = np.concatenate([batch.next_observation, np.tanh(u)], axis=1)
    smallest = np.minimum(*(by_hand(params, inputs) for params in learner.targets))
    wanted = batch.reward + 0.9 * (1 - np.asarray(batch.done)) * (smallest - 0.3 * log_prob)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_critic_loss_by_hand():
    critic = Critic(4, (8,))
    pair = (critic.init(KEY), critic.init(jax.random.PRNGKey(8)))
    batch = replay.unpack(jnp.asarray(rows()), 2, 2)
    target = jnp.arange(6.0)
    inputs = np.concatenate([batch.observation, batch.action], axis=1)
    wanted = sum(np.mean((by_hand(params, inputs) - np.arange(6.0)) ** 2) for params in pair)
    assert float(sac_losses.critic_loss(critic, pair, batch, target)) == pytest.approx(wanted, rel=1e-5)


def test_values_of_several_actions_are_those_of_each():
    critic = Critic(4, (8,))
    pair = (critic.init(KEY), critic.init(jax.random.PRNGKey(8)))
    seen, actions = jax.random.normal(KEY, (5, 2)), jax.random.normal(KEY, (5, 3, 2))
    found = critic.smallest(pair, seen, actions)
    assert found.shape == (5, 3)
    for k in range(3):
        np.testing.assert_allclose(found[:, k], critic.smallest(pair, seen, actions[:, k]), rtol=1e-5, atol=1e-6)


def test_target_critics_follow_slowly():
    moved = polyak({"a": jnp.array([1.0])}, {"a": jnp.array([3.0])}, 0.25)
    assert float(moved["a"][0]) == pytest.approx(1.5)


def test_update_moves_every_part_by_adam():
    """The first step of Adam is the learning rate times the sign of the gradient; targets follow by tau."""
    learner = BEGIN(SMALL, KEY)
    after, told = jax.jit(sac_update.learn, static_argnums=0)(SMALL, learner, jnp.asarray(rows(16)), KEY)
    step = jax.tree.map(lambda new, old: jnp.abs(new - old).max(), after, learner)
    for part in ("policy", "critics"):
        biggest = max(float(leaf) for leaf in jax.tree.leaves(getattr(step, part)))
        assert biggest == pytest.approx(SMALL.learning_rate, rel=1e-2)
    moved = jax.tree.map(lambda new, old: new - old, after.critics, learner.critics)
    followed = jax.tree.map(lambda new, old: new - old, after.targets, learner.targets)
    for a, b in zip(jax.tree.leaves(followed), jax.tree.leaves(moved), strict=True):
        np.testing.assert_allclose(a, SMALL.tau * b, atol=1e-7)
    # the policy is wider than the target entropy -2 wants: the temperature falls
    assert float(told["log_prob"]) < 2.0
    assert float(after.log_alpha - learner.log_alpha) == pytest.approx(-SMALL.learning_rate, rel=1e-2)


def test_first_steps_are_uniform_and_without_updates():
    loop = CompiledSAC(SMALL, ENV, (0,))
    run, sums = loop.advance(loop.start(), 0, 10)
    assert float(sums["updates"][0]) == 0
    actions = np.asarray(replay.unpack(run.ring[0, :40], 2, 2).action)
    assert 0.8 < np.abs(actions).max() <= 1.0
    assert np.abs(actions.mean()) < 0.25
    _, sums = loop.advance(run, 10, 6)
    assert float(sums["updates"][0]) == 6


@pytest.mark.slow
def test_seeds_run_together_as_alone_and_reports_change_nothing():
    both = SMALL.train(ENV, 240, seed=[3, 4], report_every=80, verbose=0)
    alone = SMALL.train(ENV, 240, seed=4, report_every=240, verbose=0)
    for a, b in zip(jax.tree.leaves(both.params), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5)
    curve = both.curve()
    assert list(curve["steps"]) == [80, 160, 240] * 2
    assert list(curve["seed"]) == [3] * 3 + [4] * 3
    assert curve["temperature"].notna().all()
    ends = both.evaluate(episodes=8)
    assert ends.total.shape == (2, 8)
    assert np.isfinite(ends.total).all()
    committed = alone.evaluate(episodes=8, actions="committed")
    assert committed.total.shape == (8,)
    action = alone.act(KEY, np.zeros((5, 2)), actions="committed")
    np.testing.assert_allclose(action, POLICY.mode(alone.params, jnp.zeros((5, 2))))
    assert both.plot().get_xlabel() == "Steps of the environment"


class Broken(MultiGoal):
    """A point mass whose sensor fails beyond a place."""

    def step(self, key, state, action):
        step = super().step(key, state, action)
        return Step(step.state, jnp.where(step.state[0] > 2.0, jnp.nan, step.observation), step.reward, step.done)


@pytest.mark.slow
def test_missing_observations_stop_a_training_with_what_was_learnt():
    with pytest.raises(TrainingError, match="NaN or infinite between steps") as caught:
        SMALL.train(Broken(start_sd=0.01), 2000, report_every=4, verbose=0)
    kept = caught.value.training
    assert 0 < kept.steps < 2000
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept.params))


def test_interrupt_keeps_what_is_done(monkeypatch):
    advance = CompiledSAC.advance

    def until(self, run, first, n):
        if first >= 20:
            raise KeyboardInterrupt
        return advance(self, run, first, n)

    monkeypatch.setattr(CompiledSAC, "advance", until)
    with pytest.warns(ConvergenceWarning, match="interrupted: 80 of 240 steps are kept"):
        kept = SMALL.train(ENV, 240, report_every=40, verbose=0)
    assert kept.steps == 80
    assert len(kept.curve()) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gamma": 1.5}, r"gamma must lie in \(0, 1\]"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"buffer_size": 8}, r"buffer_size \(8\) must be at least batch_size"),
        ({"target_entropy": "best"}, "target_entropy must be a number, 'auto' or None"),
        ({"estimator": "best"}, "estimator must be one of 'marginal'"),
        ({"policy": replace(POLICY, squash=False)}, "squash=True"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(OptionError, match=words):
        replace(SMALL, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": [1, 1]}, "sequence of different ones"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"env": 3}, "the name of a gymnasium environment"),
    ],
)
def test_train_is_checked(options, words):
    with pytest.raises(OptionError, match=words):
        SMALL.train(**{"env": ENV, "steps": 100, "verbose": 0} | options)


def test_measures_are_means_of_what_there_was():
    sums = {
        "episodes": [2.0, 0.0],
        "updates": [4.0, 0.0],
        "unusable": [0.0, 0.0],
        "return": [5.0, 0.0],
        "loss": [8.0, 0.0],
    }
    report = training._report({name: np.array(value) for name, value in sums.items()}, 100)
    assert report == {"steps": 100, "episodes": [2.0, 0.0], "return": [2.5, None], "loss": [2.0, None]}


@pytest.mark.slow
def test_multi_goal_criteria():
    """Ten seeds: at least .98 of the unimodal return on the same budget, two goals a seed, retries above 1/4.

    Eight experts: of four, nine seeds in ten reach two goals.
    """
    from mixstat.policies.environments import goals_covered, retry_success

    def study(experts):
        policy = GaussianMixturePolicy(2, 2, n_experts=experts, log_sd_bounds=(-5.0, 1.0))
        trained = SAC(policy, gamma=0.97).train(ENV, 64_000, seed=range(10), verbose=0)
        ends = trained.evaluate(episodes=512)
        return ends.total, np.asarray(jax.vmap(jax.vmap(ENV.goal))(ends.state))

    (one, _), (eight, goals) = study(1), study(8)
    assert eight.mean() >= 0.98 * one.mean()
    assert all(goals_covered(of_seed) >= 2 for of_seed in goals)
    assert all(retry_success(of_seed) > 0.25 for of_seed in goals)
