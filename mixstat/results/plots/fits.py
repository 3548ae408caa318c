"""Fits: the response against a covariate, points in the colours of their classes, fitted means over them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixstat.results.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = 0.18
"""Half width over which points of one value are spread, in steps between values."""


def fitted_means(
    covariate: np.ndarray,
    response: np.ndarray,
    responsibility: np.ndarray,
    grid: np.ndarray,
    mean: np.ndarray,
    *,
    ax: "Axes | None" = None,
    levels: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> "Axes":
    """Points (row,) coloured by `responsibility` (row, class), and each expert's `mean` (grid, expert) on `grid`.

    Classes beyond the experts are grey. With `levels` the covariate and the grid hold codes 0, 1, ...: means are
    then markers. Points are spread sideways where the covariate has few values.
    """
    ax = style.axes_or_new(ax)
    experts, classes = mean.shape[1], responsibility.shape[1]
    named = style.class_names(classes, names)
    hues = style.tones(classes, experts)
    x = covariate + _width(covariate) * np.random.default_rng(0).uniform(-1.0, 1.0, len(covariate))
    size = float(np.clip(9000.0 / max(len(x), 1), 4.0, 22.0))
    ax.scatter(
        x, response, size, c=style.blend(responsibility, hues), alpha=0.45, linewidths=0, rasterized=len(x) > 5000
    )
    for k in range(experts):
        look: dict[str, Any] = {"color": hues[k], "label": named[k], "markeredgecolor": "white", "zorder": 3}
        if levels is None:
            ax.plot(grid, mean[:, k], linestyle=style.dashes(k + 1), linewidth=2.4, **look)
        else:
            ax.plot(grid, mean[:, k], style.marker(k + 1), markersize=10, **look)
    for k in range(experts, classes):
        ax.scatter([], [], 22, c=hues[k], label=named[k])
    if levels is None:
        style.whole_ticks(ax, grid)
    else:
        ax.set_xticks(range(len(levels)), [style.plain(level) for level in levels])
        ax.set_xlim(-0.5, len(levels) - 0.5)
    style.legend(ax)
    style.tidy_up(ax)
    return ax


def _width(covariate: np.ndarray) -> float:
    distinct = np.unique(covariate)
    return SPREAD * float(np.diff(distinct).min()) if 1 < len(distinct) <= style.FEW else 0.0
