"""Survival plots: fitted curves over Kaplan-Meier steps with numbers at risk, and calibration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mixstat.results.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


TICKS = 6


class Curve(NamedTuple):
    """A fitted curve with its band (None without one), and the steps of what was seen (None without them).

    `steps` are times, values and the ends of their intervals, each (step,).
    """

    label: str
    times: np.ndarray
    value: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None
    steps: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None


class AtRisk(NamedTuple):
    """Numbers at risk (curve, tick) at some times (tick,)."""

    times: np.ndarray
    numbers: np.ndarray


def risk_times(last: float) -> np.ndarray:
    """Round times (tick,) from 0 to `last`, a handful."""
    from matplotlib.ticker import MaxNLocator

    ticks = np.asarray(MaxNLocator(TICKS).tick_values(0.0, last))
    return ticks[(ticks >= 0) & (ticks <= last)]


def curves(lines: Sequence[Curve], label: str, *, at_risk: AtRisk | None = None, ax: "Axes | None" = None) -> "Axes":
    """Curves over time; numbers at risk stand under the axis, a line a curve."""
    ax = style.axes_or_new(ax)
    for place, line in enumerate(lines, start=1):
        tone, dash = style.colour(place), style.dashes(place)
        if line.steps is not None:
            _steps(ax, line.steps, tone)
        if line.band is not None:
            ax.fill_between(line.times, *line.band, color=tone, alpha=0.2, linewidth=0)
        ax.plot(line.times, line.value, color=tone, linestyle=dash, linewidth=2.0, label=style.plain(line.label))
    ax.set_xlabel("Time")
    ax.set_ylabel(label)
    ax.set_xlim(left=0)
    if label == "Survival":
        ax.set_ylim(0, 1.02)
    if at_risk is not None:
        _numbers(ax, lines, at_risk)
    style.legend(ax)
    style.tidy_up(ax)
    return ax


def _steps(ax: "Axes", steps: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tone: str) -> None:
    times, value, low, high = steps
    whole = np.concatenate([[0.0], times])
    ax.step(whole, np.concatenate([[1.0], value]), where="post", color=tone, linewidth=1.0, alpha=0.9)
    if np.isfinite(low).any():
        bottom, top = (np.concatenate([[1.0], end]) for end in (low, high))
        ax.fill_between(whole, bottom, top, step="post", color=tone, alpha=0.08, linewidth=0)


def _numbers(ax: "Axes", lines: Sequence[Curve], at_risk: AtRisk) -> None:
    """Under the ticks, in axes coordinates below the label."""
    transform = ax.get_xaxis_transform()
    ax.set_xticks(at_risk.times)
    ax.text(0.0, -0.22, "At risk", transform=ax.transAxes, fontsize="small", ha="left", va="top")
    for row, numbers in enumerate(at_risk.numbers):
        height = -0.28 - 0.06 * row
        for time, number in zip(at_risk.times, numbers, strict=True):
            ax.text(
                time,
                height,
                f"{number:g}",
                transform=transform,
                fontsize="small",
                ha="center",
                va="top",
                color=style.colour(row + 1) if len(lines) > 1 else "black",
            )


def calibration(
    predicted: np.ndarray, observed: np.ndarray, low: np.ndarray, high: np.ndarray, *, ax: "Axes | None" = None
) -> "Axes":
    """Observed against predicted survival of groups, with intervals, and the line on which they agree."""
    ax = style.axes_or_new(ax, 4.5, 4.2)
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=1.0, zorder=0)
    gaps = np.abs(np.stack([observed - low, high - observed]))
    ax.errorbar(predicted, observed, yerr=np.nan_to_num(gaps), fmt="o", color=style.colour(1), capsize=3)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xlabel("Predicted survival")
    ax.set_ylabel("Observed survival")
    style.tidy_up(ax)
    return ax
