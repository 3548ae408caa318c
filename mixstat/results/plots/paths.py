"""Penalty paths: slopes against the penalty."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixstat.results.plots.style import DARK, DASHES, axes_or_new, colour, legend, plain, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def penalty_path(coefficients: pd.DataFrame, table: pd.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Lines of `standardized` over falling `penalty`: a colour a term, a dash an expert, the smallest `bic` marked."""
    ax = axes_or_new(ax)
    terms, experts = (list(dict.fromkeys(coefficients[name])) for name in ("term", "expert"))
    for (expert, term), part in coefficients.groupby(["expert", "term"], sort=False):
        label = plain(term) if len(experts) == 1 else f"{plain(term)}, {expert}"
        tone, dash = colour(terms.index(term) + 1), DASHES[experts.index(expert) % len(DASHES)]
        ax.plot(part["penalty"], part["standardized"], color=tone, linestyle=dash, linewidth=1.6, label=label)
    best = table["penalty"].iloc[int(np.argmin(table["bic"]))]
    ax.axvline(best, color=DARK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0, label="Smallest BIC")
    ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set(xlabel="Penalty", ylabel="Slope of the gate (standardised)")
    legend(ax, least=1)
    tidy_up(ax)
    return ax
