"""Derivatives of formulas' columns against their closed forms, at the ends of the data and beside knots too."""

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import BSpline

import mixstat as ms
from mixstat.estimators.methods.derivatives import design_slopes
from tests.estimators.data import SIZE, regression

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "x": np.append(np.exp(RNG.normal(size=SIZE - 2)), [1e-4, 40.0]),
        "z": RNG.normal(size=SIZE),
        "t": RNG.integers(1990, 2020, SIZE),
        "g": RNG.choice(list("ab"), SIZE),
        "y": RNG.normal(size=SIZE),
    }
)
X, Z, T = (FRAME[name].to_numpy(dtype=float) for name in "xzt")


def slopes(right: str, variable: str, frame: pd.DataFrame = FRAME) -> pd.DataFrame:
    """d columns / d variable, by name of the column, of a model fitted to FRAME."""
    fitted = regression(f"y ~ {right}").fit(FRAME).fitted_
    columns, offsets, _ = design_slopes(fitted, frame, variable)
    table = pd.DataFrame(columns.T, columns=fitted.assembled.columns.by_place)
    return table.assign(**{f"offset{place}": offset for place, offset in enumerate(offsets)})


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("log(x)", 1 / X),
        ("sqrt(x)", 0.5 / np.sqrt(X)),
        ("I(x**3)", 3 * X**2),
        ("I(1 / (x + 1))", -1 / (X + 1) ** 2),
        ("exp(-x)", -np.exp(-X)),
        ("sin(3 * x)", 3 * np.cos(3 * X)),
        ("scale(x)", np.full(SIZE, 1 / X.std(ddof=1))),
        ("where(x > 1, x**2, 2 * x - 1)", np.where(X > 1, 2 * X, 2)),
        ("x:z", Z),
        ("x:g", (FRAME.g == "a").to_numpy(dtype=float)),
        ("offset(log(x)) + z", 1 / X),
    ],
)
def test_functions(term, expected):
    found = slopes(term, "x")
    changing = [name for name in found if name not in ("Intercept", "z", "x:g[b]", "g[b]:x")]
    column = found[next(name for name in changing if found[name].any())]
    np.testing.assert_allclose(column, expected, rtol=2e-9, atol=1e-10)
    assert not found["Intercept"].any()


def test_polynomials():
    found = slopes("poly(z, 3)", "z").filter(like="poly").to_numpy()
    design = regression("y ~ poly(z, 3)").fit(FRAME)
    basis = design_values(design, FRAME)
    coefficients = np.linalg.lstsq(np.vander(Z, 4), basis, rcond=None)[0]
    expected = np.column_stack([3 * Z**2, 2 * Z, np.ones(SIZE), np.zeros(SIZE)]) @ coefficients
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_splines_to_their_ends():
    """Cubic B-splines with knots at data: the derivative of scipy's, and one-sided at both boundaries."""
    inner = np.quantile(Z, [1 / 3, 2 / 3])
    knots = np.concatenate([[Z.min()] * 4, inner, [Z.max()] * 4])
    found = slopes("bs(z, df=5)", "z").filter(like="bs").to_numpy()
    basis = BSpline(knots, np.eye(6), 3, extrapolate=True)
    below = np.nextafter(Z.max(), -np.inf)
    np.testing.assert_allclose(found, basis.derivative()(np.minimum(Z, below))[:, 1:], rtol=1e-7, atol=1e-8)
    at_knot = FRAME.assign(z=np.where(np.arange(SIZE) < 2, np.resize(inner, SIZE), Z))
    there = slopes("bs(z, df=5)", "z", at_knot).filter(like="bs").to_numpy()[:2]
    np.testing.assert_allclose(there, basis.derivative()(inner)[:, 1:], rtol=1e-7, atol=1e-7)


def test_whole_numbers_far_from_zero():
    np.testing.assert_array_equal(slopes("t", "t")["t"], np.ones(SIZE))
    np.testing.assert_allclose(slopes("log(t)", "t")["log(t)"], 1 / T, rtol=1e-9)


def test_one_row():
    """A table of one row has no range: points stand on both sides."""
    np.testing.assert_allclose(slopes("log(x)", "x", FRAME.iloc[[0]])["log(x)"], 1 / X[:1], rtol=1e-10)
    np.testing.assert_allclose(slopes("exp(x)", "x", FRAME.iloc[:1].assign(x=0.0))["exp(x)"], [1.0], rtol=1e-10)


def test_values_that_differ_by_rounding():
    rows = FRAME.iloc[:2].assign(x=[3.0, np.nextafter(3.0, 4.0)])
    np.testing.assert_allclose(slopes("log(x)", "x", rows)["log(x)"], 1 / 3, rtol=1e-10)


def test_a_row_at_the_edge_of_what_a_formula_takes():
    """Steps shrink until log(q - z) can be taken at all points."""
    data = FRAME.assign(q=Z + X)
    gap = np.array([1e-5, 1.0, 2.0])
    fitted = regression("y ~ log(q - z)").fit(data).fitted_
    rows = data.iloc[:3].assign(z=[0.5, 0.0, 1.0]).assign(q=lambda d: d.z + gap)
    columns, *_ = design_slopes(fitted, rows, "q")
    np.testing.assert_allclose(columns[1], 1 / gap, rtol=1e-8)


@pytest.mark.parametrize("right", ["floor(t / 10)", "where(t > 2000, 1, 0)"])
def test_jumps_are_refused(right):
    rows = FRAME.assign(t=2000)
    with pytest.raises(ms.DataError, match=r"jump at 't' = 2000 .*contrasts"):
        regression(f"y ~ {right}").fit(FRAME).marginal_effects(rows, "t")


def test_numbers_as_categories_are_refused():
    rows = FRAME.assign(t=FRAME["t"] // 10)
    model = regression("y ~ C(t)").fit(rows)
    with pytest.raises(ms.DataError, match=r"no derivative with respect to 't'.*contrasts"):
        model.marginal_effects(rows)
    table = model.contrasts(rows, {"t": (199, 201)})
    estimate = model.tidy().set_index("term")["estimate"]
    assert table["estimate"][0] == pytest.approx(estimate[estimate.index.str.contains("201")].iloc[0])


def design_values(model, frame):
    """Columns of the model's polynomial."""
    materialized = model.fitted_.schema.transform(frame)
    matrix = materialized.matrices["0.0"]
    return matrix.values[:, [place for place, name in enumerate(matrix.names) if "poly" in name]]
