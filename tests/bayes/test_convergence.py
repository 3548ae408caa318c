"""r-hat and the effective number of draws: closed forms, and ArviZ."""

import numpy as np
import pytest

from mixstat.inference.convergence import effective_size, r_hat, split
from tests.bayes.library import arviz


def autoregression(rho: float, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """(chain, draw, 1) stationary AR(1) of unit variance."""
    noise = np.random.default_rng(seed).normal(size=shape)
    draws = noise.copy()
    for step in range(1, shape[1]):
        draws[:, step] = rho * draws[:, step - 1] + np.sqrt(1 - rho**2) * noise[:, step]
    return draws[..., None]


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.3])
def test_effective_size_of_an_autoregression(rho):
    """ess = total (1 - rho) / (1 + rho)."""
    draws = autoregression(rho, (4, 5000))
    assert effective_size(draws)[0] == pytest.approx(20_000 * (1 - rho) / (1 + rho), rel=0.12)


def test_as_arviz_computes_them():
    az = arviz()
    draws = autoregression(0.6, (4, 501), seed=1)
    assert r_hat(draws)[0] == pytest.approx(float(az.rhat(draws[..., 0], method="split")), rel=1e-10)
    assert effective_size(draws)[0] == pytest.approx(float(az.ess(draws[..., 0], method="mean")), rel=0.1)


def test_chains_apart_and_drifting_chains_are_seen():
    draws = np.random.default_rng(0).normal(size=(4, 200, 1))
    assert r_hat(draws)[0] < 1.02
    assert r_hat(draws + np.arange(4)[:, None, None])[0] > 1.5
    assert r_hat(draws + np.linspace(0, 4, 200)[None, :, None])[0] > 1.3


def test_what_cannot_be_judged_is_nan():
    assert np.isnan(r_hat(np.zeros((2, 3, 1)))).all()
    assert np.isnan(effective_size(np.zeros((2, 100, 1)))).all()
    assert split(np.arange(10.0).reshape(2, 5, 1)).shape == (4, 2, 1)
