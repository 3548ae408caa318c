"""Plots of policies: entropies, overlap and weights of experts, the density of an action."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixstat.results.plots.style import DARK, axes_or_new, colour, marker, tidy_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def entropies(gate: np.ndarray, responsibility: np.ndarray, experts: int, *, ax: "Axes | None" = None) -> "Axes":
    """Entropy of the gate beside that of the responsibilities, a point an observation."""
    ax = axes_or_new(ax, 4.6, 4.2)
    top = max(float(np.log(experts)), 1e-3)
    ax.plot([0, top], [0, top], color=DARK, linewidth=1.0, linestyle="--", label="Equal experts")
    ax.axvline(top, color=DARK, linewidth=1.0, linestyle=":", label=f"log {experts}")
    ax.scatter(gate, responsibility, s=14, alpha=0.6, color=colour(1), edgecolor="none", label="Observations")
    ax.set(xlabel="Entropy of the gate", ylabel="Entropy of the responsibilities")
    ax.set(xlim=(-0.03 * top, 1.05 * top), ylim=(-0.03 * top, 1.05 * top))
    ax.legend(loc="upper left", frameon=False, fontsize="small")
    tidy_up(ax)
    return ax


def overlap(distance: np.ndarray, *, ax: "Axes | None" = None) -> "Axes":
    """exp(-Bhattacharyya's distance) of every pair of experts, as numbers on a heat map."""
    ax = axes_or_new(ax, 4.4, 4.0)
    shown, names = np.exp(-distance), [str(k + 1) for k in range(len(distance))]
    ax.imshow(shown, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), value in np.ndenumerate(shown):
        tone = "white" if value > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=tone, fontsize="small")
    ax.set_xticks(range(len(shown)), names)
    ax.set_yticks(range(len(shown)), names)
    ax.set(xlabel="Expert", ylabel="Expert", title="Overlap")
    return ax


def weights(values: np.ndarray, *, ax: "Axes | None" = None) -> "Axes":
    """Weights (observation, expert): a box an expert, its mean as a marker."""
    ax = axes_or_new(ax)
    experts = range(1, values.shape[1] + 1)
    boxes = ax.boxplot(list(values.T), positions=list(experts), widths=0.5, whis=(5, 95), showfliers=False)
    for parts in boxes.values():
        for part in parts:
            part.set_color(DARK)
    for k in experts:
        ax.plot(k, values[:, k - 1].mean(), marker=marker(k), color=colour(k), markersize=7)
    ax.set(xlabel="Expert", ylabel="Weight (5, 25, 50, 75, 95%; mean)", ylim=(-0.02, 1.02))
    tidy_up(ax)
    return ax


def action_density(
    density: Callable[[np.ndarray], np.ndarray],
    means: np.ndarray,
    *,
    ax: "Axes | None" = None,
    limits: Sequence[float] = (-1.0, 1.0),
    weights: np.ndarray | None = None,
    points: int = 161,
) -> "Axes":
    """The density of an action in one dimension (a curve) or two (a heat map), with the experts' means.

    `density` takes actions (point, D) and gives (point,); `means` (expert, D), whose markers grow with `weights`.
    """
    size = means.shape[-1]
    low, high = limits
    axis = np.linspace(low, high, points)
    middle = 0.5 * (axis[1:] + axis[:-1])
    ax = axes_or_new(ax, *((6.0, 3.6) if size == 1 else (4.6, 4.2)))
    if size == 1:
        ax.plot(middle, density(middle[:, None]), color=colour(1), linewidth=1.8)
        ax.set(xlabel="Action", ylabel="Density", xlim=(low, high))
        ax.set_ylim(bottom=0.0)
        tidy_up(ax)
        return ax
    grid = np.stack(np.meshgrid(middle, middle, indexing="xy"), axis=-1)
    values = np.asarray(density(grid.reshape(-1, 2))).reshape(grid.shape[:2])
    ax.imshow(values, origin="lower", extent=(low, high, low, high), cmap="Greys", interpolation="bilinear")
    sizes = np.full(len(means), 36.0) if weights is None else 4.0 + 200.0 * np.asarray(weights)
    for k, (mean, area) in enumerate(zip(means, sizes, strict=True), start=1):
        ax.scatter(
            mean[0], mean[1], s=area, color=colour(k), marker=marker(k), edgecolor="white", linewidth=0.8, zorder=3
        )
    ax.set(xlabel="Action 1", ylabel="Action 2", xlim=(low, high), ylim=(low, high), aspect="equal")
    return ax
