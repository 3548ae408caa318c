"""Trajectories over time: subjects as thin lines in the colours of their classes, means of classes over them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mixstat.results.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = 20.0
"""Subjects that can be drawn at full strength; more are fainter."""


class Band(NamedTuple):
    """Means over time with intervals, each (class, time), or None without intervals."""

    mean: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


class Strands(NamedTuple):
    """Subjects: times and values of each (in the order of time), their class (0, 1, ...) and its responsibility.

    `remark` says how many are not drawn.
    """

    times: Sequence[np.ndarray]
    values: Sequence[np.ndarray]
    modal: np.ndarray
    certainty: np.ndarray
    remark: str = ""


def trajectories(
    times: np.ndarray,
    band: Band,
    *,
    ax: "Axes | None" = None,
    strands: Strands | None = None,
    names: Sequence[str] | None = None,
) -> "Axes":
    """Mean trajectories of the classes with pointwise bands; subjects are fainter the less sure their class."""
    ax = style.axes_or_new(ax)
    named = style.class_names(len(band.mean), names)
    if strands is not None:
        _strands(ax, strands)
    for k, mean in enumerate(band.mean):
        tone = style.colour(k + 1)
        if band.low is not None and band.high is not None:
            ax.fill_between(times, band.low[k], band.high[k], color=tone, alpha=0.25, linewidth=0, zorder=3)
        ax.plot(times, mean, color="white", linewidth=4.0, zorder=2)
        ax.plot(times, mean, color=tone, linestyle=style.dashes(k + 1), linewidth=2.2, label=named[k], zorder=4)
    ax.autoscale_view()
    style.legend(ax)
    style.tidy_up(ax)
    return ax


def _strands(ax: "Axes", strands: Strands) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    strength = float(np.clip(INK / max(len(strands.times), 1), 0.12, 0.45))
    segments = [np.column_stack(pair) for pair in zip(strands.times, strands.values, strict=True)]
    shades = [
        to_rgba(style.colour(int(k) + 1), strength * float(sure))
        for k, sure in zip(strands.modal, strands.certainty, strict=True)
    ]
    drawn = LineCollection(segments, colors=shades, linewidths=0.7, zorder=1, rasterized=len(segments) > 500)
    ax.add_collection(drawn)
    style.remark(ax, strands.remark)


def profiles(
    times: np.ndarray,
    bands: Sequence[Band],
    labels: Sequence[str],
    *,
    ax: "Axes | None" = None,
    names: Sequence[str] | None = None,
) -> "Axes":
    """Mean trajectories by covariate profile: a colour a class, a line style a profile."""
    from matplotlib.lines import Line2D

    ax = style.axes_or_new(ax)
    classes = len(bands[0].mean)
    named = style.class_names(classes, names)
    for index, band in enumerate(bands):
        dash: Any = style.DASHES[index % len(style.DASHES)]
        for k, mean in enumerate(band.mean):
            tone = style.colour(k + 1)
            if band.low is not None and band.high is not None:
                ax.fill_between(times, band.low[k], band.high[k], color=tone, alpha=0.12, linewidth=0)
            ax.plot(times, mean, color=tone, linestyle=dash, linewidth=2.0)
    for k in range(classes) if classes > 1 else ():
        ax.add_line(Line2D([], [], color=style.colour(k + 1), linewidth=2.4, label=named[k]))
    for index, label in enumerate(labels):
        dash = style.DASHES[index % len(style.DASHES)]
        ax.add_line(Line2D([], [], color="0.3", linestyle=dash, linewidth=1.6, label=style.plain(label)))
    style.legend(ax, least=1)
    style.tidy_up(ax)
    return ax
