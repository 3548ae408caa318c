"""Small data and short constructors that the tests of this folder share; one shape, so that little compiles."""

from typing import Any

import numpy as np
import pandas as pd

import mixstat as ms

SIZE = 120


def frame(**columns: Any) -> pd.DataFrame:
    """120 rows: two crossing lines in (x, y) with membership by z; counts n, binary b, 30 units u; and `columns`."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=SIZE), "z": rng.normal(size=SIZE), "g": rng.choice(list("abc"), SIZE)})
    second = rng.random(SIZE) < 1 / (1 + np.exp(-data.z))
    data["y"] = np.where(second, 1 + data.x, 5 - data.x) + 0.3 * rng.normal(size=SIZE)
    data["n"] = rng.poisson(np.exp(0.3 + 0.2 * data.x))
    data["b"] = (rng.random(SIZE) < 1 / (1 + np.exp(-data.x))).astype(int)
    data["u"] = np.repeat(np.arange(SIZE // 4), 4)
    return data.assign(**columns)


def regression(*args: Any, **options: Any) -> ms.Regression:
    return ms.Regression(*args, **{"verbose": 0, **options})


def mixture(expert: Any = None, *args: Any, **options: Any) -> ms.MixtureOfExperts:
    expert = regression("y ~ x") if expert is None else expert
    return ms.MixtureOfExperts(expert, *args, **{"n_init": 3, "random_state": 0, "verbose": 0, **options})


def make_sound(model: Any) -> Any:
    """Assert what holds of every fit: finite tables, a summary in both forms, a finite prediction."""
    table = model.tidy()
    assert np.isfinite(table.drop(columns=["expert", "parameter", "term"]).to_numpy(dtype=float)).all()
    assert np.isfinite(model.log_likelihood_)
    assert str(model.summary())
    assert "<table" in model.summary().to_html()
    return model
