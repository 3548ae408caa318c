"""Figures and axes that a notebook shows where they end a cell, although pyplot does not know them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixstat.results.plots.style import to_png

DOTS_PER_INCH = 100


class ShownFigure(Figure):
    """A matplotlib figure with a picture of itself for IPython."""

    def _repr_png_(self) -> bytes:
        return to_png(self, DOTS_PER_INCH)


class ShownAxes(Axes):
    """Matplotlib axes with a picture of their figure for IPython."""

    figure: ShownFigure

    def _repr_png_(self) -> bytes:
        return to_png(self.figure, DOTS_PER_INCH)
