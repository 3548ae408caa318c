"""Latent change scores against dense normal distributions, in other coordinates, over waves, and as users fit them."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixstat as ms
from mixstat.estimators.model.exposures import exposures
from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth import Growth, Occasions
from mixstat.families.growth.change_scores import NAMES, changes
from mixstat.families.growth.change_scores import exposures as between
from mixstat.families.growth.coordinates import passage
from mixstat.families.growth.curves import make_curve
from mixstat.families.growth.shown import entries_of_root, root_of_entries
from mixstat.fit.precision import double
from tests.growth import brute_force as bf
from tests.growth.simulated import GATE, SCENARIOS, simulate
from tests.growth.test_curves import read_class

mpl.use("Agg")
FUNCTIONS = {
    "change_scores": bf.change_rates,
    "change_quadratic": bf.change_quadratic,
    "change_exponential": bf.change_exponential,
    "change_jenss_bayley": bf.change_jenss_bayley,
}
SCENARIO = {"change_scores": "change_rates"}
"""What a scenario of a curve is called, if that differs."""
VALUES = {
    "change_scores": [10.0, 4.0, 0.6, 0.3, -0.1],
    "change_quadratic": [12.0, -2.0, 0.3],
    "change_exponential": [10.0, 20.0, 0.5],
    "change_jenss_bayley": [10.0, 1.5, -12.0, -0.6],
}
WAVES = np.array([0.0, 1.0, 2.0, 4.0, 6.0])


def table_of(name: str, seed: int = 7, *, n: int = 60, jitter: float = 0.2, n_classes: int = 1, **options: object):
    scenario = SCENARIO.get(name, name)
    rng = np.random.default_rng(seed)
    return simulate(rng, n=n, curve=scenario, n_classes=n_classes, jitter=jitter, dropout=0.0, **options)[0]


def fit(name: str, table: pd.DataFrame, **options: object) -> ms.GrowthCurve:
    return ms.GrowthCurve(f"y ~ {name}(time)", unit="unit", verbose=0, **options).fit(table)


def dense(model: ms.GrowthCurve, table: pd.DataFrame, name: str) -> float:
    """The log-likelihood of a fit of one class, by brute force."""
    waves = SCENARIOS[SCENARIO.get(name, name)].waves
    one = read_class(model.tidy(), make_curve(name, times=waves), FUNCTIONS[name])
    return bf.mixture_log_likelihood(bf.read_units(table), [one], [[0.0]])


def occasions(rng: np.random.Generator, subjects: int = 6) -> tuple[np.ndarray, Occasions]:
    """Times (occasion, subject) of five waves, and data with their exposures."""
    times = WAVES[:, None] + np.cumsum(rng.uniform(0.05, 0.2, (5, subjects)), axis=0)
    spent = [between(times, times[j]) for j in range(5)]
    y = rng.normal(12.0, 3.0, times.shape)
    return times, Occasions(y, (rng.random(y.shape) < 0.8).astype(float), times, np.stack(spent, axis=1))


def family_of(name: str, random: tuple[str, ...] | None = None) -> Growth:
    curve = make_curve(name, times=WAVES, waves=range(5))
    columns = tuple(map(str, range(curve.exposures)))
    return Growth(curve, columns=columns, random=curve.factors if random is None else random)


def predictors(rng: np.random.Generator, family: Growth) -> np.ndarray:
    curve = VALUES[family.curve.name]
    entries = [np.log(rng.uniform(0.5, 1.5)) if j == i else 0.3 * rng.normal() for j, i in family.pairs]
    return np.array([*curve, *entries, np.log(0.7)])


@double
def density(family: Growth, eta: np.ndarray, data: np.ndarray) -> np.ndarray:
    return np.asarray(family.log_density(list(eta[:, None]), data))


@pytest.mark.parametrize("rates", ["class", "random"])
@pytest.mark.parametrize("name", NAMES)
def test_the_density_is_that_of_a_normal_distribution(name, rates):
    rng = np.random.default_rng(3)
    times, at = occasions(rng)
    plain = family_of(name)
    nonlinear = plain.curve.nonlinear if rates == "random" else ()
    family = family_of(name, (*plain.curve.factors, *nonlinear))
    eta = predictors(rng, family)
    at = at._replace(columns=at.columns[: len(family.columns)])
    root = root_of_entries(family.covariance_form, eta[list(family.entries)])
    q = len(family.curve.factors)
    trajectory = bf.Trajectory(FUNCTIONS[name], eta[:q], eta[q : len(VALUES[name])], range(len(nonlinear)))
    one = bf.GrowthClass(trajectory, root @ root.T, bf.iid(0.7**2))
    seen = np.where(at.seen > 0, at.y, np.nan)
    units = [bf.Unit(seen[:, i], times[:, i]) for i in range(times.shape[1])]
    found = density(family, eta, family.write(at))
    assert_allclose(found, [bf.unit_log_density(unit, one) for unit in units], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_other_coordinates_are_the_same_model(name):
    rng = np.random.default_rng(4)
    _, at = occasions(rng)
    family = family_of(name)
    data = family.write(at._replace(columns=at.columns[: len(family.columns)]))
    centred = Growth(family.curve, columns=family.columns, random=family.random, constants=(3.0, 2.0))
    inner = predictors(rng, family)
    way = passage(family, inner[: family.head], [centred.coordinates])
    root = root_of_entries(family.covariance_form, inner[list(family.entries)])
    outer = inner.copy()
    outer[: family.head] = way.means(inner[: family.head, None])[:, 0]
    outer[list(family.entries)] = entries_of_root(family.covariance_form, way.random @ root)
    assert_allclose(density(centred, inner, centred.entered(data)), density(family, outer, data), atol=1e-9)


@pytest.mark.parametrize(
    "name",
    ["change_scores", *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name != "change_scores")],
)
def test_fits_over_numbered_waves_recover_the_truth(name):
    """Rows without a response bound intervals."""
    table = table_of(name, n=100)
    assert table["y"].isna().any()
    model = fit(name, table, wave="wave")
    assert model.converged_, model.status_
    assert model.log_likelihood_ == pytest.approx(dense(model, table, name), abs=1e-9)
    found = model.tidy().set_index("parameter")
    scenario = SCENARIOS[SCENARIO.get(name, name)]
    truth = np.concatenate(scenario.classes[0])
    for parameter, value in zip(found.index, truth, strict=False):
        row = found.loc[parameter]
        assert abs(row["estimate"] - value) < 4 * row["std_error"], parameter


def test_quadratic_changes_are_the_quadratic_curve():
    """Exactly, with common and with own times; time 0 is the first wave here."""
    for jitter, options in ((0.0, {}), (0.2, {"wave": "wave"})):
        table = table_of("change_quadratic", jitter=jitter)
        change, curve = fit("change_quadratic", table, **options), fit("quadratic", table)
        assert change.log_likelihood_ == pytest.approx(curve.log_likelihood_, abs=1e-9)
        assert_allclose(change.tidy()["estimate"], curve.tidy()["estimate"], rtol=1e-5, atol=1e-5)


def test_time_far_from_zero():
    table = table_of("change_quadratic")
    near, far = (fit("change_quadratic", t, wave="wave") for t in (table, table.assign(time=table["time"] + 2000.0)))
    assert far.converged_
    assert far.log_likelihood_ == pytest.approx(near.log_likelihood_, abs=1e-7)
    shown = [m.tidy().set_index(["parameter", "term"])["estimate"] for m in (near, far)]
    for name in ("intercept", "quadratic"):
        assert shown[0][name, "Intercept"] == pytest.approx(shown[1][name, "Intercept"], rel=1e-5)


def test_a_mixture_of_change_scores():
    table = table_of("change_scores", seed=8, n=200, n_classes=2)
    expert = ms.GrowthCurve("y ~ change_scores(time)", unit="unit", wave="wave")
    model = ms.MixtureOfExperts(expert, gate="~ g1 + g2", n_init=4, random_state=0, verbose=0).fit(table)
    assert model.converged_, model.status_
    found = model.tidy()
    curve = make_curve("change_scores", times=WAVES)
    classes = [read_class(found, curve, bf.change_rates, expert) for expert in (1, 2)]
    gate = found[found["parameter"] == "gate"]["estimate"].to_numpy()
    units = bf.read_units(table, g=("g1", "g2"))
    expected = bf.mixture_log_likelihood(units, classes, [np.zeros(3), gate])
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-8)
    rates = found[found["parameter"] == "rate2"].sort_values("estimate")["estimate"]
    assert_allclose(rates, [0.6, 1.2], atol=0.25)
    assert len(gate) == GATE.shape[1]


@pytest.mark.parametrize("random", ["none", "slope"])
def test_some_or_no_coefficients_are_random(random):
    table = table_of("change_scores")
    model = fit("change_scores", table, wave="wave", random=random)
    assert model.converged_, model.status_
    found = model.tidy().set_index(["parameter", "term"])["estimate"]
    spread = np.zeros((2, 2))
    spread[1, 1] = found.get(("random_covariance", "slope"), 0.0)
    names = make_curve("change_scores", times=WAVES).coefficients
    values = [found[name, "Intercept"] for name in names]
    trajectory = bf.Trajectory(bf.change_rates, values[:2], values[2:])
    one = bf.GrowthClass(trajectory, spread, bf.iid(found["residual_variance", "Intercept"]))
    expected = bf.mixture_log_likelihood(bf.read_units(table), [one], [[0.0]])
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-9)


def test_covariates_of_growth_factors_and_of_rates():
    table = table_of("change_scores")
    on_factors = fit("change_scores", table, wave="wave", between="~ x1")
    assert set(on_factors.tidy().query("term == 'x1'")["parameter"]) == {"intercept", "slope"}
    on_rates = fit("change_scores", table, wave="wave", between={"rates": "~ x1"})
    assert set(on_rates.tidy().query("term == 'x1'")["parameter"]) == {"rate2", "rate3", "rate4"}
    with pytest.raises(OptionError, match=r"rate2.*change_scores has intercept, slope, rates"):
        fit("change_scores", table, wave="wave", between={"rate2": "~ x1"})


@pytest.mark.slow
def test_parallel_outcomes_share_the_waves():
    table = table_of("change_quadratic", n=80).rename(columns={"y": "y1"})
    rng = np.random.default_rng(0)
    table["y2"] = 2.0 + 0.5 * table["time"] + rng.normal(size=len(table)) + rng.normal(size=100)[table["unit"]]
    table.loc[5, ["y1", "y2"]] = np.nan
    change = ms.GrowthCurve("y1 ~ change_quadratic(time)", unit="unit", wave="wave")
    curve = ms.GrowthCurve("y1 ~ quadratic(time)", unit="unit")
    line = ms.GrowthCurve("y2 ~ linear(time)", unit="unit")
    first, second = (ms.Joint([each, line], verbose=0).fit(table) for each in (change, curve))
    assert first.log_likelihood_ == pytest.approx(second.log_likelihood_, abs=1e-8)
    assert_allclose(first.predict(table), second.predict(table), atol=1e-4)


@pytest.fixture(scope="module")
def rates() -> tuple[ms.GrowthCurve, pd.DataFrame]:
    table = table_of("change_scores", n=100)
    return fit("change_scores", table, wave="wave"), table


def test_predictions_are_at_the_subject_s_own_waves(rates, tmp_path):
    model, table = rates
    values = model.tidy().set_index("parameter")["estimate"]
    names = make_curve("change_scores", times=WAVES).coefficients
    one = bf.Trajectory(bf.change_rates, [values[n] for n in names[:2]], [values[n] for n in names[2:]])
    expected = np.concatenate([bf.mean_curve(one, unit.times) for unit in bf.read_units(table)])
    assert_allclose(model.predict(table), expected, atol=1e-9)
    assert_allclose(model.predict(table.iloc[::-1]), expected[::-1], atol=1e-9)
    model.save(tmp_path / "model.mixstat")
    again = ms.load(tmp_path / "model.mixstat")
    assert_allclose(again.predict(table, kind="subject"), model.predict(table, kind="subject"), atol=1e-12)
    averages = table.groupby("wave")["time"].mean().to_numpy()
    over = again.predict(pd.DataFrame({"row": [0]}), times=averages)["mean"]
    assert_allclose(over, bf.mean_curve(one, averages), atol=1e-9)


def test_trajectories_and_plots(rates):
    model, table = rates
    found = model.trajectories()
    assert found["mean"].is_monotonic_increasing
    assert np.isfinite(found).all(axis=None)
    assert len(model.random_effects(table)) == table["unit"].nunique()
    for draw in (model.plot_trajectories, model.plot_observed, model.plot_residuals_by_time, model.plot_knots):
        assert draw() is not None


def test_changes_between_waves(rates):
    model, table = rates
    found, shown = model.changes(), model.tidy().set_index("parameter")
    values = shown["estimate"][list(make_curve("change_scores", times=WAVES).coefficients)].to_numpy()
    speed = values[1] * np.array([1.0, *values[2:]])
    averages = table.groupby("wave")["time"].mean().to_numpy()
    assert list(found.columns[:4]) == ["expert", "begin", "end", "quantity"]
    by = dict(iter(found.groupby("quantity")))
    assert_allclose(by["rate"]["begin"], averages[:-1])
    assert_allclose(by["rate"]["estimate"], speed, atol=1e-9)
    assert_allclose(by["change"]["estimate"], speed * np.diff(averages), atol=1e-9)
    assert_allclose(by["since_first"]["estimate"], np.cumsum(speed * np.diff(averages)), atol=1e-9)
    assert by["rate"]["std_error"].iloc[0] == pytest.approx(shown["std_error"]["slope"])
    own = model.covariance()[1:3, 1:3]
    slope = np.array([values[2], values[1]])
    assert by["rate"]["std_error"].iloc[1] == pytest.approx(np.sqrt(slope @ own @ slope))
    assert_allclose(found["conf_high"] - found["estimate"], 1.959964 * found["std_error"], rtol=1e-5)
    assert len(model.plot_changes().lines) == 2


def test_changes_of_other_curves_need_times():
    model = fit("quadratic", table_of("change_quadratic"))
    with pytest.raises(OptionError, match=r"changes\(\) needs times="):
        model.changes()
    with pytest.raises(OptionError, match="at least 2 different times"):
        model.changes(times=[1.0])
    found = model.changes(pd.DataFrame({"row": [0]}), times=[0, 2, 5]).query("quantity == 'rate'")
    values = model.tidy().set_index("parameter")["estimate"]
    assert_allclose(found["estimate"], values["slope"] + np.array([2.0, 7.0]) * values["quadratic"], atol=1e-9)
    assert model.plot_changes([0, 2, 5]) is not None


def test_a_subject_without_any_response_does_not_count():
    table = table_of("change_scores")
    empty = table.assign(y=table["y"].where(table["unit"] != 3))
    kept, dropped = (fit("change_scores", t, wave="wave") for t in (empty, empty[empty["unit"] != 3]))
    assert kept.log_likelihood_ == pytest.approx(dropped.log_likelihood_, abs=1e-6)
    assert (kept.n_units_, kept.n_rows_) == (dropped.n_units_, dropped.n_rows_)
    assert kept.bic() == pytest.approx(dropped.bic(), abs=1e-6)


def test_common_times_need_no_waves():
    table = table_of("change_scores", jitter=0.0).dropna(subset="y")
    by_time, by_wave = fit("change_scores", table), fit("change_scores", table, wave="wave")
    assert by_time.log_likelihood_ == pytest.approx(by_wave.log_likelihood_, abs=1e-9)
    with pytest.raises(DataError, match="between the times 0 and 6"):
        by_time.predict(pd.DataFrame({"row": [0]}), times=[7.0])


def test_times_of_waves_without_a_row_lie_in_between():
    curve = make_curve("change_scores", times=[0.0, 1.0, 3.0], waves=[1, 2, 3])
    times, waves, owner = np.array([0.5, 4.5, 1.2]), np.array([1.0, 3.0, 2.0]), np.array([0, 0, 1])
    found = exposures(curve, times, waves, owner, np.arange(3))
    assert_allclose(found, [[0.0, 1.0 + 1 / 6 + 1 / 6, 1.0], [0.0, 4.0 - 4 / 3, 0.0]])
    alone = exposures(curve, times, waves, None, np.arange(3))
    assert_allclose(alone, [[0.5, 1.0, 1.0], [0.0, 3.5, 0.2]])


HOSTILE = {
    "the same unit and wave": ("the same unit and wave", lambda t: t.assign(wave=t["wave"].replace(1, 2))),
    "times that fall": (
        "times that fall",
        lambda t: t.assign(time=t["time"].where((t["wave"] != 3) | (t["unit"] != 5), 0.3)),
    ),
    "waves in no order": ("on average no later in wave 1 than in wave 0", lambda t: t.assign(time=-t["time"])),
    "categories": ("holds categories", lambda t: t.assign(wave="w" + t["wave"].astype(str))),
    "one wave": ("at least 2 different times", lambda t: t[t["wave"] == 1]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_waves_that_cannot_be(case):
    message, change = HOSTILE[case]
    with pytest.raises(DataError, match=message):
        fit("change_scores", change(table_of("change_scores", n=20)), wave="wave")


def test_options_that_cannot_be():
    table = table_of("change_scores", n=20)
    with pytest.raises(DataError, match=r"needs common times.*wave="):
        fit("change_scores", table)
    with pytest.raises(OptionError, match="wave= numbers the waves of change scores"):
        fit("linear", table, wave="wave")
    with pytest.raises(OptionError, match=r"residual='~ C\(wave\)'"):
        fit("change_scores", table, wave="wave", residual="occasion")
    with pytest.raises(OptionError, match="no meaning for the rates"):
        fit("change_scores", table, wave="wave", random_knot=True)


def test_two_waves_have_one_rate():
    assert changes("change_scores", 1).nonlinear == ()
    table = table_of("change_scores", n=60).query("wave < 2")
    model = fit("change_scores", table, wave="wave", random="intercept")
    assert "rate2" not in set(model.tidy()["parameter"])
