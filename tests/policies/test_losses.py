"""Losses of the actor: exact gradients by quadrature, fixed points, hand computations, soft actor-critic of one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.exceptions import DataError, OptionError
from mixstat.policies import MixtureHead, actor_loss, gate_frequency_loss, temperature_loss
from mixstat.policies.losses import ESTIMATORS, draw_experts
from mixstat.policies.one_state import OneState
from tests.policies.near import near
from tests.policies.test_head import random_head

KEY = jax.random.key(3)
ALPHA = 0.2
LINE = OneState(spread=0.3, alpha=ALPHA, goals=((0.5,), (-0.6,)))
HEAD = MixtureHead(jnp.array([0.4, 0.0, -0.7]), jnp.array([[0.5], [-0.4], [0.1]]), jnp.array([[-1.0], [-0.7], [-0.4]]))


def q(action):
    return jnp.sin(3 * action[..., 0]) - 0.5 * jnp.sum(action**2, axis=-1)


def exact_gradient():
    with jax.enable_x64(True):
        head = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), HEAD)
        return jax.grad(lambda h: -LINE.objective(h, points=2001))(head)


def mean_gradient(estimator, draws=400, batch=256, **options):
    """Mean and standard error of `draws` gradients over batches of one state."""

    def loss(head, key):
        rows = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch, *leaf.shape)), head)
        return actor_loss(estimator, key, rows, LINE.reward, ALPHA, **options)[0]

    gradients = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(HEAD, jax.random.split(KEY, draws))
    return [(np.mean(leaf, axis=0), np.std(leaf, axis=0) / draws**0.5) for leaf in jax.tree.leaves(gradients)]


def test_exact_gradient_is_that_of_finite_differences():
    step, gradient = 1e-4, exact_gradient()
    with jax.enable_x64(True):
        head = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), HEAD)
        for name in ("logits", "mean", "log_sd"):
            place = (1,) if name == "logits" else (1, 0)
            moved = [
                -LINE.objective(MixtureHead(**{**vars(head), name: getattr(head, name).at[place].add(s)}), points=2001)
                for s in (step, -step)
            ]
            slope = float((moved[0] - moved[1]) / (2 * step))
            assert float(getattr(gradient, name)[place]) == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("estimator", ["marginal", "score", "likelihood_ratio"])
def test_unbiased_estimators_average_to_the_exact_gradient(estimator):
    for (mean, error), exact in zip(mean_gradient(estimator), jax.tree.leaves(exact_gradient()), strict=True):
        assert (np.abs(mean - np.asarray(exact)) < 4 * error + 1e-4).all()


def test_gumbel_is_biased_in_the_gate():
    mean, error = mean_gradient("gumbel")[0]
    assert np.max(np.abs(mean - np.asarray(exact_gradient().logits)) / error) > 6


@pytest.mark.parametrize("estimator", ["marginal", "score", "likelihood_ratio", "gumbel"])
def test_value_is_the_objective(estimator):
    rows = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (50_000, *leaf.shape)), HEAD)
    loss, _ = actor_loss(estimator, KEY, rows, LINE.reward, ALPHA)
    assert float(loss) == pytest.approx(-float(LINE.objective(HEAD, points=2001)), abs=0.01)


def test_marginal_has_the_smaller_variance():
    marginal, scored = (mean_gradient(name, draws=200) for name in ("marginal", "score"))
    assert sum(np.sum(e**2) for _, e in marginal) < 0.5 * sum(np.sum(e**2) for _, e in scored)


@pytest.mark.parametrize("estimator", sorted(set(ESTIMATORS) - {"likelihood_ratio"}))
def test_one_expert_is_soft_actor_critic(estimator):
    head = random_head(20, experts=1)

    def by_hand(head):
        action, u = head.rsample_components(jax.random.split(KEY)[0])
        return jnp.mean(ALPHA * head.log_prob(pre_squash=u[:, 0]) - q(action[:, 0]))

    loss, gradient = jax.value_and_grad(lambda h: actor_loss(estimator, KEY, h, q, ALPHA)[0])(head)
    expected, slope = jax.value_and_grad(by_hand)(head)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for found, wanted in zip(jax.tree.leaves(gradient), jax.tree.leaves(slope), strict=True):
        assert found == near(wanted, rel=1e-4, abs=1e-6)


def test_frequency_by_hand():
    head = random_head(21)
    drawn = draw_experts(jax.random.split(KEY)[0], head, q)
    winners = np.argmax(drawn.q, axis=-1)
    rows = np.arange(5)
    onehot = np.eye(3)[winners]
    own = ALPHA * np.asarray(head.over_draws().component_log_prob(pre_squash=drawn.pre_squash))
    each = np.diagonal(own, axis1=1, axis2=2) - np.asarray(drawn.q)
    gaps = (onehot - np.asarray(head.weights)) ** 2
    for options, expected in [
        ({}, each[rows, winners].mean() + gaps.mean()),
        ({"primitives": "all"}, each.sum(axis=1).mean() + gaps.mean()),
        ({"gate_reduction": "sum"}, each[rows, winners].mean() + 3 * gaps.mean()),
        ({"gate_loss": "log"}, each[rows, winners].mean() - np.asarray(head.log_weights)[rows, winners].mean()),
        ({"gate_weight": 0.0}, each[rows, winners].mean()),
        (
            {"bonus": "mixture", "gate_weight": 0.0},
            (ALPHA * np.asarray(drawn.log_prob) - np.asarray(drawn.q))[rows, winners].mean(),
        ),
    ]:
        loss, aux = actor_loss("frequency", KEY, head, q, ALPHA, **options)
        assert float(loss) == pytest.approx(float(expected), rel=1e-4), options
        assert aux.winners == near(winners)
        assert aux.log_prob == near(np.diagonal(own, axis1=1, axis2=2)[rows, winners] / ALPHA, rel=1e-4)
    mixed = actor_loss("frequency", KEY, head, q, ALPHA, temperature_by="mixture")[1].log_prob
    assert mixed == near(np.sum(np.asarray(head.weights) * np.asarray(drawn.log_prob), axis=1), rel=1e-4)


def test_best_primitives_leave_losers_alone():
    head = random_head(22)
    winners = np.argmax(draw_experts(jax.random.split(KEY)[0], head, q).q, axis=-1)
    gradient = jax.grad(lambda h: actor_loss("frequency", KEY, h, q, ALPHA)[0])(head)
    moved = np.asarray(jnp.any(gradient.mean != 0, axis=-1))
    assert (moved == np.eye(3, dtype=bool)[winners]).all()
    everyone = jax.grad(lambda h: actor_loss("frequency", KEY, h, q, ALPHA, primitives="all")[0])(head)
    assert np.asarray(everyone.mean != 0).all()


@pytest.mark.parametrize("loss", ["brier", "log"])
def test_fixed_point_of_the_gate_is_the_win_probability(loss):
    """Two experts whose values are N(0, .2^2) and N(.1, .2^2): the second wins with probability .638."""
    values = jnp.array([0.0, 0.1]) + 0.2 * jax.random.normal(KEY, (20_000, 2))

    def step(logits, _):
        rows = jnp.broadcast_to(logits, values.shape)
        gradient = jax.grad(lambda v: gate_frequency_loss(jnp.broadcast_to(v, rows.shape), values, loss=loss))(logits)
        return logits - 4.0 * gradient, None

    logits, _ = jax.jit(lambda start: jax.lax.scan(step, start, length=60))(jnp.zeros(2))
    share = np.bincount(np.argmax(values, axis=-1)) / len(values)
    assert np.asarray(jax.nn.softmax(logits)) == pytest.approx(share, abs=1e-3)
    assert share[1] == pytest.approx(0.638, abs=0.015)


def test_values_of_the_winners_carry_no_gradient_to_the_gate():
    gradient = jax.grad(lambda v: gate_frequency_loss(jnp.zeros((4, 2)), v))(jnp.arange(8.0).reshape(4, 2))
    assert not np.asarray(gradient).any()


def test_gating_is_the_gaussian_of_averaged_means():
    head = random_head(23)
    loss, aux = actor_loss("gating", KEY, head, q, ALPHA)
    assert np.isfinite(loss)
    assert not aux.winners.any()
    gradient = jax.grad(lambda h: actor_loss("gating", KEY, h, q, ALPHA)[0])(head)
    assert np.asarray(gradient.logits).any()


def test_temperature_by_hand():
    log_alpha, log_prob = jnp.log(0.3), jnp.array([-1.0, 0.5])
    value, slope = jax.value_and_grad(temperature_loss)(log_alpha, log_prob, -2.0)
    assert float(value) == pytest.approx(-float(log_alpha) * (-0.25 - 2.0))
    assert float(slope) == pytest.approx(2.25)
    assert float(jax.grad(temperature_loss)(log_alpha, -log_prob * 8, -2.0)) == pytest.approx(0.0)
    curved = jax.grad(lambda v: temperature_loss(v, log_prob, -2.0, form="exp"))(log_alpha)
    assert float(curved) == pytest.approx(0.3 * 2.25, rel=1e-5)


@pytest.mark.parametrize("estimator", sorted(set(ESTIMATORS) - {"unimodal"}))
def test_full_covariance_jit_and_aux(estimator):
    head = random_head(24, full=True)
    loss = jax.jit(lambda h: actor_loss(estimator, KEY, h, q, ALPHA))
    value, aux = loss(head)
    assert np.isfinite(value)
    assert aux.log_prob.shape == aux.q.shape == aux.winners.shape == aux.gate_loss.shape == (5,)
    gradient = jax.grad(lambda h: loss(h)[0])(head)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.asarray(gradient.dependence).any()


def test_errors_say_what_was_expected():
    head = random_head(25)
    with pytest.raises(OptionError, match="estimator must be one of 'marginal'"):
        actor_loss("pmoe", KEY, head, q, ALPHA)
    with pytest.raises(OptionError, match="primitives must be one of"):
        actor_loss("frequency", KEY, head, q, ALPHA, primitives="worst")
    with pytest.raises(OptionError, match="takes one expert, got 3"):
        actor_loss("unimodal", KEY, head, q, ALPHA)
    with pytest.raises(DataError, match=r"for actions \(5, 3, 2\) \(5, 3\), got \(5, 3, 2\)"):
        actor_loss("marginal", KEY, head, lambda a: a, ALPHA)
    with pytest.raises(OptionError, match="reduction must be"):
        gate_frequency_loss(head.logits, head.logits, reduction="max")
    with pytest.raises(OptionError, match="form must be"):
        temperature_loss(jnp.zeros(()), jnp.zeros(3), -1.0, form="linear")
