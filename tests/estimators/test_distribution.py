"""Predictive distributions of fitted mixtures against scipy's distributions at the published coefficients."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats
from scipy.special import expit, logsumexp, ndtri, softmax

import mixstat as ms
from tests.estimators.data import SIZE, frame, mixture, regression
from tests.identity.models import fitted
from tests.identity.oracle import gate_scores, predictors

LAWS = {
    "gaussian": lambda f, e: stats.norm(e["mean"], np.exp(e["sigma"])),
    "student_t": lambda f, e: stats.t(np.exp(e["df"]), e["mean"], np.exp(e["sigma"])),
    "lognormal": lambda f, e: stats.lognorm(np.exp(e["sigma"]), scale=np.exp(e["mean_log"])),
    "gamma": lambda f, e: stats.gamma(np.exp(e["shape"]), scale=np.exp(e["mean"] - e["shape"])),
    "inverse_gaussian": lambda f, e: stats.invgauss(np.exp(e["mean"] - e["shape"]), scale=np.exp(e["shape"])),
    "beta": lambda f, e: stats.beta(
        expit(e["mean"]) * np.exp(e["precision"]), expit(-e["mean"]) * np.exp(e["precision"])
    ),
    "poisson": lambda f, e: stats.poisson(np.exp(e["mean"])),
    "negative_binomial": lambda f, e: stats.nbinom(
        np.exp(-e["dispersion"]), 1 / (1 + np.exp(e["mean"] + e["dispersion"]))
    ),
    "binomial": lambda f, e: stats.binom(f["y"] + f["failures"], expit(e["mean"])),
}
DISCRETE = ("poisson", "negative_binomial", "binomial")
LEVELS = np.array([1e-8, 0.02, 0.5, 0.9, 1 - 1e-8])
every_family = pytest.mark.parametrize("family", LAWS)


class Oracle:
    """The mixture of scipy's distributions that a fit of `tests.identity.models` says, in its first rows."""

    def __init__(self, family: str, rows: int = 40) -> None:
        fit = fitted(family)
        table, self.model, self.frame = fit.model.tidy(), fit.model, fit.frame.head(rows)
        theta = table["estimate"].to_numpy()
        self.gate = softmax(np.stack(gate_scores(table, self.frame, 2, theta)), axis=0)
        self.laws = [LAWS[family](self.frame, predictors(table, self.frame, k, theta)) for k in (1, 2)]
        self.y = self.frame["y"].to_numpy(dtype=float)

    def mix(self, what: str, y: np.ndarray) -> np.ndarray:
        """sum_k pi_k law_k.what(y), (..., row)."""
        return sum(share * getattr(law, what)(y) for share, law in zip(self.gate, self.laws, strict=True))


@every_family
def test_distribution_function(family):
    oracle = Oracle(family)
    np.testing.assert_allclose(oracle.model.cdf(oracle.frame), oracle.mix("cdf", oracle.y), rtol=1e-9)
    posterior = oracle.model.responsibilities(oracle.frame).T
    expected = sum(share * law.cdf(oracle.y) for share, law in zip(posterior, oracle.laws, strict=True))
    np.testing.assert_allclose(oracle.model.cdf(oracle.frame, weights="responsibilities"), expected, rtol=1e-6)
    np.testing.assert_array_equal(oracle.model.cdf(oracle.frame, weights="sequential"), oracle.model.cdf(oracle.frame))


@every_family
def test_quantiles_invert_it(family):
    oracle = Oracle(family)
    y = oracle.model.quantile(oracle.frame, LEVELS).T
    if family in DISCRETE:
        assert (y == np.floor(y)).all()
        assert (oracle.mix("cdf", y) >= LEVELS[:, None] * (1 - 1e-12)).all()
        assert (oracle.mix("cdf", y - 1) < LEVELS[:, None]).all()
        again = oracle.model.quantile(oracle.frame, 0.5)
        assert (again == y[2]).all()
    else:
        np.testing.assert_allclose(oracle.mix("cdf", y)[:3], np.repeat(LEVELS[:3, None], len(oracle.y), 1), rtol=1e-8)
        coarse = 1e-3 if family == "beta" else 1e-6  # floats just below 1 are far apart
        np.testing.assert_allclose(
            oracle.mix("sf", y)[3:], np.repeat(1 - LEVELS[3:, None], len(oracle.y), 1), rtol=coarse
        )


@every_family
def test_quantiles_of_the_distribution_function_are_the_responses(family):
    oracle = Oracle(family, rows=6)
    q = oracle.model.cdf(oracle.frame)
    inner = q < 1
    found = np.diag(oracle.model.quantile(oracle.frame[inner], q[inner]))
    assert inner.sum() >= 4
    np.testing.assert_allclose(found, oracle.y[inner], rtol=0 if family in DISCRETE else 1e-6)


@every_family
def test_density_on_a_grid(family):
    oracle = Oracle(family, rows=5)
    grid = np.quantile(fitted(family).frame["y"], [0.05, 0.4, 0.9])
    grid = np.append(np.floor(grid) if family in DISCRETE else grid, [-1.5, 0.5])
    found = oracle.model.conditional_density(oracle.frame, grid)
    expected = oracle.mix("pmf" if family in DISCRETE else "pdf", grid[:, None]).T
    assert found.shape == (5, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)


@every_family
@pytest.mark.filterwarnings("ignore:Error in function boost:RuntimeWarning")
def test_proper_scores(family):
    oracle = Oracle(family, rows=4)
    scores = oracle.model.scores(oracle.frame)
    log_density = oracle.model.predict(oracle.frame, kind="log_density")
    np.testing.assert_allclose(scores["log_score"], -log_density, rtol=1e-9)
    for row, y in enumerate(oracle.y):
        parts = [(g[row], one_row(law, row)) for g, law in zip(oracle.gate, oracle.laws, strict=True)]
        assert scores["crps"][row] == pytest.approx(brute_force(parts, y, family in DISCRETE), rel=1e-6)


def one_row(law, row: int):
    """scipy's frozen distribution in one row."""
    shape = np.broadcast_shapes(*(np.shape(v) for v in (*law.args, *law.kwds.values())))
    own = {name: np.broadcast_to(value, shape)[row] for name, value in law.kwds.items()}
    return law.dist(*(np.broadcast_to(value, shape)[row] for value in law.args), **own)


def brute_force(parts: list, y: float, discrete: bool) -> float:
    """CRPS of one row by scipy alone: a sum over counts, or quadrature between the quantiles of the experts."""

    def distribution(z):
        return sum(share * law.cdf(z) for share, law in parts)

    laws = [law for _, law in parts]
    if discrete:
        z = np.arange(0.0, max(law.ppf(1 - 1e-12) for law in laws) + y + 2)
        return float(np.sum((distribution(z) - (z >= y)) ** 2))
    ends = np.unique(
        [y, *(law.ppf(p) for law in laws for p in (1e-13, 1e-6, 0.01, 0.3, 0.7, 0.99, 1 - 1e-6, 1 - 1e-13))]
    )
    pieces = itertools.pairwise(ends)
    return sum(integrate.quad(lambda z: (distribution(z) - (z >= y)) ** 2, a, b, epsrel=1e-9)[0] for a, b in pieces)


def test_one_expert_is_the_linear_model():
    data = frame()
    model = regression("y ~ x").fit(data)
    fit = np.polynomial.Polynomial.fit(data.x, data.y, 1)
    mean, scale = fit(data.x.to_numpy()), np.sqrt(np.mean((data.y - fit(data.x)) ** 2))
    np.testing.assert_allclose(model.cdf(data), stats.norm.cdf(data.y, mean, scale), rtol=1e-6)
    np.testing.assert_allclose(model.quantile(data, 0.2), stats.norm.ppf(0.2, mean, scale), rtol=1e-6)
    np.testing.assert_allclose(model.quantile_residuals(data), (data.y - mean) / scale, rtol=1e-5, atol=1e-8)
    found = model.prediction_interval(data, 0.9)
    assert list(found.columns) == ["lower", "upper"]
    np.testing.assert_allclose(found["upper"], mean + ndtri(0.95) * scale, rtol=1e-6)
    outliers = data.assign(y=mean + np.where(np.arange(SIZE) % 2, 500.0, -1e5) * scale)
    expected = np.where(np.arange(SIZE) % 2, 500.0, -1e5)
    np.testing.assert_allclose(model.quantile_residuals(outliers), expected, rtol=1e-6)
    np.testing.assert_allclose(model.quantile(data, [0.3]), model.quantile(data, 0.3)[:, None])


def test_arrays():
    data = frame()
    table, arrays = regression("y ~ x").fit(data), regression().fit(data[["x"]].to_numpy(), data.y)
    X = data[["x"]].to_numpy()
    np.testing.assert_allclose(arrays.cdf(X, data.y), table.cdf(data), rtol=1e-8)
    np.testing.assert_allclose(arrays.quantile(X, [0.1, 0.9]), table.quantile(data, [0.1, 0.9]), rtol=1e-8)
    np.testing.assert_allclose(arrays.scores(X, data.y), table.scores(data), rtol=1e-6)


@pytest.fixture(scope="module")
def inflated():
    """Zeros by a point mass beside gamma experts."""
    rng = np.random.default_rng(3)
    y = np.where(rng.random(400) < 0.3, 0.0, rng.gamma(3.0, 1.0, 400) * np.where(np.arange(400) % 2, 1.0, 6.0))
    data = pd.DataFrame({"y": y})
    return mixture(regression("y ~ 1", family="gamma"), extra=[ms.PointMass(0)]).fit(data), data


def test_a_point_mass_is_a_jump(inflated):
    model, data = inflated
    zero, share = data.y.to_numpy() == 0, model.gate_proba(data)[0, 2]
    assert share == pytest.approx(zero.mean(), abs=1e-6)
    np.testing.assert_allclose(model.cdf(data)[zero], share)
    assert (model.quantile(data, [share / 2, share * (1 - 1e-9)]) == 0).all()
    assert (model.quantile(data, share + 0.01) > 0).all()
    np.testing.assert_allclose(model.conditional_density(data, [0.0])[:, 0], share)
    np.testing.assert_allclose(model.scores(data)["log_score"], -model.predict(data, kind="log_density"))
    u = stats.norm.cdf(model.quantile_residuals(data, random_state=0))
    assert (u[zero] < share).all()
    assert stats.kstest(u[zero] / share, "uniform").pvalue > 0.01
    assert stats.kstest(u, "uniform").pvalue > 0.01


def test_noise_is_a_uniform_part():
    rng = np.random.default_rng(5)
    y = np.concatenate([rng.normal(0, 0.3, 200), rng.normal(4, 0.3, 200), rng.uniform(-20, 20, 60)])
    data = pd.DataFrame({"y": y})
    model = mixture(regression("y ~ 1"), extra=[ms.Noise()]).fit(data)
    pi = model.gate_proba(data)[0]
    mean, scale = (model.tidy().query("parameter == @p")["estimate"].to_numpy() for p in ("mean", "sigma"))
    uniform = (y - y.min()) / (y.max() - y.min())
    expected = stats.norm.cdf(y[:, None], mean, np.exp(scale)) @ pi[:2] + pi[2] * uniform
    np.testing.assert_allclose(model.cdf(data), expected, rtol=1e-9)
    np.testing.assert_allclose(model.scores(data)["log_score"], -model.predict(data, kind="log_density"))
    assert stats.kstest(model.quantile_residuals(data), "norm").pvalue > 0.05


def test_rows_of_a_unit_are_taken_in_turn():
    made = ms.datasets.make_moe(150, occasions=4, coefficients=((0.0, 0.5), (3.0, 1.0)), random_state=2)
    model = mixture(regression(made.formula), gate=made.gate, unit="unit", n_init=2).fit(made.data)
    data = made.data.sample(frac=1, random_state=1)
    scores = model.scores(data)
    by_unit = scores["log_score"].groupby(data["unit"].to_numpy()).sum()
    log_density = model.predict(data, kind="log_density")
    np.testing.assert_allclose(by_unit[data["unit"].drop_duplicates()], -log_density, rtol=1e-8)
    pi, mean = model.gate_proba(data.drop(columns="unit")), model.predict(data, kind="expert_mean")
    scale = np.exp(model.tidy().query("parameter == 'sigma'")["estimate"].to_numpy())
    y, unit = data.y.to_numpy()[:, None], data["unit"].to_numpy()
    log_f, expected = stats.norm.logpdf(y, mean, scale), []
    for row in range(len(data)):
        earlier = np.flatnonzero(unit[:row] == unit[row])
        joint = np.log(pi[row]) + log_f[earlier].sum(axis=0)
        weight = np.exp(joint - logsumexp(joint))
        expected.append(weight @ stats.norm.cdf(y[row], mean[row], scale))
    np.testing.assert_allclose(model.cdf(data, weights="sequential"), expected, rtol=1e-8)
    residuals = model.quantile_residuals(data)
    np.testing.assert_allclose(residuals, ndtri(expected), rtol=1e-6, atol=1e-8)
    assert stats.kstest(residuals, "norm").pvalue > 0.05
    wide = pd.Series(residuals).groupby([unit, data.groupby("unit").cumcount().to_numpy()]).first().unstack()
    assert np.abs(wide.corr().to_numpy() - np.eye(4)).max() < 0.25


@every_family
def test_residuals_of_the_true_model_are_normal(family):
    model, data = fitted(family)
    rng = np.random.default_rng(8)
    fresh = data.assign(y=model.simulate(data, random_state=rng))
    if family == "binomial":
        fresh["failures"] = fresh["trials"] - fresh["y"]
    residuals = model.quantile_residuals(fresh, random_state=9)
    assert stats.kstest(residuals, "norm").pvalue > 0.01
    assert stats.kstest(residuals**2, stats.chi2(1).cdf).pvalue > 0.01
    np.testing.assert_array_equal(residuals, model.quantile_residuals(fresh, random_state=9))
    names = ["y", "failures"] if family == "binomial" else ["y"]
    wrong = fresh.assign(**{name: fresh[name].to_numpy()[::-1] for name in names})
    assert (model.scores(wrong).mean() > model.scores(fresh).mean()).all()


def test_residuals_of_a_wrong_model_are_not():
    rng = np.random.default_rng(0)
    data = frame(y=rng.exponential(size=SIZE) ** 2, n=rng.negative_binomial(0.5, 0.1, SIZE))
    for model in (regression("y ~ 1"), regression("n ~ 1", family="poisson")):
        assert stats.kstest(model.fit(data).quantile_residuals(data, random_state=0), "norm").pvalue < 1e-3


def test_trials():
    data = frame(t=np.arange(SIZE) % 7 + 1)
    data["s"] = np.random.default_rng(2).binomial(data.t, expit(0.5 + data.x))
    model = regression("s / t ~ x", family="binomial").fit(data)
    chance = model.predict(data)
    np.testing.assert_allclose(model.cdf(data), stats.binom.cdf(data.s, data.t, chance))
    np.testing.assert_array_equal(model.quantile(data, 0.7), stats.binom.ppf(0.7, data.t, chance))
    np.testing.assert_array_equal(model.quantile(data[["x"]], 0.7), stats.binom.ppf(0.7, 1, chance))
    np.testing.assert_allclose(model.conditional_density(data, [3.0])[:, 0], stats.binom.pmf(3, data.t, chance))
    assert stats.kstest(model.quantile_residuals(data, random_state=0), "norm").pvalue > 0.01


def test_several_responses_need_a_name():
    data = frame()
    model = mixture(ms.Joint([regression("y ~ x"), regression("n ~ z", family="poisson")]), n_init=2).fit(data)
    with pytest.raises(ms.OptionError, match=r"several responses \(y, n\); choose one with response="):
        model.quantile(data)
    with pytest.raises(ms.OptionError, match=r"response must be one of 'y', 'n', got 'z'"):
        model.cdf(data, response="z")
    pi, means = model.gate_proba(data), model.predict(data, kind="expert_mean")
    expected = sum(pi[:, k] * stats.poisson.cdf(data.n, means[1][:, k]) for k in range(2))
    np.testing.assert_allclose(model.cdf(data, response="n"), expected, rtol=1e-9)
    scale = np.exp(model.tidy().query("parameter.str.contains('sigma')")["estimate"].to_numpy())
    expected = sum(pi[:, k] * stats.norm.cdf(data.y, means[0][:, k], scale[k]) for k in range(2))
    np.testing.assert_allclose(model.cdf(data, response="y"), expected, rtol=1e-9)
    gone = data.assign(n=data.n.where(data.index != 3))
    np.testing.assert_allclose(model.cdf(gone, response="y"), expected, rtol=1e-9)
    with pytest.raises(ms.DataError, match=r"response 'n' is missing in 1 rows \(first: row 3\)"):
        model.scores(gone, response="n")


def test_experts_of_different_families():
    data = frame(p=np.exp(frame().y / 3))
    experts = [regression("p ~ x", family="gamma"), regression("p ~ x", family="gaussian")]
    model = mixture(experts, n_init=2).fit(data)
    pi, grid = model.gate_proba(data), np.linspace(-40, 60, 20_001)
    density = model.conditional_density(data.head(2), grid)
    assert (density[:, grid < -1] >= 0).all()
    np.testing.assert_allclose(np.trapezoid(density, grid, axis=1), 1.0, atol=1e-4)
    reached = np.array([np.trapezoid(density[0][grid <= q], grid[grid <= q]) for q in (1.0, 3.0)])
    rows = data.head(1).loc[[0, 0]].assign(p=[1.0, 3.0])
    np.testing.assert_allclose(model.cdf(rows), reached, atol=5e-3)
    assert pi.shape == (SIZE, 2)


def test_bad_input_is_named():
    data = frame()
    model = regression("y ~ x").fit(data)
    for q in (0.0, 1.0, [0.5, np.nan], -1, "half"):
        with pytest.raises(ms.OptionError, match="q must be a number between 0 and 1"):
            model.quantile(data, q)
    with pytest.raises(ms.OptionError, match="level must be a number between 0 and 1"):
        model.prediction_interval(data, 95)
    with pytest.raises(ms.OptionError, match="values must be finite numbers in one dimension"):
        model.conditional_density(data, [[1.0]])
    with pytest.raises(ms.OptionError, match="weights must be one of 'gate', 'responsibilities', 'sequential'"):
        model.cdf(data, weights="prior")
    with pytest.raises(ms.DataError, match="the response is needed here: column 'y' is not in the data"):
        model.quantile_residuals(data[["x"]])
    for family in ("categorical", "multivariate_gaussian"):
        with pytest.raises(ms.OptionError, match=f"family '{family}' has no distribution function"):
            fitted(family).model.scores(fitted(family).frame)


def test_plots_draw_the_residuals():
    data = frame()
    model = regression("y ~ x").fit(data)
    residuals = np.sort(model.quantile_residuals(data))
    qq, worm = model.plot_qq(data), model.plot_worm(data)
    np.testing.assert_allclose(qq.lines[1].get_ydata(), residuals)
    np.testing.assert_allclose(worm.lines[1].get_ydata(), residuals - worm.lines[1].get_xdata())
    assert model.plot_qq(data, ax=worm) is worm


def test_intervals_with_estimation_error_equal_integration():
    """A Gaussian regression: mean and log scale of the estimates integrated over their normal distribution."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(25, 2)), columns=["x", "z"]).assign(y=lambda t: 1 + t.x + rng.normal(size=25))
    model = ms.Regression("y ~ x + z", verbose=0).fit(data)
    rows = pd.DataFrame({"x": [0.0, 3.0], "z": [0.0, 2.0]})
    *beta, log_sigma = model.tidy()["estimate"]
    design, new = (np.column_stack([np.ones(len(t)), t.x, t.z]) for t in (data, rows))
    leverage = np.einsum("ij,jk,ik->i", new, np.linalg.inv(design.T @ design), new)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    variance = np.exp(2 * (log_sigma + nodes / np.sqrt(50)))

    def end(mean: float, h: float, p: float) -> float:
        scale = np.sqrt(variance + np.exp(2 * log_sigma) * h)
        average = lambda y: weights @ stats.norm.cdf((y - mean) / scale) / weights.sum() - p  # noqa: E731
        return optimize.brentq(average, mean - 50, mean + 50)

    expected = [[end(m, h, p) for p in (0.025, 0.975)] for m, h in zip(new @ beta, leverage, strict=True)]
    found = model.prediction_interval(rows, estimation=True, draws=3000, random_state=1)
    np.testing.assert_allclose(found, expected, atol=0.06)
    plain = model.prediction_interval(rows)
    assert (plain["lower"] > found["lower"]).all()
    assert (plain["upper"] < found["upper"]).all()
    again = model.prediction_interval(rows, estimation=True, draws=3000, random_state=1)
    pd.testing.assert_frame_equal(found, again)


def test_estimation_error_needs_standard_errors():
    data = pd.DataFrame({"x": np.tile([0.0, 1.0, 2.0, 4.0], 10), "y": np.tile([0.0, 1.5, 2.0, 5.0], 10)})
    mixture = ms.MixtureOfExperts(ms.Regression("y ~ x"), n_init=2, random_state=0, verbose=0)
    with pytest.warns(ms.ConvergenceWarning):
        model = mixture.fit(data)
    with pytest.raises(ms.DataError, match="needs standard errors, and there is none for: "):
        model.prediction_interval(data, estimation=True)
    assert len(model.prediction_interval(data)) == 40
