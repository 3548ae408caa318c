"""The hazard kernel: stored values, mpmath over kappa from -0.9999 to 1e14, derivatives, special cases, inverse."""

import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from mixstat.families.survival import APGW, hazard
from tests.survival import exact

FIXTURES = Path(__file__).parent / "fixtures"
KAPPAS = [
    *(-0.9999, -0.99, -0.9, -0.5, -1e-3, -1e-6, -1e-9, -1e-12, 0.0, 1e-14, 1e-10, 1e-3, 0.5, 0.999),
    *(1 - 1e-12, 1.0, 1 + 1e-12, 1.001, 2.0, 10.0, 1e3, 1e6, 1e9, 1e12, 1e14),
]
TIMES = [1e-10, 1e-6, 1e-3, 0.3, 1.0, 1.5, 5.0, 10.0, 100.0, 1e4, 1e7, 1e10]
LARGEST = mp.mpf(10) ** 300


@cache
def stored() -> list[dict[str, float]]:
    rows = json.loads((FIXTURES / "golden_values.json").read_text(encoding="utf-8"))
    return [{name: float(value) for name, value in row.items()} for row in rows]


def predictors(*values: float) -> list[jax.Array]:
    return [jnp.array([value]) for value in values]


def logs(family: APGW, eta: list, time: float) -> tuple[float, float]:
    found = family.logs(eta, jnp.log(jnp.array([time])), jnp.zeros((0, 1)))
    return float(found.cumulative[0]), float(found.hazard[0])


@pytest.mark.parametrize("fixed", [False, True])
def test_golden_values(fixed):
    """99 points, with kappa as a predictor and as a constant of the family."""
    for row in stored():
        nu = np.log1p(row["kappa"]) if np.isfinite(row["kappa"]) else 700.0
        eta = np.log([row["phi"], row["lam"], row["gam"]])
        with jax.enable_x64(True):
            family = APGW(kappa=row["kappa"]) if fixed else APGW()
            log_total, log_hazard = logs(family, predictors(*eta, *([] if fixed else [nu])), row["t"])
        assert np.exp(log_total) == pytest.approx(row["cumhaz"], rel=1e-13, abs=1e-13)
        assert log_hazard == pytest.approx(row["loghaz"], rel=1e-13, abs=1e-13)
        assert log_hazard - np.exp(log_total) == pytest.approx(row["logpdf"], rel=1e-13, abs=1e-13)


def test_values_at_all_shapes_and_times():
    """log H and log h to 1e-14 (1 + |value|); H to 5e-16 (10 + |log H|) of itself, or infinite with a finite log H."""
    time, kappa = (np.array(values) for values in zip(*[(t, k) for k in KAPPAS for t in TIMES], strict=True))
    nu = np.log1p(kappa)
    with jax.enable_x64(True):
        found = hazard.logs(jnp.log(time), jnp.asarray(nu))
    with np.errstate(over="ignore"):
        total = np.exp(np.asarray(found.cumulative))
    with mp.workdps(60):
        for i in range(len(time)):
            u = mp.log(mp.mpf(time[i]))
            log_h, log_h0 = exact.log_total(u, nu[i]), exact.log_hazard(u, nu[i])
            assert abs(float(found.cumulative[i]) - log_h) < 1e-14 * (1 + abs(log_h))
            assert abs(float(found.hazard[i]) - log_h0) < 1e-14 * (1 + abs(log_h0))
            if log_h < 709:
                assert abs(total[i] / mp.exp(log_h) - 1) < 5e-16 * (10 + abs(log_h))
            else:
                assert np.isinf(total[i])


@pytest.mark.parametrize("eta", [(0.8, 1.3, 1.7), (2.5, 0.2, 0.6), (1.0, 1.0, 3.0), (1e-3, 50.0, 0.3)])
def test_values_with_all_parameters(eta):
    """The rounding of log t and of gamma log t is part of the error."""
    log_phi, log_lambda, log_gamma = map(float, np.log(eta))
    with mp.workdps(60), jax.enable_x64(True):
        for kappa in KAPPAS[::2]:
            nu = float(np.log1p(kappa))
            for time in TIMES[::2]:
                found = logs(APGW(), predictors(log_phi, log_lambda, log_gamma, nu), time)
                for value, reference in zip(found, exact.law(time, log_phi, log_lambda, log_gamma, nu), strict=True):
                    assert abs(value - reference) < 1e-14 * (1 + abs(reference))


def test_derivatives_at_all_shapes():
    """First and second derivatives by log z and log(kappa + 1): 1e-12 (1 + |value|), asked for are 1e-8."""
    places = [(float(np.log(t)), float(np.log1p(k))) for k in KAPPAS for t in TIMES[::2]]
    with jax.enable_x64(True):
        u, nu = (jnp.asarray(np.array(values)) for values in zip(*places, strict=True))
        slopes, bends = hazard.slopes(u, nu), hazard.bends(u, nu)
    with mp.workdps(exact.DIGITS):
        for i, place in enumerate(places):
            total, hazard_ = exact.log_total, exact.log_hazard
            references = [
                *(*exact.first(total, *place), *exact.first(hazard_, *place)),
                *(*exact.second(total, *place), *exact.second(hazard_, *place)),
            ]
            for found, reference in zip([*slopes, *bends], references, strict=True):
                if abs(reference) < LARGEST:
                    assert abs(float(found[i]) - reference) < 1e-12 * (1 + abs(reference)), place


@jax.jit
def by_autodiff(u: jax.Array, nu: jax.Array) -> tuple:
    """log H0 and log h0 with gradient and Hessian."""

    def both(at: jax.Array) -> jax.Array:
        return jnp.stack(hazard.logs(at[0], at[1]))

    at = jnp.stack([u, nu], axis=-1)
    return jax.vmap(both)(at), jax.vmap(jax.jacfwd(both))(at), jax.vmap(jax.jacfwd(jax.jacrev(both)))(at)


def test_nothing_is_undefined_at_the_limits():
    """Values, automatic gradients and Hessians at w = 1/(kappa + 1) exactly 0, 1/2 and 1."""
    u, nu = (part.ravel() for part in np.meshgrid([-700.0, -30.0, 0.0, 3.0, 6.0], [800.0, np.log(2.0), 0.0]))
    with jax.enable_x64(True):
        found = by_autodiff(jnp.asarray(u), jnp.asarray(nu))
    assert all(np.isfinite(part).all() for part in found)


def test_automatic_derivatives_are_those_in_closed_form():
    u, nu = np.array([[0.3, 2.0, -1.0, 1.0, 4.0], [0.2, 0.0, np.log(2.0), 600.0, -3.0]])
    with jax.enable_x64(True):
        u, nu = jnp.asarray(u), jnp.asarray(nu)
        _, first, second = by_autodiff(u, nu)
        slopes, bends = hazard.slopes(u, nu), hazard.bends(u, nu)
    np.testing.assert_allclose(first.reshape(-1, 4).T, slopes, rtol=1e-12, atol=1e-14)
    upper = np.asarray(second)[:, :, *np.triu_indices(2)]
    np.testing.assert_allclose(upper.reshape(-1, 6).T, bends, rtol=1e-12, atol=1e-14)


def total(kappa: float, phi: float, lam: float, gamma: float, time: float) -> float:
    """H, by the family with kappa as a predictor."""
    nu = 700.0 if np.isinf(kappa) else float(np.log1p(kappa))
    with jax.enable_x64(True):
        return float(np.exp(logs(APGW(), predictors(*np.log([phi, lam, gamma]), nu), time)[0]))


@pytest.mark.parametrize("t", [0.05, 0.7, 3.0])
def test_special_cases(t):
    """The table of named cases: H of each written out."""
    a, c, b = 1.3, 0.7, 1.6
    cases = {
        "exponential": (total(1, 1.0, b, 1.0, t), b * t),
        "Weibull": (total(1, a, b, c, t), b * a**c * t**c),
        "log-logistic": (total(0, 1 / a, 1.0, b, t), np.log1p((t / a) ** b)),
        "Burr XII": (total(0, 1 / a, c, b, t), c * np.log1p((t / a) ** b)),
        "Lomax": (total(0, a, c, 1.0, t), c * np.log1p(a * t)),
        "Gompertz": (total(np.inf, a, b, 1.0, t), b * np.expm1(a * t)),
        "exponential power": (total(np.inf, a, 1.0, c, t), np.expm1((a * t) ** c)),
        "Chen": (total(np.inf, 1.0, b, c, t), b * np.expm1(t**c)),
        "linear hazard": (total(2, a, b, 1.0, t), b * (a * t + (a * t) ** 2 / 6)),
        "Nikulin-Haghighi": (
            total(c, (c + 1) ** (1 / b) / a, c / (c + 1), b, t),
            (1 + (t / a) ** b) ** c - 1,
        ),
        "mpr": (total(c, (c + 1) ** (1 / b), a * c / (c + 1), b, t), a * ((1 + t**b) ** c - 1)),
        "promotion time": (
            total(-0.4, 1 / a, c, b, t),
            c * 0.6 / 0.4 * (1 - (1 + (t / a) ** b / 0.6) ** -0.4),
        ),
    }
    for name, (found, expected) in cases.items():
        assert found == pytest.approx(expected, rel=1e-12), name


def test_the_inverse_goes_back():
    """z(H(z)) at every shape, and back; infinite beyond the share that ever has the event."""
    with jax.enable_x64(True):
        for kappa in KAPPAS:
            nu = jnp.asarray(np.log1p(kappa))
            u = jnp.linspace(-20.0, 4.0, 25)
            found = hazard.logs(u, nu)
            back = hazard.inverse(found.cumulative, nu)
            # Where H is flat (or steep) an error of log H is one of log z: what log H can say is compared.
            again = hazard.logs(back, nu).cumulative
            flat = np.asarray(hazard.slopes(u, nu).cumulative_u) < 1e-6
            np.testing.assert_allclose(
                np.where(flat, 0, again), np.where(flat, 0, found.cumulative), rtol=1e-12, atol=1e-12
            )
            assert (np.abs(np.asarray(back - u))[~flat] < 1e-8 * (1 + np.abs(np.asarray(u))[~flat])).all()


@pytest.mark.parametrize("kappa", [-0.9, -0.5, -1e-3])
def test_quantiles_of_the_cured_share_are_infinite(kappa):
    """H stops at lambda (kappa + 1)/|kappa|."""
    most = np.log((kappa + 1) / abs(kappa))
    with jax.enable_x64(True):
        nu = jnp.asarray(np.log1p(kappa))
        below, beyond = hazard.inverse(jnp.array([most - 1e-3, most + 1e-3]), nu)
        assert np.isfinite(below)
        assert np.isinf(beyond)
        cured = APGW().log_total(predictors(0.3, 0.2, 0.1, np.log1p(kappa)), jnp.zeros((0, 1)))
    assert float(cured[0]) == pytest.approx(0.2 + most, rel=1e-12)


def test_the_share_that_is_cured_is_none_where_kappa_is_not_negative():
    with jax.enable_x64(True):
        found = APGW().log_total(predictors(0.0, 0.0, 0.0, 0.0), jnp.zeros((0, 1)))
    assert np.exp(-np.exp(float(found[0]))) == 0.0


def test_quantiles_invert_the_distribution():
    """F(Q(p)) = p and Q(F(t)) = t for every kind of baseline."""
    eta = np.array([0.3, -0.2, 0.4])
    p = np.array([1e-8, 0.1, 0.5, 0.9, 1 - 1e-8])
    with jax.enable_x64(True):
        for kappa in (-0.5, 0.0, 0.5, 1.0, 3.0, np.inf):
            family = APGW(kappa=kappa)
            rows = [jnp.full(len(p), value) for value in eta]
            log_h = jnp.log(-jnp.log1p(-p))
            log_time = family.log_time(rows, log_h, jnp.zeros((0, 1)))
            reached = np.isfinite(np.asarray(log_time))
            again = family.logs(rows, jnp.where(reached, log_time, 0.0), jnp.zeros((0, 1))).cumulative
            np.testing.assert_allclose(-np.expm1(-np.exp(again))[reached], p[reached], rtol=1e-12)
            share = 1 - np.exp(-np.exp(-0.2) * (kappa + 1) / -kappa) if kappa < 0 else 1.0
            np.testing.assert_array_equal(reached, p < share)
