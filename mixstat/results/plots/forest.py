"""Covariate forests: importances by rank, and how they settle over trees."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixstat.results.plots.style import COLOURS, GREY, axes_or_new, colour, legend, plain, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

XLABEL = "Drop of a unit's out-of-bag log-likelihood"
BARS = 2.0
"""Standard errors to either side."""


def importance(table: pd.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """A point a covariate with its standard errors, the leading one on top; grey where no tree uses it.

    `table` has the columns covariate, importance, std_error, trees.
    """
    ax = axes_or_new(ax, 6.0, max(2.2, 1.2 + 0.3 * len(table)))
    place, value = np.arange(len(table)), table["importance"].to_numpy(float)
    half = BARS * table["std_error"].to_numpy(float)
    tones = [colour(1) if trees else GREY for trees in table["trees"]]
    ax.hlines(place, value - half, value + half, colors=tones, linewidth=1.8)
    ax.scatter(value, place, 34, c=tones, zorder=3)
    ax.axvline(0.0, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.set_yticks(place, [plain(name) for name in table["covariate"]])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel(XLABEL + " (2 std. errors)")
    ax.tick_params(axis="y", length=0)
    tidy_up(ax)
    ax.spines["left"].set_visible(False)
    return ax


def convergence(names: Sequence[str], values: np.ndarray, *, ax: "Axes | None" = None) -> "Axes":
    """Mean importance after 1, 2, ... trees; `values` (tree, covariate). The leading ones in colour, the rest grey."""
    ax = axes_or_new(ax)
    trees = np.arange(1, len(values) + 1)
    running = np.cumsum(values, axis=0) / trees[:, None]
    for rank, column in enumerate(np.argsort(-running[-1], kind="stable")):
        leading = rank < len(COLOURS)
        tone = colour(rank + 1) if leading else GREY
        label = plain(names[column]) if leading else None
        ax.plot(trees, running[:, column], color=tone, linewidth=1.5, label=label, zorder=2 + leading)
    ax.axhline(0.0, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.set(xlabel="Trees", ylabel="Importance")
    legend(ax, least=1)
    tidy_up(ax)
    return ax
