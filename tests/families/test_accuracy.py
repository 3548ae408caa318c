"""Log-densities and derivatives against multiple precision, in the middle and far out, and their limits."""

import itertools

import mpmath as mp
import numpy as np
import pytest

from mixstat.core.family import Family
from mixstat.families import get_family
from tests.families import exact
from tests.families.cases import density, derivatives

FAR = (-30.0, -3.1, 0.7, 13.7, 30.0)
NEAR = float(np.log(1e6)) + 1e-4
GRIDS: dict[str, tuple[list, list]] = {
    "gaussian": ([-1e6, 0.1, 1e10], [[-3.0, 40.0], FAR]),
    "student_t": ([-2.3, 1e10], [[0.3], [-12.0, -0.4, 13.0], FAR]),
    "lognormal": ([1e-10, 2.0, 1e10], [[-3.0, 20.0], FAR]),
    "gamma": ([1e-10, 1.7, 1e10], [FAR, FAR]),
    "inverse_gaussian": ([1e-10, 1.7, 1e10], [FAR, FAR]),
    "beta": ([1e-10, 0.3, 1 - 1e-9], [FAR, FAR]),
    "poisson": ([0, 1, 17, 1e6, 123456789.0], [[*FAR, NEAR]]),
    "negative_binomial": ([0, 3, 1e6], [[*FAR, NEAR], [-40.0, *FAR]]),
    "binomial": ([(0, 1), (1, 1), (3, 10), (10, 10), (5e5, 1e6)], [[*FAR, 1e-3]]),
    "categorical": ([0, 1, 2], [FAR, FAR]),
}


def family_of(name: str) -> Family:
    return get_family(name).specialize(["y"], ["a", "b", "c"] if name == "categorical" else None)


def exact_density(name: str, y):
    if name == "binomial":
        return lambda eta: exact.binomial(mp.mpf(y[0]), eta, mp.mpf(y[1]))
    return lambda *eta: getattr(exact, name)(mp.mpf(float(y)), *eta)


@pytest.mark.parametrize("name", GRIDS)
def test_value_score_and_curvature_are_right(name: str) -> None:
    """Up to rounding of the predictors themselves: eps x score in the curvature, eps x eta x curvature in the score."""
    responses, grids = GRIDS[name]
    points = list(itertools.product(responses, *grids))
    eta = np.array([p[1:] for p in points]).T
    family = family_of(name)
    data = family.encode(np.array([p[0] for p in points], dtype=float), "y")
    value = density(family, eta, data)
    score, curvature = derivatives(family, eta, data)
    for i, (y, *place) in enumerate(points):
        function, place = exact_density(name, y), [mp.mpf(e) for e in place]
        gradient, hessian = exact.derivatives(function, place)
        expected = float(function(*place))
        assert value[i] == pytest.approx(expected, rel=1e-13, abs=1e-13), points[i]
        slope, bend = np.array(gradient, dtype=float), np.array(hessian, dtype=float)
        room = np.abs(slope) + np.abs(bend) @ np.abs(eta[:, i])
        assert np.all(np.abs(score[:, i] - slope) <= 1e-13 * (1 + room)), points[i]
        room = np.abs(bend) + np.abs(slope)[:, None] + np.abs(slope)
        assert np.all(np.abs(curvature[:, :, i] - bend) <= 1e-13 * (1 + room)), points[i]


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("size", [30.0, 300.0])
def test_derivatives_are_finite_wherever_the_density_is(name: str, size: float) -> None:
    family = family_of(name)
    links = [p.link != "identity" or p.key == "logit" for p in family.parameters]
    grids = [(-size, 0.0, 0.5, size) if link else (0.0, 1e10) for link in links]
    points = list(itertools.product(GRIDS[name][0], *grids))
    eta = np.array([p[1:] for p in points]).T
    data = family.encode(np.array([p[0] for p in points], dtype=float), "y")
    value = density(family, eta, data)
    score, curvature = derivatives(family, eta, data)
    assert not np.isnan(value).any()
    finite = np.isfinite(value)
    if size <= 30:
        assert finite.all()
    both = np.sum(np.abs(eta[links]) >= size, axis=0) > 1
    assert np.isfinite(score[:, finite]).all()
    assert np.isfinite(curvature[..., finite & ~both]).all()
    assert not np.isnan(curvature[..., finite]).any()


def test_negative_binomial_tends_to_poisson() -> None:
    y = np.array([0.0, 1.0, 9.0, 1e5, 1e5 + 300])
    eta = np.array([0.3, 0.1, 2.0, np.log(1e5), np.log(1e5)])
    family, limit = get_family("negative_binomial"), get_family("poisson")
    target = np.asarray(limit.log_density((eta,), limit.encode(y, "y")))
    for log_dispersion in (-40.0, -60.0, -500.0, -1e6):
        both = np.stack([eta, np.full(5, log_dispersion)])
        found = density(family, both, family.encode(y, "y"))
        np.testing.assert_allclose(found, target, rtol=1e-13, atol=2e-8 * np.exp(max(log_dispersion + 40, -40)))
        score, curvature = derivatives(family, both, family.encode(y, "y"))
        np.testing.assert_allclose(score[0], y - np.exp(eta), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(score[1], 0.0, atol=1e-7)
        np.testing.assert_allclose(curvature[1], 0.0, atol=1e-7)


def test_student_t_tends_to_the_gaussian() -> None:
    y = np.array([-3.0, 0.0, 0.7, 12.0])
    target = get_family("gaussian").log_density((np.array([0.2]), np.array([0.4])), y[None])
    for log_df in (36.0, 100.0, 1e4):
        found = get_family("student_t").log_density((np.array([0.2]), np.array([0.4]), np.array([log_df])), y[None])
        np.testing.assert_allclose(found, target, rtol=2e-13)


@pytest.mark.parametrize("name", ["gamma", "beta", "inverse_gaussian"])
def test_large_precision_tends_to_a_narrow_gaussian(name: str) -> None:
    """At 1e12, five points within two standard deviations: no cancellation in lgamma(shape) - shape log(shape)."""
    family, log_precision = get_family(name), np.log(1e12)
    centre = 0.5 if name == "beta" else 1.0
    sigma = np.sqrt(centre * (1 - centre) / 1e12) if name == "beta" else 1e-6
    y = centre + sigma * np.linspace(-2, 2, 5)
    found = family.log_density((np.array([0.0]), np.array([log_precision])), family.encode(y, "y"))
    expected = -0.5 * ((y - centre) / sigma) ** 2 - np.log(sigma * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    reference = [float(getattr(exact, name)(mp.mpf(float(v)), mp.mpf(0), mp.mpf(float(log_precision)))) for v in y]
    # log y carries half a unit of the last place of 1e-6 deviations, times the precision 1e12 x 1e-6.
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-9)
