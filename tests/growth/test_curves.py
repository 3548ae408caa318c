"""Fits of every curve against the truth and dense normal distributions; curves of one's own, and what they must be."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth.curves import CURVES, Curve, make_curve
from tests.growth import brute_force as bf
from tests.growth.simulated import BASIS, SCENARIOS, simulate

NAMES = {"exponential": "negative_exponential"}
"""What the package calls a scenario, if that differs."""


def curve_of(scenario: str) -> Curve:
    return make_curve(NAMES.get(scenario, scenario), times=BASIS)


def read_class(table: pd.DataFrame, curve: Curve, function: bf.Curve, expert: int = 1) -> bf.GrowthClass:
    """One class of `tidy()` for brute force."""
    mine = table[table["expert"].fillna(expert) == expert].set_index(["parameter", "term"])["estimate"]
    psi = np.zeros((len(curve.factors),) * 2)
    for j, name in enumerate(curve.factors):
        for i, other in enumerate(curve.factors[: j + 1]):
            psi[j, i] = psi[i, j] = mine["random_covariance", name if i == j else f"{name},{other}"]
    alpha, coefficients = ([mine[name, "Intercept"] for name in names] for names in (curve.factors, curve.nonlinear))
    trajectory = bf.Trajectory(function, alpha, coefficients)
    return bf.GrowthClass(trajectory, psi, bf.iid(mine["residual_variance", "Intercept"]))


def truth_of(scenario: str, curve: Curve, expert: int = 1) -> dict[str, float]:
    alpha, coefficients = SCENARIOS[scenario].classes[expert - 1]
    values = dict(zip(curve.coefficients, [*alpha, *coefficients], strict=True))
    return values | {"residual_variance": SCENARIOS[scenario].residual ** 2}


def assert_near_truth(table: pd.DataFrame, truth: dict[str, float], expert: int = 1) -> None:
    rows = table[(table["term"] == "Intercept") & (table["expert"].fillna(expert) == expert)].set_index("parameter")
    for name, value in truth.items():
        row = rows.loc[name]
        assert abs(row["estimate"] - value) < 4 * row["std_error"], (name, value, row["estimate"], row["std_error"])
        assert row["std_error"] > 0


@pytest.mark.parametrize("scenario", ["exponential", "jenss_bayley", "trilinear", "latent_basis"])
def test_one_class_recovers_the_truth(scenario):
    table, _ = simulate(np.random.default_rng(7), n=150, curve=scenario, n_classes=1)
    curve = curve_of(scenario)
    model = ms.GrowthCurve(f"y ~ {curve.name}(time)", unit="unit", verbose=0).fit(table)
    assert model.converged_, model.status_
    found = model.tidy()
    assert_near_truth(found, truth_of(scenario, curve))
    units = bf.read_units(table.dropna(subset="y"))
    expected = bf.mixture_log_likelihood(units, [read_class(found, curve, SCENARIOS[scenario].curve)], [[0.0]])
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["exponential", "jenss_bayley", "trilinear", "latent_basis"])
def test_two_classes_recover_the_truth(scenario):
    table, truth = simulate(np.random.default_rng(8), n=300, curve=scenario)
    curve = curve_of(scenario)
    expert = ms.GrowthCurve(f"y ~ {curve.name}(time)", unit="unit")
    model = ms.MixtureOfExperts(expert, gate="~ g1 + g2", n_init=6, random_state=0, verbose=0).fit(table)
    assert model.converged_, model.status_
    found, kept = model.tidy(), table.dropna(subset="y")
    modal = model.responsibilities(kept).argmax(axis=1)
    agreed = np.mean(modal == truth["labels"][kept["unit"].unique() - 1])
    order = (1, 2) if agreed > 0.5 else (2, 1)
    for mine, true in zip((1, 2), order, strict=True):
        assert_near_truth(found, truth_of(scenario, curve, true), mine)
    gate = found[found["parameter"] == "gate"]["estimate"].to_numpy()
    classes = [read_class(found, curve, SCENARIOS[scenario].curve, expert) for expert in (1, 2)]
    units = bf.read_units(kept, g=("g1", "g2"))
    expected = bf.mixture_log_likelihood(units, classes, [[0.0, 0.0, 0.0], gate])
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-6)


def test_a_latent_basis_ends_at_its_times():
    table, _ = simulate(np.random.default_rng(7), n=60, curve="latent_basis", n_classes=1)
    model = ms.GrowthCurve("y ~ latent_basis(time)", unit="unit", verbose=0).fit(table)
    inside = model.predict(pd.DataFrame({"row": [0]}), times=[0.0, 3.0, 6.0])["mean"].to_numpy()
    values = model.tidy().set_index("parameter")["estimate"]
    halfway = (values["basis[2]"] + values["basis[4]"]) / 2
    assert_allclose(inside, values["intercept"] + values["change"] * np.array([0.0, halfway, 1.0]))
    for times in ([-1.0], [3.0, 7.0]):
        with pytest.raises(DataError, match=r"between the times 0 and 6 .* nothing of time (-1|7)"):
            model.predict(pd.DataFrame({"row": [0]}), times=times)


def test_knots_need_times():
    table = pd.DataFrame({"unit": np.repeat(np.arange(20), 2), "time": np.tile([0.0, 1.0], 20)})
    table["y"] = np.random.default_rng(0).normal(size=40)
    table["time"] = 1.0
    with pytest.raises(DataError, match=r"'trilinear' has no starting values for .*knot1.* 1 distinct times"):
        ms.GrowthCurve("y ~ trilinear(time)", unit="unit", verbose=0).fit(table)


# Curves of one's own.


@pytest.fixture
def register() -> Iterator[Any]:
    """`ms.register_curve`, undone at the end."""
    before = dict(CURVES)
    yield ms.register_curve
    CURVES.clear()
    CURVES.update(before)


def growth(name: str, **options: Any) -> ms.GrowthCurve:
    return ms.GrowthCurve(f"y ~ {name}(time)", unit="unit", verbose=0, **options)


def rates(times: np.ndarray) -> np.ndarray:
    return np.array([[0.1], [0.4], [1.0]]) * 5 / np.ptp(times)


def rising(t: Any, start: Any, gain: Any, speed: Any) -> Any:
    return start + gain * (1 - jnp.exp(-speed * t))


def test_a_curve_registered_by_hand_equals_the_built_in_one(register):
    register("rising", rising, ["start", "gain"], nonlinear=["speed"], candidates=rates)
    table, _ = simulate(np.random.default_rng(5), n=80, curve="exponential", n_classes=1)
    own, known = growth("rising").fit(table), growth("negative_exponential").fit(table)
    assert own.log_likelihood_ == pytest.approx(known.log_likelihood_, abs=1e-7)
    assert_allclose(own.tidy()["estimate"], known.tidy()["estimate"], rtol=1e-5)
    assert_allclose(own.tidy()["std_error"], known.tidy()["std_error"], rtol=1e-4)
    assert own.tidy()["parameter"].tolist()[:3] == ["start", "gain", "speed"]
    new = pd.DataFrame({"row": [0]})
    assert_allclose(own.predict(new, times=[0, 3, 9])["mean"], known.predict(new, times=[0, 3, 9])["mean"], rtol=1e-6)


def test_a_curve_of_ones_own_recovers_the_truth(register):
    """y = a + b t^r / (1 + t^r), with a random r by expansion too."""

    def saturating(t: Any, low: Any, rise: Any, power: Any) -> Any:
        raised = (t + 0.5) ** power
        return low + rise * raised / (1 + raised)

    register(
        "saturating", saturating, ["low", "rise"], nonlinear=["power"], candidates=lambda t: np.array([[0.5], [2.0]])
    )
    rng, times = np.random.default_rng(3), np.arange(7.0)
    effects = rng.normal([10, 20], [2, 3], (200, 2))
    mean = effects[:, :1] + effects[:, 1:] * (times + 0.5) ** 1.4 / (1 + (times + 0.5) ** 1.4)
    y = mean + rng.normal(scale=0.7, size=mean.shape)
    table = pd.DataFrame({"unit": np.repeat(np.arange(200), 7), "time": np.tile(times, 200), "y": y.ravel()})
    model = growth("saturating").fit(table)
    assert model.converged_
    assert_near_truth(model.tidy(), {"low": 10, "rise": 20, "power": 1.4, "residual_variance": 0.49})
    wider = growth("saturating", random="none", random_knot=True).fit(table)
    assert ("random_covariance", "power") in set(zip(wider.tidy()["parameter"], wider.tidy()["term"], strict=True))


def test_a_known_part_of_a_curve_may_be_no_coefficient(register):
    """Affine in the factors: an asymptote of 50 that is known."""
    register("to50", lambda t, gap: 50 - gap * jnp.exp(-0.5 * t), ["gap"])
    rng, times = np.random.default_rng(4), np.arange(5.0)
    gaps = rng.normal(20, 3, (60, 1))
    y = 50 - gaps * np.exp(-0.5 * times) + rng.normal(scale=0.5, size=(60, 5))
    table = pd.DataFrame({"unit": np.repeat(np.arange(60), 5), "time": np.tile(times, 60), "y": y.ravel()})
    model = growth("to50").fit(table)
    assert model.converged_, model.status_
    assert_near_truth(model.tidy(), {"gap": 20, "residual_variance": 0.25})


def test_a_registered_name_may_be_given_again_but_not_a_built_in_one(register):
    register("again", lambda t, a: a + 0 * t, ["a"])
    register("again", lambda t, a, b: a + b * t, ["a", "b"])
    assert CURVES["again"].factors == ("a", "b")
    for name in ("bilinear", "polynomial", "latent_basis", "no name"):
        with pytest.raises(OptionError, match="it is no identifier, or it is taken"):
            register(name, lambda t, a: a + 0 * t, ["a"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factors": []}, "at least one growth factor"),
        ({"factors": ["a", "a"]}, "cannot have a coefficient 'a': names .* differ"),
        ({"factors": ["a", "mean"]}, "cannot have a coefficient 'mean'"),
        ({"factors": ["a", "b c"]}, "cannot have a coefficient 'b c'"),
        ({"factors": ["a", "b", "c"]}, r"called with t and 3 coefficients \(a, b, c\).* too many"),
        ({"factors": ["a"]}, "called with t and 1 coefficients .* missing a required argument: 'b'"),
        ({"factors": ["a"], "nonlinear": ["b"]}, "give candidates=, a function of the times"),
        ({"candidates": rates}, "names no nonlinear coefficient"),
    ],
)
def test_what_cannot_be_registered(register, change, message):
    given = {"factors": ["a", "b"], **change}
    with pytest.raises(OptionError, match=message):
        register("mine", lambda t, a, b: a + b * t, given.pop("factors"), **given)
    assert "mine" not in CURVES


def power(t: Any, a: Any, b: Any, r: Any) -> Any:
    return a + b * jnp.abs(t) ** r


@pytest.mark.parametrize(
    ("function", "nonlinear", "candidates", "error", "message"),
    [
        (power, ["r"], lambda t: np.array([0.3, 1.0]), OptionError, r"an array \(candidate, 1\).*\['r'\].* \(2,\)"),
        (power, ["r"], lambda t: np.ones((3, 2)), OptionError, r"gave the shape \(3, 2\)"),
        (power, ["r"], lambda t: np.ones((0, 1)), DataError, "no starting values for"),
        (power, ["r"], lambda t: np.array([[np.nan]]), OptionError, "not finite: .*nan"),
        (power, ["r"], lambda t: np.array([[0.5]]), None, ""),
        (lambda t, a, b: a + b * jnp.log(t), [], None, DataError, r"'mine' is not finite at time 0 \(1 of 5 distinct"),
        (lambda t, a, b, r: a + b * t**r, ["r"], lambda t: -np.ones((1, 1)), DataError, "at time 0 where r = -1"),
        (lambda t, a, b: a + b**2 * t, [], None, OptionError, "'mine' is not linear in its factor 'b'"),
        (lambda t, a, b: a * b + t, [], None, OptionError, "not linear in its factor 'a'"),
        (lambda t, a, b: a + b, [], None, OptionError, r"an array \(5, 1\), but gave \(1,\)"),
        (lambda t, a, b: jnp.sum(t) + a + b * t[:2], [], None, OptionError, r"an array \(5, 1\)"),
        (lambda t, a, b: a + b * np.tanh(t * a), [], None, OptionError, "fail with Tracer"),
    ],
)
def test_what_a_curve_must_be_where_it_meets_data(register, function, nonlinear, candidates, error, message):
    register("mine", function, ["a", "b"], nonlinear=nonlinear, candidates=candidates)
    rng, times = np.random.default_rng(1), np.arange(5.0)
    y = 3 + rng.normal(size=(40, 1)) + np.sqrt(times) + rng.normal(scale=0.2, size=(40, 5))
    table = pd.DataFrame({"unit": np.repeat(np.arange(40), 5), "time": np.tile(times, 40), "y": y.ravel()})
    model = growth("mine", random="a")
    if error is None:
        assert np.isfinite(model.fit(table).log_likelihood_)
        return
    with pytest.raises(error, match=message):
        model.fit(table)
