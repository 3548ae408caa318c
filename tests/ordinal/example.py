"""synthA: 1000 rows of four categories, with the results of polr, clm and a reference solver of the fused path."""

import json
from functools import cache
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent / "fixtures"
FORMULA = "y ~ " + " + ".join(f"x{number}" for number in range(1, 11))


@cache
def table() -> pd.DataFrame:
    """The data."""
    return pd.read_csv(HERE / "synthA.csv")


@cache
def reference() -> dict:
    """What the programs found."""
    return json.loads((HERE / "synthA_reference.json").read_text())
