"""One mixture and its data for the tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import numpy as np
import pandas as pd
import pytest

import mixstat as ms


def make_frame(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    """Two crossing lines in (x, y), membership by z; u has nothing to do with either."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({name: rng.normal(size=rows) for name in "xzu"})
    second = rng.random(rows) < 1 / (1 + np.exp(-data.z))
    data["y"] = np.where(second, 1 + data.x, 4 - data.x) + rng.normal(size=rows)
    data["count"] = rng.poisson(np.exp(0.3 + 0.4 * data.x))
    return data


def make_mixture(**options) -> ms.MixtureOfExperts:
    settings = {
        "expert": ms.Regression("y ~ x"),
        "gate": "~ z",
        "n_experts": 2,
        "n_init": 4,
        "random_state": 0,
        "verbose": 0,
    }
    return ms.MixtureOfExperts(**{**settings, **options})


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return make_frame()


@pytest.fixture(scope="session")
def fitted(frame) -> ms.MixtureOfExperts:
    return make_mixture().fit(frame)


@pytest.fixture
def compilations(caplog):
    """A context that counts what jax compiles inside it."""

    @contextmanager
    def counting() -> Iterator[Callable[[], int]]:
        caplog.clear()
        with jax.log_compiles(), caplog.at_level("WARNING"):
            yield lambda: sum("Compiling" in record.getMessage() for record in caplog.records)

    return counting
