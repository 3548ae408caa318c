"""Searches: criteria against the number of experts, and the starts of one fit."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError
from mixstat.results.plots.style import DARK, MARKERS, axes_or_new, colour, legend, plain, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CRITERIA = ("aic", "bic", "sabic", "caic", "icl")
"""Columns that `criteria` knows, in this order; smaller is better."""


def criteria(table: pd.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Information criteria against the number of experts, a line a criterion, its smallest value filled.

    `table` has a row a fit: `n_experts` and some of aic, bic, sabic, caic, icl (missing where a fit failed).
    """
    known = _criteria_of(table)
    ax = axes_or_new(ax)
    table = table.sort_values("n_experts")
    experts = table["n_experts"].to_numpy(int)
    for index, name in enumerate(known):
        values = table[name].to_numpy(float)
        tone, shape = colour(index + 1), MARKERS[index % len(MARKERS)]
        ax.plot(experts, values, shape, linestyle="-", color=tone, linewidth=1.6, markersize=6, markerfacecolor="white")
        if np.isfinite(values).any():
            best = int(np.nanargmin(values))
            label = f"{name.upper()}: {experts[best]}"
            ax.plot(experts[best], values[best], shape, color=tone, markersize=9, linestyle="none", label=label)
    ax.set_xticks(experts)
    ax.set(xlabel="Number of experts", ylabel="Criterion (smaller is better)")
    legend(ax, least=1, title="Smallest at")
    tidy_up(ax)
    return ax


def _criteria_of(table: pd.DataFrame) -> list[str]:
    known = [name for name in CRITERIA if name in getattr(table, "columns", ())]
    if "n_experts" not in getattr(table, "columns", ()) or not known:
        found = list(getattr(table, "columns", [type(table).__name__]))
        raise DataError(f"expected a table with the column n_experts and some of {', '.join(CRITERIA)}; got {found!r}")
    if table["n_experts"].duplicated().any():
        twice = int(table.loc[table["n_experts"].duplicated(), "n_experts"].iloc[0])
        raise DataError(f"n_experts = {twice} stands in several rows of the table; plot one row a number of experts")
    return known


def starts(table: pd.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Log-likelihood of every start from best to worst, a colour a kind; the best is ringed, and its hits are told.

    `table` is `starts_`. Filled markers were carried to an optimum, open ones had a short EM alone.
    """
    ax = axes_or_new(ax)
    order = table.sort_values("log_likelihood", ascending=False, kind="stable", ignore_index=True)
    good = order[np.isfinite(order["log_likelihood"])]
    place = np.arange(1, len(good) + 1)
    for index, kind in enumerate(dict.fromkeys(table["kind"])):
        mine = (good["kind"] == kind).to_numpy()
        tone = colour(index + 1)
        face = [tone if hits else "white" for hits in good.loc[mine, "hits"]]
        size = [42] * int(mine.sum())
        shape = MARKERS[index % len(MARKERS)]
        values = good.loc[mine, "log_likelihood"]
        ax.scatter(place[mine], values, size, c=face, edgecolors=tone, marker=shape, label=plain(kind))
    if len(good):
        best = good.iloc[0]
        ax.scatter([1], [best["log_likelihood"]], 170, c="none", edgecolors="black", linewidths=1.2, label=_best(best))
    failed = len(order) - len(good)
    ax.set(xlabel="Start, from best to worst" + (f" ({failed} failed)" if failed else ""), ylabel="Log-likelihood")
    ax.set_xlim(0.5, max(len(good), 1) + 0.5)
    ax.locator_params(axis="x", integer=True)
    ax.ticklabel_format(axis="y", useOffset=False)
    if len(good) and np.ptp(good["log_likelihood"].to_numpy()) < 1e-6:
        _open_up(ax, float(good["log_likelihood"].iloc[0]))
    legend(ax, least=1)
    tidy_up(ax)
    return ax


def _best(row: pd.Series) -> str:
    reached = f", reached by {row['hits']}" if row["hits"] else ""
    return f"Best: {row['log_likelihood']:.3f}{reached}"


def _open_up(ax: "Axes", value: float) -> None:
    """Room around values that are all equal, so that rounding is not magnified."""
    half = max(1e-3 * abs(value), 0.5)
    ax.set_ylim(value - half, value + half)
    ax.axhline(value, color=DARK, linewidth=0.6, zorder=0)
