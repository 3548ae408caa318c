"""A decomposed time-varying covariate: its states act on another outcome, against dense normal distributions."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixstat as ms
from mixstat.exceptions import OptionError
from mixstat.families.growth import Growth, Occasions
from mixstat.families.growth.change_scores import exposures
from mixstat.families.growth.curves import make_curve
from mixstat.families.growth.driven import STATES, DrivenGrowth
from mixstat.families.growth.shown import CovarianceForm, entries_of_root
from mixstat.fit.precision import double
from tests.growth import brute_force as bf

pytestmark = pytest.mark.slow

WAVES = np.array([0.0, 1.0, 2.5, 4.0])


class Truth(NamedTuple):
    """One class: means of v's growth factors and its rates, y's intercept and slope, trait effects b, kappa."""

    trait: np.ndarray = np.array([5.0, 1.5])
    rates: np.ndarray = np.array([0.5, -0.4])
    line: np.ndarray = np.array([10.0, 2.0])
    b: np.ndarray = np.array([0.6, -0.2])
    kappa: float = 0.8
    psi_v: np.ndarray = np.array([[1.0, 0.2], [0.2, 0.4]])
    psi: np.ndarray = np.array([[1.2, -0.1], [-0.1, 0.3]])
    residual: np.ndarray = np.array([[0.3, 0.1], [0.1, 0.5]])

    @property
    def covariance(self) -> np.ndarray:
        """Of (eta0, eta1, growth factors of y)."""
        to = np.block([[np.eye(2), np.zeros((2, 2))], [self.b[:, None], np.zeros((2, 1)), np.eye(2)]])
        zero = np.zeros((2, 2))
        return to @ np.block([[self.psi_v, zero], [zero, self.psi]]) @ to.T


def states(truth: Truth, times: np.ndarray, state: str) -> tuple[np.ndarray, np.ndarray]:
    """(c, s): what eta1 is multiplied by in v, and in the state that acts on y, occasion by occasion."""
    rates, width = np.array([1.0, *truth.rates]), np.diff(times)
    since = np.concatenate([[0.0], np.cumsum(rates * width)])
    acting = {"rate": rates, "change": rates * width, "since_first": since[1:]}[state]
    return since, np.concatenate([[0.0], acting])


def moments(truth: Truth, times: np.ndarray, state: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of (v, y), as a linear map of (eta0, eta1, zeta, e_v, e_y)."""
    count, (since, acting) = len(times), states(truth, times, state)
    ones, line = np.ones(count), np.column_stack([np.ones(count), times])
    of_v = np.column_stack([ones, since, np.zeros((count, 2))])
    of_y = np.column_stack([line @ truth.b, truth.kappa * acting, line])
    loadings, zero = np.vstack([of_v, of_y]), np.zeros((2, 2))
    sources = np.block([[truth.psi_v, zero], [zero, truth.psi]])
    mean = loadings @ np.concatenate([truth.trait, truth.line])
    return mean, loadings @ sources @ loadings.T + np.kron(truth.residual, np.eye(count))


def drawn(truth: Truth, state: str, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(times (n, wave), values (n, 2 waves): v, then y, some missing)."""
    rng = np.random.default_rng(seed)
    times = WAVES + rng.uniform(-0.2, 0.2, (n, len(WAVES)))
    times[:, 0] = 0.0
    values = np.array([rng.multivariate_normal(*moments(truth, own, state)) for own in times])
    return times, np.where(rng.random(values.shape) < 0.1, np.nan, values)


def log_likelihood(truth: Truth, times: np.ndarray, values: np.ndarray, state: str) -> np.ndarray:
    pairs = zip(values, times, strict=True)
    return np.array([bf.normal_log_density(own, *moments(truth, at, state)) for own, at in pairs])


def family_of(state: str) -> DrivenGrowth:
    curve = make_curve("change_scores", times=WAVES, waves=range(len(WAVES)))
    v = Growth(curve, columns=tuple("123"), random=("intercept", "slope"))
    y = Growth(make_curve("linear"), random=("intercept", "slope"))
    return DrivenGrowth(("v", "y"), (v, y), state=state)


def data_of(family: DrivenGrowth, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(field * occasion, subject)."""
    bounds = times.T
    spent = np.stack([exposures(bounds, bounds[j])[:3] for j in range(len(bounds))], axis=1)
    own = []
    for member, part in zip(family.members, np.split(values.T, 2), strict=True):
        columns = spent if member.columns else np.zeros((0, *bounds.shape))
        own.append(Occasions(np.nan_to_num(part), (~np.isnan(part)).astype(float), bounds, columns))
    together = (np.concatenate(parts) for parts in zip(*(each[:3] for each in own), strict=True))
    return family.write(Occasions(*together, tuple(own)))


def predictors(family: DrivenGrowth, truth: Truth, subjects: int) -> np.ndarray:
    line = truth.line + truth.b * truth.trait[0]
    entries = entries_of_root(CovarianceForm(family.pairs, 4), np.linalg.cholesky(truth.covariance))
    factor = np.linalg.cholesky(truth.residual)
    residual = [np.log(factor[0, 0]), factor[1, 0], np.log(factor[1, 1])]
    eta = np.array([*truth.trait, *truth.rates, *line, *entries, *residual, truth.kappa])
    return np.repeat(eta[:, None], subjects, axis=1)


@double
def density(family: DrivenGrowth, eta: np.ndarray, data: np.ndarray) -> np.ndarray:
    return np.asarray(family.log_density(list(eta), data))


@pytest.mark.parametrize("state", STATES)
def test_the_density_is_that_of_a_normal_distribution(state):
    truth, family = Truth(), family_of(state)
    times, values = drawn(truth, state, 1, 6)
    eta, data = predictors(family, truth, 6), data_of(family, times, values)
    assert len(eta) == len(family.parameters)
    assert_allclose(density(family, eta, data), log_likelihood(truth, times, values, state), rtol=0, atol=1e-9)


def test_score_and_curvature_are_derivatives():
    """By differences."""
    truth, family = Truth(), family_of("rate")
    times, values = drawn(truth, "rate", 2, 5)
    eta, data = predictors(family, truth, 5), data_of(family, times, values)
    eta[: family.head] += np.random.default_rng(3).normal(scale=0.2, size=(family.head, 5))
    with jax.enable_x64(True):
        value, slopes = jax.jit(family.log_density), jax.jit(family.score_and_curvature)
        score, curvature = slopes(eta, data)
        for place, step in enumerate(1e-5 * np.eye(len(eta))[..., None]):
            above, below = eta + step, eta - step
            slope = (value(above, data) - value(below, data)) / 2e-5
            assert_allclose(score[place], slope, atol=1e-6)
            bend = (slopes(above, data)[0] - slopes(below, data)[0]) / 2e-5
            assert_allclose(curvature[place], bend, atol=1e-5)


def table_of(state: str, n: int = 150, seed: int = 4) -> pd.DataFrame:
    times, values = drawn(Truth(), state, seed, n)
    count = len(WAVES)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), count),
            "wave": np.tile(np.arange(count), n),
            "time": times.ravel(),
            "v": values[:, :count].ravel(),
            "y": values[:, count:].ravel(),
        }
    )


def model_of(state: str, **options: Any) -> ms.Joint:
    line = ms.GrowthCurve("y ~ linear(time)", unit="unit")
    covariate = ms.GrowthCurve("v ~ change_scores(time)", unit="unit", wave="wave")
    return ms.Joint([line, covariate], states={"v": state}, verbose=0, **options)


@pytest.mark.parametrize("state", ["rate", *(pytest.param(s, marks=pytest.mark.slow) for s in STATES[1:])])
def test_fits_recover_the_truth(state, tmp_path):
    table, truth = table_of(state), Truth()
    model = model_of(state).fit(table)
    assert model.converged_, model.status_
    rows = model.tidy().set_index(["parameter", "term"])
    row = rows.loc[f"{state}_effect[y]", "Intercept"]
    assert abs(row["estimate"] - truth.kappa) < 4 * row["std_error"]
    found = rows["estimate"]
    names = [f"{name}[{outcome}]" for outcome in "vy" for name in ("intercept", "slope")]
    psi = pd.DataFrame(0.0, names, names)
    for (parameter, term), value in found.items():
        if parameter == "random_covariance":
            first, second = [*term.split(","), term][:2] if "," in term else (term, term)
            psi.loc[first, second] = psi.loc[second, first] = value
    trait, cross = psi.to_numpy()[:2, :2], psi.to_numpy()[2:, 0]
    b = cross / trait[0, 0]
    fitted = Truth(
        trait=found[[("intercept[v]", "Intercept"), ("slope[v]", "Intercept")]].to_numpy(),
        rates=found[[("rate2[v]", "Intercept"), ("rate3[v]", "Intercept")]].to_numpy(),
        line=found[[("intercept[y]", "Intercept"), ("slope[y]", "Intercept")]].to_numpy()
        - b * found["intercept[v]", "Intercept"],
        b=b,
        kappa=row["estimate"],
        psi_v=trait,
        psi=psi.to_numpy()[2:, 2:] - np.outer(b, cross),
        residual=np.array(
            [
                [found["residual_variance[v]", "Intercept"], found["residual_covariance", "v,y"]],
                [found["residual_covariance", "v,y"], found["residual_variance[y]", "Intercept"]],
            ]
        ),
    )
    times, values = drawn(truth, state, 4, 150)
    assert model.log_likelihood_ == pytest.approx(log_likelihood(fitted, times, values, state).sum(), abs=1e-8)
    expected = np.array([moments(fitted, own, state)[0] for own in times]).reshape(150, 2, -1)
    predicted = model.predict(table)
    assert_allclose(predicted["y"], expected[:, 1].ravel(), atol=1e-8)
    model.save(tmp_path / "model.mixstat")
    assert_allclose(ms.load(tmp_path / "model.mixstat").predict(table)["y"], predicted["y"], atol=1e-12)


@pytest.mark.parametrize(
    "states", [{"x": "rate"}, {"v": "speed"}, {"y": "rate"}, {"v": "rate", "y": "rate"}, "rate", {}], ids=str
)
def test_states_that_cannot_be(states):
    line = ms.GrowthCurve("y ~ linear(time)", unit="unit")
    covariate = ms.GrowthCurve("v ~ change_scores(time)", unit="unit", wave="wave")
    with pytest.raises(OptionError, match="states="):
        ms.Joint([line, covariate], states=states, verbose=0).fit(table_of("rate", n=20))
    with pytest.raises(OptionError, match="states="):
        ms.Joint([line], states={"y": "rate"}, verbose=0).fit(table_of("rate", n=20))


@pytest.mark.slow
def test_a_mixture_with_a_state():
    other = table_of("rate", n=120, seed=9)
    other = other.assign(unit=other["unit"] + 1000, y=other["y"] + 6.0 - 2.5 * other["time"])
    table = pd.concat([table_of("rate", n=120), other], ignore_index=True)
    model = ms.MixtureOfExperts(model_of("rate"), n_init=3, random_state=0, verbose=0).fit(table)
    assert model.converged_, model.status_
    effects = model.tidy().query("parameter == 'rate_effect[y]'")
    assert (np.abs(effects["estimate"] - Truth().kappa) < 4 * effects["std_error"]).all()
    modal = model.responsibilities(table).argmax(axis=1)
    assert np.mean(modal == (np.arange(240) >= 120)) > 0.9
    assert np.isfinite(model.trajectories(times=[0.0, 1.0, 2.0])["std_error"]).all()
