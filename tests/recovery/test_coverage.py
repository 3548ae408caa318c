"""Bias and coverage over simulated samples of two gated experts (n = 500)."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms

pytestmark = pytest.mark.slow

REPLICATES, SIZE = 200, 500
MEAN = {1: (-1.0, -0.5), 2: (1.5, 0.7)}
LOG_SIGMA = {1: -0.3, 2: 0.1}
GATE = (0.3, 0.9)


def draw(family: str, rng: np.random.Generator) -> pd.DataFrame:
    """One sample; expert 2 has probability expit(0.3 + 0.9 v)."""
    x, v = rng.uniform(-1.5, 1.5, SIZE), rng.normal(size=SIZE)
    second = rng.random(SIZE) < 1 / (1 + np.exp(-GATE[0] - GATE[1] * v))
    mean = np.where(second, MEAN[2][0] + MEAN[2][1] * x, MEAN[1][0] + MEAN[1][1] * x)
    if family == "poisson":
        return pd.DataFrame({"x": x, "v": v, "y": rng.poisson(np.exp(mean))})
    sigma = np.exp(np.where(second, LOG_SIGMA[2], LOG_SIGMA[1]))
    return pd.DataFrame({"x": x, "v": v, "y": rng.normal(mean, sigma)})


def truth(table: pd.DataFrame) -> np.ndarray:
    """The true value of every row of `tidy()`."""
    values = []
    for row in table.itertuples():
        place = 0 if row.term == "Intercept" else 1
        values.append(
            {"mean": MEAN[row.expert][place], "sigma": LOG_SIGMA[row.expert], "gate": GATE[place]}[row.parameter]
        )
    return np.array(values)


def study(family: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(replicate, parameter) errors, standard errors and whether the 95 % interval covers."""
    rng = np.random.default_rng(2025)
    model = ms.MixtureOfExperts(ms.Regression("y ~ x", family=family), gate="~ v", n_init=3, random_state=1, verbose=0)
    errors, scales, covered = [], [], []
    for _ in range(REPLICATES):
        table = model.fit(draw(family, rng)).tidy()
        assert model.converged_, model.status_
        true = truth(table)
        errors.append(table["estimate"].to_numpy() - true)
        scales.append(table["std_error"].to_numpy())
        covered.append((table["conf_low"] < true) & (true < table["conf_high"]))
    return np.array(errors), np.array(scales), np.array(covered)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_bias_and_coverage(family):
    errors, scales, covered = study(family)
    monte_carlo = errors.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
    assert (np.abs(errors.mean(axis=0)) < 4 * monte_carlo + 0.15 * scales.mean(axis=0)).all()
    assert 0.93 < covered.mean() < 0.97
    rate = covered.mean(axis=0)
    assert (np.abs(rate - 0.95) < 4 * np.sqrt(0.95 * 0.05 / REPLICATES)).all(), rate
    ratio = np.sqrt((scales**2).mean(axis=0)) / errors.std(axis=0, ddof=1)
    assert (np.abs(ratio - 1) < 0.25).all(), ratio
