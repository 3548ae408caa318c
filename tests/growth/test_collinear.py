"""Columns of occasions that a growth curve, its covariates or other columns say already."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.estimators.model.fitting import prepare
from mixstat.exceptions import CollinearityWarning, DataError


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    x = np.repeat(rng.normal(size=50), 6)
    t = np.tile(np.arange(6.0), 50) + rng.uniform(0, 0.3, 300)
    level = np.repeat(rng.normal(size=50), 6)
    y = level + np.minimum(t, 3) * (1 + 0.2 * x) + 0.5 * rng.normal(size=300)
    table = pd.DataFrame({"id": np.repeat(np.arange(50), 6), "t": t, "x": x, "y": y, "v": rng.normal(size=300)})
    return table.assign(tx=t * x, late=2 * t + 1, double=2 * table.v, square=t**2, bend=np.minimum(t, 1.7))


def growth(formula: str, **options) -> ms.GrowthCurve:
    return ms.GrowthCurve(formula, **{"unit": "id", "random": "intercept", "verbose": 0, **options})


def dropped(model: ms.GrowthCurve, rows: pd.DataFrame) -> set[str]:
    """What a fit would leave out."""
    return prepare(rows, model._request(None), None).dropped


@pytest.mark.parametrize(
    ("formula", "options", "gone"),
    [
        ("y ~ linear(t) + x", {"between": "~ x"}, {"0.0.kappa:x"}),
        ("y ~ linear(t) + x", {"between": {"slope": "~ x"}}, set()),
        ("y ~ linear(t) + x", {}, set()),
        ("y ~ linear(t) + tx", {"between": {"slope": "~ x"}}, {"0.0.kappa:tx"}),
        ("y ~ linear(t) + late + v", {}, {"0.0.kappa:late"}),
        ("y ~ linear(t) + v + double", {}, {"0.0.kappa:double"}),
        ("y ~ quadratic(t) + square", {}, {"0.0.kappa:square"}),
        ("y ~ linear(t) + square", {}, set()),
        ("y ~ bilinear(t) + tx", {"between": "~ x"}, {"0.0.kappa:tx"}),
        ("y ~ bilinear(t) + bend", {}, set()),
        ("y ~ bilinear(t) + late", {"random_knot": True}, {"0.0.kappa:late"}),
        ("y ~ t + late", {"random": "1"}, {"0.0.kappa:late"}),
        ("y ~ t", {"random": "1", "residual": "~ v + double"}, {"0.0.residual_sd:double"}),
    ],
)
def test_columns_that_say_nothing_new(rows, formula, options, gone):
    """A column is gone only if it is said at whatever knot: `bend` is a factor of the curve at one knot alone."""
    model = growth(formula, **options)
    if not gone:
        assert dropped(model, rows) == gone
        return
    with pytest.warns(CollinearityWarning, match=rf"column\(s\) '{next(iter(gone)).split(':')[1]}' are constant or"):
        assert dropped(model, rows) == gone


def test_the_fit_is_the_one_without_them(rows):
    with pytest.warns(CollinearityWarning, match="'x'.*a curve's factors and what acts on them stand first"):
        model = growth("y ~ linear(t) + x", between="~ x").fit(rows)
    expected = growth("y ~ linear(t)", between="~ x").fit(rows)
    assert model.converged_
    assert model.log_likelihood_ == pytest.approx(expected.log_likelihood_, abs=1e-7)
    assert model.coefficient_names_ == expected.coefficient_names_
    assert "collinear or constant: x" in str(model.summary())
    np.testing.assert_allclose(model.predict(rows), expected.predict(rows), rtol=1e-6, atol=1e-8)


def test_random_coefficients_that_cannot_be_told_apart(rows):
    with pytest.raises(DataError, match=r"'late' has a random coefficient.*combination of 'Intercept', 't'"):
        dropped(growth("y ~ t", random="1 + t + late"), rows)
