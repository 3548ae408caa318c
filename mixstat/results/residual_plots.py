"""Residual plots: residuals that are N(0, 1) under the model against normal quantiles, and the worm plot.

The envelope is pointwise: the i-th smallest of n uniform numbers is Beta(i, n + 1 - i).
References: Wilk and Gnanadesikan (1968), Biometrika 55, 1-17; van Buuren and Fredriks (2001), Worm plot: a simple
diagnostic device for modelling growth reference curves, Statistics in Medicine 20, 1259-1277.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from mixstat.exceptions import DataError
from mixstat.results.plots.style import GREY, axes_or_new, colour, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Ordered(NamedTuple):
    """Sorted residuals, their normal quantiles and the pointwise envelope, each (residual,)."""

    residual: np.ndarray
    quantile: np.ndarray
    low: np.ndarray
    high: np.ndarray


def order(residuals: Any, level: float = 0.95) -> Ordered:
    """Order statistics against Phi^-1((i - 1/2) / n)."""
    values = np.sort(np.asarray(residuals, dtype=np.float64).ravel())
    if len(values) < 2 or not np.isfinite(values).all():
        raise DataError(
            f"a residual plot needs two or more finite residuals, got {np.isfinite(values).sum()} of {values.size}"
        )
    rank = np.arange(1, len(values) + 1)
    shares = stats.beta.ppf([[0.5 - level / 2], [0.5 + level / 2]], rank, len(values) + 1 - rank)
    return Ordered(values, stats.norm.ppf((rank - 0.5) / len(values)), *stats.norm.ppf(shares))


def qq_plot(residuals: Any, ax: "Axes | None" = None) -> "Axes":
    """Ordered residuals against normal quantiles, the diagonal and a 95% pointwise envelope."""
    ax, points = axes_or_new(ax, 4.6, 4.4), order(residuals)
    ax.fill_between(points.quantile, points.low, points.high, color=GREY, alpha=0.6, linewidth=0, label="95% pointwise")
    ends = points.quantile[[0, -1]]
    ax.plot(ends, ends, color="0.35", linewidth=1.0)
    _dots(ax, points.quantile, points.residual)
    _label(ax, "Quantile residual")
    return ax


def worm_plot(residuals: Any, ax: "Axes | None" = None) -> "Axes":
    """Ordered residuals less their normal quantiles, with a fitted cubic and a 95% pointwise envelope.

    Its level shows a wrong location, its slope a wrong spread, a parabola skewness, an S shape the tails.
    """
    ax, points = axes_or_new(ax, 5.4, 3.8), order(residuals)
    z, worm = points.quantile, points.residual - points.quantile
    ax.fill_between(z, points.low - z, points.high - z, color=GREY, alpha=0.6, linewidth=0, label="95% pointwise")
    ax.axhline(0.0, color="0.35", linewidth=1.0)
    _dots(ax, z, worm)
    if len(z) > 4:
        ax.plot(z, np.polynomial.Polynomial.fit(z, worm, 3)(z), color=colour(2), linewidth=1.5, label="Cubic fit")
    reach = 1.1 * max(np.abs(worm).max(), np.abs(np.concatenate([points.low - z, z - points.high])[[0, -1]]).max())
    ax.set_ylim(-reach, reach)
    _label(ax, "Deviation")
    return ax


def _dots(ax: "Axes", x: np.ndarray, y: np.ndarray) -> None:
    size = 3.6 if len(x) < 500 else 2.2
    ax.plot(x, y, "o", color=colour(1), markersize=size, alpha=0.7, markeredgewidth=0)


def _label(ax: "Axes", name: str) -> None:
    """Names of the axes, and a legend above, where no residual lies."""
    ax.set_xlabel("Normal quantile")
    ax.set_ylabel(name)
    tidy_up(ax)
    ax.legend(ncols=2, frameon=False, fontsize="small", loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
