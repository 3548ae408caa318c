"""Distribution functions: scipy's in the bulk, multiple precision far out, the derivative is the density."""

import mpmath
import numpy as np
import pytest
from scipy import stats

import mixstat as ms
from mixstat.core.family import Tails
from mixstat.families import FAMILIES
from tests.families.cases import CASES, Case, density

ONE_NUMBER = [case for case in CASES if case.support not in ("levels", "plane")]
every_case = pytest.mark.parametrize("case", ONE_NUMBER, ids=str)
every_continuous = pytest.mark.parametrize("case", [c for c in ONE_NUMBER if not c.family.discrete], ids=str)
every_discrete = pytest.mark.parametrize("case", [c for c in ONE_NUMBER if c.family.discrete], ids=str)
mpmath.mp.dps = 80


def tails(case: Case, y: np.ndarray) -> Tails:
    y = np.asarray(y, dtype=float)
    data = case.encode(np.zeros(len(y))) if case.trials > 1 else None
    return case.family.tails(case.constants, y, data)


def at(name: str, eta: tuple[float, ...], y: float, **options) -> tuple[float, float]:
    family = FAMILIES[name]()
    found = family.tails([np.array([e]) for e in eta], np.array([y]), **options)
    return float(found.lower[0]), float(found.upper[0])


@every_case
def test_both_tails_equal_scipy(case: Case) -> None:
    law = case.scipy(*case.eta)
    y = np.concatenate([case.sample(200), law.ppf([1e-8, 1 - 1e-8]), [-3.0, 0.0, 0.5, 1.0, 2.5, 300.0]])
    found = tails(case, y)
    np.testing.assert_allclose(np.exp(found.lower), law.cdf(y), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(np.exp(found.upper), law.sf(y), rtol=1e-10, atol=1e-300)


@every_discrete
def test_masses_are_steps(case: Case) -> None:
    family, y = case.family, np.arange(case.trials + 1.0 if case.name == "binomial" else 40.0)
    data = case.encode(y) if case.trials > 1 else None
    below = family.tails_below(case.constants, y, data)
    step = family.cdf(case.constants, y, data) - np.exp(below.lower)
    mass = np.exp(density(family, np.stack(case.constants), case.encode(y)))
    np.testing.assert_allclose(step, mass, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(np.exp(below.lower) + np.exp(below.upper), 1.0, rtol=1e-14)
    assert below.lower[0] == -np.inf
    between = family.tails_below(case.constants, y + 0.5, data)
    np.testing.assert_array_equal(between.lower, family.tails(case.constants, y + 0.5, data).lower)


@every_continuous
def test_density_is_the_derivative(case: Case) -> None:
    family, y = case.family, case.scipy(*case.eta).ppf(np.linspace(0.02, 0.98, 25))
    h = 1e-5 * y
    slope = (family.cdf(case.constants, y + h) - family.cdf(case.constants, y - h)) / (2 * h)
    np.testing.assert_allclose(slope, np.exp(density(family, np.stack(case.constants), case.encode(y))), rtol=1e-6)
    np.testing.assert_array_equal(family.tails_below(case.constants, y).lower, family.tails(case.constants, y).lower)


@every_case
def test_tails_of_a_grid_of_values_by_rows(case: Case) -> None:
    values = case.sample(6).reshape(3, 2)
    eta = [np.repeat(e, 2) for e in case.constants]
    data = case.encode(np.zeros(2)) if case.trials > 1 else None
    both = case.family.tails(eta, values, data)
    single = tails(case, values.ravel())
    np.testing.assert_array_equal(both.lower.ravel(), single.lower)
    np.testing.assert_array_equal(both.upper.ravel(), single.upper)


def log_gamma_tail(shape: float, x: float, *, upper: bool) -> float:
    ends = (x, mpmath.inf) if upper else (0, x)
    return float(mpmath.log(mpmath.gammainc(mpmath.mpf(shape), *map(mpmath.mpf, ends), regularized=True)))


def log_beta_tail(a: float, b: float, x: mpmath.mpf) -> float:
    """log I_x(a, b) by the hypergeometric series x^a (1-x)^b 2F1(a + b, 1; a + 1; x) / (a B(a, b))."""
    a, b, x = (mpmath.mpf(v) for v in (a, b, x))
    series = mpmath.hyp2f1(a + b, 1, a + 1, x)
    return float(a * mpmath.log(x) + b * mpmath.log1p(-x) + mpmath.log(series / (a * mpmath.beta(a, b))))


@pytest.mark.parametrize(("shape", "x"), [(0.5, 900.0), (3.0, 800.0), (40.0, 2000.0), (2000.0, 5000.0)])
def test_far_upper_gamma_and_poisson(shape: float, x: float) -> None:
    expected = log_gamma_tail(shape, x, upper=True)
    assert at("gamma", (np.log(shape), np.log(shape)), x)[1] == pytest.approx(expected, rel=1e-11)
    if shape == int(shape):
        assert at("poisson", (np.log(x),), shape - 1)[0] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("shape", "x"), [(0.5, 1e-300), (3.0, 1e-120), (400.0, 10.0), (20_000.0, 14_000.0)])
def test_far_lower_gamma_and_poisson(shape: float, x: float) -> None:
    expected = log_gamma_tail(shape, x, upper=False)
    assert at("gamma", (np.log(shape), np.log(shape)), x)[0] == pytest.approx(expected, rel=1e-11)
    if shape == int(shape):
        assert at("poisson", (np.log(x),), shape - 1)[1] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("df", "z"), [(1.0, 1e200), (0.5, -1e120), (5.0, 1e80), (3000.0, 200.0), (1e6, -50.0)])
def test_far_student_t(df: float, z: float) -> None:
    found = at("student_t", (0.0, 0.0, np.log(df)), z)
    x = mpmath.mpf(df) / (df + mpmath.mpf(z) ** 2)
    expected = log_beta_tail(df / 2, 0.5, x) - np.log(2)
    assert found[z > 0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("z", [-60.0, -8.0, -1.0, 0.0, 2.0, 45.0])
def test_student_t_of_huge_df_is_gaussian(z: float) -> None:
    gaussian = at("gaussian", (0.0, 0.0), z)
    assert at("student_t", (0.0, 0.0, 60.0), z) == pytest.approx(gaussian, rel=1e-12)
    assert at("student_t", (0.0, 0.0, 1e5), z) == pytest.approx(gaussian, rel=1e-12)
    near, far = at("student_t", (0.0, 0.0, np.log(0.999e7)), z), at("student_t", (0.0, 0.0, np.log(1.001e7)), z)
    assert near == pytest.approx(far, rel=1e-6)


def test_far_beta_binomial_and_negative_binomial() -> None:
    a, b, x = 30.0, 50.0, 1e-14
    expected = log_beta_tail(a, b, x)
    assert at("beta", (np.log(a / b), np.log(a + b)), x)[0] == pytest.approx(expected, rel=1e-11)
    trials = np.array([[0.0], [5000.0], [0.0]])
    expected = log_beta_tail(3001, 2000, mpmath.mpf(1) / (1 + mpmath.exp(2)))
    assert at("binomial", (-2.0,), 3000.0, data=trials)[1] == pytest.approx(expected, rel=1e-11)
    mean, t = 4.0, 2.0
    expected = log_beta_tail(1001, t, mpmath.mpf(mean) / (t + mean))
    assert at("negative_binomial", (np.log(mean), -np.log(t)), 1000.0)[1] == pytest.approx(expected, rel=1e-11)
    assert expected < -390


@pytest.mark.parametrize(
    ("mean", "shape", "y"), [(1.0, 2.0, 1500.0), (1.0, 2.0, 1e-3), (2.0, 1e-8, 1e9), (1, 1e-6, 9.0)]
)
def test_inverse_gaussian_far_out(mean: float, shape: float, y: float) -> None:
    m, s, x = mpmath.mpf(mean), mpmath.mpf(shape), mpmath.mpf(y)
    u, v = mpmath.sqrt(s / x) * (x / m - 1), mpmath.sqrt(s / x) * (x / m + 1)
    reflected = mpmath.exp(2 * s / m) * mpmath.ncdf(-v)
    expected = float(mpmath.log(mpmath.ncdf(u) + reflected)), float(mpmath.log(mpmath.ncdf(-u) - reflected))
    assert at("inverse_gaussian", (np.log(mean), np.log(shape)), y) == pytest.approx(expected, rel=1e-8)


@every_case
def test_no_number_is_lost_anywhere(case: Case) -> None:
    y = np.concatenate([[0.0], 10.0 ** np.arange(-300, 300, 25)])
    found = tails(case, np.concatenate([-y[::-1], y]))
    assert not np.isnan(found.lower).any()
    assert not np.isnan(found.upper).any()
    assert (found.lower[1:] >= found.lower[:-1]).all()
    assert (found.upper[1:] <= found.upper[:-1]).all()


@pytest.mark.parametrize("name", ["categorical", "multivariate_gaussian", "diagonal_gaussian"])
def test_families_without_one_say_so(name: str) -> None:
    with pytest.raises(ms.OptionError, match=f"family '{name}' has no distribution function"):
        FAMILIES[name]().cdf([np.zeros(1)], np.zeros(1))


def test_every_family_of_one_number_has_one() -> None:
    assert {case.name for case in ONE_NUMBER} == {
        name for name, family in FAMILIES.items() if family.tails is not ms.Family.tails
    }


def test_a_users_family_may_give_one() -> None:
    class Laplace(ms.Family):
        name = "laplace"

        def tails(self, eta, y, data=None):
            low = np.minimum(y - eta[0], 0.0) - np.log(2.0)
            high = np.minimum(eta[0] - y, 0.0) - np.log(2.0)
            left = y < eta[0]
            return ms.Tails(np.where(left, low, np.log1p(-np.exp(high))), np.where(left, np.log1p(-np.exp(low)), high))

    y = np.array([-800.0, -1.0, 0.0, 2.0])
    np.testing.assert_allclose(Laplace().cdf([np.zeros(1)], y), stats.laplace.cdf(y))
    assert Laplace().tails_below([np.zeros(1)], y).lower[0] == -800.0 - np.log(2.0)
