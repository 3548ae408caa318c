"""Effects of mixtures of every shape against numeric derivatives of their predictions, rows and averages alike."""

import numpy as np
import pandas as pd
import pytest

from tests.effects.brute import assert_same, outcome, slope
from tests.effects.models import DATA, MODELS, ROWS, fitted

pytestmark = pytest.mark.slow

WEIGHT = np.linspace(0.5, 2.0, len(ROWS))
SHARE = WEIGHT / WEIGHT.sum()
SLOPES = {"splines": "p", "units": "v", "inflated": "z", "noise": "z", "joint": "x", "responses": "z", "lognormal": "x"}
"""A numeric covariate of each model, in its gate or its experts."""


def numeric(name: str) -> str:
    return SLOPES.get(name, "x")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *((name, target) for name in MODELS for target in ("mean", "expert_mean")),
        *((name, "gate") for name in ("splines", "noise", "units", "equal")),
    ],
)
def test_predictions(name, target):
    model = fitted(name)
    table = model.predictions(ROWS, target=target)
    assert_same(table, model, lambda m: outcome(m, ROWS, target))
    np.testing.assert_array_equal(table["rowid"], np.tile(np.arange(len(ROWS)), len(table) // len(ROWS)))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *((name, "mean") for name in MODELS),
        *((name, target) for name in ("lognormal", "joint", "units") for target in ("expert_mean", "gate")),
    ],
)
def test_average_slopes(name, target):
    model, variable = fitted(name), numeric(name)
    table = model.marginal_effects(ROWS, variable, target=target, weight=WEIGHT)
    assert_same(table, model, lambda m: SHARE @ slope(lambda rows: outcome(m, rows, target), ROWS, variable))
    assert set(table["contrast"]) == {"dY/dx"}


@pytest.mark.parametrize("name", ["offset", "experts", "categories"])
def test_slopes_of_rows(name):
    model, few = fitted(name), ROWS[:6]
    table = model.marginal_effects(few, "x", by=None)
    assert_same(table, model, lambda m: slope(lambda rows: outcome(m, rows, "mean"), few, "x"))


@pytest.mark.parametrize(
    ("name", "comparison"),
    [*((name, "difference") for name in MODELS), *((name, "ratio") for name in ("splines", "joint", "noise"))],
)
def test_contrasts(name, comparison):
    """Differences of the experts' means, ratios of the gate's probabilities (which are positive)."""
    model, variable = fitted(name), numeric(name)
    target = "gate" if comparison == "ratio" else "expert_mean"
    pair = (0.4, 0.9)

    def compare(m):
        low, high = (SHARE @ outcome(m, ROWS.assign(**{variable: value}), target) for value in pair)
        return high / low if comparison == "ratio" else high - low

    table = model.contrasts(ROWS, {variable: pair}, target=target, comparison=comparison, weight=WEIGHT)
    assert_same(table, model, compare)
    assert set(table["contrast"]) == {"0.9 / 0.4" if comparison == "ratio" else "0.9 - 0.4"}


@pytest.mark.parametrize(("comparison", "operation"), [("difference", np.subtract), ("ratio", np.divide)])
def test_contrasts_of_rows(comparison, operation):
    model, few = fitted("offset"), ROWS[:7]
    table = model.contrasts(few, {"z": 0.5}, comparison=comparison, by=None)
    moved = few.assign(z=few.z + 0.5)
    assert_same(table, model, lambda m: operation(outcome(m, moved, "mean"), outcome(m, few, "mean")))


def test_ratios_have_intervals_of_their_logarithm():
    row = fitted("offset").contrasts(ROWS, {"x": 1}, comparison="ratio").iloc[0]
    half = 1.959963984540054 * row["std_error"] / row["estimate"]
    assert row["conf_low"] == pytest.approx(row["estimate"] * np.exp(-half))
    assert row["conf_high"] == pytest.approx(row["estimate"] * np.exp(half))
    assert row["statistic"] == pytest.approx(np.log(row["estimate"]) * row["estimate"] / row["std_error"])


@pytest.mark.parametrize("name", ["noise", "units", "joint", "categories"])
def test_responsibilities(name):
    """Noise has no density outside its box, so that all rows are those of the fit."""
    model = fitted(name)
    table = model.predictions(DATA, target="responsibility")
    assert_same(table, model, lambda m: outcome(m, DATA, "responsibility"))


@pytest.mark.parametrize(("name", "target"), [("splines", "mean"), ("experts", "gate"), ("noise", "gate")])
def test_elasticities(name, target):
    model, variable = fitted(name), numeric(name)
    few = ROWS[:5]
    inside = outcome(model, few, target)
    log = slope(lambda rows: np.log(outcome(model, rows, target)), few, variable)
    x = few[variable].to_numpy()[:, None]
    for elasticity, expected in {"eydx": log, "eyex": log * x, "dyex": log * x * inside}.items():
        table = model.marginal_effects(few, variable, target=target, elasticity=elasticity, by=None)
        np.testing.assert_allclose(table["estimate"], expected.T.ravel(), rtol=1e-6, atol=1e-9)


def test_elasticity_errors():
    model = fitted("offset")

    def elasticity(m):
        return SHARE @ (slope(lambda rows: np.log(outcome(m, rows, "mean")), ROWS, "x") * ROWS[["x"]].to_numpy())

    assert_same(model.marginal_effects(ROWS, "x", elasticity="eyex", weight=WEIGHT), model, elasticity)


@pytest.mark.parametrize("name", ["splines", "inflated", "experts", "equal"])
def test_gate_effects_sum_to_zero(name):
    model = fitted(name)
    kinds = ["term", "contrast"]
    total = model.marginal_effects(ROWS, target="gate").groupby(kinds)["estimate"].sum()
    np.testing.assert_allclose(total, 0.0, atol=1e-14)
    level = model.predictions(ROWS, target="gate").groupby("rowid")["estimate"].sum()
    np.testing.assert_allclose(level, 1.0, rtol=1e-13)


def test_category_effects_sum_to_zero():
    table = fitted("categories").marginal_effects(ROWS)
    assert list(table["group"][:3]) == ["k[a]", "k[b]", "k[c]"]
    np.testing.assert_allclose(table.groupby(["term", "contrast"])["estimate"].sum(), 0.0, atol=1e-14)


def test_averages_by_levels():
    model = fitted("tied")
    rows = ROWS.assign(h=np.where(ROWS.z > 0, "up", "down"), w=WEIGHT)
    table = model.predictions(rows, by=["g", "h"], weight="w")
    grouped = [part.index for _, part in rows.groupby(["g", "h"])]
    inside = np.array([np.where(rows.index.isin(index), WEIGHT, 0) / WEIGHT[index].sum() for index in grouped])
    assert_same(table, model, lambda m: inside @ outcome(m, rows, "mean"))
    pd.testing.assert_frame_equal(
        table[["g", "h"]], rows[["g", "h"]].drop_duplicates().sort_values(["g", "h"]).reset_index(drop=True)
    )
    effects = model.contrasts(rows, "f", by="h")
    assert list(effects.columns[:4]) == ["h", "term", "contrast", "estimate"]
    assert list(effects["contrast"]) == ["True - False"] * 2


def test_many_levels_are_differentiated_alike():
    """With more averages than parameters the derivative runs forward instead of in reverse."""
    model = fitted("equal")
    rows = ROWS.assign(h=np.minimum(np.arange(len(ROWS)), 9))
    table = model.predictions(rows, by="h")
    inside = (rows.h.to_numpy() == np.arange(10)[:, None]) / np.bincount(rows.h)[:, None]
    assert len(table) > model.n_parameters_
    assert_same(table, model, lambda m: inside @ outcome(m, rows, "mean"))


@pytest.mark.parametrize("kind", ["robust", "information"])
def test_covariances(kind):
    model = fitted("units")
    table = model.marginal_effects(ROWS, covariance=kind)
    assert_same(
        table[table.term == "v"],
        model,
        lambda m: slope(lambda rows: outcome(m, rows, "mean"), ROWS, "v").mean(axis=0),
        kind,
    )


def test_many_blocks():
    """Rows beyond one block of the design give what they give alone."""
    model = fitted("offset")
    many = pd.concat([ROWS] * 90, ignore_index=True)
    few = model.marginal_effects(ROWS)
    pd.testing.assert_frame_equal(model.marginal_effects(many), few)
    table = model.predictions(many, target="gate")
    assert len(table) == 2 * len(many)
    pd.testing.assert_frame_equal(
        table[table.rowid >= len(many) - len(ROWS)].drop(columns="rowid").reset_index(drop=True),
        model.predictions(ROWS, target="gate").drop(columns="rowid"),
    )


def test_training_rows():
    model = fitted("tied")
    pd.testing.assert_frame_equal(model.marginal_effects(), model.marginal_effects(DATA))
