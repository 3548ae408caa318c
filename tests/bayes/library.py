"""Optional libraries of these tests, and a few fitted models that they share."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixstat as ms


def arviz() -> Any:
    """ArviZ, or the test is skipped; its import may warn of its own changes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("arviz")


def lines(size: int, seed: int = 0) -> pd.DataFrame:
    """Two regression lines far apart, membership by z."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(3.0, 2.0, size), "z": rng.normal(size=size)})
    second = rng.random(size) < 1 / (1 + np.exp(-0.5 - frame.z))
    frame["y"] = np.where(second, 6 + 0.5 * frame.x, 1 - 0.5 * frame.x) + rng.normal(size=size)
    return frame


@cache
def two_lines(size: int) -> ms.MixtureOfExperts:
    """The fitted mixture of `lines(size)`."""
    return ms.MixtureOfExperts(
        ms.Regression("y ~ x"), gate="~ z", n_experts=2, n_init=3, random_state=0, verbose=0
    ).fit(lines(size))


@cache
def three_counts() -> tuple[ms.MixtureOfExperts, pd.DataFrame]:
    """Three Poisson experts under a gate with a covariate, and their data."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=400), "z": rng.normal(1.0, 2.0, 400)})
    group = rng.integers(3, size=400)
    frame["y"] = rng.poisson(np.exp(np.array([0.0, 1.8, 3.4])[group] + 0.2 * frame.x))
    model = ms.MixtureOfExperts(
        ms.Regression("y ~ x", family="poisson"), gate="~ z", n_experts=3, n_init=4, random_state=0, verbose=0
    )
    return model.fit(frame), frame
