"""Gates: class probabilities along a covariate, against responsibilities or with confidence bands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixstat.results.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gate(
    probability: np.ndarray,
    responsibility: np.ndarray,
    covariate: np.ndarray,
    *,
    group: np.ndarray | None = None,
    ax: "Axes | None" = None,
    bins: int = 10,
    names: Mapping[str, str] | None = None,
) -> "Axes":
    """Is the gate right along a covariate? Lines: its mean probability of a class; points: mean responsibility.

    `probability`, `responsibility` and `covariate` (unit,). Units are cut into `bins` of equal size (fewer where the
    covariate has ties) within each level of `group`; the bars are 95% intervals of the bin's mean.
    """
    ax = style.axes_or_new(ax)
    groups = np.zeros(len(covariate), dtype=int) if group is None else np.asarray(group)
    tones = ("#000000", "#7a3e9d", "#117733", "#888888")
    for index, level in enumerate(pd.unique(pd.Series(np.sort(groups)))):
        here = np.flatnonzero(groups == level)
        cells = _bin_means(covariate[here], probability[here], responsibility[here], bins)
        tone, named = tones[index % len(tones)], (names or {}).get(str(level), str(level))
        ax.plot(cells["x"], cells["gate"], color=tone, linewidth=1.6, label=named if group is not None else "Gate")
        ax.errorbar(
            cells["x"],
            cells["mean"],
            1.96 * cells["error"],
            fmt=style.MARKERS[index],
            color=tone,
            markersize=4.5,
            linewidth=1,
        )
    ax.set_ylim(bottom=0.0)
    style.tidy_up(ax)
    return ax


def _bin_means(x: np.ndarray, gate: np.ndarray, mean: np.ndarray, bins: int) -> pd.DataFrame:
    frame = pd.DataFrame({"x": x, "gate": gate, "mean": mean, "square": mean**2})
    edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)))
    frame["bin"] = np.searchsorted(edges[1:-1], x, side="right")
    cells = frame.groupby("bin").agg(
        x=("x", "mean"), gate=("gate", "mean"), mean=("mean", "mean"), square=("square", "mean"), n=("x", "size")
    )
    cells["error"] = np.sqrt((cells["square"] - cells["mean"] ** 2).clip(lower=0.0) / cells["n"])
    return cells


def gate_effects(
    covariate: np.ndarray,
    probability: np.ndarray,
    *,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    ax: "Axes | None" = None,
    names: Sequence[str] | None = None,
    experts: int | None = None,
) -> "Axes":
    """The probability of each class along a covariate, with confidence bands `low` to `high`, all (point, class).

    Numbers are joined by lines; a covariate of texts (levels) has points with bars. Classes beyond `experts` are grey.
    """
    ax = style.axes_or_new(ax)
    classes = probability.shape[1]
    named, is_number = style.class_names(classes, names), np.issubdtype(np.asarray(covariate).dtype, np.number)
    hues, shift = style.tones(classes, experts), np.linspace(-0.12, 0.12, classes) if classes > 1 else np.zeros(1)
    few = is_number and style.whole_ticks(ax, np.asarray(covariate))
    for k in range(classes):
        tone, mean = hues[k], probability[:, k]
        if is_number:
            shape = style.marker(k + 1) if few else "None"
            ax.plot(
                covariate, mean, marker=shape, color=tone, linewidth=2.0, linestyle=style.dashes(k + 1), label=named[k]
            )
            if low is not None and high is not None:
                ax.fill_between(covariate, low[:, k], high[:, k], color=tone, alpha=0.18, linewidth=0)
        else:
            x = np.arange(len(covariate)) + shift[k]
            ax.plot(x, mean, style.marker(k + 1), color=tone, markersize=6, linestyle="none", label=named[k])
            if low is not None and high is not None:
                ax.vlines(x, low[:, k], high[:, k], color=tone, linewidth=1.8)
    if not is_number:
        ax.set_xticks(range(len(covariate)), [style.plain(level) for level in covariate])
        ax.set_xlim(-0.5, len(covariate) - 0.5)
    ax.set(ylim=(0.0, 1.0), ylabel="Class probability")
    style.legend(ax)
    style.tidy_up(ax)
    return ax
