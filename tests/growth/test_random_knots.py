"""Random knots: smoothing as data, the search for the best maximum, and errors that are right."""

import pickle
from functools import cache
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

import mixstat as ms
from mixstat.exceptions import OptionError
from tests.growth import brute_force as bf

pytestmark = pytest.mark.slow

TRUTH = {"intercept": 20.0, "slope1": 3.0, "slope2": 0.5, "knot": 4.0}
FACTORS = ("intercept", "slope1", "slope2", "knot")


@cache
def bent(seed: int, n: int = 300, *, knot: float = 0.5, jitter: float = 0.25) -> pd.DataFrame:
    """Nine individual times and a knot of one's own, which enters the curve itself."""
    rng = np.random.default_rng(seed)
    times = np.arange(9.0) + rng.uniform(-jitter, jitter, (n, 9))
    times[:, 0] = 0.0
    a, b, c, g = (rng.normal(list(TRUTH.values()), [1.0, 0.2, 0.2, knot], (n, 4)).T)[:, :, None]
    y = a + b * np.minimum(times, g) + c * np.maximum(times - g, 0.0) + 0.6 * rng.normal(size=(n, 9))
    return pd.DataFrame({"id": np.repeat(np.arange(n), 9), "t": times.ravel(), "y": y.ravel()})


def curve(**options: Any) -> ms.GrowthCurve:
    return ms.GrowthCurve("y ~ bilinear(t)", unit="id", random_knot=True, verbose=0, **options)


@cache
def fitted(seed: int = 1, n: int = 150) -> ms.GrowthCurve:
    return curve().fit(bent(seed, n))


@cache
def sharp(seed: int = 1, n: int = 150) -> ms.GrowthCurve:
    """With the constant of nlpsem 0.4."""
    return curve(smoothing=1e-6).fit(bent(seed, n))


def class_of(table: pd.DataFrame, smoothing: float) -> bf.GrowthClass:
    """The class of `tidy()` for brute force."""
    values = table.set_index(["parameter", "term"])["estimate"]
    psi = np.zeros((4, 4))
    for j, name in enumerate(FACTORS):
        for i, other in enumerate(FACTORS[: j + 1]):
            psi[j, i] = psi[i, j] = values["random_covariance", name if i == j else f"{name},{other}"]
    alpha = [values[name, "Intercept"] for name in FACTORS[:3]]
    return bf.GrowthClass(
        bf.Trajectory(
            lambda t, eta, c: bf.bilinear(t, eta, c, smoothing), alpha, [values["knot", "Intercept"]], random=(0,)
        ),
        psi,
        bf.iid(values["residual_variance", "Intercept"]),
    )


@pytest.mark.parametrize("smoothing", [None, 1e-6])
def test_the_log_likelihood_is_that_of_dense_normals(smoothing):
    model, data = (fitted() if smoothing is None else sharp()), bent(1, 150)
    gaps = np.diff(data["t"].to_numpy().reshape(-1, 9), axis=1)
    constant = (np.median(gaps) / 4) ** 2 if smoothing is None else smoothing
    units = bf.read_units(data, unit="id", time="t")
    expected = bf.mixture_log_likelihood(units, [class_of(model.tidy(), constant)], [[0.0]])
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-7)
    assert f"c = {constant:.4g} in squared units of time" in str(model.summary())


def test_the_unit_of_time_does_not_matter():
    days = curve().fit(bent(1, 150).assign(t=365.25 * bent(1, 150)["t"])).tidy()
    years = fitted().tidy()
    factor = np.where(years["parameter"] == "knot", 365.25, 1.0)
    factor[years["parameter"].str.startswith("slope")] = 1 / 365.25
    main = years["parameter"].isin([*FACTORS, "residual_variance"])
    for column in ("estimate", "std_error"):
        assert_allclose(days[column][main], (factor * years[column])[main], rtol=1e-4)


def dense(theta: np.ndarray, times: np.ndarray, y: np.ndarray, smoothing: float) -> float:
    """The log-likelihood by its own formulas: alpha, lower factor with logs on the diagonal, log variance."""
    level, first, second, knot = theta[:4]
    lower = np.zeros((4, 4))
    lower[np.tril_indices(4)] = theta[4:14]
    lower[np.diag_indices(4)] = np.exp(np.diag(lower))
    after = 0.5 * (times - knot + np.sqrt((times - knot) ** 2 + smoothing))
    rise = 0.5 * (1 + (times - knot) / np.sqrt((times - knot) ** 2 + smoothing))
    loadings = np.stack([np.ones_like(times), times - after, after, (first - second) * rise], axis=-1) @ lower
    covariance = loadings @ loadings.transpose(0, 2, 1) + np.exp(theta[14]) * np.eye(times.shape[1])
    root = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(root, (y - level - first * (times - after) - second * after)[..., None])[..., 0]
    logs = np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
    return float(-0.5 * (scaled**2).sum() - logs - 0.5 * y.size * np.log(2 * np.pi))


def theta_of(model: ms.GrowthCurve) -> np.ndarray:
    found = class_of(model.tidy(), 1.0)
    lower = np.linalg.cholesky(found.psi)
    lower[np.diag_indices(4)] = np.log(np.diag(lower))
    variance = model.tidy().set_index("parameter").loc["residual_variance", "estimate"]
    head = [*found.trajectory.alpha, *found.trajectory.coefficients]
    return np.array([*head, *lower[np.tril_indices(4)], np.log(variance)])


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", [None, 1e-6])
def test_no_knot_nearby_is_better(smoothing):
    """The profile of the knot, the others climbing by another optimiser from where they are."""
    model, data = (fitted(2, 300) if smoothing is None else sharp(2, 300)), bent(2, 300)
    times, y = (data[name].to_numpy().reshape(-1, 9) for name in ("t", "y"))
    constant = (np.median(np.diff(times, axis=1)) / 4) ** 2 if smoothing is None else smoothing
    theta, others = theta_of(model), np.arange(15) != 3
    assert dense(theta, times, y, constant) == pytest.approx(model.log_likelihood_, abs=1e-6)
    for move in (-0.15, -0.1, -0.05, -0.02, -0.005, 0.005, 0.02, 0.05, 0.1, 0.15):
        moved = theta.copy()
        moved[3] += move

        def loss(values: np.ndarray, moved: np.ndarray = moved) -> float:
            return -dense(np.insert(values, 3, moved[3]), times, y, constant)

        climbed = minimize(loss, moved[others], method="L-BFGS-B", options={"maxiter": 25})
        assert -climbed.fun < model.log_likelihood_ + 1e-3


def test_a_small_constant_finds_the_best_of_many_maxima_and_says_what_errors_are_worth():
    model, smooth = sharp(), fitted()
    assert model.converged_
    assert "the likelihood jumps where a knot passes an observed time" in model.status_
    assert "too small for the knots" in model.status_
    assert "jumps" not in smooth.status_
    knots = [m.tidy().set_index("parameter").loc["knot"] for m in (model, smooth)]
    assert abs(knots[0]["estimate"] - knots[1]["estimate"]) < 4 * knots[1]["std_error"]
    assert_allclose(knots[0]["std_error"], knots[1]["std_error"], rtol=1e-3)
    start = curve(smoothing=1e-6)._request(None)
    assert start.plan.outcomes[0].family.softness == (1e-6,)


@pytest.mark.slow
def test_random_knots_contain_a_knot_that_is_not_random():
    """Two classes with the same knot in a class: the likelihood does not fall when knots may vary."""
    rng = np.random.default_rng(4)
    late, times = rng.random(120) < 0.5, np.arange(8.0) + rng.uniform(-0.2, 0.2, (120, 8))
    knot = np.where(late, 5.0, 2.5)[:, None]
    level = rng.normal(np.where(late, 24.0, 20.0), 1.5)[:, None]
    rise = np.where(late, 2.0, 4.0)[:, None] * np.minimum(times, knot) + 1.0 * np.maximum(times - knot, 0)
    y = level + rise + rng.normal(size=times.shape)
    data = pd.DataFrame({"id": np.repeat(np.arange(120), 8), "t": times.ravel(), "y": y.ravel()})
    values = {
        random: ms.MixtureOfExperts(
            ms.GrowthCurve("y ~ bilinear(t)", unit="id", random="intercept", random_knot=random, smoothing=constant),
            n_init=4,
            random_state=0,
            verbose=0,
        )
        .fit(data)
        .log_likelihood_
        for random, constant in ((False, None), (True, 1e-6))
    }
    assert values[True] > values[False] - 0.1


def test_errors_are_robust_and_known_after_loading(tmp_path):
    model = fitted()
    assert_allclose(model.covariance(), model.covariance("robust"))
    assert not np.allclose(model.covariance(), model.covariance("information"), rtol=0.1)
    assert "standard errors are robust ones (sandwich)" in str(model.summary())
    model.save(tmp_path / "knots")
    for copied in (ms.load(tmp_path / "knots"), pickle.loads(pickle.dumps(model))):
        assert_allclose(copied.tidy()["std_error"], model.tidy()["std_error"], rtol=1e-9)
        assert str(copied.summary()) == str(model.summary())
        rows = bent(1, 150).head(18)
        assert_allclose(copied.predict(rows, kind="subject"), model.predict(rows, kind="subject"), rtol=1e-9)
    doubled = curve().fit(bent(1, 150), sample_weight=np.full(1350, 2.0))
    assert_allclose(doubled.covariance(), model.covariance(), rtol=1e-4, atol=1e-9)


@pytest.mark.slow
def test_classes_in_another_order_keep_their_errors():
    data = pd.concat([bent(1, 60), bent(2, 60).assign(id=lambda t: t["id"] + 60, y=lambda t: 70 - t["y"])])
    expert = ms.GrowthCurve("y ~ bilinear(t)", unit="id", random="intercept", random_knot=True)
    model = ms.MixtureOfExperts(expert, n_init=2, random_state=0, verbose=0).fit(data)
    before, after = (m.tidy().set_index(["parameter", "term", "expert"]) for m in (model, model.reorder([2, 1])))
    for name in FACTORS:
        assert before.loc[name, "Intercept", 1]["std_error"] == pytest.approx(
            after.loc[name, "Intercept", 2]["std_error"], rel=1e-8
        )


def test_another_constant_compiles_nothing_anew(caplog):
    model = fitted()
    with jax.log_compiles(), caplog.at_level("WARNING"):
        other = curve(smoothing=0.07).fit(bent(1, 150))
    assert [record.getMessage() for record in caplog.records if "Compiling" in record.getMessage()] == []
    mixtures = [m.fitted_.assembled.mixture for m in (model, other)]
    assert mixtures[0] == mixtures[1]
    assert hash(mixtures[0]) == hash(mixtures[1])
    assert other.log_likelihood_ != model.log_likelihood_


@pytest.mark.slow
def test_trilinear_knots_are_smoothed_too():
    rng = np.random.default_rng(6)
    times = np.sort(rng.uniform(0, 9, (150, 10)), axis=1)
    first, second = rng.normal(3, 0.4, (150, 1)), rng.normal(6, 0.4, (150, 1))
    rise = 4 * np.minimum(times, first) + np.clip(times, first, second) - first - 2 * np.maximum(times - second, 0)
    y = rng.normal(20, 1.5, (150, 1)) + rise + 0.5 * rng.normal(size=times.shape)
    data = pd.DataFrame({"id": np.repeat(np.arange(150), 10), "t": times.ravel(), "y": y.ravel()})
    model = ms.GrowthCurve(
        "y ~ trilinear(t)",
        unit="id",
        random="intercept",
        random_knot=True,
        random_covariance="diagonal",
        verbose=0,
    ).fit(data)
    assert model.converged_, model.status_
    table = model.tidy().set_index(["parameter", "term"])
    for name, truth in {"slope1": 4, "slope2": 1, "slope3": -2, "knot1": 3, "knot2": 6}.items():
        row = table.loc[name, "Intercept"]
        assert abs(row["estimate"] - truth) < 4 * row["std_error"] + 0.1, name
    values = table["estimate"]
    psi = np.diag([values["random_covariance", name] for name in ("intercept", "knot1", "knot2")])
    wide = np.zeros((6, 6))
    wide[np.ix_([0, 4, 5], [0, 4, 5])] = psi
    constant = (np.median(np.diff(times, axis=1)) / 4) ** 2
    trajectory = bf.Trajectory(
        lambda t, eta, c: bf.smoothed_trilinear(t, eta, c, constant),
        [values[name, "Intercept"] for name in ("intercept", "slope1", "slope2", "slope3")],
        [values[name, "Intercept"] for name in ("knot1", "knot2")],
        random=(0, 1),
    )
    reference = bf.GrowthClass(trajectory, wide, bf.iid(values["residual_variance", "Intercept"]))
    expected = bf.mixture_log_likelihood(bf.read_units(data, unit="id", time="t"), [reference], [[0.0]])
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing": 0.0}, "smoothing must be a finite number of at least 1e-12"),
        ({"smoothing": "small"}, "smoothing must be a finite number"),
        ({"smoothing": 0.1, "random_knot": False}, "smoothing= is for random knots"),
        ({"smoothing": 0.1, "formula": "y ~ negative_exponential(t)"}, "smoothing= is for random knots"),
    ],
)
def test_constants_that_make_no_sense(options, message):
    with pytest.raises(OptionError, match=message):
        ms.GrowthCurve(**{"formula": "y ~ bilinear(t)", "unit": "id", "random_knot": True, **options}).fit(bent(1, 150))


@pytest.mark.slow
@pytest.mark.parametrize(("knot", "jitter"), [(0.5, 0.25), (0.25, 0.0)])
def test_intervals_of_the_knot_cover_it(knot, jitter):
    """60 studies: the errors are the spread of the estimates, and intervals hold the truth as often as they say."""
    rows = pd.DataFrame(
        [
            curve().fit(bent(1000 + seed, knot=knot, jitter=jitter)).tidy().set_index("parameter").loc["knot"]
            for seed in range(60)
        ]
    )
    spread = rows["estimate"].std()
    assert abs(rows["estimate"].mean() - 4.0) < 4 * spread / np.sqrt(60)
    assert 0.75 < rows["std_error"].mean() / spread < 1.35  # the spread of 60 is known to 9%
    covered = ((rows["conf_low"] < 4.0) & (rows["conf_high"] > 4.0)).mean()
    assert covered >= 0.9
