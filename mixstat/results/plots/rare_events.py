"""Plots of rare events: calibration with intervals on square-root axes, and precision against recall."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mixstat.inference.rare_events import Groups
from mixstat.results.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUND = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0])
"""Leading digits of ticks."""


def calibration(found: Mapping[str, Groups], event: str, *, ax: "Axes | None" = None) -> "Axes":
    """Observed against predicted shares of groups, a colour a model, with intervals and the line of agreement."""
    ax = style.axes_or_new(ax, 4.8, 4.4)
    top = 1.04 * max(float(max(part.predicted.max(), part.conf_high.max())) for part in found.values())
    ax.set_xscale("function", functions=(_root, np.square))
    ax.set_yscale("function", functions=(_root, np.square))
    ax.plot([0, top], [0, top], color=style.GREY, linewidth=1.0, zorder=0)
    for place, (name, part) in enumerate(found.items(), start=1):
        gaps = np.clip(np.stack([part.observed - part.conf_low, part.conf_high - part.observed]), 0.0, None)
        ax.errorbar(
            part.predicted,
            part.observed,
            yerr=gaps,
            fmt=style.marker(place),
            color=style.colour(place),
            capsize=3,
            markersize=5,
            linewidth=1.2,
            label=style.plain(name),
        )
    ticks = _ticks(top)
    for axis, limit in ((ax.xaxis, ax.set_xlim), (ax.yaxis, ax.set_ylim)):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
        limit(0, min(top, 1.0) if top <= 1.04 else 1.0)
    ax.set_xlabel(f"Predicted probability of {style.plain(event)}")
    ax.set_ylabel("Observed share")
    style.legend(ax)
    style.tidy_up(ax)
    return ax


def precision_recall(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], share: float, *, ax: "Axes | None" = None
) -> "Axes":
    """Steps of precision (row,) over recall (row,) by model, and the share of events, which guessing attains."""
    ax = style.axes_or_new(ax, 4.8, 4.0)
    ax.axhline(share, color=style.GREY, linewidth=1.0, zorder=0)
    top = share
    for place, (name, (precision, recall)) in enumerate(curves.items(), start=1):
        found = np.diff(recall, prepend=0.0) > 0
        top = max(top, float(precision[found].max(initial=0.0)))
        ax.step(
            np.concatenate([[0.0], recall[found]]),
            np.concatenate([precision[found][:1], precision[found]]),
            where="pre",
            color=style.colour(place),
            linewidth=1.6,
            label=style.plain(name),
        )
    ax.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1), ylim=(0, min(1.1 * top, 1.02)))
    style.legend(ax)
    style.tidy_up(ax)
    return ax


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0.0))


def _ticks(top: float) -> list[float]:
    """Round numbers about evenly spaced on the square-root scale."""
    ticks = [0.0]
    for share in (0.04, 0.16, 0.36, 0.64, 1.0):
        power = 10.0 ** np.floor(np.log10(share * top))
        ticks.append(round(float(ROUND[share * top / power * (1 + 1e-9) >= ROUND][-1] * power), 12))
    return list(dict.fromkeys(tick for tick in ticks if tick <= 1.0))
