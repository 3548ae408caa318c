"""Plots of growth curves: what stands on the axes, and the sums behind it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixstat as ms
from mixstat.estimators.methods import growth_plots, over_time
from mixstat.exceptions import DataError
from mixstat.results import plots
from tests.growth import fitted


def drawn(ax):
    """The picture can be made."""
    assert plots.to_png(ax.figure, 40).startswith(b"\x89PNG")
    return ax


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def test_trajectories_of_classes_over_subjects():
    model = fitted.mixture()
    ax = drawn(model.plot_trajectories())
    strands = next(c for c in ax.collections if len(c.get_segments()) == 100)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("grade", "math")
    shares = model.responsibilities(fitted.table()).mean(axis=0)
    assert labels(ax) == [f"Expert {k} ({share:.0%})" for k, share in enumerate(shares, start=1)]
    first = fitted.table().query("child == 'c001'").dropna(subset="math")
    assert_allclose(strands.get_segments()[0], first[["grade", "math"]].to_numpy())
    certain = model.responsibilities(fitted.table()).max(axis=1)
    alpha = np.array([shade[3] for shade in strands.get_colors()])
    assert_allclose(alpha / alpha[0], certain / certain[0], rtol=1e-6)
    line = next(line for line in ax.lines if line.get_label().startswith("Expert 2"))
    knots = model.tidy().query("parameter == 'knot'")["estimate"]
    assert knots.isin(line.get_xdata()).all()
    expected = model.trajectories(times=line.get_xdata())
    assert_allclose(line.get_ydata(), expected.loc[expected["expert"] == 2, "mean"])


def test_trajectories_alone():
    axes = plots.new_figure(8, 3, 2).axes
    ax = fitted.mixture().plot_trajectories(
        data=False, level=None, times=[0, 4, 8], names=["early", "late"], ax=axes[1]
    )
    assert ax is axes[1]
    assert not ax.collections
    assert [text.split(" (")[0] for text in labels(ax)] == ["early", "late"]


def test_a_saved_model_draws_the_subjects_given():
    model, rows = pickle.loads(pickle.dumps(fitted.mixture())), fitted.table()
    line = model.plot_trajectories(rows, times=[8, 0, 4, 4]).lines[1]
    kept = fitted.mixture().trajectories(times=[0, 4, 8])
    assert_allclose(line.get_xdata(), [0, 4, 8])
    assert_allclose(line.get_ydata(), kept["mean"][:3], rtol=2e-3)  # rows without a score count in X
    with pytest.raises(DataError, match="data are needed"):
        model.plot_trajectories()


def test_profiles_tell_what_differs():
    rows = pd.DataFrame({"approach": [-1.0, 1.5], "absences": [4, 4]})
    model = fitted.mixture()
    ax = drawn(model.plot_profiles(rows, times=[0, 5]))
    assert labels(ax) == ["Expert 1", "Expert 2", "approach = -1", "approach = 1.5"]
    ax = model.plot_profiles(rows, times=[0, 5], labels=["low", "high"], level=0.9)
    assert labels(ax)[2:] == ["low", "high"]
    assert len(ax.collections) == 4
    with pytest.raises(DataError, match="2 texts"):
        model.plot_profiles(rows, labels=["one"])


def test_knots():
    model = fitted.mixture()
    ax = drawn(model.plot_knots())
    table = model.tidy().query("parameter == 'knot'")
    placed = [line.get_xdata()[0] for line in ax.lines]
    assert_allclose(placed, table["estimate"])
    assert ax.get_xlabel() == "grade"
    with pytest.raises(DataError, match="no knots"):
        fitted.alone().plot_knots()


@pytest.mark.parametrize("kind", ["subject", "class"])
def test_observed_means_are_weighted_with_responsibilities(kind):
    model, rows = fitted.mixture(), fitted.table()
    ax = drawn(model.plot_observed(kind=kind, bins=8))
    share = model.responsibilities(rows)[pd.factorize(rows["child"])[0], 1]
    seen = rows["math"].notna()
    edges = np.quantile(rows.loc[seen, "grade"], np.linspace(0, 1, 9))
    inside = seen & (rows["grade"] >= edges[2]) & (rows["grade"] < edges[3])
    expected = np.average(rows.loc[inside, "math"], weights=share[inside])
    points = [c for c in ax.containers if hasattr(c, "has_yerr")][1]
    assert points[0].get_ydata()[2] == pytest.approx(expected, rel=1e-9)
    line = next(line for line in ax.lines if line.get_label() == "Expert 2")
    if kind == "class":
        mean = model.predict(rows, kind="expert_mean")[:, 1]
        assert line.get_ydata()[2] == pytest.approx(np.average(mean[inside], weights=share[inside]), rel=1e-9)
    assert np.abs(line.get_ydata() - points[0].get_ydata()).max() < (2 if kind == "subject" else 5)


def test_residuals_by_time():
    model, rows = fitted.mixture(), fitted.table()
    ax = drawn(model.plot_residuals_by_time())
    residual = model.augment(rows)["residual_subject"].dropna()
    assert_allclose(ax.collections[0].get_offsets()[:, 1], residual, rtol=1e-8)
    model.plot_residuals_by_time(rows.iloc[:200], kind="class")


def test_existing_plots():
    model, rows = fitted.mixture(), fitted.table()
    figure = model.plot()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["Coefficients", "Gate", "Trajectories", "Responsibilities", "Starts"]
    ax = drawn(model.plot_fit())
    assert len(ax.collections[0].get_offsets()) == rows["math"].notna().sum()
    assert ax.get_xlabel() == "grade"
    drawn(model.plot_qq(rows.dropna(subset="math"), random_state=1))
    drawn(model.rename(["early", "late"]).plot_responsibilities())
    assert labels(model.rename(["early", "late"]).plot_gate()) == ["early", "late"]


def test_one_class_without_a_curve():
    model = fitted.alone()
    ax = drawn(model.plot_trajectories())
    assert ax.get_legend() is None
    drawn(model.plot_observed())
    drawn(model.plot_residuals_by_time())


def test_of_many_subjects_a_sample_is_drawn_and_said(monkeypatch):
    model, rows = fitted.mixture(), fitted.table()
    everybody = drawn(model.plot_trajectories())
    assert not everybody.texts
    monkeypatch.setattr(growth_plots, "DRAWN", 30)
    ax = drawn(model.plot_trajectories())
    assert [text.get_text() for text in ax.texts] == ["30 of 100 subjects are drawn"]
    strands = next(c for c in ax.collections if len(c.get_segments()) == 30)
    whole = next(c for c in everybody.collections if len(c.get_segments()) == 100)
    known = [segment.tobytes() for segment in whole.get_segments()]
    assert all(segment.tobytes() in known for segment in strands.get_segments())
    assert labels(ax) == labels(everybody)
    for some, every in zip(ax.lines, everybody.lines, strict=True):
        assert_allclose(some.get_xydata(), every.get_xydata())
    ax = drawn(model.plot_residuals_by_time())
    assert [text.get_text() for text in ax.texts] == ["30 of 100 subjects are drawn"]
    chosen = rows["child"].unique()[np.sort(np.random.default_rng(0).permutation(100)[:30])]
    some = rows[rows["child"].isin(chosen)]
    expected = model.augment(some)["residual_subject"].dropna()
    assert_allclose(ax.collections[0].get_offsets()[:, 1], np.ravel(expected), rtol=1e-8)


@pytest.mark.parametrize("kind", ["subject", "class"])
def test_observed_means_do_not_depend_on_batches(monkeypatch, kind):
    whole = fitted.mixture().plot_observed(kind=kind)
    monkeypatch.setattr(growth_plots, "BATCH", 37)
    parts = fitted.mixture().plot_observed(kind=kind)
    for one, other in zip(whole.lines, parts.lines, strict=True):
        assert_allclose(one.get_xydata(), other.get_xydata(), rtol=1e-9)


@pytest.mark.parametrize("by", ["class", "overall"])
def test_averages_over_equal_rows_and_parts_are_those_of_all_rows(monkeypatch, by):
    """Against the mean over subjects, with responsibilities or probabilities, of each subject's own trajectory."""
    model, rows = fitted.mixture(), fitted.table().dropna(subset="math")
    monkeypatch.setattr(over_time, "PART", 41)
    found = model.trajectories(times=[0.0, 2.5, 7.0], by=by)["mean"].to_numpy()
    own = model.trajectories(rows, [0.0, 2.5, 7.0], by=by)
    if by == "overall":
        assert_allclose(found, own.groupby("time")["mean"].mean(), rtol=1e-9)
        return
    share = model.responsibilities(rows)
    values = own["mean"].to_numpy().reshape(2, 100, 3)
    expected = [np.average(values[k], axis=0, weights=share[:, k]) for k in range(2)]
    assert_allclose(found, np.concatenate(expected), rtol=1e-6)


def test_bins():
    few = plots.bin_times(np.array([0.0, 1, 1, 2]))
    assert_allclose(few.centre, [0, 1, 2])
    many = plots.bin_times(np.arange(100.0), 10)
    assert_allclose(np.bincount(many.code), 10)
    means = plots.bin_means(np.array([1.0, 3, 5, 7]), np.array([[1.0, 3, 1, 0]]), few)
    assert_allclose(means.mean[0, :2], [1, 3.5])
    assert_allclose(means.deviation[0, 1], np.sqrt(0.75))
    assert_allclose(means.error[0, 1], np.sqrt(0.75) / np.sqrt(16 / 10))


def test_other_models_are_told():
    model = ms.Regression("math ~ grade").fit(fitted.table())
    for name in ("plot_profiles", "plot_knots", "plot_observed", "plot_residuals_by_time"):
        with pytest.raises(ms.OptionError, match="GrowthCurve"):
            getattr(model, name)(*([pd.DataFrame({"grade": [1]})] if name == "plot_profiles" else []))
