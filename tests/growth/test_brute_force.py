"""The brute-force reference against stored log-likelihoods, statsmodels, formulas of the literature and identities."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.linalg import block_diag, toeplitz
from scipy.special import logsumexp, softmax
from statsmodels.regression.mixed_linear_model import MixedLM

from tests.growth import brute_force as bf
from tests.growth.brute_force import GrowthClass, MultivariateClass, Trajectory, Unit

FIXTURES = Path(__file__).parent / "fixtures"
BILINEAR = ("full_joint", "full_fixed", "expert_joint", "expert_fixed", "gate_only", "finite_mixture")
LINEAR = (
    *("one_class", "one_class_idiag", "one_class_bm", "two_class"),
    *("two_class_nwg", "two_class_idiag", "two_class_ar", "two_class_bm"),
)
TIMES = np.array([0.0, 0.8, 2.1, 3.3, 3.9, 5.2])
PSI = np.array([[4.0, 0.6, -0.3, 0.2], [0.6, 1.0, 0.1, 0.1], [-0.3, 0.1, 0.8, -0.1], [0.2, 0.1, -0.1, 0.5]])


@cache
def stored(name: str) -> tuple[dict, pd.DataFrame]:
    values = json.loads((FIXTURES / f"growth_{name}.json").read_text(encoding="utf-8"))
    return values["certified"], pd.read_csv(FIXTURES / f"growth_{name}.csv")


def symmetric(lower: list[float]) -> np.ndarray:
    """A symmetric matrix from its lower triangle by rows."""
    size = int((np.sqrt(8 * len(lower) + 1) - 1) / 2)
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = lower
    return matrix + np.tril(matrix, -1).T


def bilinear_class(values: dict, name: str) -> GrowthClass:
    """A class of growth_bilinear_missing.json: every parameter its own."""
    get = {key.split(".")[1]: value for key, value in values.items() if key.startswith(name)}.get
    beta = [[get(f"beta_eta{factor}_ex1")] for factor in range(3)]
    joint = get("mean_ex1") is not None
    return GrowthClass(
        Trajectory(bf.bilinear, [get("eta0"), get("eta1"), get("eta2")], [get("knot")]),
        psi=symmetric([get(f"psi{pair}") for pair in ("00", "10", "11", "20", "21", "22")]),
        residual=bf.iid(get("theta")),
        beta=None if beta[0][0] is None else np.array(beta),
        mean_x=np.array([get("mean_ex1")]) if joint else None,
        covariance_x=np.array([[get("var_ex1")]]) if joint else None,
    )


def bilinear_model(name: str) -> tuple[list[GrowthClass], np.ndarray, dict]:
    certified = stored("bilinear_missing")[0][name]
    values = certified["estimates"]
    late = [value for key, value in values.items() if key.startswith("gate_late")]
    classes = [bilinear_class(values, "early"), bilinear_class(values, "late")]
    return classes, np.array([np.zeros(len(late)), late]), certified


@cache
def units_of(name: str, x: str, *g: str) -> list[Unit]:
    return bf.read_units(stored(name)[1], unit="id", x=[x], g=g)


def bilinear_units(name: str) -> list[Unit]:
    """Units of growth_bilinear_missing.csv with the covariates of a model."""
    unused = {} if name.startswith(("full", "gate")) else {"g": np.zeros(0)}
    unused |= {} if name.startswith(("full", "expert")) else {"x": np.zeros(0)}
    return [unit._replace(**unused) for unit in units_of("bilinear_missing", "ex1", "gx1", "gx2")]


@pytest.mark.reference
@pytest.mark.parametrize("name", BILINEAR)
def test_bilinear_mixture(name):
    classes, gate, certified = bilinear_model(name)
    joint = bf.joint_log_density(bilinear_units(name), classes, gate)
    assert logsumexp(joint, axis=1).sum() == pytest.approx(certified["loglik"], abs=1e-6)
    posterior = softmax(joint, axis=1)
    np.testing.assert_array_equal(np.bincount(posterior.argmax(axis=1)), certified["modal_counts"])
    np.testing.assert_allclose(posterior.mean(axis=0), certified["mean_class_prob"], atol=2e-6)


def linear_class(values: dict, prefix: str) -> GrowthClass:
    """A class of growth_linear.json: own intercept and slope, the rest in common."""
    get = values.get
    if "cov_intercept_time" in values:
        psi = symmetric([get("var_intercept"), get("cov_intercept_time"), get("var_time")])
    else:
        psi = np.diag([get("var_intercept", 0.0), get("var_time", 0.0)])
    process = []
    if "ar_sd" in values:
        process = [bf.autoregressive(get("ar_rate"), get("ar_sd"))]
    elif "bm_sd" in values:
        process = [bf.brownian(get("bm_sd"))]
    return GrowthClass(
        Trajectory(bf.linear, [values[prefix + "intercept"], values[prefix + "time"]]),
        psi=bf.proportional(psi, get("w_class1", 1.0) if prefix == "class1." else 1.0),
        residual=bf.total(*process, bf.iid(get("sigma") ** 2)),
        beta=np.array([[get("x")], [0.0]]),
    )


@pytest.mark.reference
@pytest.mark.parametrize("name", LINEAR)
def test_linear_mixture(name):
    certified = stored("linear")[0]
    values = certified[name]["estimates"]
    first = [value for key, value in values.items() if key.startswith("gate_class1")]
    gate = np.array([first, np.zeros(3)]) if first else np.zeros((1, 3))
    classes = [linear_class(values, prefix) for prefix in (("class1.", "class2.") if first else ("",))]
    units = units_of("linear", "x", "z1", "z2")
    assert bf.mixture_log_likelihood(units, classes, gate) == pytest.approx(certified[name]["loglik"], abs=1e-6)


@pytest.mark.parametrize(("degree", "curve"), [(1, bf.linear), (2, bf.quadratic), (2, bf.change_quadratic)])
def test_mixed_model_of_statsmodels(degree, curve):
    rng = np.random.default_rng(3)
    unit, time = np.repeat(np.arange(60), 6), np.tile(np.arange(6.0), 60) * rng.uniform(0.9, 1.1, 360)
    design = np.vander(time, degree + 1, increasing=True)
    effects = rng.normal([5, -1, 0.4], [1.5, 0.8, 0.5], (60, 3))[:, : degree + 1]
    y = (design * effects[unit]).sum(axis=1) + rng.normal(0, 0.7, 360)
    fit = MixedLM(y, design, unit, exog_re=design).fit(reml=False)
    parameters = GrowthClass(Trajectory(curve, fit.fe_params), fit.cov_re, bf.iid(fit.scale))
    units = bf.read_units(pd.DataFrame({"unit": unit, "time": time, "y": y}))
    assert bf.mixture_log_likelihood(units, [parameters], np.zeros((1, 1))) == pytest.approx(fit.llf, rel=1e-9)


def test_normal_density_with_missing_values():
    rng = np.random.default_rng(4)
    values, covariance = rng.normal(size=4), PSI + np.eye(4)
    expected = stats.multivariate_normal(np.ones(4), covariance).logpdf(values)
    assert bf.normal_log_density(values, np.ones(4), covariance) == pytest.approx(expected, rel=1e-12)
    expected = stats.multivariate_normal(np.ones(2), covariance[np.ix_([1, 3], [1, 3])]).logpdf(values[[1, 3]])
    values[[0, 2]] = np.nan
    assert bf.normal_log_density(values, np.ones(4), covariance) == pytest.approx(expected, rel=1e-12)
    assert bf.normal_log_density(np.full(4, np.nan), np.ones(4), covariance) == 0.0


def spec_loadings(name: str) -> tuple[Trajectory, list[np.ndarray]]:
    """A trajectory with its loadings written out as in the literature."""
    t, one = TIMES, np.ones_like(TIMES)
    middle, widths = (t[1:] + t[:-1]) / 2, np.diff(t)
    knot, rate = 2.6, -0.4

    def total(change):
        return np.append(0.0, np.cumsum(change * widths))

    since, smooth = t - knot, np.sqrt((t - knot) ** 2 + 1e-6)
    cases = {
        "linear": (Trajectory(bf.linear, [3, -1]), [one, t]),
        "cubic": (Trajectory(bf.polynomial(3), [3, -1, 2, 1]), [one, t, t**2, t**3]),
        "exponential": (
            Trajectory(bf.negative_exponential, [3, 5], [-rate], [0]),
            [one, 1 - np.exp(rate * t), 5 * t * np.exp(rate * t)],
        ),
        "jenss_bayley": (
            Trajectory(bf.jenss_bayley, [3, 1, -2], [rate], [0]),
            [one, t, np.exp(rate * t) - 1, -2 * t * np.exp(rate * t)],
        ),
        "bilinear": (Trajectory(bf.bilinear, [3, 1, -2], [knot]), [one, np.minimum(t, knot), np.maximum(since, 0)]),
        "bilinear_random": (
            Trajectory(bf.bilinear, [3, 1, -2], [knot], [0]),
            [one, np.minimum(t, knot), np.maximum(since, 0), np.where(t > knot, 1 + 2, 0)],
        ),
        "bilinear_primed": (
            Trajectory(bf.smoothed_bilinear_primed, [3, 1, -2], [knot], [0]),
            [one, since, smooth, -1 + 2 * since / smooth],
        ),
        "trilinear": (
            Trajectory(bf.trilinear, [3, 1, -2, 4], [1.5, 3.5]),
            [one, np.minimum(t, 1.5), np.clip(t, 1.5, 3.5) - 1.5, np.maximum(t - 3.5, 0)],
        ),
        "change_exponential": (
            Trajectory(bf.change_exponential, [3, 5], [-rate], [0]),
            [one, total(-rate * np.exp(rate * middle)), total(5 * (1 + rate * middle) * np.exp(rate * middle))],
        ),
        "change_jenss_bayley": (
            Trajectory(bf.change_jenss_bayley, [3, 1, -2], [rate], [0]),
            [one, t, total(rate * np.exp(rate * middle)), total(-2 * (1 + rate * middle) * np.exp(rate * middle))],
        ),
        "change_rates": (
            Trajectory(bf.change_rates, [3, 2], [0.5, 2.0, 0.1, 1.5]),
            [one, total([1, 0.5, 2.0, 0.1, 1.5])],
        ),
        "cumulated_rates": (
            Trajectory(bf.cumulated_rates([0, 2, 4, 5]), [3, 2], [0.5, 2.0]),
            [one, np.array([0, 0.8, 2 + 0.5 * 0.1, 2 + 0.5 * 1.3, 2 + 0.5 * 1.9, 3 + 2 * 1.2])],
        ),
        "latent_basis": (
            Trajectory(bf.latent_basis(TIMES), [3, 2], [0.1, 0.5, 0.4, 1.2]),
            [one, np.array([0, 0.1, 0.5, 0.4, 1.2, 1])],
        ),
    }
    return cases[name]


CURVES = (
    *("linear", "cubic", "exponential", "jenss_bayley", "bilinear", "bilinear_random", "bilinear_primed", "trilinear"),
    *("change_exponential", "change_jenss_bayley", "change_rates", "cumulated_rates", "latent_basis"),
)


@pytest.mark.parametrize("name", CURVES)
def test_loadings(name):
    trajectory, columns = spec_loadings(name)
    np.testing.assert_allclose(bf.loading_matrix(trajectory, TIMES), np.column_stack(columns), rtol=1e-12, atol=1e-12)
    linear_part = np.column_stack(columns[: len(trajectory.alpha)]) @ trajectory.alpha
    np.testing.assert_allclose(bf.mean_curve(trajectory, TIMES), linear_part, rtol=1e-12)


def test_change_scores_follow_their_curves_closely():
    times = np.linspace(0, 4, 401)
    for change, curve, alpha, rate in (
        (bf.change_exponential, bf.negative_exponential, [3.0, 5.0], 0.7),
        (bf.change_jenss_bayley, bf.jenss_bayley, [3.0, 1.0, -2.0], -0.7),
    ):
        exact, middle = (bf.mean_curve(Trajectory(each, alpha, [rate]), times) for each in (curve, change))
        np.testing.assert_allclose(middle, exact, atol=1e-4)
        assert np.abs(middle - exact).max() > 1e-9


def test_rates_at_common_times():
    alpha, rates = [3.0, 2.0], [0.5, 2.0, 0.1, 1.5]
    by_wave, by_time = Trajectory(bf.change_rates, alpha, rates), Trajectory(bf.cumulated_rates(TIMES), alpha, rates)
    np.testing.assert_allclose(bf.mean_curve(by_wave, TIMES), bf.mean_curve(by_time, TIMES), rtol=1e-13)
    basis = bf.loading_matrix(by_wave, TIMES)[:, 1]
    shares = basis[1:-1] / basis[-1]
    scaled = Trajectory(bf.latent_basis(TIMES), [3.0, 2.0 * basis[-1]], shares)
    np.testing.assert_allclose(bf.mean_curve(scaled, TIMES), bf.mean_curve(by_wave, TIMES), rtol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 1e-6, 0.1])
def test_direct_and_primed_random_knot(smoothing):
    rng = np.random.default_rng(5)
    alpha, knot, beta = np.array([90.0, -3.8, 1.2]), 2.6, rng.normal(size=(4, 2))
    means, deviations = bf.primed_to_direct(alpha, knot)
    direct = means @ [*alpha, knot]

    def parameters(curve, alpha, psi, beta):
        trajectory = Trajectory(lambda t, eta, c: curve(t, eta, c, smoothing), alpha, [knot], [0])
        return GrowthClass(trajectory, psi, bf.iid(0.7), beta, mean_x=np.array([0.3, -0.2]), covariance_x=np.eye(2))

    primed = parameters(bf.bilinear_primed, alpha, PSI, beta)
    back = parameters(bf.bilinear, direct[:3], deviations @ PSI @ deviations.T, deviations @ beta)
    for x in ([0.2, 1.0], [np.nan, 0.4]):
        unit = Unit(90 + rng.normal(size=6), TIMES, x=np.array(x))
        expected = bf.unit_log_density(unit, primed)
        assert bf.unit_log_density(unit, back) == pytest.approx(expected, abs=1e-9)
        fixed = [each._replace(mean_x=None, covariance_x=None) for each in (primed, back)]
        if np.isfinite(x).all():
            assert bf.unit_log_density(unit, fixed[1]) == pytest.approx(bf.unit_log_density(unit, fixed[0]), abs=1e-9)


def test_residual_covariances():
    unit = Unit(TIMES, TIMES, z=np.column_stack([np.ones(6), TIMES]), waves=np.array([0, 1, 2, 4, 5, 6]))
    np.testing.assert_allclose(np.diag(bf.by_occasion(np.arange(1, 8))(unit)), [1, 2, 3, 5, 6, 7])
    np.testing.assert_allclose(bf.log_linear([0.2, -0.1])(unit), np.diag(np.exp(0.4 - 0.2 * TIMES)))
    equal = unit._replace(times=np.arange(6.0))
    np.testing.assert_allclose(bf.autoregressive(0.5, 2.0)(equal), toeplitz(4 * np.exp(-0.5 * np.arange(6))))
    # Brownian motion is the sum of its independent increments.
    steps = np.tril(np.ones((6, 6))) * np.sqrt(np.diff(TIMES, prepend=0))
    np.testing.assert_allclose(bf.brownian(1.5)(unit), 2.25 * steps @ steps.T, atol=1e-12)
    both = bf.total(bf.brownian(1.5), bf.iid(0.3))(unit)
    np.testing.assert_allclose(both, 2.25 * steps @ steps.T + 0.3 * np.eye(6), atol=1e-12)


def conditional(**options) -> GrowthClass:
    trajectory = Trajectory(bf.jenss_bayley, [3.0, 1.0, -2.0], [-0.4], [0])
    return GrowthClass(trajectory, PSI, bf.iid(0.5), np.array([[1.0], [0.2], [-0.3], [0.1]]), **options)


JOINT = {"mean_x": np.array([0.4]), "covariance_x": np.array([[1.7]])}


def test_joint_covariates_are_fixed_ones_times_their_density():
    unit = Unit(np.array([3.0, 1.0, np.nan, 4.0, 2.0, 6.0]), TIMES, x=np.array([0.9]))
    expected = bf.unit_log_density(unit, conditional()) + stats.norm(0.4, np.sqrt(1.7)).logpdf(0.9)
    assert bf.unit_log_density(unit, conditional(**JOINT)) == pytest.approx(expected, abs=1e-10)
    no_outcome = unit._replace(y=np.full(6, np.nan))
    assert bf.unit_log_density(no_outcome, conditional()) == 0.0
    assert bf.unit_log_density(no_outcome, conditional(**JOINT)) == pytest.approx(
        stats.norm(0.4, np.sqrt(1.7)).logpdf(0.9), abs=1e-10
    )


def test_missing_joint_covariate_is_integrated():
    unit = Unit(np.array([3.0, 1.0, 2.0, 4.0, 2.0, 6.0]), TIMES, x=np.array([np.nan]))

    def integrand(x):
        return np.exp(bf.unit_log_density(unit._replace(x=np.array([x])), conditional(**JOINT)))

    value, _ = integrate.quad(integrand, -12, 12, epsabs=0, epsrel=1e-10)
    assert bf.unit_log_density(unit, conditional(**JOINT)) == pytest.approx(np.log(value), abs=1e-8)
    with pytest.raises(ValueError, match="missing under the fixed convention"):
        bf.unit_log_density(unit, conditional())


def test_time_varying_covariate():
    v = np.array([0.1, -0.5, 1.2, 0.3, 0.0, -1.0])
    unit = Unit(np.array([3.0, 1.0, 2.0, 4.0, 2.0, 6.0]), TIMES, x=np.array([0.9]), v=v)
    fixed = bf.unit_log_density(unit, conditional(kappa=0.8))
    moved = unit._replace(y=unit.y - 0.8 * v)
    assert fixed == pytest.approx(bf.unit_log_density(moved, conditional()), abs=1e-10)
    waves = {"mean_v": np.linspace(0, 1, 6), "variance_v": np.linspace(1, 2, 6)}
    joint = conditional(kappa=0.8, **waves, **JOINT)
    expected = stats.norm(waves["mean_v"], np.sqrt(waves["variance_v"])).logpdf(v).sum()
    expected += fixed + stats.norm(0.4, np.sqrt(1.7)).logpdf(0.9)
    assert bf.unit_log_density(unit, joint) == pytest.approx(expected, abs=1e-10)

    def integrand(value):
        return np.exp(bf.unit_log_density(unit._replace(v=np.array([*v[:2], value, *v[3:]])), joint))

    integral, _ = integrate.quad(integrand, -15, 15, epsabs=0, epsrel=1e-10)
    gap = unit._replace(v=np.where(np.arange(6) == 2, np.nan, v))
    assert bf.unit_log_density(gap, joint) == pytest.approx(np.log(integral), abs=1e-8)


def two_outcomes(cross: float, residual: float) -> MultivariateClass:
    psi = PSI.copy()
    psi[:2, 2:] *= cross
    psi[2:, :2] *= cross
    trajectories = (Trajectory(bf.linear, [3.0, 1.0]), Trajectory(bf.negative_exponential, [1.0, 4.0], [0.5]))
    return MultivariateClass(trajectories, psi, np.array([[0.5, residual], [residual, 0.9]]))


def test_two_outcomes_without_covariance_are_two_models():
    model = two_outcomes(0.0, 0.0)
    y = np.array([[3.0, 1.0], [4.0, np.nan], [5.0, 3.0], [np.nan, 4.0], [7.0, 4.0], [8.0, 6.0]])
    singles = [
        GrowthClass(each, model.psi[part, part], bf.iid(variance))
        for each, part, variance in zip(model.trajectories, (slice(0, 2), slice(2, 4)), (0.5, 0.9), strict=True)
    ]
    times = np.column_stack([TIMES, TIMES + 0.1])
    expected = sum(bf.unit_log_density(Unit(y[:, k], times[:, k]), singles[k]) for k in (0, 1))
    assert bf.unit_log_density(Unit(y, times), model) == pytest.approx(expected, abs=1e-10)


def test_two_outcomes_through_the_factors_of_one_unit():
    """log p(y) = log p(y | zeta) + log p(zeta) - log p(zeta | y) at any zeta."""
    model, zeta = two_outcomes(1.0, 0.3), np.array([0.4, -0.2, 0.6, 0.1])
    y = np.array([[3.0, 1.0], [4.0, 2.5], [5.0, 3.0], [6.5, 4.0], [7.0, 4.0], [8.0, 6.0]])
    mean = np.column_stack([3 + TIMES, 1 + 4 * (1 - np.exp(-0.5 * TIMES))])
    loadings = [block_diag([1, t], [1, 1 - np.exp(-0.5 * t)]) for t in TIMES]  # one wave: (outcome, factor)
    noise = np.linalg.inv(model.residual)
    precision = np.linalg.inv(model.psi) + sum(each.T @ noise @ each for each in loadings)
    score = sum(each.T @ noise @ (y[j] - mean[j]) for j, each in enumerate(loadings))
    waves = [
        stats.multivariate_normal(mean[j] + each @ zeta, model.residual).logpdf(y[j]) for j, each in enumerate(loadings)
    ]
    expected = sum(waves) + stats.multivariate_normal(np.zeros(4), model.psi).logpdf(zeta)
    expected -= stats.multivariate_normal(np.linalg.solve(precision, score), np.linalg.inv(precision)).logpdf(zeta)
    assert bf.unit_log_density(Unit(y, TIMES), model) == pytest.approx(expected, abs=1e-9)


def test_mixture_forms():
    classes, gate, _ = bilinear_model("full_fixed")
    units = bilinear_units("full_fixed")[:40]
    expected = bf.mixture_log_likelihood(units, classes, gate)
    posterior = softmax(bf.joint_log_density(units, classes, gate), axis=1)
    np.testing.assert_allclose(bf.responsibilities(units, classes, gate), posterior, atol=1e-12)
    assert bf.mixture_log_likelihood(units[::-1], classes[::-1], gate[::-1] - gate[1]) == pytest.approx(
        expected, rel=1e-12
    )
    kept = [unit._replace(y=unit.y[seen], times=unit.times[seen]) for unit in units for seen in [~np.isnan(unit.y)]]
    assert bf.mixture_log_likelihood(kept, classes, gate) == pytest.approx(expected, rel=1e-12)
    primed = []
    for each in classes:
        knot = each.trajectory.coefficients[0]
        inverse = np.linalg.inv(bf.primed_to_direct(np.zeros(3), knot)[0][:3, :3])
        trajectory = Trajectory(bf.bilinear_primed, inverse @ each.trajectory.alpha, [knot])
        primed.append(
            each._replace(trajectory=trajectory, psi=inverse @ each.psi @ inverse.T, beta=inverse @ each.beta)
        )
    assert bf.mixture_log_likelihood(units, primed, gate) == pytest.approx(expected, abs=1e-9)
