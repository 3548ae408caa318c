"""Coefficients: estimates with intervals, a row a term and a colour an expert."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixstat.results.plots.style import axes_or_new, colour, marker, plain, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    experts, by number.
    """
    ax = axes_or_new(ax)
    terms = list(dict.fromkeys(table["term"]))
    experts = sorted(table["expert"].fillna(0).unique())
    shift = np.linspace(-0.16, 0.16, len(experts)) if len(experts) > 1 else [0.0]
    change = np.exp if exponentiate else np.asarray
    for index, expert in enumerate(experts):
        part = table[table["expert"].fillna(0) == expert]
        height = np.array([terms.index(term) for term in part["term"]]) + shift[index]
        estimate, low, high = (change(part[c].to_numpy(float)) for c in ("estimate", "conf_low", "conf_high"))
        tone = colour(int(expert)) if expert else "black"
        given = names[int(expert) - 1] if names and expert else f"Expert {expert}"
        named = plain(given) if expert else "Shared"
        ax.hlines(height, low, high, color=tone, linewidth=1.8)
        ax.plot(estimate, height, marker(max(int(expert), 1)), color=tone, markersize=5.5, label=named)
    ax.axvline(1.0 if exponentiate else 0.0, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    ax.set_yticks(range(len(terms)), [plain((labels or {}).get(term, term)) for term in terms])
    ax.set_ylim(len(terms) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    if exponentiate:
        _ratio_axis(ax)
    tidy_up(ax)
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
