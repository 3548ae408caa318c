"""Identities between families, over random responses and predictors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixstat.families import DiagonalGaussian, MultivariateGaussian, get_family

moderate = st.floats(-8, 8)
positive = st.floats(1e-6, 1e6)
once = settings(max_examples=40, deadline=None)


def density(name: str, y, *eta: float, levels: list | None = None) -> float:
    family = get_family(name).specialize(["y"], levels)
    return float(family.log_density([np.array([e]) for e in eta], family.encode(np.array([y], dtype=float), "y"))[0])


@once
@given(positive, moderate, moderate, st.floats(1e-3, 1e3))
def test_positive_families_change_units(y: float, mean: float, shape: float, unit: float) -> None:
    """y in other units: the density falls by the unit, and the mean (and lambda) moves by its log."""
    log_unit = float(np.log(unit))
    for name, moved in (
        ("gamma", (mean + log_unit, shape)),
        ("lognormal", (mean + log_unit, shape)),
        ("inverse_gaussian", (mean + log_unit, shape + log_unit)),
    ):
        here, there = density(name, y, mean, shape), density(name, y * unit, *moved) + log_unit
        assert there == pytest.approx(here, rel=1e-11, abs=1e-10)


@once
@given(st.floats(1e-6, 1 - 1e-6), moderate, moderate)
def test_beta_is_symmetric(y: float, mean: float, precision: float) -> None:
    mirror = 1.0 - y
    assert density("beta", 1.0 - mirror, mean, precision) == pytest.approx(
        density("beta", mirror, -mean, precision), rel=1e-11, abs=1e-10
    )


@once
@given(st.integers(0, 1), moderate)
def test_two_categories_are_a_binary_response(y: int, eta: float) -> None:
    expected = density("binomial", y, eta)
    assert density("categorical", y, eta, levels=[0, 1]) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@once
@given(st.integers(0, 10_000), moderate, moderate)
def test_negative_binomial_obeys_its_recurrence(y: int, mean: float, dispersion: float) -> None:
    """f(y + 1) / f(y) = (y + t) / (y + 1) mean / (t + mean), t = 1/dispersion."""
    ratio = density("negative_binomial", y + 1, mean, dispersion) - density("negative_binomial", y, mean, dispersion)
    t = np.exp(-dispersion)
    expected = np.log((y + t) / (y + 1)) - np.log1p(t * np.exp(-mean))
    assert ratio == pytest.approx(expected, rel=1e-9, abs=1e-9)


@once
@given(st.tuples(moderate, moderate), st.tuples(*[st.floats(-3, 3)] * 5))
def test_multivariate_gaussian_is_a_chain_of_regressions(y: tuple, eta: tuple) -> None:
    m1, m2, s1, s2, a = eta
    full, diagonal = MultivariateGaussian(("y1", "y2")), DiagonalGaussian(("y1", "y2"))
    chain = density("gaussian", y[0], m1, s1) + density("gaussian", y[1], m2 + a * (y[0] - m1), s2)
    data = np.array(y)[:, None]
    columns = [np.array([e]) for e in eta]
    assert float(full.log_density(columns, data)[0]) == pytest.approx(chain, rel=1e-11, abs=1e-11)
    zero = [*columns[:4], np.zeros(1)]
    np.testing.assert_allclose(full.log_density(zero, data), diagonal.log_density(columns[:4], data), rtol=1e-14)


@once
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_starts_of_counts_are_finite(counts: list[int]) -> None:
    for name in ("poisson", "negative_binomial"):
        family = get_family(name)
        data = family.encode(np.array(counts, dtype=float), "y")
        assert np.isfinite(family.start(data, np.ones(len(counts)))).all()
