"""Predictive distributions of hand-made laws: scores against closed forms and brute force, bisection over floats."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import beta, ndtri

from mixstat.families import Beta, Gamma, Gaussian, Lognormal, NegativeBinomial, Poisson, StudentT
from mixstat.inference.crps import crps, discrete_crps, gaussian_crps, integrated_crps
from mixstat.inference.distribution import AtomLaw, ExpertLaw, Law, Predictive, UniformLaw
from mixstat.inference.ordered_floats import from_key, smallest, to_key


def law(family, *eta: float, rows: int = 1) -> ExpertLaw:
    return ExpertLaw(family, np.repeat(np.array(eta, dtype=float)[:, None], rows, axis=1))


def mixture(*parts: tuple[float, Law], rows: int = 1) -> Predictive:
    weight = np.log([share for share, _ in parts])
    return Predictive(np.repeat(weight[:, None], rows, axis=1), tuple(part for _, part in parts))


def at_rows(score, predictive: Predictive, values: list[float]) -> np.ndarray:
    return score(predictive.take(np.zeros(len(values), dtype=int)), np.array(values))


GAUSSIANS = {
    "one": [(1.0, law(Gaussian(), 1.0, 0.5))],
    "two": [(0.3, law(Gaussian(), -1.0, 0.0)), (0.7, law(Gaussian(), 4.0, -1.0))],
    "needle": [(0.6, law(Gaussian(), 0.0, 0.0)), (0.4, law(Gaussian(), 1000.0, -9.0))],
    "far": [(0.5, law(Gaussian(), 0.0, 0.0)), (0.5, law(Gaussian(), 1e6, 3.0))],
    "atom": [(0.5, law(Gaussian(), 0.3, 0.0)), (0.5, AtomLaw(0.25))],
}


@pytest.mark.parametrize("parts", GAUSSIANS.values(), ids=GAUSSIANS)
def test_quadrature_equals_the_closed_form(parts):
    predictive, values = mixture(*parts), [-30.0, -1.0, 0.25, 1.7, 999.9999, 2e6]
    closed = at_rows(gaussian_crps, predictive, values)
    np.testing.assert_allclose(at_rows(integrated_crps, predictive, values), closed, rtol=1e-9)
    np.testing.assert_array_equal(at_rows(crps, predictive, values), closed)


def test_one_gaussian_by_its_textbook_formula():
    y, m, s = np.linspace(-8, 8, 9), 1.0, np.exp(0.5)
    z = (y - m) / s
    expected = s * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(at_rows(crps, mixture((1.0, law(Gaussian(), m, 0.5))), y), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [0.02, 0.5, 5.0, 1e6])
def test_one_gamma_by_its_textbook_formula(shape):
    """Of mean 1: Moeller and Scheuerer (2015), Quarterly J. of the Royal Meteorological Society 141, 3034-3046."""
    y = np.array([1e-9, 0.3, 0.999, 1.0, 1.7, 40.0])
    inner, outer = stats.gamma.cdf(y, shape, scale=1 / shape), stats.gamma.cdf(y, shape + 1, scale=1 / shape)
    expected = y * (2 * inner - 1) - (2 * outer - 1) - 1 / (shape * beta(0.5, shape))
    found = at_rows(crps, mixture((1.0, law(Gamma(), 0.0, np.log(shape)))), y)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("sigma", [0.01, 1.0, 4.0])
def test_one_lognormal_by_its_textbook_formula(sigma):
    """Baran and Lerch (2015), Quarterly J. of the Royal Meteorological Society 141, 2289-2299."""
    y = np.array([1e-9, 0.3, 0.999, 1.0, 1.7, 40.0])
    z = np.log(y) / sigma
    overlap = stats.norm.cdf(z - sigma) - stats.norm.sf(sigma / np.sqrt(2))
    expected = y * (2 * stats.norm.cdf(z) - 1) - 2 * np.exp(sigma**2 / 2) * overlap
    found = at_rows(crps, mixture((1.0, law(Lognormal(), 0.0, np.log(sigma)))), y)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def brute_force(predictive: Predictive, y: float, points: list[float]) -> float:
    """scipy's quadrature between given points, and to infinity beyond."""
    ends = sorted({y, *points})
    pieces = zip([-np.inf, *ends], [*ends, np.inf], strict=True)

    def error(z: float) -> float:
        return float((predictive.cdf(np.array([z]))[0] - (z >= y)) ** 2)

    return sum(integrate.quad(error, a, b, limit=200, epsabs=0, epsrel=1e-10)[0] for a, b in pieces)


OTHERS = {
    "student": (
        [(0.4, law(StudentT(), 0.0, 0.0, np.log(3.0))), (0.6, law(StudentT(), 5.0, -1.0, 1.5))],
        [0, 5, -50, 60],
    ),
    "gamma": ([(0.5, law(Gamma(), 0.0, -1.0)), (0.5, law(Gamma(), 1.0, 3.0))], [0.0, 0.01, 1, 3, 6, 20]),
    "lognormal": ([(0.2, law(Lognormal(), 0.0, 0.0)), (0.8, law(Lognormal(), 2.0, -2.0))], [0.0, 1, 6, 7, 8, 10, 100]),
    "beta": ([(0.5, law(Beta(), 0.0, 0.0)), (0.5, law(Beta(), 2.0, 4.0))], [0.0, 0.5, 0.8, 0.9, 1.0]),
    "noise": ([(0.9, law(Gaussian(), 0.0, 0.0)), (0.1, UniformLaw(-7.0, 12.5, False))], [-7.0, -2, 2, 12.5]),
    "inflated": ([(0.7, law(Gamma(), 0.0, 1.0)), (0.3, AtomLaw(0.0))], [0.0, 0.5, 1, 3, 8]),
    "mixed": ([(0.5, law(Gaussian(), -3.0, 0.0)), (0.5, law(Gamma(), 0.0, 0.0))], [-6, -3.0, 0.0, 1.0, 5.0]),
}


@pytest.mark.parametrize(("parts", "points"), OTHERS.values(), ids=OTHERS)
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_quadrature_equals_brute_force(parts, points):
    predictive, values = mixture(*parts), [0.7, 0.95, 4.0]
    expected = [brute_force(predictive, y, points) for y in values]
    np.testing.assert_allclose(at_rows(crps, predictive, values), expected, rtol=1e-7)


def test_heavy_tails():
    """Cauchy's, whose mean does not exist, and that of t with 2 degrees of freedom, at y = 0."""
    one = at_rows(crps, mixture((1.0, law(StudentT(), 0.0, 0.0, 0.0))), [0.0])[0]
    assert one == pytest.approx(np.log(4.0) / np.pi, rel=1e-9)
    two = at_rows(crps, mixture((1.0, law(StudentT(), 0.0, 0.0, np.log(2.0)))), [0.0])[0]
    assert two == pytest.approx(np.sqrt(2.0) * (1.0 - np.pi / 4.0), rel=1e-9)


COUNTS = {
    "poisson": [(0.3, law(Poisson(), 0.0)), (0.7, law(Poisson(), 2.5))],
    "inflated": [(0.6, law(NegativeBinomial(), 2.0, 0.0)), (0.4, AtomLaw(0.0))],
    "between": [(0.6, law(Poisson(), 1.0)), (0.4, AtomLaw(2.75))],
    "noise": [(0.9, law(Poisson(), 1.0)), (0.1, UniformLaw(0.0, 9.0, True))],
    "nearly sure": [(1.0, law(Poisson(), -20.0))],
    "large": [(1.0, law(Poisson(), 8.0))],
}


@pytest.mark.parametrize("parts", COUNTS.values(), ids=COUNTS)
def test_sums_over_steps(parts):
    predictive, values = mixture(*parts), [0.0, 3.0, 25.0, 2000.0]
    fine = np.arange(-10.0, 5000.0, 0.25)
    reached, beyond = (np.exp(side[:, 0]) for side in predictive.tails(fine[:, None]))
    expected = [0.25 * np.sum(np.where(fine >= y, beyond, reached) ** 2) for y in values]
    np.testing.assert_allclose(at_rows(discrete_crps, predictive, values), expected, rtol=1e-9)


def test_many_rows_at_once():
    rng = np.random.default_rng(0)
    mean, y = rng.normal(2.0, 1.5, 700), rng.poisson(5.0, 700).astype(float)
    predictive = Predictive(np.zeros((1, 700)), (ExpertLaw(Poisson(), mean[None]),))
    alone = [at_rows(crps, predictive.take(np.array([i])), [y[i]])[0] for i in range(0, 700, 70)]
    np.testing.assert_allclose(crps(predictive, y)[::70], alone, rtol=1e-12)


PLACES = np.array([-1e300, -3.7, -1.0, -1e-310, 0.0, 5e-324, 0.1, 1.0, 2.0, 12345.0, 7e250])


def test_smallest_is_exact_at_jumps():
    seen = []
    np.testing.assert_array_equal(
        smallest(lambda y: seen.append(1) or np.where(y >= PLACES, 1.0, -1.0), PLACES.shape), PLACES
    )
    assert len(seen) <= 67


def test_smallest_of_smooth_functions_takes_few_steps():
    seen = []
    found = smallest(lambda y: seen.append(1) or np.log(np.maximum(y, 5e-324)) - 2.0, (1,))
    assert found == pytest.approx(np.exp(2.0), rel=1e-15)
    assert len(seen) < 35


def test_smallest_whole_number():
    places, seen = np.array([-7.0, -0.5, 0.0, 2.0, 2.5, 1e6]), []
    found = smallest(lambda y: seen.append(1) or np.where(y >= places, 1.0, -1.0), places.shape, whole=True)
    np.testing.assert_array_equal(found, np.ceil(places))
    assert len(seen) < 45


def test_places_of_floats_are_in_order():
    assert (np.diff(to_key(PLACES)) > 0).all()
    np.testing.assert_array_equal(from_key(to_key(PLACES)), PLACES)
    assert from_key(to_key(np.array(0.0)) + 1) == 5e-324
    assert to_key(np.array(-0.0)) == to_key(np.array(0.0))


def test_quantiles_of_a_jump_are_the_atom():
    predictive = mixture((0.5, law(Gaussian(), 0.0, 0.0)), (0.5, AtomLaw(0.1)))
    below = 0.5 * stats.norm.cdf(0.1)
    found = predictive.quantile(np.array([1e-8, below, below + 1e-9, 0.6, below + 0.5 - 1e-9, 1 - 1e-8]))[:, 0]
    assert found[0] == pytest.approx(ndtri(2e-8), rel=1e-12)
    assert found[1] == pytest.approx(0.1, rel=1e-12)
    assert (found[2:5] == 0.1).all()
    assert found[5] == pytest.approx(-ndtri(2e-8), rel=1e-8)


def test_density_is_zero_outside_supports():
    y = np.array([[-1.0], [0.0], [0.5], [1.0], [2.0]])
    share, poisson = law(Beta(), 0.0, 1.0), law(Poisson(), 0.0)
    assert list(np.isfinite(share.log_density(y))[:, 0]) == [False, False, True, False, False]
    assert list(np.isfinite(poisson.log_density(y))[:, 0]) == [False, True, False, True, True]
    trials = ExpertLaw(Gaussian(), np.zeros((2, 1)))
    np.testing.assert_allclose(trials.log_density(y), stats.norm.logpdf(y))


def test_an_atom_belongs_to_the_point_mass():
    predictive = mixture((0.5, law(Gaussian(), 0.0, 0.0)), (0.5, AtomLaw(0.1)))
    found = predictive.log_density(np.array([[0.1], [0.2]]))[:, 0]
    np.testing.assert_allclose(found, [np.log(0.5), np.log(0.5) + stats.norm.logpdf(0.2)])


def test_uniform_laws():
    y = np.array([[-1.0], [0.0], [0.5], [3.0], [4.0]])
    counts, line = UniformLaw(0.0, 3.0, True), UniformLaw(0.0, 3.0, False)
    np.testing.assert_allclose(np.exp(counts.tails(y).lower)[:, 0], [0, 0.25, 0.25, 1, 1])
    np.testing.assert_allclose(np.exp(counts.tails_below(y).lower)[:, 0], [0, 0, 0.25, 0.75, 1])
    np.testing.assert_allclose(np.exp(counts.tails_below(y).upper)[:, 0], [1, 1, 0.75, 0.25, 0])
    np.testing.assert_allclose(np.exp(line.tails(y).upper)[:, 0], [1, 1, 2.5 / 3, 0, 0])
    np.testing.assert_allclose(np.exp(counts.log_density(y))[:, 0], [0, 0.25, 0, 0.25, 0])


def test_residuals_stay_finite_in_both_tails():
    predictive = mixture((0.5, law(Gaussian(), 0.0, 0.0)), (0.5, law(Gaussian(), 1.0, 0.0)), rows=4)
    found = predictive.residual(np.array([-1e6, -40.0, 42.0, 1e6]), np.full(4, 0.5))
    np.testing.assert_allclose(found, [-1e6, -40.0, 41.0, 999_999.0], rtol=1e-3)
    counts = mixture((1.0, law(Poisson(), 0.0)), rows=3)
    found = counts.residual(np.array([0.0, 1e4, 1e6]), np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(found).all()
    assert (np.diff(found) > 100).all()
