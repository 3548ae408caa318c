"""Likelihoods of growth mixtures by dense normal distributions and loops over units; shares no code with the package.

    y_i = curve(t_i; alpha_k, gamma_k) + Lam_i (B_k x_i + zeta_i) + kappa_k v_i + e_i,
    zeta_i ~ N(0, Psi_k),   e_i ~ N(0, R_ik)

A curve is a function of times (J,), growth factors (q,) and class-level coefficients (h,). Lam_i, its derivatives
at the class values, comes from complex steps (Squire and Trapp 1998, SIAM Review 40): no loading is written down here.
Mixtures of trajectories: Liu and Perera, arXiv 2007.02432; latent class mixed models: Proust-Lima, Philipps and Liquet
(2017), Journal of Statistical Software 78(2); change scores: McArdle (2001); Jenss and Bayley (1937).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import block_diag, cholesky, solve_triangular
from scipy.special import log_softmax, logsumexp

Array = np.ndarray
Curve = Callable[[Array, Array, Array], Array]
STEP = 1e-30


class Unit(NamedTuple):
    """One unit, J occasions: a missing y, x or v is nan, times are finite; y is (J, outcome) for several outcomes."""

    y: Array
    times: Array
    x: Array = np.zeros(0)
    g: Array = np.zeros(0)
    z: Array | None = None
    v: Array | None = None
    waves: Array | None = None


Residual = Callable[[Unit], Array]


class Trajectory(NamedTuple):
    """A curve at the values of a class; `random` numbers the coefficients that vary between units: a factor each."""

    curve: Curve
    alpha: Sequence[float]
    coefficients: Sequence[float] = ()
    random: Sequence[int] = ()


class GrowthClass(NamedTuple):
    """A class of one outcome; with `mean_x` (`mean_v`), x (v) is an outcome too: the joint convention.

    psi (q, q) and beta (q, m) have the factors in the order eta, deviations of random coefficients; v is
    N(mean_v[wave], variance_v[wave]), independent over waves.
    """

    trajectory: Trajectory
    psi: Array
    residual: Residual
    beta: Array | None = None
    mean_x: Array | None = None
    covariance_x: Array | None = None
    kappa: float = 0.0
    mean_v: Array | None = None
    variance_v: Array | None = None


class MultivariateClass(NamedTuple):
    """A class of several outcomes: factors stacked by outcome, residual (outcome, outcome) within a wave."""

    trajectories: Sequence[Trajectory]
    psi: Array
    residual: Array
    beta: Array | None = None


def polynomial(degree: int) -> Curve:
    """sum_p eta_p t^p."""
    return lambda times, eta, _: sum(eta[power] * times**power for power in range(degree + 1))


linear, quadratic = polynomial(1), polynomial(2)


def negative_exponential(times: Array, eta: Array, coefficients: Array) -> Array:
    """eta0 + eta1 (1 - exp(-gamma t)): eta1 is the change from baseline to asymptote."""
    return eta[0] + eta[1] * (1 - np.exp(-coefficients[0] * times))


def jenss_bayley(times: Array, eta: Array, coefficients: Array) -> Array:
    """eta0 + eta1 t + eta2 (exp(gamma t) - 1): eta1 is the slope of the asymptote, eta2 its vertical distance."""
    return eta[0] + eta[1] * times + eta[2] * (np.exp(coefficients[0] * times) - 1)


def bilinear(times: Array, eta: Array, coefficients: Array, smoothing: float = 0.0) -> Array:
    """eta0 + eta1 min(t, g) + eta2 max(t - g, 0), where |t - g| is sqrt((t - g)^2 + smoothing) in both."""
    knot = coefficients[0]
    distance = np.sqrt((times - knot) ** 2 + smoothing)
    return eta[0] + eta[1] * (times + knot - distance) / 2 + eta[2] * (times - knot + distance) / 2


def bilinear_primed(times: Array, eta: Array, coefficients: Array, smoothing: float = 0.0) -> Array:
    """eta0' + eta1' (t - g) + eta2' |t - g|: level at the knot, half the sum and half the difference of the slopes."""
    since = times - coefficients[0]
    return eta[0] + eta[1] * since + eta[2] * np.sqrt(since**2 + smoothing)


def primed_to_direct(alpha: Array, knot: float) -> tuple[Array, Array]:
    """(A4, J4): means (eta', knot) and deviations (zeta', delta) of the primed curve into those of the direct one."""
    means = np.array([[1, -knot, knot, 0], [0, 1, -1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    deviations = means.copy()
    deviations[0, 3] = alpha[2] - alpha[1]
    return means, deviations


def trilinear(times: Array, eta: Array, coefficients: Array) -> Array:
    """eta0 + eta1 min(t, g1) + eta2 (min(t, g2) - g1)+ + eta3 (t - g2)+."""
    first, second = coefficients
    return np.where(
        times <= np.real(first),
        eta[0] + eta[1] * times,
        np.where(
            times <= np.real(second),
            eta[0] + eta[1] * first + eta[2] * (times - first),
            eta[0] + eta[1] * first + eta[2] * (second - first) + eta[3] * (times - second),
        ),
    )


def smoothed_trilinear(times: Array, eta: Array, coefficients: Array, smoothing: float) -> Array:
    """The trilinear curve, with |t - g| as sqrt((t - g)^2 + smoothing) in max(t - g, 0) = (t - g + |t - g|) / 2."""
    first, second = ((times - g + np.sqrt((times - g) ** 2 + smoothing)) / 2 for g in coefficients)
    return eta[0] + eta[1] * times + (eta[2] - eta[1]) * first + (eta[3] - eta[2]) * second


def cumulated(increments: Array) -> Array:
    """Sums of the increments of J - 1 intervals, from 0 at the first wave."""
    return np.concatenate([[0], np.cumsum(increments)])


def change_quadratic(times: Array, eta: Array, coefficients: Array) -> Array:
    """Change scores of the quadratic curve: dy_j = eta1 + 2 u_j eta2 at the middle u_j of the interval.

    eta0 is the level at the first wave here and in all change scores: equal to the curve where its time is 0.
    """
    middle = (times[1:] + times[:-1]) / 2
    return eta[0] + cumulated((eta[1] + 2 * middle * eta[2]) * np.diff(times))


def change_exponential(times: Array, eta: Array, coefficients: Array) -> Array:
    """Change scores of the negative exponential: dy_j = gamma exp(-gamma u_j) eta1."""
    middle = (times[1:] + times[:-1]) / 2
    rate = coefficients[0]
    return eta[0] + cumulated(rate * np.exp(-rate * middle) * eta[1] * np.diff(times))


def change_jenss_bayley(times: Array, eta: Array, coefficients: Array) -> Array:
    """Change scores of the Jenss-Bayley curve: dy_j = eta1 + gamma exp(gamma u_j) eta2."""
    middle = (times[1:] + times[:-1]) / 2
    rate = coefficients[0]
    return eta[0] + cumulated((eta[1] + rate * np.exp(rate * middle) * eta[2]) * np.diff(times))


def change_rates(times: Array, eta: Array, coefficients: Array) -> Array:
    """Nonparametric change scores: dy_j = r_{j-1} eta1 up to wave j; r_1 = 1, coefficients r_2 to r_{J-1}."""
    rates = np.concatenate([[1], coefficients])
    return eta[0] + eta[1] * cumulated(rates * np.diff(times))


def cumulated_rates(waves: Sequence[float]) -> Curve:
    """eta0 + eta1 int_{w_1}^t r(s) ds, r = r_l between the common times w_l and w_{l+1}, r_1 = 1; end rates extend."""
    knots = np.asarray(waves, float)
    lower, upper = np.append(-np.inf, knots[1:-1]), np.append(knots[1:-1], np.inf)

    def curve(times: Array, eta: Array, coefficients: Array) -> Array:
        rates = np.concatenate([[1], coefficients])
        basis = sum(
            rate * (np.clip(times, low, high) - np.clip(knots[0], low, high))
            for rate, low, high in zip(rates, lower, upper, strict=True)
        )
        return eta[0] + eta[1] * basis

    return curve


def latent_basis(waves: Sequence[float]) -> Curve:
    """eta0 + eta1 l(t): l is 0, l_2, ..., 1 at the common times, linear between; coefficients l_2 to l_{J-1}."""

    def curve(times: Array, eta: Array, coefficients: Array) -> Array:
        return eta[0] + eta[1] * np.interp(times, waves, np.concatenate([[0], coefficients, [1]]))

    return curve


def iid(variance: float) -> Residual:
    """variance I."""
    return lambda unit: variance * np.eye(len(unit.times))


def by_occasion(variances: Sequence[float]) -> Residual:
    """diag(variances[wave]); waves are numbered from 0."""
    return lambda unit: np.diag(np.asarray(variances)[np.arange(len(unit.times)) if unit.waves is None else unit.waves])


def log_linear(gamma: Sequence[float]) -> Residual:
    """diag(sigma_j^2), log sigma_j = z_j' gamma, z (J, r)."""
    return lambda unit: np.diag(np.exp(2 * unit.z @ np.asarray(gamma)))


def autoregressive(rate: float, deviation: float) -> Residual:
    """Stationary, continuous time: deviation^2 exp(-rate |t - s|)."""
    return lambda unit: deviation**2 * np.exp(-rate * np.abs(np.subtract.outer(unit.times, unit.times)))


def brownian(deviation: float) -> Residual:
    """deviation^2 min(t, s), times not negative."""
    return lambda unit: deviation**2 * np.minimum.outer(unit.times, unit.times)


def total(*parts: Residual) -> Residual:
    """The sum of independent parts, for example a process and iid noise."""
    return lambda unit: sum(part(unit) for part in parts)


def proportional(psi: Array, factor: float) -> Array:
    """factor^2 psi: the random covariance of a class in proportion to a common one."""
    return factor**2 * np.asarray(psi)


def mean_curve(trajectory: Trajectory, times: Array) -> Array:
    """(J,): the curve at the values of the class."""
    return trajectory.curve(times, np.asarray(trajectory.alpha, float), np.asarray(trajectory.coefficients, float))


def loading_matrix(trajectory: Trajectory, times: Array) -> Array:
    """(J, q): derivatives of the curve in its factors, then in its random coefficients."""
    q = len(trajectory.alpha)
    point = np.concatenate([trajectory.alpha, trajectory.coefficients])

    def derivative(position: int) -> Array:
        moved = point.astype(complex)
        moved[position] += STEP * 1j
        coefficients = moved[q:] if position >= q else point[q:]
        return np.imag(trajectory.curve(times, moved[:q], coefficients)) / STEP

    return np.column_stack([derivative(position) for position in [*range(q), *(q + h for h in trajectory.random)]])


def normal_log_density(values: Array, mean: Array, covariance: Array) -> float:
    """log N(values; mean, covariance) over the values that are there; 0 without any."""
    kept = ~np.isnan(values)
    deviation = values[kept] - mean[kept]
    if not kept.any():
        return 0.0
    if not np.isfinite(deviation).all():
        raise ValueError("an observed value has no mean: x or v is missing under the fixed convention")
    factor = cholesky(covariance[np.ix_(kept, kept)], lower=True)
    scaled = solve_triangular(factor, deviation, lower=True)
    return float(-kept.sum() / 2 * np.log(2 * np.pi) - np.log(np.diag(factor)).sum() - scaled @ scaled / 2)


def unit_moments(unit: Unit, parameters: GrowthClass) -> tuple[Array, Array, Array]:
    """(values, mean, covariance) of y, then x and v where they are outcomes, as a linear map of (zeta, x, v, e)."""
    p, rows = parameters, len(unit.times)
    loadings = loading_matrix(p.trajectory, unit.times)
    beta = np.zeros((loadings.shape[1], len(unit.x))) if p.beta is None else np.asarray(p.beta, float)
    joint_x, joint_v = p.mean_x is not None, p.mean_v is not None
    waves = np.arange(rows) if unit.waves is None else unit.waves
    mean_x = np.asarray(p.mean_x) if joint_x else unit.x
    mean_v = np.asarray(p.mean_v)[waves] if joint_v else np.zeros(rows) if p.kappa == 0 else unit.v
    covariance_x = np.asarray(p.covariance_x) if joint_x else np.zeros((len(mean_x), len(mean_x)))
    covariance_v = np.diag(np.asarray(p.variance_v)[waves]) if joint_v else np.zeros((rows, rows))

    mean_y = mean_curve(p.trajectory, unit.times) + loadings @ (beta @ mean_x) + p.kappa * mean_v
    sources = block_diag(p.psi, covariance_x, covariance_v, p.residual(unit))
    to_y = np.hstack([loadings, loadings @ beta, p.kappa * np.eye(rows), np.eye(rows)])
    identity = np.eye(len(sources))
    start_x, start_v = loadings.shape[1], loadings.shape[1] + len(mean_x)
    parts = [(unit.y, mean_y, to_y)]
    if joint_x:
        parts.append((unit.x, mean_x, identity[start_x:start_v]))
    if joint_v:
        parts.append((unit.v, mean_v, identity[start_v : start_v + rows]))
    values, mean = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    maps = np.vstack([part[2] for part in parts])
    return values, mean, maps @ sources @ maps.T


def multivariate_moments(unit: Unit, parameters: MultivariateClass) -> tuple[Array, Array, Array]:
    """(values, mean, covariance) of all outcomes, one after the other; times (J,) or (J, outcome)."""
    rows, outcomes = unit.y.shape
    times = np.broadcast_to(unit.times.reshape(rows, -1), (rows, outcomes)).T
    mean = np.concatenate([mean_curve(each, t) for each, t in zip(parameters.trajectories, times, strict=True)])
    loadings = block_diag(*(loading_matrix(each, t) for each, t in zip(parameters.trajectories, times, strict=True)))
    if parameters.beta is not None:
        mean = mean + loadings @ (parameters.beta @ unit.x)
    covariance = loadings @ parameters.psi @ loadings.T + np.kron(parameters.residual, np.eye(rows))
    return unit.y.T.ravel(), mean, covariance


def unit_log_density(unit: Unit, parameters: GrowthClass | MultivariateClass) -> float:
    """log f_k(y_i), with the density of x and v under the joint convention."""
    moments: Any = multivariate_moments if isinstance(parameters, MultivariateClass) else unit_moments
    return normal_log_density(*moments(unit, parameters))


def joint_log_density(units: Sequence[Unit], classes: Sequence[Any], gate: Array) -> Array:
    """(unit, class): log pi_k(g_i) + log f_k(y_i). Gate (class, 1 + p): intercept and slopes, 0 for the reference."""
    coefficients = np.asarray(gate, float)
    rows = []
    for unit in units:
        densities = [unit_log_density(unit, parameters) for parameters in classes]
        rows.append(log_softmax(coefficients @ np.append(1.0, unit.g)) + densities)
    return np.array(rows)


def mixture_log_likelihood(units: Sequence[Unit], classes: Sequence[Any], gate: Array) -> float:
    """sum_i log sum_k pi_k(g_i) f_k(y_i)."""
    return float(logsumexp(joint_log_density(units, classes, gate), axis=1).sum())


def responsibilities(units: Sequence[Unit], classes: Sequence[Any], gate: Array) -> Array:
    """(unit, class): posterior class probabilities."""
    joint = joint_log_density(units, classes, gate)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def read_units(
    table: Any,
    *,
    unit: str = "unit",
    time: str = "time",
    y: str | Sequence[str] = "y",
    x: Sequence[str] = (),
    g: Sequence[str] = (),
    z: Sequence[str] = (),
    v: str | None = None,
    wave: str | None = None,
) -> list[Unit]:
    """Units of a long data frame in order of appearance; x and g come from the first row, z gets a leading 1."""

    def read(rows: Any) -> Unit:
        first = rows.iloc[0]
        return Unit(
            y=rows[y if isinstance(y, str) else list(y)].to_numpy(float),
            times=rows[time].to_numpy(float),
            x=first[list(x)].to_numpy(float),
            g=first[list(g)].to_numpy(float),
            z=np.column_stack([np.ones(len(rows)), rows[list(z)].to_numpy(float)]) if z else None,
            v=None if v is None else rows[v].to_numpy(float),
            waves=None if wave is None else rows[wave].to_numpy(int),
        )

    return [read(rows) for _, rows in table.groupby(unit, sort=False)]


smoothed_bilinear = partial(bilinear, smoothing=1e-6)
smoothed_bilinear_primed = partial(bilinear_primed, smoothing=1e-6)
