"""Penalty paths: slopes and losses against the penalty."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from mixstat.results.plots.style import DARK, DASHES, axes_or_new, colour, legend, plain, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def penalty_path(
    coefficients: pd.DataFrame,
    marks: Mapping[str, float],
    *,
    by: str = "expert",
    of: str = "Slope of the gate",
    ax: "Axes | None" = None,
) -> "Axes":
    """Lines of `standardized` over falling `penalty`: a colour a term, a dash a value of the column `by`; `marks` are
    penalties by their label."""
    ax = axes_or_new(ax)
    terms, kinds = (list(dict.fromkeys(coefficients[name])) for name in ("term", by))
    tones = {term: colour(number) for number, term in enumerate(terms, 1)}
    dashes = {kind: DASHES[number % len(DASHES)] for number, kind in enumerate(kinds)}
    for (kind, term), part in coefficients.groupby([by, "term"], sort=False):
        ax.plot(part["penalty"], part["standardized"], color=tones[term], linestyle=dashes[kind], linewidth=1.6)
    ax.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
    ax.set(ylabel=f"{of} (standardised)")
    _over_penalties(ax, marks)
    named = [ax.plot([], [], color=tone, linewidth=1.6, label=plain(term))[0] for term, tone in tones.items()]
    several = dashes.items() if len(kinds) > 1 else ()
    named += [ax.plot([], [], color="0.4", linestyle=d, linewidth=1.6, label=plain(str(k)))[0] for k, d in several]
    lines = [line for line in ax.lines if line not in named and not str(line.get_label()).startswith("_")]
    ax.legend(handles=[*named, *lines], loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize="small")
    tidy_up(ax)
    return ax


def losses(table: pd.DataFrame, marks: Mapping[str, float], *, of: str, ax: "Axes | None" = None) -> "Axes":
    """Cross-validated `loss` over falling `penalty`, with one `std_error` on either side where it is finite."""
    ax = axes_or_new(ax)
    ax.plot(table["penalty"], table["loss"], color=colour(1), linewidth=1.6)
    low, high = table["loss"] - table["std_error"], table["loss"] + table["std_error"]
    ax.fill_between(table["penalty"], low, high, where=low.notna(), color=colour(1), alpha=0.18, linewidth=0)
    ax.set(ylabel=f"{of}, left-out rows")
    _over_penalties(ax, marks)
    legend(ax, least=1)
    tidy_up(ax)
    return ax


def _over_penalties(ax: "Axes", marks: Mapping[str, float]) -> None:
    """The axis of falling penalties, with some of them marked; those of one penalty are one mark."""
    labels: dict[float, list[str]] = {}
    for label, penalty in marks.items():
        labels.setdefault(penalty, []).append(label)
    for number, (penalty, named) in enumerate(labels.items()):
        style = (0, ((4, 3), (1, 2))[number % 2])
        ax.axvline(penalty, color=DARK, linewidth=1.0, linestyle=style, zorder=0, label=", ".join(named))
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set(xlabel="Penalty")
