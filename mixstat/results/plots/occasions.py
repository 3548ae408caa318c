"""Occasions: observed and predicted means of classes over time, residuals over time, and knots among the times."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.results.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 12
NORMAL = 1.959963984540054


class Binned(NamedTuple):
    """The bin of each row (row,), and the mean time of each bin (bin,)."""

    code: np.ndarray
    centre: np.ndarray


def bin_times(times: np.ndarray, bins: int = BINS) -> Binned:
    """Bins of about equally many occasions; few distinct times are bins themselves."""
    distinct, code = np.unique(times, return_inverse=True)
    if len(distinct) > bins:
        edges = np.unique(np.quantile(times, np.linspace(0.0, 1.0, bins + 1)))
        code = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
        code = np.unique(code, return_inverse=True)[1]
    size = np.bincount(code)
    return Binned(code, np.bincount(code, times) / size)


class Means(NamedTuple):
    """Weighted means, their standard errors and standard deviations, and sums of weights, each (class, bin)."""

    mean: np.ndarray
    error: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray


def bin_means(values: np.ndarray, weight: np.ndarray, bins: Binned) -> Means:
    """Of values (class, row) or (row,) with weights (class, row) within bins; n of errors is (sum w)^2 / sum w^2."""
    count, values = len(bins.centre), np.broadcast_to(values, weight.shape)

    def total(lines: np.ndarray) -> np.ndarray:
        return np.array([np.bincount(bins.code, line, count) for line in lines])

    mass = np.maximum(total(weight), 1e-300)
    mean = total(weight * values) / mass
    deviation = np.sqrt(total(weight * (values - mean[:, bins.code]) ** 2) / mass)
    size = np.maximum(mass**2 / np.maximum(total(weight**2), 1e-300), 1.0)
    return Means(mean, deviation / np.sqrt(size), deviation, mass)


def observed_means(
    observed: Means,
    predicted: Means,
    centre: np.ndarray,
    *,
    ax: "Axes | None" = None,
    names: Sequence[str] | None = None,
    least: float = 3.0,
) -> "Axes":
    """Observed means as points with 95% intervals, predicted ones as lines, a colour a class.

    Bins in which a class has a weight below `least` are left out.
    """
    ax = style.axes_or_new(ax)
    named = style.class_names(len(observed.mean), names)
    for k in range(len(observed.mean)):
        seen = observed.weight[k] >= least
        look: dict[str, Any] = {"color": style.colour(k + 1), "zorder": 3}
        half = NORMAL * observed.error[k][seen]
        ax.errorbar(
            centre[seen], observed.mean[k][seen], half, fmt=style.marker(k + 1), markersize=4.5, elinewidth=1.2, **look
        )
        ax.plot(centre[seen], predicted.mean[k][seen], linestyle=style.dashes(k + 1), label=named[k], **look)
    style.legend(ax)
    style.tidy_up(ax)
    return ax


def residuals_by_time(
    times: np.ndarray,
    residual: np.ndarray,
    responsibility: np.ndarray,
    *,
    ax: "Axes | None" = None,
    names: Sequence[str] | None = None,
    remark: str = "",
) -> "Axes":
    """Residuals (row,) over time in the colours of their classes, with mean and standard deviation in bins of time."""
    ax = style.axes_or_new(ax)
    classes = responsibility.shape[1]
    hues, named = style.tones(classes, classes), style.class_names(classes, names)
    shades = style.blend(responsibility, hues)
    ax.scatter(times, residual, 9, c=shades, alpha=0.4, linewidths=0, rasterized=len(times) > 5000)
    bins = bin_times(times)
    found = bin_means(residual, np.ones((1, len(times))), bins)
    mean, spread = found.mean[0], found.deviation[0]
    half = NORMAL * found.error[0]
    ax.axhline(0.0, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.errorbar(
        bins.centre, mean, half, color="black", linewidth=1.6, elinewidth=1.2, label="Mean, 95% interval", zorder=4
    )
    for sign in (-1.0, 1.0):
        label = "Mean ± std. deviation" if sign > 0 else None
        ax.plot(bins.centre, mean + sign * spread, color="black", linewidth=1.0, linestyle=(0, (2, 2)), label=label)
    for k in range(classes) if classes > 1 else ():
        ax.scatter([], [], 22, c=hues[k], label=named[k])
    style.remark(ax, remark)
    style.legend(ax, least=1)
    style.tidy_up(ax)
    return ax


def knots(
    table: pd.DataFrame, times: np.ndarray | None, *, ax: "Axes | None" = None, names: Sequence[str] | None = None
) -> "Axes":
    """Knots (or rates) with their intervals, a row an expert; observed times, if given, as a histogram below.

    `table` holds rows of `tidy()` of these parameters.
    """
    experts = sorted(table["expert"].fillna(0).unique())
    several = table["parameter"].nunique() > 1
    ax = style.axes_or_new(ax, 6.0, 1.6 + 0.45 * len(experts))
    if times is not None:
        height, edges = np.histogram(times, 30)
        ax.stairs(
            len(experts) - 0.5 - 0.9 * height / height.max(),
            edges,
            baseline=len(experts) - 0.5,
            fill=True,
            color=style.GREY,
            alpha=0.6,
            label="Observed times",
            zorder=0,
        )
    for place, expert in enumerate(experts):
        part, tone = table[table["expert"].fillna(0) == expert], style.colour(int(expert)) if expert else "black"
        ax.hlines([place] * len(part), part["conf_low"], part["conf_high"], color=tone, linewidth=2.0)
        shapes = [style.marker(1 + i) for i in range(len(part))] if several else [style.marker(max(int(expert), 1))]
        for shape, value in zip(shapes, part["estimate"], strict=False):
            ax.plot([value], [place], shape, color=tone, markersize=7)
    shown = [style.plain(names[int(e) - 1]) if names and e else f"Expert {e}" if e else "Shared" for e in experts]
    ax.set_yticks(range(len(experts)), shown)
    ax.set_ylim(len(experts) - 0.5, -0.6)
    ax.tick_params(axis="y", length=0)
    style.legend(ax, least=1)
    style.tidy_up(ax)
    ax.spines["left"].set_visible(False)
    return ax
