"""Plots of a study, drawn on `ax` (a new figure's if None), which is returned; matplotlib loads on first use.

Bias and coverage with Monte-Carlo intervals over scenarios and methods; the zip plot of intervals ranked by |z|
(Morris, White and Crowther, 2019, Statistics in Medicine 38, Figure 5); estimates against their standard errors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from mixstat.exceptions import DataError, OptionError
from mixstat.results.plots.style import GREY, axes_or_new, colour, legend, marker, plain, tidy_up
from mixstat.studies.estimates import KEYS
from mixstat.studies.measures import Sample, sample_of

KINDS = ("bias", "coverage", "zip", "estimates")
OF_MEASURES = ("bias", "coverage")
MISSED, COVERED, DASHED = "#D55E00", "#56B4E9", (0, (4, 3))
NINETY_FIVE = float(norm.ppf(0.975))


def pick(table: pd.DataFrame, choose: Mapping[str, Any]) -> pd.DataFrame:
    """The rows whose columns have the chosen values, one or a list of them."""
    for name, wanted in choose.items():
        if name not in table:
            raise OptionError(f"plot cannot choose by {name!r}; columns: {', '.join(map(str, table.columns))}")
        options = list(wanted) if isinstance(wanted, list | tuple | set) else [wanted]
        kept = table[table[name].isin(options).fillna(False).astype(bool)]
        if not len(kept):
            known = ", ".join(repr(value) for value in table[name].dropna().unique()[:12].tolist())
            raise OptionError(f"plot finds nothing with {name} = {wanted!r}; there is {known}")
        table = kept
    return table


def draw(kind: str, table: pd.DataFrame, *, level: float, ax: Any = None) -> Any:
    """One of `KINDS` from rows of `Study.measures()` (bias, coverage) or `Study.results()` (zip, estimates)."""
    if kind in OF_MEASURES:
        return forest(table, kind, reference=level if kind == "coverage" else 0.0, ax=ax)
    return (zip_plot if kind == "zip" else estimates_plot)(table, level=level, ax=ax)


def forest(measures: pd.DataFrame, measure: str, *, reference: float, ax: Any = None) -> Any:
    """A measure with 95% Monte-Carlo intervals: a row a parameter, a colour a scenario and method."""
    table = measures[measures["measure"] == measure]
    if not len(table):
        raise DataError(f"there is no {measure} to draw; it needs true values, and coverage standard errors")
    names, series = _parameters(table), _series(table)
    rows, colours = list(dict.fromkeys(names)), list(dict.fromkeys(series))
    ax = axes_or_new(ax, 6.5, 1.2 + 0.42 * len(rows))
    shifts = np.linspace(-0.24, 0.24, len(colours)) if len(colours) > 1 else [0.0]
    for index, label in enumerate(colours):
        here = [place for place, value in enumerate(series) if value == label]
        part = table.iloc[here]
        height = np.array([rows.index(names[place]) for place in here]) + shifts[index]
        value, tone = part["value"].to_numpy(float), colour(index + 1)
        low, high = _monte_carlo(part, share=measure == "coverage")
        ax.hlines(height, low, high, color=tone, linewidth=1.6)
        ax.plot(value, height, marker(index + 1), color=tone, markersize=4.5, label=label or None)
    ax.axvline(reference, color="0.4", linewidth=0.9, linestyle=DASHED, zorder=0)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.locator_params(axis="x", nbins=6)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"{measure.replace('_', ' ').capitalize()} (95% Monte-Carlo interval)")
    tidy_up(ax)
    ax.spines["left"].set_visible(False)
    legend(ax)
    return ax


def _monte_carlo(part: pd.DataFrame, *, share: bool) -> tuple[np.ndarray, np.ndarray]:
    """95% Monte-Carlo intervals: normal, or Wilson's for shares, which may be near 1."""
    value, error = part["value"].to_numpy(float), part["mcse"].to_numpy(float)
    if share:
        return wilson(value, part["n_replicates"].to_numpy(float))
    return value - NINETY_FIVE * error, value + NINETY_FIVE * error


def wilson(share: Any, n: Any) -> tuple[Any, Any]:
    """95% score interval of a share of n (Wilson, 1927, JASA 22)."""
    square = NINETY_FIVE**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = NINETY_FIVE * np.sqrt(share * (1 - share) / n + square / (4 * n**2)) / (1 + square / n)
    return centre - half, centre + half


def zip_plot(results: pd.DataFrame, *, level: float, ax: Any = None) -> Any:
    """Intervals of one parameter ranked by |estimate - truth| / std_error; those that miss the truth stand out.

    Horizontal lines: the coverage (full) with its Monte-Carlo interval (dotted), and the nominal level (dashed). Under
    good coverage the intervals that miss begin at the dashed line.
    """
    sample = _one(results, "zip", level)
    ax = axes_or_new(ax, 5.5, 5.5)
    z = np.abs(sample.estimate - sample.truth) / sample.std_error
    rank = np.empty(len(z))
    rank[np.argsort(z, kind="stable")] = 100 * (np.arange(len(z)) + 0.5) / len(z)
    covers = (sample.conf_low <= sample.truth) & (sample.truth <= sample.conf_high)
    width = float(np.clip(250 / len(z), 0.4, 1.2))
    for rows, tone, label in ((covers, COVERED, "Covers the truth"), (~covers, MISSED, "Misses it")):
        ax.hlines(rank[rows], sample.conf_low[rows], sample.conf_high[rows], color=tone, linewidth=width, label=label)
    ax.axvline(sample.truth, color="0.2", linewidth=0.9)
    share = float(np.mean(covers))
    low, high = wilson(share, len(z))
    for height, style in ((share, "solid"), (low, "dotted"), (high, "dotted"), (level, DASHED)):
        ax.axhline(100 * height, color="0.2", linewidth=0.9, linestyle=style)
    ax.set_ylim(0.0, 100.0)
    ax.set_yticks([5, 50, 100 * level], ["5", "50", f"{100 * level:g}"])
    ax.set_ylabel("Centile of |estimate − truth| / standard error")
    ax.set_xlabel(f"{100 * level:g}% intervals, {_parameters(results)[0]}")
    legend(ax)
    tidy_up(ax)
    return ax


def estimates_plot(results: pd.DataFrame, *, level: float, ax: Any = None) -> Any:
    """Standard errors against estimates of one parameter, with the funnel truth +- z std_error outside which Wald
    intervals miss the truth; the dashed line is the mean estimate."""
    sample = _one(results, "estimates", level)
    ax = axes_or_new(ax, 6.5, 4.2)
    covers = (sample.conf_low <= sample.truth) & (sample.truth <= sample.conf_high)
    top = 1.05 * float(np.max(sample.std_error))
    half = norm.ppf(0.5 + level / 2) * top
    ax.fill(
        [sample.truth, sample.truth - half, sample.truth + half], [0.0, top, top], color=GREY, alpha=0.4, linewidth=0
    )
    for rows, tone, form, label in ((covers, COVERED, "o", "Covers the truth"), (~covers, MISSED, "D", "Misses it")):
        ax.plot(sample.estimate[rows], sample.std_error[rows], form, color=tone, markersize=3.2, alpha=0.8, label=label)
    ax.axvline(sample.truth, color="0.2", linewidth=0.9)
    ax.axvline(float(np.mean(sample.estimate)), color="0.2", linewidth=0.9, linestyle=DASHED)
    low, high = float(np.min(sample.std_error)), top
    ax.set_ylim(max(0.0, low - 0.25 * (high - low)), high)
    spread = 1.08 * float(np.max(np.abs(sample.estimate - sample.truth)))
    ax.set_xlim(sample.truth - spread, sample.truth + spread)
    ax.set_xlabel(f"Estimate, {_parameters(results)[0]}")
    ax.set_ylabel("Standard error")
    legend(ax)
    tidy_up(ax)
    return ax


def _one(results: pd.DataFrame, kind: str, level: float) -> Sample:
    """The only parameter, scenario and method of the rows, with standard errors and a true value."""
    groups = results[["scenario", "method", *KEYS]].drop_duplicates()
    if len(groups) != 1:
        raise OptionError(
            f"plot({kind!r}) draws one parameter of one scenario and method, and {len(groups)} are chosen; choose by "
            "scenario=, method=, expert=, parameter= and term="
        )
    part = results[results["std_error"] > 0]
    truth = float(results["truth"].iloc[0])
    if not len(part) or np.isnan(truth):
        raise DataError(f"plot({kind!r}) needs standard errors and a true value of {_parameters(results)[0]}")
    return sample_of(part, level, truth)


def _parameters(table: pd.DataFrame) -> list[str]:
    """A readable name of every row's parameter."""
    names = []
    for expert, parameter, term in zip(*(table[name] for name in KEYS), strict=True):
        words = f"{parameter}: {term}" if term else str(parameter)
        names.append(plain(words) if expert is pd.NA else f"{plain(words)}, expert {expert}")
    return names


def _series(table: pd.DataFrame) -> list[str]:
    """What tells the rows' scenarios and methods apart: only the columns that differ."""
    heads = [*table.columns[1 : table.columns.get_loc("method")], "method"]
    heads = [name for name in heads if table[name].nunique(dropna=False) > 1]
    if not heads and table["scenario"].nunique() > 1:
        heads = ["scenario"]
    return [_words(heads, values) for values in zip(*(table[name] for name in heads), strict=True)] or [""] * len(table)


def _words(heads: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(str(v) if isinstance(v, str) else f"{name} = {v}" for name, v in zip(heads, values, strict=True))
