"""Learning curves: measures of a training against the steps of its environment, as a table and as a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixstat.exceptions import OptionError
from mixstat.results.plots.style import axes_or_new, colour, legend, tidy_up

KEYS = ("seed", "steps")
LABELS = {
    "return": "Return of an episode",
    "length": "Steps of an episode",
    "log_prob": "log π(a|s)",
    "gate_entropy": "Entropy of the gate (nats)",
    "temperature": "Temperature α",
}


def curve(measures: Mapping[str, np.ndarray], seeds: Sequence[int]) -> pd.DataFrame:
    """Rows of `seed`, `steps` and every measure, of arrays (report, seed) and `steps` (report,)."""
    steps = measures["steps"]
    columns = {name: value.T.ravel() for name, value in measures.items() if name != "steps"}
    return pd.DataFrame(
        {"seed": np.repeat(np.asarray(seeds), len(steps)), "steps": np.tile(steps, len(seeds)), **columns}
    )


def plot(table: pd.DataFrame, measure: str = "return", *, by: str | None = None, ax: Any = None) -> Any:
    """A measure against steps, a thin line a seed and a thick one for their mean; `by` names a column of groups, each
    with a colour. Drawn on `ax`, or new axes, which are returned."""
    known = [name for name in table.columns if name not in (*KEYS, by)]
    if measure not in known:
        raise OptionError(f"there is no measure {measure!r}; there are {', '.join(map(str, known))}")
    ax = axes_or_new(ax, 6.0, 3.6)
    groups = [(None, table)] if by is None else list(table.groupby(by, sort=False))
    for number, (label, part) in enumerate(groups, start=1):
        _group(ax, part, measure, colour(number), label)
    ax.set_xlabel("Steps of the environment")
    ax.set_ylabel(LABELS.get(measure, measure.replace("_", " ").capitalize()))
    tidy_up(ax)
    legend(ax)
    return ax


def _group(ax: Any, part: pd.DataFrame, measure: str, tone: str, label: Any) -> None:
    lines = part.pivot_table(index="steps", columns="seed", values=measure)
    if lines.shape[1] > 1:
        ax.plot(lines.index, lines.to_numpy(), color=tone, alpha=0.3, linewidth=0.8)
    ax.plot(lines.index, lines.mean(axis=1), color=tone, linewidth=1.8, label=None if label is None else str(label))
