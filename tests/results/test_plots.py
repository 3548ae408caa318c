"""Plots of arrays and tables: what the artists hold, what the texts say, and errors that name the cause."""

import pickle
import struct

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import mixstat as ms
from mixstat.results import plots

RNG = np.random.default_rng(0)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def share(units: int, classes: int) -> np.ndarray:
    return RNG.dirichlet(np.full(classes, 0.3), units)


def test_gate_effects_of_numbers():
    x, p = np.linspace(0, 1, 20), share(20, 3)
    ax = plots.gate_effects(x, p, low=p / 2, high=(1 + p) / 2, names=["a", "b", "noise $"], experts=2)
    for k, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([x, p[:, k]]))
        band = ax.collections[k].get_paths()[0].vertices
        assert {tuple(v) for v in np.column_stack([x, p[:, k] / 2])} <= {tuple(v) for v in band}
        assert band[:, 1].max() == pytest.approx((1 + p[:, k].max()) / 2)
    assert texts(ax) == ["a", "b", r"noise \$"]
    assert [line.get_color() for line in ax.lines] == [*plots.COLOURS[:2], "#7a7a7a"]
    assert ax.get_ylim() == (0, 1)


def test_gate_effects_of_levels():
    p = share(3, 2)
    ax = plots.gate_effects(np.array(["u", "v", "w"]), p, low=p / 2, high=p)
    assert ticks(ax.xaxis) == ["u", "v", "w"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), p[:, 1])
    bars = np.array(ax.collections[1].get_segments())
    np.testing.assert_allclose(bars[:, :, 1], np.column_stack([p[:, 1] / 2, p[:, 1]]))


def test_responsibilities_are_counted_with_weights():
    values, weight = share(300, 2), RNG.uniform(0.5, 2, 300)
    ax = plots.responsibilities(values, weight=weight, bins=10)
    for k in range(2):
        kept = values[:, k] >= 1e-4
        height = ax.patches[2 * k].get_data().values
        np.testing.assert_allclose(height, np.histogram(values[kept, k], 10, (0, 1), weights=weight[kept])[0])
    assert height.sum() < weight.sum()
    assert ax.get_yscale() == "function"
    assert texts(ax) == ["Expert 1", "Expert 2"]


def test_fitted_means():
    x, y, r = RNG.normal(size=50), RNG.normal(size=50), np.eye(3)[np.arange(50) % 3]
    r[0] = [0.5, 0.5, 0]
    grid = np.linspace(-1, 1, 30)
    mean = np.column_stack([grid, -grid])
    ax = plots.fitted_means(x, y, r, grid, mean, names=["a", "b", "Noise"])
    points = ax.collections[0]
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([x, y]))
    first, second = np.array(to_rgb(plots.COLOURS[0])), np.array(to_rgb(plots.COLOURS[1]))
    np.testing.assert_allclose(points.get_facecolors()[0, :3], (first + second) / 2)
    np.testing.assert_allclose(points.get_facecolors()[1, :3], second)
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], mean.T)
    assert texts(ax) == ["a", "b", "Noise"]


def test_fitted_means_of_levels_spread_the_points():
    codes = np.arange(60) % 3
    ax = plots.fitted_means(codes, np.zeros(60), np.ones((60, 1)), np.arange(3.0), np.ones((3, 1)), levels=list("uvw"))
    shift = ax.collections[0].get_offsets()[:, 0] - codes
    assert 0.05 < np.abs(shift).max() < 0.2
    assert ticks(ax.xaxis) == ["u", "v", "w"]


def criteria_table() -> pd.DataFrame:
    return pd.DataFrame({"n_experts": [3, 1, 2, 4], "bic": [12.0, 30.0, 10.0, np.nan], "aic": [7.0, 29.0, 8.0, 9.0]})


def test_criteria_mark_the_smallest():
    ax = ms.plot_criteria(criteria_table())
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert texts(ax) == ["AIC: 3", "BIC: 2"]
    np.testing.assert_array_equal(lines["AIC: 3"], [[3, 7]])
    np.testing.assert_array_equal(lines["BIC: 2"], [[2, 10]])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 29], [2, 8], [3, 7], [4, 9]])
    assert ticks(ax.xaxis) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (pd.DataFrame({"n_experts": [1]}), "aic, bic"),
        (pd.DataFrame({"bic": [1.0]}), "n_experts"),
        (pd.DataFrame({"n_experts": [2, 2], "bic": [1.0, 2.0]}), "n_experts = 2"),
        ([1, 2], "list"),
    ],
)
def test_criteria_need_their_columns(table, match):
    with pytest.raises(ms.DataError, match=match):
        ms.plot_criteria(table)


def starts_table(values, hits) -> pd.DataFrame:
    kinds = ["k-means", "random", "random", "$ubset"][: len(values)]
    return pd.DataFrame({"kind": kinds, "log_likelihood": values, "hits": hits})


def test_starts_are_sorted_and_the_best_is_ringed():
    ax = plots.starts(starts_table([-5.0, -3.0, np.nan, -9.0], [2, 3, 0, 0]))
    points = {c.get_label(): c for c in ax.collections}
    np.testing.assert_array_equal(points["k-means"].get_offsets(), [[2, -5]])
    np.testing.assert_array_equal(points["random"].get_offsets(), [[1, -3]])
    np.testing.assert_array_equal(points[r"\$ubset"].get_offsets(), [[3, -9]])
    np.testing.assert_array_equal(points[r"\$ubset"].get_facecolors()[0], [1, 1, 1, 1])
    np.testing.assert_array_equal(points["Best: -3.000, reached by 3"].get_offsets(), [[1, -3]])
    assert "(1 failed)" in ax.get_xlabel()


def test_equal_starts_are_not_magnified():
    ax = plots.starts(starts_table([-3.0, -3.0 - 1e-9], [2, 2]))
    assert np.ptp(ax.get_ylim()) >= 1


def test_confusion_counts():
    first, second = share(200, 2), share(200, 3)
    counts = plots.joint_counts(first, second)
    expected = pd.crosstab(first.argmax(axis=1), second.argmax(axis=1))
    np.testing.assert_array_equal(counts, expected)
    soft = plots.joint_counts(first, second, assignment="soft")
    np.testing.assert_allclose(soft.sum(axis=1), first.sum(axis=0))
    ax = plots.confusion(counts, titles=("A", "B"))
    np.testing.assert_allclose(ax.images[0].get_array(), expected.div(expected.sum(axis=1), axis=0))
    assert [text.get_text() for text in ax.texts] == [f"{n:.0f}" for n in expected.to_numpy().ravel()]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("A", "B")
    assert ticks(ax.xaxis) == ["Expert 1", "Expert 2", "Expert 3"]


def test_confusion_with_an_empty_class():
    ax = plots.confusion(np.array([[2.0, 0.0], [0.0, 0.0]]))
    assert np.isfinite(ax.images[0].get_array()).all()


def test_confusion_needs_the_same_units():
    with pytest.raises(ms.DataError, match="200 and 100 units"):
        plots.joint_counts(share(200, 2), share(100, 2))
    with pytest.raises(ms.OptionError, match="assignment"):
        plots.joint_counts(share(2, 2), share(2, 2), assignment="hard")


def test_names_must_fit_the_classes():
    with pytest.raises(ms.OptionError, match="1 names for 2 classes"):
        plots.responsibilities(share(9, 2), names=["a"])


def test_coefficients_keep_an_experts_colour():
    table = pd.DataFrame({"expert": pd.array([2, 2], dtype="Int64"), "term": ["a", "$b"], "estimate": [1.0, 2.0]})
    ax = plots.coefficients(table.assign(conf_low=0.5, conf_high=3.0))
    assert ax.lines[0].get_color() == plots.COLOURS[1]
    assert ticks(ax.yaxis) == ["a", r"\$b"]


def test_a_legend_stays_inside_a_figure_without_layout():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    plots.responsibilities(share(50, 3), ax=ax)
    box = ax.get_legend().get_window_extent()
    assert ax.get_window_extent().x0 <= box.x0 <= box.x1 <= ax.get_window_extent().x1


def test_a_figure_shows_itself_once_in_a_notebook():
    """IPython asks an object for `_repr_png_` where its type has no picture yet, as matplotlib's axes have none."""
    ax = plots.gate_effects(np.linspace(0, 1, 5), share(5, 2))
    assert isinstance(ax, Axes)
    assert isinstance(ax.figure, Figure)
    for shown in (ax, ax.figure):
        picture = shown._repr_png_()
        assert picture.startswith(b"\x89PNG")
        width, height = struct.unpack(">2I", picture[16:24])
        assert (width, height) == (600, 400)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ax)).lines[0].get_xydata(), ax.lines[0].get_xydata())


def test_axes_that_were_given_are_returned():
    given = Figure().subplots()
    assert plots.gate_effects(np.linspace(0, 1, 5), share(5, 2), ax=given) is given


def test_pyplot_keeps_no_figure():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plots.starts(starts_table([-1.0], [1]))
    assert plt.get_fignums() == before
