"""Proximal policy optimisation: advantages, losses and normalisation against loops in numpy, and whole runs."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.exceptions import OptionError
from mixstat.policies import GaussianMixturePolicy, normalizer, ppo_losses, ppo_update
from mixstat.policies.environments import MultiGoal
from mixstat.policies.ppo import PPO

pytestmark = pytest.mark.slow

pytest.importorskip("optax")

POLICY = GaussianMixturePolicy(2, 2, n_experts=2, hidden=(8,), activation="tanh")
SMALL = PPO(POLICY, critic_hidden=(8,), batch_size=16, epochs=2, n_environments=4, rollout=16)
KEY = jax.random.PRNGKey(3)
DRAWN = np.random.default_rng(5)


def test_advantages_by_hand():
    """Backwards, one copy at a time; a cut-off episode counts the value of where it stopped, an ended one does not."""
    reward, value, following = DRAWN.normal(size=(3, 7, 2))
    done, cut = np.zeros((7, 2)), np.zeros((7, 2))
    done[2, 0] = cut[4, 1] = 1.0
    stopped = np.maximum(done, cut)
    wanted = np.zeros((7, 2))
    for copy in range(2):
        later = 0.0
        for t in reversed(range(7)):
            delta = reward[t, copy] + 0.9 * (1 - done[t, copy]) * following[t, copy] - value[t, copy]
            later = delta + 0.9 * 0.8 * (1 - stopped[t, copy]) * later
            wanted[t, copy] = later
    parts = map(jnp.asarray, (reward, value, following, done, stopped))
    np.testing.assert_allclose(ppo_losses.advantages(*parts, gamma=0.9, gae_lambda=0.8), wanted, rtol=1e-4, atol=1e-6)


def test_discounted_rewards_begin_anew():
    reward, stopped = jnp.array([[1.0], [2.0], [3.0], [4.0]]), jnp.array([[0.0], [1.0], [0.0], [0.0]])
    found, last = ppo_losses.discounted(reward, stopped, jnp.array([10.0]), gamma=0.5)
    np.testing.assert_allclose(found[:, 0], [6.0, 5.0, 3.0, 5.5])
    np.testing.assert_allclose(last, [5.5])


def test_surrogate_by_hand():
    old, new = np.log([0.5, 0.5, 0.5, 0.5]), np.log([0.5, 0.7, 0.3, 0.7])
    gain = np.array([1.0, 2.0, -1.0, -2.0])
    standard = gain / gain.std()
    ratio = np.array([1.0, 1.4, 0.6, 1.4])
    bounded = np.array([1.0, 1.2, 0.8, 1.2])
    wanted = -np.mean(np.minimum(ratio * standard, bounded * standard))
    found = ppo_losses.surrogate(jnp.asarray(new), jnp.asarray(old), jnp.asarray(gain), clip=0.2)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_value_loss_by_hand():
    value, old, target = np.array([1.0, 2.0, 0.0]), np.array([0.0, 2.1, 1.0]), np.array([2.0, 0.0, 0.9])
    near = np.array([0.2, 2.0, 0.8])
    wanted = np.mean(np.maximum((value - target) ** 2, (near - target) ** 2))
    parts = list(map(jnp.asarray, (value, old, target)))
    assert float(ppo_losses.value_loss(*parts, clip=0.2)) == pytest.approx(wanted, rel=1e-6)
    assert float(ppo_losses.value_loss(*parts, clip=None)) == pytest.approx(np.mean((value - target) ** 2), rel=1e-6)


def test_moments_are_those_of_all_that_was_seen():
    values = DRAWN.normal(2.0, 3.0, size=(50, 2)).astype(np.float32)
    moments = normalizer.unseen((2,))
    for part in (values[:10], values[10:17], values[17:]):
        moments = normalizer.merge(moments, jnp.asarray(part))
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, values.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        normalizer.standardized(moments, values), (values - values.mean(0)) / values.std(0), rtol=1e-3, atol=1e-4
    )
    assert float(normalizer.standardized(moments, jnp.full((2,), 1e6)).max()) == normalizer.BOUND


@pytest.mark.parametrize("gate", ["ratio", "frequency"])
def test_loss_by_hand(gate):
    """At the parameters that acted the ratio is 1; the published gate adds its Brier score and its critic's error."""
    spec = replace(SMALL, gate=gate, value_weight=0.7)
    params = jax.jit(ppo_update.begin, static_argnums=0)(spec, KEY).params
    seen = jnp.asarray(DRAWN.normal(size=(6, 2)), jnp.float32)
    head = POLICY.head(params["policy"], seen)
    u = head.draw(KEY).pre_squash
    log_prob = head.log_prob(pre_squash=u)
    gain, value = (jnp.asarray(DRAWN.normal(size=6), jnp.float32) for _ in range(2))
    batch = ppo_update.Batch(seen, u, log_prob, value, gain)
    total, told = jax.jit(ppo_update.loss, static_argnums=0)(spec, params, batch, KEY)

    target = np.asarray(gain + value)
    now = np.asarray(spec.value.value(params["value"], seen))
    near = np.asarray(value) + np.clip(now - np.asarray(value), -0.2, 0.2)
    wanted = 0.7 * np.mean(np.maximum((now - target) ** 2, (near - target) ** 2))
    if gate == "frequency":
        draws = head.rsample_components(KEY).pre_squash
        quality = np.stack([spec.quality.action_value(params["quality"], seen, draws[:, k]) for k in range(2)], axis=1)
        won = np.eye(2)[quality.argmax(axis=1)]
        wanted += np.mean((won - np.asarray(head.weights)) ** 2)
        wanted += np.mean((np.asarray(spec.quality.action_value(params["quality"], seen, u)) - target) ** 2)
    assert float(total) == pytest.approx(wanted, rel=1e-4, abs=1e-5)  # standardised advantages have mean 0
    assert float(told["clipped"]) == 0
    assert float(told["divergence"]) == pytest.approx(0, abs=1e-6)


def test_training_on_a_pure_environment_reports_and_goes_on(tmp_path):
    env, path = MultiGoal(), tmp_path / "run.zip"
    whole = SMALL.train(env, 256, verbose=0, report_every=64)
    SMALL.train(env, 128, verbose=0, report_every=64, checkpoint=path, checkpoint_every=64)
    resumed = SMALL.train(env, 256, verbose=0, report_every=64, checkpoint=path, checkpoint_every=64)
    for a, b in zip(jax.tree.leaves(resumed.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_array_equal(a, b)
    curve = whole.curve()
    assert list(curve["steps"]) == [64, 128, 192, 256]
    assert curve["gate_entropy"].between(0, np.log(2)).all()
    assert whole.moments.number == 256
    ends = whole.evaluate(episodes=4)
    assert ends.total.shape == (4,)


def test_training_on_a_gymnasium_environment():
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("Pendulum-v1")
    policy = GaussianMixturePolicy(3, 1, n_experts=2, hidden=(8,), squash=False, scale="constant")
    spec = replace(SMALL, policy=policy, gate="frequency", n_environments=2, rollout=104)
    trained = spec.train("Pendulum-v1", 416, verbose=0, report_every=208)
    assert list(trained.curve()["steps"]) == [208, 416]
    assert trained.curve()["length"].dropna().eq(200).all()
    played = trained.evaluate(episodes=2, actions="committed", env=lambda: env)
    assert played.total.shape == (2,)
    assert not played.done.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 24}, r"batch_size \(24\) must divide .* = 64"),
        ({"gate": "best"}, "gate must be 'ratio' or 'frequency'"),
        ({"normalize": ("action",)}, "may hold 'observation' and 'reward'"),
        ({"clip": 2.0}, r"clip must lie in \(0, 1\]"),
        ({"epochs": 0}, "epochs must be a whole number"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(OptionError, match=words):
        replace(SMALL, **options)
