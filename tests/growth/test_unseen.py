"""Subjects of whom nothing was seen: what is known of them before any response."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from tests.growth import fitted


def unseen(children: int = 3):
    rows = fitted.table()
    return rows[rows["child"].isin(rows["child"].unique()[:children])].assign(math=np.nan)


def test_responsibilities_are_the_gates():
    model, rows = fitted.mixture(), unseen()
    assert_allclose(model.responsibilities(rows), model.gate_proba(rows), rtol=1e-12)
    mixed = rows.assign(math=fitted.table()["math"].where(rows["child"] != "c002"))
    assert_allclose(model.responsibilities(mixed)[1], model.gate_proba(rows)[1], rtol=1e-12)
    assert_allclose(model.responsibilities(mixed)[[0, 2]], model.responsibilities(fitted.table())[[0, 2]], rtol=1e-10)


def test_random_effects_are_the_prior():
    """Deviations of 0 with the variance of both classes; coefficients at their means."""
    model, rows = fitted.mixture(), unseen()
    deviations, total = model.random_effects(rows, deviations=True), model.random_effects(rows)
    classes, _ = fitted.values(model)
    share = model.gate_proba(rows)
    x = rows.groupby("child", sort=False)["approach"].first().to_numpy()
    for place, name in enumerate(("intercept", "slope1", "slope2")):
        assert_allclose(deviations[name], 0.0, atol=1e-12)
        variance = share @ [each.psi[place, place] for each in classes]
        assert_allclose(deviations[f"std_error_{name}"], np.sqrt(variance), rtol=1e-8)
        means = np.stack([each.factors[place, 0] + each.factors[place, 1] * x for each in classes], axis=1)
        assert_allclose(total[name], (share * means).sum(axis=1), rtol=1e-8)


def test_means_of_subjects_are_those_of_the_gate():
    model, rows = fitted.mixture(), unseen()
    assert_allclose(model.predict(rows, kind="subject"), model.predict(rows), rtol=1e-8)
    there = model.predict(rows, times=[1.0, 6.0], kind="subject")
    assert_allclose(there["mean"], model.predict(rows, times=[1.0, 6.0])["mean"], rtol=1e-8)
    assert (there["std_error"] > 0).all()


def test_covariates_are_still_needed():
    with pytest.raises(DataError, match=r"rows have missing values; by column: .*'approach'"):
        fitted.mixture().responsibilities(unseen().assign(approach=np.nan))
    with pytest.raises(DataError, match="no row has a response"):
        fitted.mixture().plot_observed(unseen())


def test_residual_plots_take_the_data_of_the_fit():
    model, rows = fitted.mixture(), fitted.table().dropna(subset="math")
    drawn, given, worm = (
        next(line for line in ax.lines if line.get_marker() == "o").get_xydata()
        for ax in (
            model.plot_qq(random_state=1),
            model.plot_qq(rows, random_state=1),
            model.plot_worm(random_state=1),
        )
    )
    assert_allclose(drawn, given)
    assert len(worm) == len(rows)


def test_residual_plots_leave_out_rows_without_a_response():
    """Where covariates are modelled too, such rows are part of the fit."""
    model = fitted.joint()
    points = next(line for line in model.plot_qq(random_state=1).lines if line.get_marker() == "o")
    assert len(points.get_xydata()) == fitted.table(60)["math"].notna().sum()


def test_times_of_occasions_are_told_as_numbers():
    rows = fitted.table(20).assign(wave=lambda t: t.groupby("child").cumcount().astype(float))
    model = ms.GrowthCurve("math ~ linear(wave)", unit="child", residual="occasion", verbose=0).fit(rows)
    with pytest.raises(DataError, match=r"time 0\.5 was not seen in fit, where residual='occasion' met 0, 1, 2, 3"):
        model.predict(rows.head(1), times=[0.5])


def test_proportional_experts_are_copies():
    line, bent = (ms.GrowthCurve(f"math ~ {c}(grade)", unit="child", proportional=True) for c in ("linear", "bilinear"))
    with pytest.raises(OptionError, match=r"list of 2, .*n_experts=2"):
        ms.MixtureOfExperts([line, bent], verbose=0).fit(fitted.table(20))
