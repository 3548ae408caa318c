"""Simulated growth tables: rows as promised, and values that the brute-force densities of their own truth expect."""

import numpy as np
import pytest
from scipy.special import softmax

from tests.growth import brute_force as bf
from tests.growth import simulated

COLUMNS = ["unit", "class", "wave", "time", "y", "g1", "g2", "x1", "z", "v"]


def assert_expected(units: list[bf.Unit], truth: dict) -> None:
    """Whitened by their class, values are standard normal: their sum and sum of squares stay within 4.5 SE."""
    squares, count, deviations = 0.0, 0, 0.0
    for unit, label in zip(units, truth["labels"], strict=True):
        parameters = truth["classes"][label]
        multivariate = isinstance(parameters, bf.MultivariateClass)
        values, mean, covariance = (bf.multivariate_moments if multivariate else bf.unit_moments)(unit, parameters)
        kept = ~np.isnan(values)
        scaled = np.linalg.solve(np.linalg.cholesky(covariance[np.ix_(kept, kept)]), (values - mean)[kept])
        squares, count, deviations = squares + scaled @ scaled, count + kept.sum(), deviations + scaled.sum()
    assert abs(squares - count) < 4.5 * np.sqrt(2 * count)
    assert abs(deviations) < 4.5 * np.sqrt(count)


@pytest.mark.parametrize("curve", simulated.SCENARIOS)
def test_curves(curve):
    table, truth = simulated.simulate(np.random.default_rng(1), n=60, curve=curve, dropout=0.0, between="fixed")
    assert list(table) == COLUMNS
    assert_expected(bf.read_units(table, x=["x1"], z=["z"], v="v", wave="wave"), truth)


@pytest.mark.parametrize("residual", simulated.RESIDUALS)
def test_residuals(residual):
    table, truth = simulated.simulate(
        np.random.default_rng(2), n=80, curve="linear", residual=residual, between="joint", kappa=0.7, factor=1.5
    )
    assert_expected(bf.read_units(table, x=["x1"], z=["z"], v="v", wave="wave"), truth)


def test_random_knot_is_exact():
    """Units without random effects but that of the knot bend at knots of the stated spread."""
    scenario = simulated.SCENARIOS["bilinear"]
    classes = [
        each._replace(psi=np.diag([0, 0, 0, scenario.coefficient_deviation**2]), residual=bf.iid(1e-12))
        for each in simulated.classes_of("bilinear", random_coefficient=True)
    ]
    table, truth = simulated.draw(
        np.random.default_rng(3), n=400, classes=classes, gate=simulated.GATE, waves=simulated.TEN, dropout=0, missing=0
    )
    last = table[table["wave"] == 9]
    eta = np.array([classes[k].trajectory.alpha for k in truth["labels"]])
    knots = (last["y"].to_numpy() - eta[:, 0] - 9 * eta[:, 2]) / (eta[:, 1] - eta[:, 2])
    knots -= np.array([classes[k].trajectory.coefficients[0] for k in truth["labels"]])
    assert knots.std() == pytest.approx(scenario.coefficient_deviation, rel=0.15)
    assert abs(knots.mean()) < 0.06


def test_occasions():
    table, _ = simulated.simulate(np.random.default_rng(4), n=200, curve="bilinear", dropout=0.1, missing=0.1)
    counts = table.groupby("unit").size()
    assert counts.min() == 3
    assert counts.max() == 10
    assert 0.05 < table["y"].isna().mean() < 0.12
    assert table.loc[table["wave"] == 0, "y"].notna().all()
    assert (table.groupby("unit")["wave"].diff().dropna() == 1).all()
    assert (table.loc[table["wave"] == 0, "time"] == 0).all()


def test_one_class_has_no_choice():
    table, truth = simulated.simulate(np.random.default_rng(5), n=20, curve="linear", n_classes=1)
    assert (table["class"] == 1).all()
    assert truth["gate"].shape == (1, 3)


def test_curves_without_coefficient_have_none_to_vary():
    with pytest.raises(ValueError, match="quadratic has no coefficient"):
        simulated.classes_of("quadratic", random_coefficient=True)


def test_two_outcomes():
    table, truth = simulated.simulate_two_outcomes(np.random.default_rng(6), n=100)
    assert table["y1"].isna().sum() != table["y2"].isna().sum()
    assert_expected(bf.read_units(table, y=["y1", "y2"], wave="wave"), truth)


def test_paper_design():
    """What the design states: 13% and 26% explained, the distance .862 between the factor means."""
    table, truth = simulated.paper_design(np.random.default_rng(7), n=500)
    assert len(table) == 5000
    assert set(table.loc[table["wave"] == 9, "time"]) == {9.0}
    assert np.abs(table["time"] - table["wave"]).max() <= 0.25
    total = truth["total_covariance"]
    for parameters, share in zip(truth["classes"], (0.13, 0.26), strict=True):
        explained = parameters.beta @ parameters.covariance_x @ parameters.beta.T
        np.testing.assert_allclose(np.diag(explained) / np.diag(total), share, rtol=1e-4)
    early, late = (np.array(parameters.trajectory.alpha) for parameters in truth["classes"])
    assert np.sqrt((early - late) @ np.linalg.solve(total, early - late)) == pytest.approx(0.862, abs=5e-4)
    first = table[table["wave"] == 0]
    expected = softmax(np.column_stack([np.ones(500), first[["g1", "g2"]]]) @ truth["gate"].T, axis=1)[:, 1]
    assert (first["class"] == 2).mean() == pytest.approx(expected.mean(), abs=0.07)
    assert np.corrcoef(first["class"] == 2, expected)[0, 1] > 0.2
    assert_expected(bf.read_units(table, x=["x1", "x2"]), truth)
