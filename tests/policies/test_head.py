"""MixtureHead: densities against float64 by brute force, draws, entropies, transformations of jax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from mixstat.exceptions import DataError, OptionError
from mixstat.policies import MixtureHead, entropy_bounds
from mixstat.policies.covariance import factor, from_covariance, pairs
from tests.policies.near import near

KEY = jax.random.key(0)


def random_head(seed, *, batch=(5,), experts=3, size=2, full=False, squash=True):
    rng = np.random.default_rng(seed)
    dependence = rng.normal(size=(*batch, experts, size * (size - 1) // 2)) if full else None
    parts = [
        rng.normal(size=(*batch, experts)),
        rng.normal(size=(*batch, experts, size)),
        rng.normal(-0.7, 0.5, (*batch, experts, size)),
    ]
    return MixtureHead(*(jnp.asarray(p, jnp.float32) for p in parts), _float(dependence), squash)


def _float(array):
    return None if array is None else jnp.asarray(array, jnp.float32)


def brute_force(head, u, row=0):
    """log pi_k (K,) and log pi of the action tanh(u), in float64 by scipy."""
    logits = np.asarray(head.logits[row], float)
    weights = np.exp(logits) / np.exp(logits).sum()
    size, found = head.action_size, []
    for k in range(head.n_experts):
        unit = np.eye(size)
        if head.dependence is not None:
            for value, place in zip(np.asarray(head.dependence[row, k], float), pairs(size), strict=True):
                unit[place] = -value
        lower = np.linalg.solve(unit, np.diag(np.exp(np.asarray(head.log_sd[row, k], float))))
        found.append(stats.multivariate_normal(np.asarray(head.mean[row, k], float), lower @ lower.T).logpdf(u))
    jacobian = np.sum(np.log(4.0) - 2 * np.logaddexp(u, -u)) if head.squash else 0.0
    found = np.array(found)
    return found - jacobian, np.log(np.sum(weights * np.exp(found - found.max()))) + found.max() - jacobian


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("reach", [0.3, 1.0, 4.0, 8.0, 20.0])
def test_log_prob_is_that_of_float64(full, squash, reach):
    head = random_head(1, full=full, squash=squash)
    u = np.float32(reach) * np.array([[1, -0.5], [-1, 1], [0.1, 0.9], [1, 1], [-1, -1]], np.float32)
    found, each = head.log_prob(pre_squash=u), head.component_log_prob(pre_squash=u)
    assert found.dtype == jnp.float32
    for row in range(5):
        components, total = brute_force(head, u[row].astype(float), row)
        assert float(found[row]) == near(total, rel=1e-5, abs=1e-5)
        assert np.asarray(each[row]) == near(components, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("bound", [0.5, 0.99, 0.9999, 0.999999, 1 - 2.0**-24])
def test_log_prob_of_actions_near_the_bounds(bound):
    head = random_head(2, batch=(1,))
    action = np.array([[bound, -0.3]], np.float32)
    _, total = brute_force(head, np.arctanh(action[0].astype(float)))
    assert float(head.log_prob(action)[0]) == near(total, rel=1e-5, abs=1e-5)


def test_an_action_and_its_u_have_one_density():
    head = random_head(3)
    u = jax.random.normal(KEY, (5, 2))
    assert head.log_prob(jnp.tanh(u)) == near(head.log_prob(pre_squash=u), rel=1e-4)
    assert head.component_log_prob(jnp.tanh(u)) == near(head.component_log_prob(pre_squash=u), rel=1e-4)


def test_density_integrates_to_one():
    head = random_head(4, batch=(1,), size=1)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), head)
        density = jax.jit(lambda a: jnp.exp(wide.log_prob(a[:, None, None])[:, 0]))
        nodes, weights = np.polynomial.legendre.leggauss(20)
        edges = np.tanh(np.linspace(-18, 18, 400))
        half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
        a = middle[:, None] + half[:, None] * nodes
        total = np.sum(np.asarray(density(a.ravel())).reshape(a.shape) * weights * half[:, None])
    assert total == near(1.0, abs=1e-8)


@pytest.mark.parametrize("u", [20.0, -20.0, 300.0])
def test_extremes_are_finite_with_their_gradients(u):
    head = random_head(5)
    place = jnp.full((5, 2), u)
    gradient = jax.grad(lambda h: jnp.sum(h.log_prob(pre_squash=place)))(head)
    assert np.isfinite(head.log_prob(pre_squash=place)).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.isfinite(head.log_prob(jnp.ones((5, 2)))).all()


def test_there_is_no_density_outside_the_bounds():
    head = random_head(5)
    assert (np.asarray(head.log_prob(jnp.full((5, 2), 1.01))) == -np.inf).all()
    assert np.isfinite(head.unsquashed().log_prob(jnp.full((5, 2), 1.01))).all()


@pytest.mark.parametrize("full", [False, True])
def test_moments_of_draws(full):
    head = random_head(6, batch=(), full=full, squash=False)
    draws = np.asarray(jax.vmap(head.sample)(jax.random.split(KEY, 200_000)), float)
    weights, means = np.asarray(head.weights, float), np.asarray(head.mean, float)
    covariances = [_covariance(head, k) for k in range(3)]
    mean = weights @ means
    second = sum(w * (c + np.outer(m, m)) for w, c, m in zip(weights, covariances, means, strict=True))
    error = np.sqrt(np.diag(second) / len(draws))
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * error).all()
    assert np.cov(draws.T) == near(second - np.outer(mean, mean), rel=0.03, abs=0.02)


def _covariance(head, k):
    lower = np.asarray(factor(head.log_sd[k], None if head.dependence is None else head.dependence[k]), float)
    return lower @ lower.T


def test_covariances_round_trip():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(2, 3, 3))
    covariance = root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(3)
    log_sd, dependence = from_covariance(covariance)
    head = MixtureHead(jnp.zeros(2), jnp.zeros((2, 3)), jnp.asarray(log_sd), jnp.asarray(dependence))
    assert np.array([_covariance(head, k) for k in range(2)]) == near(covariance, rel=1e-4, abs=1e-4)


def test_sampled_actions_have_the_density_they_come_with():
    head = random_head(7)
    action, log_prob = head.sample_and_log_prob(KEY)
    assert action.shape == (5, 2)
    assert log_prob == near(head.log_prob(action), rel=1e-4)


@pytest.mark.parametrize("full", [False, True])
def test_squashing_changes_no_responsibility(full):
    head = random_head(8, full=full)
    u = jax.random.normal(KEY, (5, 2))
    found = head.responsibilities(pre_squash=u)
    assert found == near(head.unsquashed().responsibilities(u))
    assert found.sum(axis=-1) == near(1.0)
    joint = head.log_weights + head.component_log_prob(pre_squash=u)
    assert found == near(np.asarray(jnp.exp(joint - head.log_prob(pre_squash=u)[:, None])), rel=1e-4)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("squash", [False, True])
def test_entropy_lies_within_its_bounds(full, squash):
    head = random_head(9, batch=(), full=full, squash=squash)
    drawn = jax.vmap(head.draw)(jax.random.split(KEY, 100_000))
    entropy = -float(jnp.mean(head.over_draws().log_prob(pre_squash=drawn.pre_squash)))
    bounds = np.array(entropy_bounds(head))
    assert (np.diff(bounds) > 0).all()
    assert bounds[1] - 0.01 < entropy < bounds[2] + 0.01


def test_entropy_of_one_expert_is_exact():
    head = random_head(10, batch=(), experts=1, size=1)
    a = np.tanh(np.linspace(-15, 15, 20_001))
    log_density = np.asarray(head.over_draws().log_prob(jnp.asarray(a[1:-1, None])), float)
    exact = -integrate.trapezoid(np.exp(log_density) * log_density, a[1:-1])
    assert np.array(entropy_bounds(head)) == near(exact, abs=1e-3)


def test_equal_experts_have_the_joint_bound_log_k_too_wide():
    one = random_head(11, batch=(), experts=1)
    equal = MixtureHead(jnp.zeros(4), *(jnp.repeat(leaf, 4, axis=0) for leaf in (one.mean, one.log_sd)))
    low, pair_low, pair_up, joint = entropy_bounds(equal)
    assert pair_low == near(low, abs=1e-4)
    assert pair_up == near(low, abs=1e-4)
    assert joint - low == near(np.log(4), abs=1e-5)


def test_mode_is_the_mean_of_highest_density():
    head = MixtureHead(jnp.log(jnp.array([0.45, 0.55])), jnp.array([[0.0], [2.5]]), jnp.log(jnp.array([[0.3], [0.5]])))
    assert float(head.mode()[0]) == near(0.0)
    assert float(head.mode(density="action")[0]) == near(np.tanh(2.5))


@pytest.mark.parametrize("full", [False, True])
def test_mean_is_that_of_draws_and_warns(full):
    head = random_head(12, batch=(), full=full)
    draws = np.asarray(jax.vmap(head.sample)(jax.random.split(KEY, 100_000)))
    with pytest.warns(UserWarning, match="not an action to play"):
        assert head.mean_action() == near(draws.mean(axis=0), abs=0.01)


def test_draws_carry_no_gradient_and_rsample_is_refused():
    head = random_head(13)
    gradient = jax.grad(lambda h: jnp.sum(h.sample(KEY)))(head)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(gradient))
    with pytest.raises(OptionError, match="rsample_components"):
        head.rsample(KEY)


def test_draws_of_experts_are_reparameterised():
    head = random_head(14, full=True)
    gradient = jax.grad(lambda h: jnp.sum(h.rsample_components(KEY).pre_squash))(head)
    assert gradient.mean == near(1.0)
    assert (np.asarray(gradient.log_sd) != 0).all()
    assert (np.asarray(gradient.dependence) != 0).all()


def test_jit_vmap_and_grad_take_the_head():
    head, u = random_head(15, full=True), jax.random.normal(KEY, (5, 2))
    plain = head.log_prob(pre_squash=u)
    assert jax.jit(lambda h: h.log_prob(pre_squash=u))(head) == near(plain, rel=1e-5)
    assert jax.vmap(lambda h, v: h.log_prob(pre_squash=v))(head, u) == near(plain, rel=1e-5)
    gradient = jax.grad(lambda h: h.log_prob(pre_squash=u).sum())(head)
    assert gradient.logits.sum(axis=-1) == near(0.0, abs=1e-5)
    step = 1e-2
    for leaf in ("mean", "log_sd", "dependence"):
        moved = [
            type(head)(**{**vars(head), leaf: getattr(head, leaf).at[0, 1, 0].add(s)}).log_prob(pre_squash=u).sum()
            for s in (step, -step)
        ]
        assert getattr(gradient, leaf)[0, 1, 0] == near((moved[0] - moved[1]) / (2 * step), rel=0.02, abs=2e-3)


def test_errors_say_what_was_expected():
    head = random_head(16)
    with pytest.raises(DataError, match=r"action must have shape \(\.\.\., 2\), got \(5, 3\)"):
        head.log_prob(jnp.zeros((5, 3)))
    with pytest.raises(OptionError, match="one of the two"):
        head.log_prob()
    with pytest.raises(OptionError, match="one of the two"):
        head.log_prob(jnp.zeros((5, 2)), pre_squash=jnp.zeros((5, 2)))
    with pytest.raises(DataError, match=r"logits \(\.\.\., K\)"):
        MixtureHead(jnp.zeros(3), jnp.zeros((2, 2)), jnp.zeros((2, 2)))
    with pytest.raises(OptionError, match="pre_squash"):
        head.mode(density="u")
