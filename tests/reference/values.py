"""Stored numbers of public programs and the data they were computed from."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mixstat as ms

HERE = Path(__file__).parent


@cache
def stored(program: str) -> dict[str, Any]:
    """What `flexmix.R` or `mclust.R` wrote."""
    return json.loads((HERE / f"{program}.json").read_text())


@cache
def data(name: str) -> pd.DataFrame:
    """A table that `make_data.py` wrote."""
    return pd.read_csv(HERE / "data" / f"{name}.csv")


def fit(expert: Any, table: str, **options: Any) -> ms.MixtureOfExperts:
    """A converged two-expert fit (unless n_experts says otherwise) without scale penalty."""
    settings = {"n_experts": 2, "n_init": 6, "random_state": 1, "verbose": 0, "scale_penalty": 0.0, **options}
    model = ms.MixtureOfExperts(expert, **settings).fit(data(table))
    assert model.converged_, model.status_
    return model


def coefficients(model: ms.MixtureOfExperts, parameter: str, expert: int) -> np.ndarray:
    """Estimates of one parameter of one expert, in the order of its formula."""
    table = model.tidy()
    return table.loc[(table["parameter"] == parameter) & (table["expert"] == expert), "estimate"].to_numpy()
