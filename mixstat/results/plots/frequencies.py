"""Frequencies on a square-root scale: counts observed and fitted, and responsibilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixstat.results.plots.style import GREY, MARKERS, axes_or_new, class_names, colour, dashes, legend, tidy_up, tones

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def rootogram(
    observed: np.ndarray,
    expected: np.ndarray,
    *,
    ax: "Axes | None" = None,
    names: Sequence[str] | None = None,
    open_ended: bool = False,
) -> "Axes":
    """Observed frequencies of counts 0, 1, ... as bars, fitted ones as lines, on a square-root scale (Tukey, 1977).

    `observed` (count,); `expected` (count, expert) is each expert's part of the fitted frequency. `open_ended` labels
    the last bar "j+".
    """
    ax = axes_or_new(ax)
    counts = np.arange(len(observed))
    ax.bar(counts, observed, width=0.82, color=GREY, label="Observed")
    _frequency_line(ax, expected.sum(axis=1), "black", "Fitted", open_ended=open_ended, marker=".")
    for index, part in enumerate(expected.T):
        named = names[index] if names else f"Expert {index + 1}"
        _frequency_line(ax, part, colour(index + 1), named, open_ended=open_ended, marker=MARKERS[index % len(MARKERS)])
    _root_axis(ax, max(float(np.max(observed)), float(expected.sum(axis=1).max())))
    step = max(1, len(counts) // 10)
    ticks = list(range(0, len(counts) - 1, step)) if open_ended else list(range(0, len(counts), step))
    shown = [str(tick) for tick in ticks]
    if open_ended:
        ticks, shown = [*ticks, len(counts) - 1], [*shown, f"{len(counts) - 1}+"]
    ax.set_xticks(ticks, shown)
    tidy_up(ax)
    return ax


def _frequency_line(ax: "Axes", values: np.ndarray, tone: str, label: str, *, open_ended: bool, marker: str) -> None:
    """A line through the counts; the open-ended last one stands apart, as a point."""
    stop = len(values) - 1 if open_ended else len(values)
    size = 7.0 if marker == "." else 3.2
    ax.plot(range(stop), values[:stop], color=tone, linewidth=1.5, marker=marker, markersize=size, label=label)
    ax.plot(range(stop, len(values)), values[stop:], color=tone, linestyle="none", marker=marker, markersize=size)


def _root_ticks(top: float) -> list[float]:
    """Round frequencies about evenly spaced on the square-root scale."""
    ticks = [0.0]
    for share in (0.04, 0.16, 0.36, 0.64, 1.0):
        power = 10.0 ** np.floor(np.log10(max(share * top, 1e-12)))
        ticks.append(float(np.floor(share * top / power * 2) / 2 * power))
    return list(dict.fromkeys(float(np.floor(tick)) for tick in ticks) if top >= 1 else dict.fromkeys(ticks))


def responsibilities(
    responsibility: np.ndarray,
    *,
    ax: "Axes | None" = None,
    weight: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    experts: int | None = None,
    bins: int = 20,
    smallest: float = 1e-4,
) -> "Axes":
    """Histograms of each class's responsibilities on a square-root scale (Gruen and Leisch, 2008).

    A peak at 1 and little between are classes told apart. `responsibility` (unit, class), `weight` (unit,); values
    below `smallest` are left out, or the peak at 0 would dwarf the rest. Classes beyond `experts` are grey.
    """
    ax = axes_or_new(ax)
    named, edges = class_names(responsibility.shape[1], names), np.linspace(0.0, 1.0, bins + 1)
    hues, top = tones(responsibility.shape[1], experts), 0.0
    for k, values in enumerate(responsibility.T):
        seen = values >= smallest
        height, _ = np.histogram(values[seen], edges, weights=None if weight is None else weight[seen])
        top = max(top, float(height.max()))
        ax.stairs(height, edges, color=hues[k], linewidth=1.8, linestyle=dashes(k + 1), label=named[k])
        ax.stairs(height, edges, color=hues[k], fill=True, alpha=0.12)
    _root_axis(ax, top)
    ax.set(xlabel="Responsibility", ylabel="Units (square-root scale)", xlim=(0.0, 1.0))
    legend(ax)
    tidy_up(ax)
    return ax


def _root_axis(ax: "Axes", top: float) -> None:
    ax.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0.0)), np.square))
    ax.set_ylim(0.0, 1.05 * top)
    ax.set_yticks(_root_ticks(top))
