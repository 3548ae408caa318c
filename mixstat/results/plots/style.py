"""Style: colours, markers, figures without pyplot, and their PNG.

Colours are those of Okabe and Ito (2008), told apart in all common forms of colour blindness.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixstat.exceptions import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
GREY = "#c9c9c9"
"""Observed frequencies."""
DARK = "#7a7a7a"
"""Classes that are no experts."""
FEW = 12
"""A covariate of no more distinct values than this has a tick at each, and its points are spread sideways."""


def colour(expert: int) -> str:
    """The colour of an expert (1-based)."""
    return COLOURS[(expert - 1) % len(COLOURS)]


def marker(expert: int) -> str:
    """The marker of an expert (1-based)."""
    return MARKERS[(expert - 1) % len(MARKERS)]


def dashes(expert: int) -> str | tuple:
    """The line style of an expert (1-based): changes where colours repeat, so that lines of one colour differ."""
    return DASHES[(expert - 1) // len(COLOURS) % len(DASHES)]


def tones(classes: int, experts: int | None) -> list[str]:
    """The classes' colours: those beyond the experts are grey."""
    known = classes if experts is None else experts
    return [colour(k) for k in range(1, known + 1)] + [DARK] * (classes - known)


def whole_ticks(ax: "Axes", values: np.ndarray) -> bool:
    """Ticks at the values themselves where these are few whole numbers; whether they are."""
    few = 0 < len(values) <= FEW and bool(np.equal(values, np.round(values)).all())
    if few:
        ax.set_xticks(values)
    return few


def class_names(classes: int, names: Sequence[str] | None) -> list[str]:
    """What the legend calls the classes: `names`, or Expert 1, Expert 2, ..."""
    if names is None:
        return [f"Expert {k}" for k in range(1, classes + 1)]
    if len(names) != classes:
        raise OptionError(f"names holds {len(names)} names for {classes} classes: {list(names)!r}")
    return [plain(name) for name in names]


def plain(text: object) -> str:
    """Text as it stands: a dollar sign starts no formula."""
    return str(text).replace("$", r"\$")


def blend(responsibility: np.ndarray, tones: Sequence[str]) -> np.ndarray:
    """Colours (row, 3): the classes' colours averaged with responsibilities (row, class)."""
    from matplotlib.colors import to_rgb

    return np.clip(responsibility @ np.array([to_rgb(tone) for tone in tones]), 0.0, 1.0)


def new_figure(
    width: float, height: float, panels: int = 1, ratios: Sequence[float] | None = None, *, rows: int = 1
) -> "Figure":
    """A figure with panels side by side, in `rows` rows, that needs no display and does not touch pyplot's state.

    It and its axes show themselves in a notebook.
    """
    from mixstat.results.plots.notebook import ShownAxes, ShownFigure

    figure = ShownFigure(figsize=(width, height), layout="constrained")
    figure.subplots(rows, panels, width_ratios=ratios, subplot_kw={"axes_class": ShownAxes})
    return figure


def axes_or_new(ax: "Axes | None", width: float = 6.0, height: float = 4.0) -> "Axes":
    """`ax`, or the axes of a new figure."""
    return new_figure(width, height).axes[0] if ax is None else ax


def tidy_up(ax: "Axes") -> None:
    """No frame at the top and at the right."""
    ax.spines[["top", "right"]].set_visible(False)


def legend(ax: "Axes", *, least: int = 2, title: str | None = None) -> None:
    """A legend of `least` entries or more: beside the axes, or inside where no layout would make room for it."""
    handles, labels = ax.get_legend_handles_labels()
    if len(labels) < least:
        return
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    place: dict[str, Any] = {} if ax.figure.get_layout_engine() is None else beside
    ax.legend(handles, labels, frameon=False, fontsize="small", title=title, title_fontsize="small", **place)


def remark(ax: "Axes", text: str) -> None:
    """A sentence in the lower right corner, if there is one to say."""
    if text:
        ax.text(
            0.995, 0.01, plain(text), transform=ax.transAxes, ha="right", va="bottom", fontsize="x-small", color=DARK
        )


def to_png(figure: "Figure", dots_per_inch: int = 160) -> bytes:
    """The figure as PNG, drawn without a display."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dots_per_inch)
    return buffer.getvalue()
