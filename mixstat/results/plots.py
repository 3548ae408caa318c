"""Plots of a fit. Each function draws on `ax` (a new figure's if None) and returns it; matplotlib loads on first use.

Colours are those of Okabe and Ito (2008), told apart in all common forms of colour blindness.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
GREY = "#c9c9c9"


def colour(expert: int) -> str:
    """The colour of an expert (1-based)."""
    return COLOURS[(expert - 1) % len(COLOURS)]


def new_figure(width: float, height: float, panels: int = 1, ratios: Sequence[float] | None = None) -> "Figure":
    """A figure with panels side by side that needs no display and does not touch pyplot's state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.subplots(1, panels, width_ratios=ratios)
    return figure


def _axes(ax: "Axes | None", width: float = 6.0, height: float = 4.0) -> "Axes":
    return new_figure(width, height).axes[0] if ax is None else ax


def _tidy_up(ax: "Axes") -> None:
    ax.spines[["top", "right"]].set_visible(False)


def coefficients(
    table: pd.DataFrame,
    *,
    ax: "Axes | None" = None,
    exponentiate: bool = False,
    labels: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> "Axes":
    """Estimates with intervals, a row a term and a colour an expert.

    `table` holds rows of `tidy()` of one parameter, without the intercept where it would dwarf the rest.
    `exponentiate` shows exp(estimate) on a log axis (rate ratios, odds ratios). `labels` renames terms, `names` the
    experts in order.
    """
    ax = _axes(ax)
    terms = list(dict.fromkeys(table["term"]))
    experts = sorted(table["expert"].fillna(0).unique())
    shift = np.linspace(-0.16, 0.16, len(experts)) if len(experts) > 1 else [0.0]
    change = np.exp if exponentiate else np.asarray
    for index, expert in enumerate(experts):
        part = table[table["expert"].fillna(0) == expert]
        height = np.array([terms.index(term) for term in part["term"]]) + shift[index]
        estimate, low, high = (change(part[c].to_numpy(float)) for c in ("estimate", "conf_low", "conf_high"))
        tone = colour(int(expert)) if expert else "black"
        named = names[index] if names else (f"Expert {expert}" if expert else "Shared")
        ax.hlines(height, low, high, color=tone, linewidth=1.8)
        ax.plot(estimate, height, MARKERS[index % len(MARKERS)], color=tone, markersize=5.5, label=named)
    ax.axvline(1.0 if exponentiate else 0.0, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.set_yticks(range(len(terms)), [(labels or {}).get(term, term) for term in terms])
    ax.set_ylim(len(terms) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    if exponentiate:
        _ratio_axis(ax)
    _tidy_up(ax)
    ax.spines["left"].set_visible(False)
    return ax


def _ratio_axis(ax: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    steps = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100])
    inside = steps[(steps >= low) & (steps <= high)]
    ax.set_xticks(inside if len(inside) < 8 else inside[::2] if 1 in inside[::2] else inside[1::2])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(NullLocator())


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
    ax = _axes(ax)
    counts = np.arange(len(observed))
    ax.bar(counts, observed, width=0.82, color=GREY, label="Observed")
    _frequency_line(ax, expected.sum(axis=1), "black", "Fitted", open_ended=open_ended, marker=".")
    for index, part in enumerate(expected.T):
        named = names[index] if names else f"Expert {index + 1}"
        _frequency_line(ax, part, colour(index + 1), named, open_ended=open_ended, marker=MARKERS[index % len(MARKERS)])
    ax.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0.0)), np.square))
    top = max(float(np.max(observed)), float(expected.sum(axis=1).max()))
    ax.set_ylim(0.0, 1.05 * top)
    ax.set_yticks(_root_ticks(top))
    step = max(1, len(counts) // 10)
    ticks = list(range(0, len(counts) - 1, step)) if open_ended else list(range(0, len(counts), step))
    shown = [str(tick) for tick in ticks]
    if open_ended:
        ticks, shown = [*ticks, len(counts) - 1], [*shown, f"{len(counts) - 1}+"]
    ax.set_xticks(ticks, shown)
    _tidy_up(ax)
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
    return list(dict.fromkeys(ticks))


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
    ax = _axes(ax)
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
            fmt=MARKERS[index],
            color=tone,
            markersize=4.5,
            linewidth=1,
        )
    ax.set_ylim(bottom=0.0)
    _tidy_up(ax)
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


def to_png(figure: "Figure", dots_per_inch: int = 160) -> bytes:
    """The figure as PNG, drawn without a display."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dots_per_inch)
    return buffer.getvalue()
