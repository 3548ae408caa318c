"""Plots of the support of penalised fits: shares of replicates in which slopes are kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixstat.results.plots.paths import penalty_path
from mixstat.results.plots.style import GREY, axes_or_new, colour, legend, marker, plain, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 30
"""Terms that are shown."""


def kept_shares(table: pd.DataFrame, threshold: float, *, ax: "Axes | None" = None) -> "Axes":
    """A line a term, a dot a parameter, filled where `estimate` is not zero, and the threshold."""
    order = table.groupby("term", sort=False)["kept"].max().sort_values(ascending=False, kind="stable").index[:MOST]
    place = {term: number for number, term in enumerate(order)}
    shown = table[table["term"].isin(order)]
    ax = axes_or_new(ax, 6.0, 1.2 + 0.26 * len(order))
    for number, parameter in enumerate(dict.fromkeys(table["parameter"]), start=1):
        mine = shown[shown["parameter"] == parameter]
        heights = mine["term"].map(place).to_numpy()
        filled = (mine["estimate"] != 0).to_numpy()
        tone, shares = colour(number), mine["kept"].to_numpy()
        ax.plot(shares[filled], heights[filled], marker(number), color=tone, label=plain(parameter))
        ax.plot(shares[~filled], heights[~filled], marker(number), color=tone, markerfacecolor="white")
    ax.axvline(threshold, color=GREY, linewidth=1.0, zorder=0)
    ax.set_yticks(range(len(order)), [plain(term) for term in order])
    ax.invert_yaxis()
    ax.set(xlim=(-0.02, 1.02), xlabel="Share of replicates in which the slope is kept")
    legend(ax, least=1)
    tidy_up(ax)
    return ax


def stability_paths(
    path: pd.DataFrame, threshold: float, marks: Mapping[str, float], *, ax: "Axes | None" = None
) -> "Axes":
    """Lines of `kept` over falling `penalty`."""
    ax = penalty_path(path.rename(columns={"kept": "standardized"}), marks, by="parameter", ax=ax)
    ax.axhline(threshold, color=GREY, linewidth=1.0, zorder=0)
    ax.set(ylabel="Share of replicates", ylim=(-0.02, 1.02))
    low, high = path["penalty"].min(), path["penalty"].max()
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = [tick for tick in np.outer(powers, [1.0, 2.0, 5.0]).ravel() if 0.999 * low <= tick <= 1.001 * high]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    return ax
