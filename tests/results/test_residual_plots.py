"""Residual plots: the envelope covers as it says, the worm shows what is wrong."""

import numpy as np
import pytest
from scipy import stats

import mixstat as ms
from mixstat.results.plots import new_figure, to_png
from mixstat.results.residual_plots import order, qq_plot, worm_plot

NORMAL = np.random.default_rng(0).normal(size=200)


def test_the_envelope_covers_each_order_statistic():
    draws = np.sort(np.random.default_rng(1).normal(size=(4000, 30)), axis=1)
    points = order(draws[0])
    inside = ((draws > points.low) & (draws < points.high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.95, atol=0.02)
    np.testing.assert_allclose(points.quantile, -points.quantile[::-1], atol=1e-12)
    assert (np.diff(points.residual) >= 0).all()


def test_the_cubic_of_a_worm_shows_location_and_scale():
    shifted = worm_plot(0.5 + 1.5 * stats.norm.ppf((np.arange(1, 201) - 0.5) / 200))
    cubic = shifted.lines[2]
    np.testing.assert_allclose(cubic.get_ydata(), 0.5 + 0.5 * cubic.get_xdata(), atol=1e-10)
    low, high = shifted.get_ylim()
    assert low == -high
    assert high > np.abs(shifted.lines[1].get_ydata()).max()


def test_axes_are_reused_and_named():
    axes = new_figure(9, 4, 2).axes
    assert qq_plot(NORMAL, axes[0]) is axes[0]
    assert worm_plot(NORMAL, ax=axes[1]) is axes[1]
    assert [ax.get_ylabel() for ax in axes] == ["Quantile residual", "Deviation"]
    assert to_png(axes[0].figure, 40).startswith(b"\x89PNG")


def test_residuals_must_be_finite():
    with pytest.raises(ms.DataError, match="two or more finite residuals, got 1 of 2"):
        qq_plot([0.0, np.nan])
    with pytest.raises(ms.DataError, match="two or more finite residuals, got 0 of 0"):
        worm_plot([])
