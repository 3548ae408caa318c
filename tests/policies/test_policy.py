"""GaussianMixturePolicy: a spec without numbers, pure methods, any network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from tests.policies.near import near

Policy = ms.policies.GaussianMixturePolicy
KEY = jax.random.key(1)
OBSERVATIONS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("squash", [True, False])
def test_shapes(covariance, squash):
    policy = Policy(4, 3, n_experts=5, covariance=covariance, squash=squash)
    params = policy.init(KEY)
    action, log_prob = policy.sample_and_log_prob(params, KEY, OBSERVATIONS)
    assert action.shape == (6, 3)
    assert action.dtype == jnp.float32
    assert log_prob == near(policy.log_prob(params, OBSERVATIONS, action), rel=1e-4, abs=1e-4)
    assert policy.component_log_prob(params, OBSERVATIONS, action).shape == (6, 5)
    assert policy.responsibilities(params, OBSERVATIONS, action).sum(axis=-1) == near(1.0)
    assert policy.mode(params, OBSERVATIONS).shape == (6, 3)
    assert policy.sample(params, KEY, OBSERVATIONS[0]).shape == (3,)
    assert policy.entropy_bounds(params, OBSERVATIONS).joint.shape == (6,)
    with pytest.warns(UserWarning, match="not an action"):
        assert policy.mean(params, OBSERVATIONS).shape == (6, 3)


def test_equal_specs_are_equal_and_hash():
    assert hash(Policy(4, 2, hidden=[8])) == hash(Policy(4, 2, hidden=(8,)))
    assert Policy(4, 2) == Policy(4, 2) != Policy(4, 2, n_experts=2)


def test_jit_and_vmap():
    policy = Policy(4, 2)
    params = policy.init(KEY)
    plain = policy.sample_and_log_prob(params, KEY, OBSERVATIONS)
    for found, expected in zip(jax.jit(policy.sample_and_log_prob)(params, KEY, OBSERVATIONS), plain, strict=True):
        assert found == near(expected, rel=1e-4, abs=1e-5)
    many = jax.vmap(policy.init)(jax.random.split(KEY, 3))
    heads = jax.vmap(policy.head, in_axes=(0, None))(many, OBSERVATIONS)
    assert heads.mean.shape == (3, 6, 4, 2)
    actions = jax.vmap(policy.log_prob, in_axes=(None, 0, 0))(params, OBSERVATIONS, plain[0])
    assert actions == near(plain[1], rel=1e-3, abs=1e-4)


def test_experts_start_apart_and_one_expert_in_the_middle():
    means = Policy(4, 2).head(Policy(4, 2).init(KEY), OBSERVATIONS).mean
    assert np.ptp(np.asarray(means[0]), axis=0).min() > 0.1
    one = Policy(4, 2, n_experts=1)
    assert np.abs(one.head(one.init(KEY), OBSERVATIONS).mean).max() < 0.2


def test_stop_gate_gradient_keeps_the_trunk():
    for stop in (True, False):
        policy = Policy(4, 2, stop_gate_gradient=stop)
        gradient = jax.grad(lambda p, policy=policy: policy.head(p, OBSERVATIONS).logits[:, 0].sum())(policy.init(KEY))
        assert bool(np.any(np.asarray(gradient["trunk"][0]["weight"]))) is not stop
        assert np.any(np.asarray(gradient["gate"]["weight"]))


@pytest.mark.parametrize(("gate", "scale"), [("observation", "constant"), ("constant", "observation")])
def test_what_gate_and_scale_depend_on(gate, scale):
    policy = Policy(4, 2, gate=gate, scale=scale, hidden=(8,))
    params = policy.init(KEY)
    widths = {"features": 8, "observation": 4, "constant": 0}
    assert params["gate"]["weight"].shape == (widths[gate], 4)
    assert params["log_sd"]["weight"].shape == (widths[scale], 8)
    head = policy.head(params, OBSERVATIONS)
    assert bool(np.ptp(np.asarray(head.logits), axis=0).any()) is (gate != "constant")
    assert bool(np.ptp(np.asarray(head.log_sd), axis=0).any()) is (scale != "constant")


def test_any_network_serves():
    network = ms.policies.Network(
        init=lambda key, size: {"shift": jnp.zeros(size)},
        apply=lambda params, s: jnp.concatenate([s, jnp.sin(s + params["shift"])], axis=-1),
    )
    policy = Policy(4, 2, network=network)
    params = policy.init(KEY)
    assert params["mean"]["weight"].shape == (8, 8)
    assert policy.sample(params, KEY, OBSERVATIONS).shape == (6, 2)


def test_no_hidden_layers_are_linear_experts():
    policy = Policy(4, 2, hidden=())
    params = policy.init(KEY)
    expected = OBSERVATIONS @ params["mean"]["weight"] + params["mean"]["bias"]
    assert policy.head(params, OBSERVATIONS).mean == near(np.asarray(expected).reshape(6, 4, 2))


def test_means_combine_to_one_gaussian():
    policy = Policy(4, 2, combine="means")
    params = policy.init(KEY)
    mixture = Policy(4, 2).head(params, OBSERVATIONS)
    head = policy.head(params, OBSERVATIONS)
    assert head.n_experts == 1
    assert head.mean[:, 0] == near(np.einsum("bk,bkd->bd", mixture.weights, mixture.mean), rel=1e-4, abs=1e-5)


def test_log_sd_is_clipped():
    policy = Policy(4, 2, log_sd_bounds=(-1.0, 0.0))
    params = policy.init(KEY)
    params["log_sd"]["bias"] += 100.0
    assert policy.head(params, OBSERVATIONS).log_sd == near(0.0)


def test_errors_say_what_was_expected():
    policy = Policy(4, 2)
    params = policy.init(KEY)
    with pytest.raises(DataError, match=r"observations must have shape \(\.\.\., 4\), got \(6, 3\)"):
        policy.head(params, OBSERVATIONS[:, :3])
    with pytest.raises(DataError, match=r"\(\.\.\., 4\), got \(6, 3\)"):
        jax.jit(policy.head)(params, OBSERVATIONS[:, :3])
    spoilt = OBSERVATIONS.copy()
    spoilt[2, 1] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        policy.sample(params, KEY, spoilt)
    for options, said in [
        ({"n_experts": 0}, "n_experts must be a whole number of at least 1, got 0"),
        ({"covariance": "banded"}, "covariance must be one of"),
        ({"initial_log_sd": 3.0}, "initial_log_sd must lie within"),
        ({"activation": "sine"}, "activation must be one of relu"),
        ({"hidden": (0,)}, "hidden must hold the widths"),
        ({"network": lambda s: s}, "network must have init"),
    ]:
        with pytest.raises(OptionError, match=said):
            Policy(4, 2, **options)
