"""What every family promises, over the whole registry."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.core.family import Family
from mixstat.families import FAMILIES, Gaussian, get_family
from tests.families.cases import CASES, LEVELS, Case, density, derivatives

DRAWS = 20_000
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_family = pytest.mark.parametrize("case", list({c.name: c for c in CASES}.values()), ids=lambda c: c.name)


def log_density(case: Case, y: np.ndarray) -> np.ndarray:
    return density(case.family, np.stack(case.constants), case.encode(y))


def points(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Points of the support and their share of its measure (trapezoid rule in a variable on the whole line)."""
    u, h = np.linspace(-20, 20, 4001, retstep=True)
    if case.support == "line":
        return np.sinh(u), h * np.cosh(u)
    if case.support == "half":
        return np.exp(2 * u), 2 * h * np.exp(2 * u)
    if case.support == "unit":
        y = 1 / (1 + np.exp(-u))
        return y, h * y * (1 - y)
    if case.support == "plane":
        grid, h = np.linspace(-12, 12, 241, retstep=True)
        y = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
        return y, np.full(len(y), h * h)
    last = {"levels": len(LEVELS) - 1, "counts": case.trials if case.name == "binomial" else 400}[case.support]
    return np.arange(last + 1.0), np.ones(last + 1)


def test_every_family_of_the_registry_is_tested() -> None:
    assert {case.name for case in CASES} == set(FAMILIES)


@every_case
def test_density_adds_to_one(case: Case) -> None:
    y, measure = points(case)
    assert np.exp(log_density(case, y)) @ measure == pytest.approx(1.0, abs=1e-8)


@every_case
def test_density_equals_scipy(case: Case) -> None:
    y = case.sample(200)
    law = case.scipy(*case.eta)
    expected = law.logpmf(y) if case.family.discrete else law.logpdf(y)
    np.testing.assert_allclose(log_density(case, y), expected, rtol=2e-11, atol=2e-11)


@every_case
def test_mean_is_the_mean_of_samples(case: Case) -> None:
    y = case.sample(DRAWS)
    if case.support == "levels":
        y = (y[:, None] == np.arange(len(LEVELS))).astype(float)
    mean = np.asarray(case.family.mean(case.constants))[..., 0] * case.trials
    assert np.all(np.abs(y.mean(axis=0) - mean) < 5 * y.std(axis=0) / DRAWS**0.5)


@every_case
def test_score_averages_zero_and_information_identity_holds(case: Case) -> None:
    eta = np.repeat(np.array(case.eta)[:, None], DRAWS, axis=1)
    score, curvature = derivatives(case.family, eta, case.encode(case.sample(DRAWS, seed=1)))
    assert np.all(np.abs(score.mean(axis=1)) < 5 * score.std(axis=1) / DRAWS**0.5)
    second = curvature + score[:, None] * score[None]
    assert np.all(np.abs(second.mean(axis=-1)) <= 6 * second.std(axis=-1) / DRAWS**0.5 + 1e-12)


@every_case
def test_constant_predictors_give_what_row_predictors_give(case: Case) -> None:
    data = case.encode(case.sample(7))
    rows = tuple(np.full(7, e) for e in case.eta)
    constant = case.family.log_density(case.constants, data)
    assert constant.shape == (7,)
    np.testing.assert_allclose(constant, case.family.log_density(rows, data), rtol=1e-14, atol=1e-14)
    mixed = (rows[0], *case.constants[1:])
    np.testing.assert_allclose(constant, case.family.log_density(mixed, data), rtol=1e-14, atol=1e-14)
    assert np.asarray(case.family.mean(rows)).shape[-1] == 7


@every_family
def test_vmaps_over_experts_and_traces_under_jit(case: Case) -> None:
    data = case.encode(case.sample(5))
    eta = np.array(case.eta)[:, None, None] + np.array([0.0, 0.1, -0.2])[:, None] + np.zeros(5)
    stacked = jax.jit(jax.vmap(lambda *e: case.family.log_density(e, data)))(*eta)
    for k in range(3):
        np.testing.assert_allclose(stacked[k], case.family.log_density(tuple(eta[:, k]), data), rtol=1e-12)
    experts = jax.jit(jax.vmap(lambda e: case.family.score_and_curvature(e, data)))
    score, curvature = experts(np.moveaxis(eta, 1, 0))
    one = derivatives(case.family, eta[:, 1], data)
    np.testing.assert_allclose(score[1], one[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(curvature[1], one[1], rtol=1e-12, atol=1e-13)


@every_family
def test_curvature_is_symmetric_and_of_full_shape(case: Case) -> None:
    eta = np.repeat(np.array(case.eta)[:, None], 6, axis=1)
    score, curvature = derivatives(case.family, eta, case.encode(case.sample(6)))
    count = len(case.family.parameters)
    assert score.shape == (count, 6)
    assert curvature.shape == (count, count, 6)
    np.testing.assert_allclose(curvature, np.swapaxes(curvature, 0, 1), rtol=1e-11, atol=1e-12)


@every_family
def test_is_a_value(case: Case) -> None:
    family = case.family
    again = pickle.loads(pickle.dumps(family))
    assert again == family == case.family
    assert hash(again) == hash(family) == hash(case.family)
    assert all(family != get_family(name) for name in FAMILIES if name != case.name)
    with pytest.raises(AttributeError):
        family.name_of_nothing = 1  # type: ignore[attr-defined]


@every_family
def test_works_in_single_precision(case: Case) -> None:
    y = case.sample(5)
    expected = log_density(case, y)
    data = case.encode(y)
    with jax.enable_x64(False):
        found = case.family.log_density([jnp.asarray(e) for e in case.constants], jnp.asarray(data))
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@every_family
def test_first_parameter_is_the_location(case: Case) -> None:
    parameters = case.family.parameters
    located = [p.location for p in parameters]
    assert located[0]
    assert located == sorted(located, reverse=True)
    assert {p.link for p in parameters} <= {"identity", "log", "logit"}
    assert len({p.name for p in parameters}) == len(parameters)


@every_family
def test_missing_values_pass_and_the_safe_value_is_a_response(case: Case) -> None:
    y = case.sample(4)
    y[1] = np.nan
    data = case.encode(y)
    assert np.isnan(data[:, 1] if case.trials == 1 else data[0, 1]).all()
    assert np.isfinite(data[:, [0, 2, 3]]).all()
    safe = case.family.safe_value  # type: ignore[attr-defined]
    assert np.isfinite(log_density(case, np.where(np.isnan(y), safe, y))).all()
    filled = np.where(np.isnan(data), safe, data)
    eta = np.repeat(np.array(case.eta)[:, None], 4, axis=1)
    assert np.isfinite(density(case.family, eta, filled)).all()
    assert all(np.isfinite(part).all() for part in derivatives(case.family, eta, filled))


@every_family
def test_samples_are_valid_responses_whatever_the_predictors(case: Case) -> None:
    rng = np.random.default_rng(3)
    for size in (-30.0, 0.0, 30.0):
        identity = [p.link == "identity" and p.key != "logit" for p in case.family.parameters]
        eta = tuple(np.full(50, 1.0 if i else size) for i in identity)
        if case.name == "lognormal":
            eta = (eta[0], np.full(50, min(size, 3.0)))
        case.family.encode(case.family.sample(rng, eta, None), "y")


@every_case
def test_start_is_near_the_truth(case: Case) -> None:
    y = case.sample(3000)
    start = case.family.start(case.encode(y), np.ones(3000))
    assert start.shape == (len(case.eta),)
    fitted = np.mean(density(case.family, start[:, None], case.encode(y)))
    assert fitted > np.mean(log_density(case, y)) - 0.15


def awkward(case: Case) -> list[np.ndarray]:
    safe = case.family.safe_value  # type: ignore[attr-defined]
    scale = {"line": 1e10, "half": 1e10, "unit": 0.9, "counts": 1e9, "levels": 2, "plane": 1e10}[case.support]
    scale = 1.0 if case.name == "binomial" else scale
    columns = (lambda v: np.stack([v, v], axis=1)) if case.support == "plane" else (lambda v: v)
    values = [[safe], [safe] * 5, [scale] * 5, [safe, scale], [safe, np.nan, scale, scale]]
    return [columns(np.array(v, dtype=float)) for v in values]


@every_family
def test_start_is_finite_on_awkward_samples(case: Case) -> None:
    etas, rows = [], []
    for y in awkward(case):
        data = case.encode(y)
        for weight in (np.ones(len(y)), np.zeros(len(y)), np.full(len(y), 1e-300), np.eye(len(y))[0]):
            start = case.family.start(data, weight)
            assert np.isfinite(start).all()
            seen = ~np.isnan(y.reshape(len(y), -1)).any(axis=1)
            etas.append(np.repeat(start[:, None], seen.sum(), axis=1))
            rows.append(data[:, seen])
    eta, data = np.concatenate(etas, axis=1), np.concatenate(rows, axis=1)
    assert np.isfinite(density(case.family, eta, data)).all()
    assert all(np.isfinite(part).all() for part in derivatives(case.family, eta, data))


def test_get_family_takes_names_and_families() -> None:
    assert get_family("gaussian") == Gaussian()
    family: Family = get_family("poisson")
    assert get_family(family) is family
    with pytest.raises(ValueError, match=r"unknown family 'normal'.*gaussian.*poisson"):
        get_family("normal")


def test_import_does_no_device_work() -> None:
    import subprocess
    import sys

    code = "import mixstat.families, jax._src.xla_bridge as b; assert not b._backends"
    subprocess.run([sys.executable, "-c", code], check=True)
