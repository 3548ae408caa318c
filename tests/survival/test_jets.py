"""Derivatives in closed form are automatic ones: every law, every term of the likelihood, and late entry."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.core.family import Entry
from mixstat.families.survival import APGW, GeneralizedGamma, Spline, Survival

KNOTS = (-2.0, -0.5, 0.4, 1.5)
LAWS = {
    "apgw aft": APGW(pinned=("lambda",)),
    "apgw ph": APGW(scale="ph", pinned=("phi",), constants=(0.3,)),
    "apgw both": APGW(),
    "weibull": APGW(kappa=1.0, pinned=("lambda",)),
    "burr": APGW(kappa=0.0),
    "gompertz": APGW(kappa=np.inf, pinned=("gamma",)),
    "linear hazard": APGW(kappa=2.0, pinned=("gamma",)),
    "generalized gamma": GeneralizedGamma(),
    "gamma": GeneralizedGamma(case="gamma"),
    "log-normal": GeneralizedGamma(case="lognormal"),
    "hazard spline": Spline(constants=KNOTS),
    "odds spline": Spline(odds=True, constants=KNOTS),
}
ROWS = 60


def responses(rng: np.random.Generator) -> np.ndarray:
    """Exact, right-censored, left-censored and interval rows, some with late entry and a background hazard."""
    time, event, between = rng.weibull(1.3, ROWS), rng.random(ROWS) < 0.6, rng.random(ROWS) < 0.3
    entry = np.where(rng.random(ROWS) < 0.4, 0.3 * time, 0.0)
    lower = np.where(between, time * rng.choice([0.0, 0.5], ROWS), time)
    upper = np.where(between, 1.4 * time, np.where(event, time, np.inf))
    lower = np.where(between & (lower > 0), np.maximum(lower, entry), lower)
    return np.column_stack([entry, lower, upper, rng.choice([0.0, 0.3], ROWS)])


def predictors(rng: np.random.Generator, family: Survival) -> np.ndarray:
    eta = rng.normal(size=(len(family.parameters), ROWS)) * 0.4
    if isinstance(family, Spline):
        eta[1] = 3.0 + 0.2 * eta[1]
        eta[2:] *= 0.1
    return eta


def differences(function, eta: np.ndarray, step: float = 2e-3) -> np.ndarray:
    """Derivatives (P, ..., row) of (..., row) by central differences of eighth order."""
    weights = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280]) / step
    moves = step * np.arange(1, 5)
    found = []
    for place in range(len(eta)):
        unit = np.eye(len(eta))[place][:, None]
        sides = [np.asarray(function(eta + m * unit)) - np.asarray(function(eta - m * unit)) for m in moves]
        found.append(sum(w * side for w, side in zip(weights, sides, strict=True)))
    return np.stack(found)


@pytest.mark.parametrize("name", LAWS)
def test_closed_forms_are_derivatives_of_the_density(name):
    """Score and curvature of every row, with all terms; of the probability of entry too."""
    rng = np.random.default_rng(0)
    family = replace(LAWS[name], interval=True, entry=True, background=True)
    with jax.enable_x64(True):
        data = jnp.asarray(family.encode(responses(rng), "y"))
        eta = predictors(rng, family)
        for density, moved in (
            (family.log_density, family.score_and_curvature),
            (family.log_entry, Entry(family).score_and_curvature),
        ):
            value = jax.jit(lambda e, density=density: density(tuple(e), data))
            both = jax.jit(lambda e, moved=moved: moved(e, data))
            score, curvature = both(eta)
            np.testing.assert_allclose(score, differences(value, eta), rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(curvature, differences(lambda e, f=both: f(e)[0], eta), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["generalized gamma", "gamma", "log-normal", "odds spline", "hazard spline"])
def test_a_time_of_zero_has_finite_derivatives(name):
    """Late entry at 0 and curves from time 0 on: log H is finite, H and its derivatives are 0."""
    family = LAWS[name]
    with jax.enable_x64(True):
        eta = jnp.asarray(predictors(np.random.default_rng(2), family)[:, :5])
        zero = jnp.full(5, np.log(1e-300))
        constants = jnp.asarray(family.constants).reshape(-1, 1)
        logs, slopes = jax.jvp(lambda e: tuple(family.logs(tuple(e), zero, constants)), (eta,), (jnp.ones_like(eta),))
        total = family.jets(eta, zero, constants)[0].exp()
    assert np.isfinite(logs[0]).all()
    assert np.isfinite(slopes[0]).all()
    for part in total:
        np.testing.assert_allclose(part, 0.0, atol=1e-12)


def test_terms_that_no_row_needs_change_nothing():
    """A family with all terms gives the density of one with none to rows that need none."""
    rng = np.random.default_rng(1)
    y = np.column_stack([np.zeros(ROWS), rng.weibull(1.3, ROWS), np.full(ROWS, np.inf), np.zeros(ROWS)])
    y[::2, 2] = y[::2, 1]
    plain = APGW()
    full = replace(plain, interval=True, entry=True, background=True)
    with jax.enable_x64(True):
        eta = tuple(jnp.asarray(rng.normal(size=(4, ROWS)) * 0.4))
        one, other = (family.log_density(eta, jnp.asarray(family.encode(y, "y"))) for family in (plain, full))
        entry = full.log_entry(eta, jnp.asarray(full.encode(y, "y")))
    np.testing.assert_allclose(one, other, rtol=1e-14)
    np.testing.assert_array_equal(entry, 0.0)
