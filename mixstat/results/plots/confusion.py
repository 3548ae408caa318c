"""Confusion: how the classes of two fits correspond."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixstat.exceptions import DataError, OptionError
from mixstat.results.plots.style import axes_or_new, class_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ASSIGNMENTS = ("modal", "soft")


def joint_counts(first: np.ndarray, second: np.ndarray, *, assignment: str = "modal") -> np.ndarray:
    """Units by class of two fits (class of the first, class of the second), from responsibilities (unit, class).

    "modal" counts each unit in its most probable classes; "soft" sums the products r_ik s_il.
    """
    if assignment not in ASSIGNMENTS:
        raise OptionError(f"assignment must be one of {', '.join(map(repr, ASSIGNMENTS))}, got {assignment!r}")
    if len(first) != len(second):
        raise DataError(f"the two fits sort {len(first)} and {len(second)} units; they must have the same units")
    if assignment == "soft":
        return first.T @ second
    counts = np.zeros((first.shape[1], second.shape[1]))
    np.add.at(counts, (np.argmax(first, axis=1), np.argmax(second, axis=1)), 1.0)
    return counts


def confusion(
    counts: np.ndarray,
    *,
    ax: "Axes | None" = None,
    first: Sequence[str] | None = None,
    second: Sequence[str] | None = None,
    titles: tuple[str, str] = ("First fit", "Second fit"),
) -> "Axes":
    """A heat map of joint counts (class of the first fit, class of the second); shades are shares of a row."""
    counts = np.asarray(counts, dtype=float)
    rows, columns = class_names(counts.shape[0], first), class_names(counts.shape[1], second)
    ax = axes_or_new(ax, 2.2 + 1.1 * len(columns), 1.4 + 0.8 * len(rows))
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    ax.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    whole = np.allclose(counts, np.round(counts))
    for row, column in np.ndindex(counts.shape):
        tone = "white" if share[row, column] > 0.55 else "black"
        shown = f"{counts[row, column]:,.0f}" if whole else f"{counts[row, column]:,.1f}"
        ax.text(column, row, shown, color=tone, ha="center", va="center")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel=titles[1], ylabel=titles[0])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
