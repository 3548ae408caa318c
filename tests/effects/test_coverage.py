"""Intervals of average effects of a mixture cover their true values as often as they say."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import mixstat as ms

pytestmark = pytest.mark.slow

REPLICATES, SIZE = 200, 500
ROWS = pd.DataFrame({"x": np.linspace(-1.2, 1.2, 25), "v": np.sin(np.arange(25.0))})


def means(x, v):
    """(probability of expert 2, mean of expert 1, mean of expert 2)."""
    return expit(0.3 + 0.9 * v + 0.5 * x), np.exp(0.3 - 0.5 * x), np.exp(2.0 + 0.4 * x)


def true_effects() -> np.ndarray:
    """Average slopes in x and v, by the chain rule."""
    share, low, high = means(ROWS.x, ROWS.v)
    through_gate = share * (1 - share) * (high - low)
    along_x = 0.5 * through_gate + (1 - share) * -0.5 * low + share * 0.4 * high
    return np.array([along_x.mean(), (0.9 * through_gate).mean()])


def test_coverage():
    rng = np.random.default_rng(8)
    model = ms.MixtureOfExperts(
        ms.Regression("y ~ x", family="poisson"), gate="~ v + x", n_init=3, random_state=1, verbose=0
    )
    covered, ratios = [], []
    for _ in range(REPLICATES):
        x, v = rng.uniform(-1.5, 1.5, SIZE), rng.normal(size=SIZE)
        share, low, high = means(x, v)
        y = rng.poisson(np.where(rng.random(SIZE) < share, high, low))
        table = model.fit(pd.DataFrame({"x": x, "v": v, "y": y})).marginal_effects(ROWS, ["x", "v"])
        covered.append(table["conf_low"].lt(true_effects()) & table["conf_high"].gt(true_effects()))
        ratios.append((table["estimate"] - true_effects()) / table["std_error"])
    rate = np.mean(covered, axis=0)
    assert (np.abs(rate - 0.95) < 4 * np.sqrt(0.95 * 0.05 / REPLICATES)).all(), rate
    assert (np.abs(np.std(ratios, axis=0) - 1) < 0.2).all()
    assert (np.abs(np.mean(ratios, axis=0)) < 0.4).all()
