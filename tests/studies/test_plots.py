"""Plots of a study hold the figures of its tables."""

import numpy as np
import pytest

import mixstat as ms
from mixstat.exceptions import OptionError
from mixstat.studies.plots import wilson

REPLICATES = 40


@pytest.fixture(scope="module")
def study() -> ms.Study:
    def simulate(rng, n):
        return rng.normal(size=n)

    def fit(data, n):
        return {"mean": (data.mean(), data.std() / np.sqrt(n)), "scale": (data.std(), data.std() / np.sqrt(2 * n))}

    truth = {"mean": 0.0, "scale": 1.0}
    scenarios = {"n": [5, 40]}
    return ms.Study(simulate=simulate, fit=fit, truth=truth, replicates=REPLICATES, seed=3, scenarios=scenarios).run(
        verbose=0
    )


@pytest.mark.parametrize("kind", ["bias", "coverage"])
def test_forest_shows_every_parameter_and_scenario(study, kind):
    ax = study.plot(kind)
    points = np.concatenate([line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2][:2])
    np.testing.assert_allclose(np.sort(points), np.sort(study.measures().query("measure == @kind")["value"]))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["mean", "scale"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["n = 5", "n = 40"]
    assert list(ax.lines[-1].get_xdata()) == ([0.95, 0.95] if kind == "coverage" else [0.0, 0.0])


def test_zip_ranks_intervals_and_shows_who_misses(study):
    ax = study.plot("zip", n=5, parameter="scale")
    covering, missing = ax.collections
    rows = study.results().query("n == 5 and parameter == 'scale'")
    far = np.abs(rows["estimate"] - 1) / rows["std_error"]
    assert len(missing.get_segments()) == (far > 1.959963985).sum() > 0
    assert len(covering.get_segments()) + len(missing.get_segments()) == REPLICATES
    top = max(missing.get_segments(), key=lambda segment: segment[0, 1])
    assert top[:, 0].mean() == pytest.approx(rows["estimate"][far.idxmax()])


def test_estimates_against_errors(study):
    ax = study.plot("estimates", scenario=2, parameter="mean")
    shown = np.sort(np.concatenate([line.get_xdata() for line in ax.lines[:2]]))
    np.testing.assert_allclose(shown, np.sort(study.results().query("n == 40 and parameter == 'mean'")["estimate"]))


def test_plots_draw_on_given_axes_and_refuse_what_is_ambiguous(study):
    ax = study.plot("bias", n=5)
    assert study.plot("coverage", ax=ax, n=5) is ax
    with pytest.raises(OptionError, match="4 are chosen"):
        study.plot("zip")
    with pytest.raises(OptionError, match="there is 5, 40"):
        study.plot("bias", n=6)
    with pytest.raises(OptionError, match="cannot choose by 'size'"):
        study.plot("bias", size=6)
    with pytest.raises(OptionError, match="kind must be one of"):
        study.plot("funnel")


def test_wilson_solves_the_score_equation():
    for share, n in ((0.95, 40), (1.0, 25), (0.0, 10)):
        for bound in wilson(share, n):
            assert n * (share - bound) ** 2 == pytest.approx(1.959963985**2 * bound * (1 - bound), rel=1e-8, abs=1e-12)
