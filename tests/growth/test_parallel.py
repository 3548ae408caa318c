"""Joint of growth curves: its likelihood and errors against dense normal distributions, and everything after a fit."""

import warnings
from functools import cache
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixstat as ms
from mixstat.exceptions import FormulaError, OptionError
from tests.growth import brute_force as bf
from tests.growth import simulated

pytestmark = pytest.mark.slow

matplotlib.use("Agg")
FACTORS = ("intercept[y1]", "slope[y1]", "intercept[y2]", "slope1[y2]", "slope2[y2]")
FORMULAS = ("y1 ~ linear(time)", "y2 ~ bilinear(time)")


@cache
def table(n: int = 90, classes: int = 1) -> pd.DataFrame:
    data, _ = simulated.simulate_two_outcomes(np.random.default_rng(7), n=n, n_classes=classes, missing=0.15)
    x = pd.Series(np.random.default_rng(8).normal(size=n), index=np.arange(1, n + 1))
    return data.assign(x=data["unit"].map(x), y1=data["y1"] + 0.8 * data["unit"].map(x))


def joint(**options: Any) -> ms.Joint:
    curves = [
        ms.GrowthCurve(FORMULAS[0], unit="unit", between="~ x", verbose=0),
        ms.GrowthCurve(FORMULAS[1], unit="unit", verbose=0),
    ]
    return ms.Joint(curves, verbose=0, **options)


@cache
def alone() -> ms.Joint:
    return joint().fit(table())


@cache
def mixture() -> ms.MixtureOfExperts:
    model = ms.MixtureOfExperts(joint(), gate="~ g1", n_experts=2, n_init=2, random_state=1, verbose=0)
    return model.fit(table(120, 2))


def classes_of(values: dict[tuple, float], experts: int) -> list[bf.MultivariateClass]:
    """Classes for brute force, from what tidy() shows by (expert, parameter, term)."""
    return [_class({key[1:]: value for key, value in values.items() if key[0] == k}) for k in range(1, experts + 1)]


def _class(values: dict[tuple, float]) -> bf.MultivariateClass:
    alpha = np.array([values[name, "Intercept"] for name in FACTORS])
    beta = np.array([values.get((name, "x"), 0.0) for name in FACTORS])[:, None]
    psi, sigma = np.zeros((5, 5)), np.zeros((2, 2))
    for j, later in enumerate(FACTORS):
        for i, name in enumerate(FACTORS[: j + 1]):
            term = later if i == j else f"{later},{name}"
            psi[j, i] = psi[i, j] = values.get(("random_covariance", term), 0.0)
    for o, outcome in enumerate(("y1", "y2")):
        sigma[o, o] = values[f"residual_variance[{outcome}]", "Intercept"]
    sigma[0, 1] = sigma[1, 0] = values.get(("residual_covariance", "y1,y2"), 0.0)
    trajectories = [
        bf.Trajectory(bf.linear, alpha[:2]),
        bf.Trajectory(bf.bilinear, alpha[2:], [values["knot[y2]", "Intercept"]]),
    ]
    return bf.MultivariateClass(trajectories, psi, sigma, beta)


def keys_of(model: Any) -> list[tuple]:
    shown = model.tidy()
    return list(zip(shown["expert"], shown["parameter"], shown["term"], strict=True))


def dense(model: Any, data: pd.DataFrame, values: np.ndarray) -> float:
    """The log-likelihood at shown estimates."""
    found = dict(zip(keys_of(model), values, strict=True))
    experts = max(key[0] for key in found)
    units = bf.read_units(data, y=["y1", "y2"], x=["x"], g=["g1"])
    slopes = [[found.get((k, "gate", term), 0.0) for term in ("Intercept", "g1")] for k in range(1, experts + 1)]
    return bf.mixture_log_likelihood(units, classes_of(found, experts), np.array(slopes))


ONE = pytest.param(alone, (90, 1), marks=pytest.mark.slow, id="alone")


@pytest.mark.parametrize(("model", "data"), [pytest.param(mixture, (120, 2), id="mixture"), ONE])
def test_log_likelihood(model, data):
    fitted, rows = model(), table(*data)
    assert fitted.converged_
    assert fitted.n_rows_ == rows[["y1", "y2"]].notna().any(axis=1).sum()
    exact = dense(fitted, rows, fitted.tidy()["estimate"].to_numpy())
    assert fitted.log_likelihood_ == pytest.approx(exact, abs=1e-8)


@pytest.mark.slow
def test_no_nearby_point_is_better():
    model, data = alone(), table()
    shown = model.tidy()
    best, error = model.log_likelihood_, shown["std_error"].to_numpy()
    for place, step in enumerate(0.05 * np.diag(error)):
        for sign in (-1.0, 1.0):
            there = dense(model, data, shown["estimate"].to_numpy() + sign * step)
            assert there < best, shown.iloc[place]


@pytest.mark.slow
def test_standard_errors():
    """Against a numeric Hessian of the dense log-likelihood."""
    model, data = alone(), table()
    shown = model.tidy()
    at, error = shown["estimate"].to_numpy(), shown["std_error"].to_numpy()
    size, step = len(at), 0.05 * np.diag(error)
    middle = dense(model, data, at)
    once = [[dense(model, data, at + sign * h) for sign in (1.0, -1.0)] for h in step]
    hessian = np.diag([up - 2 * middle + down for up, down in once])
    for j in range(size):
        for i in range(j):
            both = [dense(model, data, at + sign * (step[j] + step[i])) for sign in (1.0, -1.0)]
            cross = (sum(both) - sum(once[j]) - sum(once[i]) + 2 * middle) / 2
            hessian[j, i] = hessian[i, j] = cross
    scaled = np.linalg.inv(-hessian) * np.outer(np.diag(step), np.diag(step))
    smooth = shown["parameter"] != "knot[y2]"  # the likelihood bends at every observed time
    assert_allclose(np.sqrt(np.diag(scaled))[smooth], error[smooth], rtol=5e-3)


@pytest.mark.slow
def test_independent_outcomes_are_models_of_their_own():
    apart = joint(random_covariance="by_outcome", residual_covariance=False).fit(table())
    single = [curve.fit(table().dropna(subset=[y])) for curve, y in zip(joint().outcomes, ("y1", "y2"), strict=True)]
    assert apart.log_likelihood_ == pytest.approx(sum(one.log_likelihood_ for one in single), abs=1e-7)
    shown = apart.tidy().assign(parameter=lambda t: t["parameter"].str.split("[").str[0])
    for one in single:
        mine = one.tidy()
        for row in mine.itertuples():
            same = shown[np.isclose(shown["estimate"], row.estimate, rtol=1e-5)]
            assert row.parameter in set(same["parameter"])
    assert apart.n_parameters_ == sum(one.n_parameters_ for one in single)
    assert apart.log_likelihood_ < alone().log_likelihood_


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "fewer"),
    [
        ({"residual_covariance": False}, 1),
        ({"random_covariance": [("intercept[y1]", "intercept[y2]"), ("slope[y1]", "slope1[y2]"), "slope2[y2]"]}, 8),
    ],
)
def test_restricted_covariances(options, fewer):
    model = joint(**options).fit(table())
    assert model.n_parameters_ == alone().n_parameters_ - fewer
    exact = dense(model, table(), model.tidy()["estimate"].to_numpy())
    assert model.log_likelihood_ == pytest.approx(exact, abs=1e-8)


@pytest.mark.slow
def test_structured_residuals_of_outcomes_by_themselves():
    curves = [
        ms.GrowthCurve("y1 ~ linear(time)", unit="unit", random="intercept", residual="ar1"),
        ms.GrowthCurve("y2 ~ time + x", unit="unit", random="1 + time", residual="~ x"),
    ]
    model = ms.Joint(curves, residual_covariance=False, verbose=0).fit(table())
    assert {"ar_rate[y1]", "residual_sd[y2]", "mean[y2]"} <= set(model.tidy()["parameter"])
    assert model.converged_
    with pytest.raises(OptionError, match="residual_covariance=False"):
        ms.Joint(curves).fit(table())


@pytest.mark.slow
def test_classes_share():
    """Covariances of all outcomes, a factor of one, a covariate of one; residuals are shared together."""
    names = ["random_covariance", "residual_covariance", "slope[y1]", "x[y1]"]
    model = ms.MixtureOfExperts(joint(shared=names), n_experts=2, n_init=1, random_state=0, verbose=0)
    shown = model.fit(table(120, 2)).tidy()
    common = shown[shown["expert"].isna()]
    assert set(common["parameter"].str.split("[").str[0]) >= {"random_covariance", "residual_covariance", "slope"}
    assert ("intercept[y1]", "x") in set(zip(common["parameter"], common["term"], strict=True))
    assert "slope1[y2]" not in set(common["parameter"])
    with pytest.raises(OptionError, match="residual_covariance"):
        ms.MixtureOfExperts(joint(shared="residual_variance"), verbose=0).fit(table())


@pytest.mark.slow
def test_proportional_covariances():
    model = ms.MixtureOfExperts(joint(proportional=True), n_experts=2, n_init=1, random_state=0, verbose=0)
    model.fit(table(120, 2))
    shown = model.tidy()
    assert len(shown[shown["parameter"] == "random_covariance"]) == 2
    assert len(shown[shown["parameter"] == "random_shape"]) == 14


def test_predictions():
    model, data = mixture(), table(120, 2)
    found = dict(zip(keys_of(model), model.tidy()["estimate"], strict=True))
    classes = classes_of(found, 2)
    gate, x, times = model.gate_proba(data.drop(columns="unit")), data["x"].to_numpy(), data["time"].to_numpy()
    means = np.zeros((len(data), 2, 2))
    for k, each in enumerate(classes):
        for o, trajectory in enumerate(each.trajectories):
            moved = bf.loading_matrix(trajectory, times) @ each.beta[[0, 1] if o == 0 else [2, 3, 4]]
            means[:, k, o] = bf.mean_curve(trajectory, times) + moved[:, 0] * x
    assert_allclose(model.predict(data, kind="expert_mean"), means, rtol=1e-9)
    predicted = model.predict(data)
    assert list(predicted.columns) == ["y1", "y2"]
    assert_allclose(predicted, np.einsum("nko,nk->no", means, gate), rtol=1e-9)
    rows = pd.DataFrame({"x": [0.5], "g1": [0.0]})
    found = model.trajectories(rows, times=[0.0, 2.0])
    assert found["outcome"].tolist() == ["y1", "y1", "y2", "y2"] * 2
    again = model.predict(rows, times=[0.0, 2.0])
    assert_allclose(found["mean"], again[["expert_1", "expert_2"]].to_numpy().T.ravel())
    overall = model.trajectories(rows, times=[0.0, 2.0], by="overall")
    assert_allclose(overall["mean"], again["mean"])
    average = model.trajectories(times=[0.0, 2.0])
    assert (
        average[["expert", "outcome", "time"]].to_numpy().tolist()
        == found[["expert", "outcome", "time"]].to_numpy().tolist()
    )


def test_subjects():
    """Random effects are conditional means under the dense distribution, averaged over classes; so are predictions."""
    model, data = mixture(), table(120, 2)
    found = dict(zip(keys_of(model), model.tidy()["estimate"], strict=True))
    units, share = bf.read_units(data, y=["y1", "y2"], x=["x"], g=["g1"]), model.responsibilities(data)
    effects = model.random_effects(data)
    by_subject = model.predict(data, times=[1.5], kind="subject")
    for i in (0, 5, 17):
        expected, ahead = np.zeros(5), np.zeros(2)
        for k, each in enumerate(classes_of(found, 2)):
            y, mean, covariance = bf.multivariate_moments(units[i], each)
            seen = ~np.isnan(y)
            loadings = [bf.loading_matrix(t, units[i].times) for t in each.trajectories]
            stacked = np.block([[loadings[0], np.zeros((len(y) // 2, 3))], [np.zeros((len(y) // 2, 2)), loadings[1]]])
            through = each.psi @ stacked[seen].T
            zeta = through @ np.linalg.solve(covariance[np.ix_(seen, seen)], (y - mean)[seen])
            factors = np.concatenate([t.alpha for t in each.trajectories]) + each.beta[:, 0] * units[i].x[0] + zeta
            expected += share[i, k] * factors
            time = np.array([1.5])
            parts = [t._replace(alpha=f) for t, f in zip(each.trajectories, (factors[:2], factors[2:]), strict=True)]
            ahead += share[i, k] * np.array([bf.mean_curve(part, time)[0] for part in parts])
        assert_allclose(effects.loc[i, list(FACTORS)].to_numpy(float), expected, rtol=1e-7)
        mine = by_subject[by_subject["unit"] == data["unit"].unique()[i]]
        assert_allclose(mine["mean"], ahead, rtol=1e-7)
        assert (mine["std_error"] > 0).all()


def test_responsibilities_with_one_outcome_alone():
    """A subject whose second outcome was never seen."""
    model, data = mixture(), table(120, 2)
    found = dict(zip(keys_of(model), model.tidy()["estimate"], strict=True))
    half = data.assign(y2=np.nan)
    units = bf.read_units(half, y=["y1", "y2"], x=["x"], g=["g1"])
    gate = np.array([[0.0, 0.0], [found[2, "gate", "Intercept"], found[2, "gate", "g1"]]])
    expected = bf.responsibilities(units, classes_of(found, 2), gate)
    assert_allclose(model.responsibilities(half), expected, atol=1e-9)


def test_draws_and_files(tmp_path):
    model, data = mixture(), table(120, 2)
    drawn = model.simulate(data, random_state=3)
    assert drawn.shape == (len(data), 2)
    assert not drawn.isna().any().any()
    assert list(drawn.columns) == ["y1", "y2"]
    model.save(tmp_path / "model.mixstat")
    loaded = ms.load(tmp_path / "model.mixstat")
    assert_allclose(loaded.predict(data), model.predict(data), rtol=1e-12)
    assert_allclose(loaded.responsibilities(data), model.responsibilities(data), atol=1e-12)
    pd.testing.assert_frame_equal(loaded.tidy(), model.tidy())
    turned = model.reorder([2, 1])
    assert turned.score(data) == pytest.approx(model.score(data), rel=1e-12)


def test_distributions_and_rows():
    model, data = mixture(), table(120, 2).dropna()
    with pytest.raises(OptionError, match="response="):
        model.cdf(data)
    for name in ("y1", "y2"):
        residual = model.quantile_residuals(data, response=name)
        assert abs(residual.mean()) < 0.15
        assert 0.85 < residual.std() < 1.15
    rows = model.augment(table(120, 2).drop(columns="class"))
    for name in ("y1", "y2"):
        expected = rows[name] - rows[f"fitted_subject_{name}"]
        assert_allclose(rows[f"residual_subject_{name}"], expected, rtol=1e-9, atol=1e-12)


def test_sequential_weights_multiply_to_the_density():
    """The densities of all rows given those before, averaged over classes, are that of the subject."""
    model, data = mixture(), table(120, 2)
    from mixstat.estimators.methods.subjects import occasion_densities
    from mixstat.estimators.model import new_data

    new = new_data.with_response(model.fitted_, data)
    rows = occasion_densities(model.fitted_, new)
    total = np.array([np.bincount(new.unit, line) for line in rows])
    assert_allclose(total, new_data.posterior(model.fitted_, new).log_expert.T, rtol=1e-8)


def test_plots():
    model, data = mixture(), table(120, 2)
    figure = model.plot_trajectories()
    assert [ax.get_ylabel() for ax in figure.axes] == ["y1", "y2"]
    assert model.plot_observed(data, response="y2").get_ylabel() == "y2"
    assert len(model.plot_residuals_by_time().axes) == 2
    titles = [ax.get_title(loc="left") for ax in model.plot().axes]
    assert "Trajectories of y1" in titles
    assert model.plot_knots().get_xlabel() == "time"


@pytest.mark.slow
def test_bootstrap_and_covariances():
    model = alone()
    assert np.isfinite(model.covariance("robust")).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draws = model.bootstrap(4, random_state=0)
    assert draws.values.shape[1] == model.n_parameters_
    table = model.summary()
    assert "residual_covariance" in str(table)


@pytest.mark.slow
def test_covariates_modelled_jointly():
    curves = [curve.set_params(between="~ x", covariates="joint") for curve in joint().outcomes]
    model = ms.MixtureOfExperts(ms.Joint(curves), n_experts=2, n_init=1, random_state=0, verbose=0)
    model.fit(table(120, 2))
    assert {"mean[x]", "intercept[y2]"} <= set(model.tidy()["parameter"])
    curves[0].set_params(covariates="fixed")
    with pytest.raises(OptionError, match="choose one"):
        ms.Joint(curves).fit(table())


@pytest.mark.parametrize(
    ("outcomes", "options", "error", "words"),
    [
        (["y1 ~ linear(time)", "y1 ~ bilinear(time)"], {}, FormulaError, "same response: y1, y1"),
        (["y1 ~ linear(time)", "y2 ~ linear(time) | g1"], {}, FormulaError, "first outcome"),
        (FORMULAS, {"random_covariance": "none"}, OptionError, "by_outcome"),
        (FORMULAS, {"random_covariance": [("intercept[y1]",)]}, OptionError, "each of them once"),
        (FORMULAS, {"residual_covariance": "yes"}, OptionError, "residual_covariance"),
        (FORMULAS, {"shared": "nonsense"}, FormulaError, "nonsense"),
    ],
)
def test_options(outcomes, options, error, words):
    curves = [ms.GrowthCurve(formula, unit="unit") for formula in outcomes]
    with pytest.raises(error, match=words):
        ms.Joint(curves, verbose=0, **options).fit(table())


def test_what_may_stand_in_joint():
    curve, line = ms.GrowthCurve("y1 ~ linear(time)", unit="unit"), ms.Regression("x ~ 1")
    with pytest.raises(OptionError, match="not both"):
        ms.Joint([curve, line]).fit(table())
    with pytest.raises(FormulaError, match="Regression or of GrowthCurve"):
        ms.Joint([curve, "y2 ~ time"]).fit(table())
    with pytest.raises(OptionError, match="unit= is needed"):
        ms.Joint([ms.GrowthCurve(formula) for formula in FORMULAS]).fit(table())
    one = ms.Joint([curve], verbose=0).fit(table())
    assert one.log_likelihood_ == pytest.approx(curve.set_params(verbose=0).fit(table()).log_likelihood_, abs=1e-8)


@pytest.mark.slow
def test_recovery():
    """Two classes of 400 subjects: estimates within 4 standard errors, most within 2."""
    data, truth = simulated.simulate_two_outcomes(np.random.default_rng(5), n=400)
    curves = [ms.GrowthCurve(formula, unit="unit") for formula in FORMULAS]
    model = ms.MixtureOfExperts(ms.Joint(curves), gate="~ g1 + g2", n_init=4, random_state=0, verbose=0).fit(data)
    shown = model.tidy()
    first = shown.loc[shown["parameter"] == "knot[y2]", "estimate"].to_numpy()
    classes = [truth["classes"][k] for k in (np.argsort(first).argsort())]
    scores = []
    for k, each in enumerate(classes, start=1):
        mine = shown[shown["expert"] == k].set_index(["parameter", "term"])
        alpha = np.concatenate([t.alpha for t in each.trajectories])
        expected = dict(zip(((name, "Intercept") for name in FACTORS), alpha, strict=True))
        expected["knot[y2]", "Intercept"] = each.trajectories[1].coefficients[0]
        expected["residual_covariance", "y1,y2"] = each.residual[0, 1]
        for j, later in enumerate(FACTORS):
            for i, name in enumerate(FACTORS[: j + 1]):
                expected["random_covariance", later if i == j else f"{later},{name}"] = each.psi[j, i]
        for place, value in expected.items():
            scores.append((mine.loc[place, "estimate"] - value) / mine.loc[place, "std_error"])
    assert np.abs(scores).max() < 4
    assert np.mean(np.abs(scores) < 2) > 0.85


@pytest.mark.slow
def test_tests_of_coefficients_of_one_outcome():
    """Score tests of a place against twice the gain of the refitted model; tests of whole terms."""
    model, data = alone(), table()
    one = model.score_test("g1", "slope1[y2]")
    assert one["df"].item() == 1
    more = joint().outcomes
    more[1].set_params(between={"slope1": "~ g1"})
    gain = 2 * (ms.Joint(more, verbose=0).fit(data).log_likelihood_ - model.log_likelihood_)
    assert one["statistic"].item() == pytest.approx(gain, rel=0.2, abs=0.1)
    assert model.score_test("g1", "location")["df"].item() == 5
    assert model.score_test("g1", "intercept")["df"].item() == 2
    with pytest.raises(OptionError, match=r"slope1\[y2\]"):
        model.score_test("g1", "slope1[y1]")
    tested = model.term_tests()
    assert set(zip(tested["parameter"], tested["term"], strict=True)) == {("intercept[y1]", "x"), ("slope[y1]", "x")}
