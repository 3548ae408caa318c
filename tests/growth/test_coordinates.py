"""Growth models are fitted in centred and scaled time: nothing that is reported depends on where time begins."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

import mixstat as ms
from mixstat.core.family import Natural
from mixstat.estimators.methods.stored import describe, restore
from mixstat.estimators.model import fitting
from mixstat.exceptions import DataError
from mixstat.families.growth import Growth
from mixstat.families.growth.centring import Use
from mixstat.families.growth.curves import make_curve
from mixstat.families.growth.form import GrowthForm
from mixstat.families.growth.mixed import Occasions
from mixstat.families.growth.moves import MOVES, derivative

FAR = (65.0, 2000.0)


@cache
def table(units: int = 120) -> pd.DataFrame:
    """Two classes of broken lines; x and g belong to the unit, v to the occasion."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(units):
        g, x = rng.normal(size=2)
        k = int(rng.random() < 1 / (1 + np.exp(-g)))
        knot, mean = [(2.5, [20, 4, 1.0]), (4.5, [24, 2, 3.0])][k]
        b = np.array(mean) + np.array([0.8, 0.3, 0.1]) * x + rng.normal(size=3) * [2, 0.7, 0.6]
        t, v = np.arange(8) + rng.uniform(-0.25, 0.25, 8), rng.normal(size=8)
        y = b[0] + b[1] * np.minimum(t, knot) + b[2] * np.maximum(t - knot, 0) + 0.5 * v + rng.normal(size=8)
        rows.append(pd.DataFrame({"id": f"s{i:03d}", "t": t, "y": y, "v": v, "g": g, "x": x})[rng.random(8) > 0.1])
    return pd.concat(rows, ignore_index=True)


def moved(offset: float = 0.0, unit: float = 1.0) -> pd.DataFrame:
    return table().assign(t=(table()["t"] + offset) * unit)


def growth(formula: str, **options: Any) -> ms.GrowthCurve:
    return ms.GrowthCurve(formula, **{"unit": "id", "verbose": 0, **options})


def mixture(**options: Any) -> ms.MixtureOfExperts:
    expert = growth("y ~ bilinear(t) + v", between="~ x")
    chosen = {"gate": "~ g", "n_experts": 2, "n_init": 3, "random_state": 0, "verbose": 0, **options}
    return ms.MixtureOfExperts(expert, **chosen)


def constants_of(model: Any) -> tuple[float, ...]:
    family = model.fitted_.assembled.stacks[0][0][0].family
    assert isinstance(family, GrowthForm)
    return family.constants


@pytest.mark.parametrize("name", [name for name in MOVES if not name.startswith("change_")])
def test_a_curve_of_other_times_is_the_curve_at_other_coefficients(name):
    curve = make_curve(name, degree=3)
    values, times = np.array([1.2, -0.7, 0.4, 0.3, 0.9, 1.4])[: len(curve.coefficients)], np.linspace(1.0, 9.0, 17)
    centre, scale = 4.2, 2.3
    there = MOVES[name].function(values, centre, scale)
    with jax.enable_x64(True):
        inside = curve.mean(jnp.array((times - centre) / scale)[:, None], list(values[:, None]))
        assert_allclose(curve.mean(jnp.array(times)[:, None], list(there[:, None])), inside, atol=1e-12)
    assert_allclose(MOVES[name].function(there, -centre / scale, 1 / scale), values, atol=1e-12)
    steps = np.imag([MOVES[name].function(values + 1e-100j * step, centre, scale) for step in np.eye(len(values))])
    linear = len(values) if MOVES[name].affine else len(curve.factors)
    assert_allclose(derivative(curve, values, centre, scale)[:, :linear], steps.T[:, :linear] / 1e-100, atol=1e-12)


FAMILIES = {
    "bilinear": Growth(make_curve("bilinear"), random=("intercept", "slope1", "slope2")),
    "without the last slope": Growth(make_curve("trilinear"), random=("intercept", "slope1", "slope2")),
    "random knot": Growth(
        make_curve("bilinear", random=True),
        columns=("(smoothing)",),
        random=("intercept", "slope1", "slope2", "knot"),
        effects=True,
        smoothing=0,
    ),
    "groups": Growth(
        make_curve("trilinear"),
        random=("intercept", "slope1", "slope2", "slope3"),
        blocks=(("intercept", "slope1"), ("slope3", "slope2")),
    ),
    "proportional": Growth(make_curve("quadratic"), random=("intercept", "slope", "quadratic"), proportional=True),
    "ar1": Growth(make_curve("linear"), random=("intercept", "slope"), residual="ar1"),
    "brownian": Growth(make_curve("linear"), random=("intercept", "slope"), residual="brownian"),
    "exponential": Growth(make_curve("negative_exponential"), random=("intercept", "change")),
    "jenss_bayley": Growth(make_curve("jenss_bayley"), random=("intercept", "slope", "distance")),
    "columns": Growth(columns=("1", "a", "b", "c"), fixed=(0, 1, 2), random=(0, 1, 3), scale_columns=(0, 1)),
    "columns apart": Growth(columns=("1", "a", "b"), fixed=(0, 1, 2), random=(0, 1), blocks=()),
}


def occasions(family: Growth) -> Occasions:
    rng = np.random.default_rng(5)
    columns = rng.normal(3.0, 1.0, (len(family.columns), 6, 20))
    columns[:1] = 1.0
    seen = (rng.random((6, 20)) > 0.1).astype(float)
    return Occasions(rng.normal(size=(6, 20)), seen, np.sort(rng.uniform(3, 9, (6, 20)), axis=0), columns)


def use_of(family: Growth) -> Use:
    count = len(family.parameters)
    return Use(np.ones(count, dtype=bool), np.zeros(count, dtype=bool))


def moved_to(naturals: Sequence[Natural], eta: np.ndarray) -> np.ndarray:
    """Constant predictors (P, 1), each group as it is there."""
    there = eta.copy()
    for natural in naturals:
        there[list(natural.parameters)] = natural.to(eta[list(natural.parameters)])
    return there


@pytest.mark.parametrize("name", FAMILIES)
def test_the_density_is_the_same_in_all_coordinates(name):
    """Where tables show the same."""
    family = FAMILIES[name]
    data = family.write(occasions(family))
    eta = 0.3 * np.random.default_rng(1).normal(size=(len(family.parameters), 1))
    others = family.centrings(data, np.ones(20), use_of(family))
    assert (others[0].constants[0] > 0) == (name != "brownian")
    for other in others:
        assert other == family
        assert hash(other) == hash(family)
        there, again = moved_to(family.translation(other), eta), moved_to(other.translation(family), eta)
        assert_allclose(moved_to(family.translation(other), again), eta, atol=1e-9)
        assert_allclose(moved_to(other.natural, eta), moved_to(family.natural, there), rtol=1e-9, atol=1e-9)
        with jax.enable_x64(True):
            inside = other.log_density(list(eta), jnp.array(other.entered(data)))
            assert_allclose(inside, family.log_density(list(there), jnp.array(data)), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "centred"),
    [
        ({}, True),
        ({"random": "intercept"}, True),
        ({"random": "slope1"}, False),
        ({"random": "intercept + slope2", "random_covariance": "diagonal"}, True),
        ({"random_covariance": "diagonal"}, False),
        ({"random_covariance": [("intercept", "slope1"), ("slope2",)]}, True),
        ({"between": {"intercept": "~ x", "slope1": "~ x"}}, True),
        ({"between": {"slope1": "~ x"}}, False),
        ({"between": {"knot": "~ x"}}, True),
        ({"residual": "brownian"}, False),
        ({"proportional": True}, True),
        ({"shared": "knot"}, True),
        ({"shared": "slope1"}, True),
        ({"shared": "intercept"}, False),
        ({"shared": "random_covariance"}, True),
        ({"between": "~ x", "shared": "x"}, True),
    ],
    ids=str,
)
def test_time_is_centred_where_the_model_keeps_its_form(options, centred):
    model = ms.MixtureOfExperts(growth("y ~ bilinear(t)", **options), n_experts=2)
    with jax.enable_x64(True):
        prepared = fitting.prepare(moved(10.0), model._request(None), None)
    family = prepared.responses["0.0"].family
    assert isinstance(family, Growth)
    assert bool(family.constants[0]) == centred
    assert family.constants[1] == pytest.approx(moved()["t"].std(ddof=0), rel=1e-6)


@pytest.fixture(scope="module")
def pair() -> tuple[ms.MixtureOfExperts, ms.MixtureOfExperts]:
    """The same mixture in centred time and in the time of the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "centred", lambda assembled, responses, weight, assemble: (assembled, responses))
        plain = mixture().fit(moved(3.0))
    return mixture().fit(moved(3.0)), plain


REPORTS: dict[str, Callable[[Any], pd.DataFrame]] = {
    "tidy": lambda m: m.tidy(),
    "robust": lambda m: m.confint(kind="robust"),
    "predict": lambda m: pd.DataFrame(m.predict(moved(3.0), kind="expert_mean")),
    "subjects": lambda m: m.predict(moved(3.0).head(20), kind="subject", times=[3.0, 9.0]),
    "trajectories": lambda m: m.trajectories(times=[3.0, 6.5, 11.0]),
    "random_effects": lambda m: m.random_effects(),
    "deviations": lambda m: m.random_effects(deviations=True),
    "delta": lambda m: m.delta(lambda b: b["2:intercept:Intercept"] + 5 * b["2:slope1:x"] * b["1:knot:Intercept"]),
    "profile": lambda m: m.profile(["1:intercept:Intercept", "2:slope1:x", "1:knot:Intercept"]),
    "profile of a covariance": lambda m: m.profile("2:random_covariance:slope1,intercept"),
    "score_test": lambda m: m.score_test("x"),
    "relevel": lambda m: m.relevel(2).tidy(),
    "bootstrap": lambda m: m.bootstrap(5, random_state=0).tidy(interval="normal"),
    "responsibilities": lambda m: pd.DataFrame(m.responsibilities(moved(3.0))),
}


@pytest.mark.parametrize("name", REPORTS)
def test_reports_do_not_know_of_centring(pair, name):
    centred, plain = (REPORTS[name](model) for model in pair)
    assert constants_of(pair[0])
    assert not constants_of(pair[1])
    error = 0.1 if name == "bootstrap" else 1e-5  # knots have many maxima, among which replicates may end
    pd.testing.assert_frame_equal(centred, plain, rtol=error, atol=error)


def test_estimates_agree_to_a_millionth_of_an_error(pair):
    centred, plain = (model.tidy() for model in pair)
    assert (np.abs(centred["estimate"] - plain["estimate"]) < 1e-6 * plain["std_error"]).all()


LIKELIHOODS = [
    ("y ~ linear(t)", {}),
    ("y ~ quadratic(t)", {}),
    ("y ~ t + I(t**2)", {"random": "1 + t + I(t**2)"}),
    pytest.param("y ~ polynomial(t, degree=3)", {}, marks=pytest.mark.slow),
    pytest.param("y ~ bilinear(t)", {}, marks=pytest.mark.slow),
    pytest.param("y ~ trilinear(t)", {}, marks=pytest.mark.slow),
    pytest.param("y ~ negative_exponential(t)", {}, marks=pytest.mark.slow),
    pytest.param("y ~ linear(t)", {"residual": "ar1", "random": "intercept"}, marks=pytest.mark.slow),
    pytest.param("y ~ x + t + I(t**2)", {"random": "1 + t", "residual": "~ t"}, marks=pytest.mark.slow),
]


@pytest.mark.filterwarnings("ignore::mixstat.ConvergenceWarning")
@pytest.mark.parametrize(("formula", "options"), LIKELIHOODS, ids=str)
def test_the_likelihood_knows_no_origin_nor_unit(formula, options):
    model = growth(formula, **options)
    here = model.fit(moved()).log_likelihood_
    for data in (*(moved(o) for o in FAR), moved(0.0, 365.25), moved(1950.0, 365.25)):
        model.fit(data)
        assert model.converged_
        assert model.log_likelihood_ == pytest.approx(here, abs=1e-6)


def test_what_a_far_origin_changes_is_the_intercept_and_the_knot(pair, tmp_path):
    near, far = pair[0], mixture().fit(moved(2000.0))
    assert far.converged_
    assert far.log_likelihood_ == pytest.approx(near.log_likelihood_, abs=1e-6)
    a, b = (m.tidy().set_index(["expert", "parameter", "term"]) for m in (near, far))
    places = a.index.get_level_values("parameter")
    knots = places == "knot"
    assert_allclose(
        b["std_error"][places.isin(["slope1", "slope2", "knot", "mean", "gate"])],
        a["std_error"][places.isin(["slope1", "slope2", "knot", "mean", "gate"])],
        rtol=1e-5,
    )
    assert_allclose(b["estimate"][knots], a["estimate"][knots] + 1997, rtol=1e-9)
    for k in (1, 2):
        first = a.loc[(k, "intercept", "Intercept"), "estimate"] - 1997 * a.loc[(k, "slope1", "Intercept"), "estimate"]
        assert b.loc[(k, "intercept", "Intercept"), "estimate"] == pytest.approx(first, abs=1e-4)
    assert_allclose(far.predict(moved(2000.0)), near.predict(moved(3.0)), atol=1e-5)
    columns = ["mean", "std_error"]
    there = far.trajectories(times=[2000.0, 2003.5])[columns]
    assert_allclose(there, near.trajectories(times=[3.0, 6.5])[columns], atol=1e-5)
    far.save(tmp_path / "far")
    assert_allclose(
        ms.load(tmp_path / "far").random_effects(moved(2000.0)).iloc[:, 1:], far.random_effects().iloc[:, 1:]
    )
    assert far.score_test("x").iloc[0]["statistic"] == pytest.approx(
        near.score_test("x").iloc[0]["statistic"], rel=1e-4
    )


def test_a_fit_starts_from_one_of_other_times(pair):
    again = mixture(start=pair[0]).fit(moved(3.0).query("t > 3.5"))
    assert again.converged_
    assert len(again.starts_) == 1
    same = mixture(start=again).fit(moved(3.0))
    assert same.log_likelihood_ == pytest.approx(pair[0].log_likelihood_, abs=1e-6)


@pytest.mark.parametrize(
    "constants", [None, [], [1.0], [1.0, 0.0, 1.0], [1.0, 2.0, 0.0], [1.0, float("nan"), 1.0], ["a", 1.0, 1.0]], ids=str
)
def test_a_file_with_other_coordinates_is_refused(pair, constants):
    archive = describe(pair[0])
    stored = {} if constants is None else {"0.0": constants}
    manifest = archive.manifest | {"coordinates": stored}
    if constants == []:
        restore(archive._replace(manifest=manifest), {})
        return
    with pytest.raises(DataError, match="coordinates"):
        restore(archive._replace(manifest=manifest), {})


def test_profile_of_an_intercept_variance_by_brute_force():
    """At an end of the interval the best likelihood given the variance, found by scipy, lies 1.92 below."""
    model = growth("y ~ linear(t)").fit(moved(3.0))
    found = model.profile("1:random_covariance:intercept").iloc[0]
    data = [(own["t"].to_numpy(), own["y"].to_numpy()) for _, own in moved(3.0).groupby("id")]

    def loss(values: np.ndarray, variance: float) -> float:
        mean, slope, correlation, sd, sigma = values[0], values[1], np.tanh(values[2]), *np.exp(values[3:])
        covariance = correlation * sd * np.sqrt(variance)
        total = 0.0
        for t, y in data:
            loadings = np.column_stack([np.ones_like(t), t])
            psi = np.array([[variance, covariance], [covariance, sd**2]])
            whole = loadings @ psi @ loadings.T + sigma**2 * np.eye(len(t))
            residual = y - mean - slope * t
            total += np.linalg.slogdet(2 * np.pi * whole)[1] + residual @ np.linalg.solve(whole, residual)
        return 0.5 * total

    b = model.tidy().set_index(["parameter", "term"])["estimate"]
    psi = [b["random_covariance", name] for name in ("intercept", "slope,intercept", "slope")]
    start = [
        b["intercept", "Intercept"],
        b["slope", "Intercept"],
        np.arctanh(psi[1] / np.sqrt(psi[0] * psi[2])),
        0.5 * np.log(psi[2]),
        0.5 * np.log(b["residual_variance", "Intercept"]),
    ]

    def beyond(variance: float) -> float:
        best = minimize(loss, start, (variance,), method="BFGS", options={"gtol": 1e-4}).fun
        return 2 * (best + model.log_likelihood_) - 3.841458820694124

    for end in ("conf_low", "conf_high"):
        assert abs(beyond(found[end])) < 0.01
