"""Sandwiches and scores some blocks of units at a time: the same numbers as all at once."""

import numpy as np
import pytest

import mixstat as ms
from mixstat.fit import scores
from mixstat.fit.precision import double
from tests.inference.conftest import make_frame


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_parts_add_up_to_the_whole(monkeypatch, blocks):
    """Five blocks of units: parts of two and three overlap at the end, where each unit still counts once."""
    data = make_frame(9000).assign(group=np.arange(9000) % 701)
    model = ms.Regression("y ~ x + z", cluster="group", verbose=0).fit(data)
    theta, problem = model.fitted_.solution.theta, model._problem
    monkeypatch.setattr(scores, "BLOCKS", blocks)
    parts = double(lambda: list(scores.score_parts(problem, theta)))()
    assert len(parts) == -(-problem.design.weight.shape[0] // blocks)
    design = np.column_stack([np.ones(len(data)), data.x, data.z])
    residual, variance = data.y - design @ model.tidy()["estimate"][:3], np.exp(2 * model.tidy()["estimate"].iloc[-1])
    own = np.column_stack([design * (residual / variance).to_numpy()[:, None], residual**2 / variance - 1])
    inverse = model.covariance()
    np.testing.assert_allclose(model.covariance("robust"), inverse @ own.T @ own @ inverse, rtol=1e-6, atol=1e-12)
    sums = np.stack([np.bincount(data.group, column) for column in own.T], axis=1)
    np.testing.assert_allclose(model.covariance("cluster"), inverse @ sums.T @ sums @ inverse, rtol=1e-6, atol=1e-12)
    whole = scores.weighted_scores(problem, theta)
    np.testing.assert_allclose(scores.score_products(problem, theta), whole @ whole.T, rtol=1e-10, atol=1e-8)
