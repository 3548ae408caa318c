"""analyse: copies are told from experts, what is dead or at its bound is named, tables and plots."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.exceptions import DataError
from mixstat.policies import GaussianMixturePolicy, analyse, plot_density
from mixstat.policies.entropy import bhattacharyya, kullback_leibler
from mixstat.results.plots.style import to_png
from tests.policies.test_head import random_head

KEY = jax.random.key(0)
OBSERVATIONS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
POLICY = GaussianMixturePolicy(3, 2, n_experts=4, hidden=(8,))


def params_with(**biases):
    params = POLICY.init(KEY)
    for name, value in biases.items():
        params[name] = {"weight": 0.0 * params[name]["weight"], "bias": jnp.asarray(np.ravel(value), jnp.float32)}
    return params


EQUAL = params_with(gate=np.zeros(4), mean=np.zeros((4, 2)), log_sd=np.full((4, 2), -1.0))
APART = params_with(gate=np.zeros(4), mean=[[2, 0], [-2, 0], [0, 2], [0, -2]], log_sd=np.full((4, 2), -2.0))


def test_equal_experts_have_both_entropies_log_k():
    report = analyse(POLICY, EQUAL, OBSERVATIONS)
    assert report.gate_entropy == pytest.approx(np.log(4), abs=1e-5)
    assert report.responsibility_entropy == pytest.approx(np.log(4), abs=1e-5)
    assert report.redundant == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
    assert "expert 1: redundant with 2, 3, 4" in str(report)


def test_separated_experts_have_a_busy_gate_alone():
    report = analyse(POLICY, APART, OBSERVATIONS)
    assert report.gate_entropy == pytest.approx(np.log(4), abs=1e-5)
    assert report.responsibility_entropy == pytest.approx(0.0, abs=1e-5)
    assert report.redundant == report.dead == report.clipped == []
    assert report.shares == pytest.approx(0.25)
    assert str(report).endswith("none")


def test_dead_experts_and_bounds_are_named():
    params = params_with(gate=[0, 0, 0, -9], mean=[[2, 0], [-2, 0], [0, 2], [0, -2]], log_sd=np.full((4, 2), 5.0))
    report = analyse(POLICY, params, OBSERVATIONS)
    assert report.dead == [4]
    assert report.clipped == [1, 2, 3, 4]
    table = report.table()
    assert table["remark"].iloc[3].startswith("dead")
    assert list(table.columns) == ["expert", "share", "largest_weight", "nearest", "distance", "remark"]


def test_wins_are_those_of_the_critic():
    report = analyse(POLICY, APART, OBSERVATIONS, q=lambda s, a: a[..., 0])
    assert report.wins == pytest.approx([1, 0, 0, 0])
    assert report.table()["wins"].sum() == pytest.approx(1.0)
    with pytest.raises(DataError, match=r"q must give values \(40, 4\)"):
        analyse(POLICY, APART, OBSERVATIONS, q=lambda s, a: a)


@pytest.mark.parametrize("full", [False, True])
def test_distances_by_quadrature(full):
    """KL and Bhattacharyya's distance of two experts in the plane, on a grid of u."""
    head = random_head(30, batch=(), experts=2, full=full, squash=False)
    axis = np.linspace(-9, 9, 601)
    u = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    logs = np.asarray(head.over_draws().component_log_prob(jnp.asarray(u, jnp.float32)), float)
    cell = (axis[1] - axis[0]) ** 2
    kl = np.sum(np.exp(logs[:, 0]) * (logs[:, 0] - logs[:, 1])) * cell
    distance = -np.log(np.sum(np.exp(0.5 * (logs[:, 0] + logs[:, 1]))) * cell)
    assert float(kullback_leibler(head)[0, 1]) == pytest.approx(kl, rel=1e-3)
    assert float(bhattacharyya(head)[0, 1]) == pytest.approx(distance, rel=1e-3)
    assert np.diagonal(kullback_leibler(head)) == pytest.approx(0.0, abs=1e-5)


def test_plots_draw_on_the_axes_they_are_given():
    report = analyse(POLICY, APART, OBSERVATIONS)
    for plot in (report.plot_entropies, report.plot_overlap, report.plot_weights):
        ax = plot()
        assert plot(ax=ax) is ax
        assert len(to_png(ax.figure)) > 1000


@pytest.mark.parametrize("size", [1, 2])
def test_density_of_an_action(size):
    head = random_head(31, batch=(), size=size)
    ax = plot_density(head)
    assert plot_density(head, ax=ax) is ax
    assert len(to_png(ax.figure)) > 1000
    with pytest.raises(DataError, match="of one observation"):
        plot_density(random_head(31, size=size))


def test_observations_are_a_table():
    with pytest.raises(DataError, match=r"observations must have shape \(rows, 3\)"):
        analyse(POLICY, APART, OBSERVATIONS[0])
