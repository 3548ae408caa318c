"""Known classes, extra classes, several outcomes, shared and fixed parameters, penalties, starts and algorithms."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import logsumexp

import mixstat as ms
from tests.estimators.data import SIZE, frame, make_sound, mixture, regression

DATA = frame()
ONES = np.ones(SIZE)
NEAREST = np.where(DATA.y - 1 - DATA.x < 5 - DATA.x - DATA.y, 2, 1)  # nearer to which line


@pytest.fixture(scope="module")
def free():
    return mixture(gate="~ z").fit(DATA)


def estimate(model, parameter, term="Intercept"):
    return model.tidy().query("parameter == @parameter and term == @term")["estimate"].to_numpy()


def test_all_labels_known():
    model = make_sound(mixture(prior_classes=NEAREST).fit(DATA))
    for k in (1, 2):
        mine = np.equal(NEAREST, k)
        alone = np.polyfit(DATA.x[mine], DATA.y[mine], 1)
        np.testing.assert_allclose(estimate(model, "mean", "x")[k - 1], alone[0], rtol=1e-4)
    swapped = mixture(prior_classes=3 - NEAREST).fit(DATA)
    np.testing.assert_allclose(swapped.fitted_.solution.class_weight, [np.sum(NEAREST == 2), np.sum(NEAREST == 1)])
    assert swapped.entropy() == 1.0


def test_forms_of_known_classes():
    labels = np.where(np.arange(SIZE) < 20, NEAREST, np.nan)
    chances = np.column_stack([labels == 1, labels == 2]).astype(float)
    chances[np.isnan(labels)] = 1.0
    data = frame(k=labels, p1=chances[:, 0], p2=chances[:, 1])
    found = [mixture(prior_classes=known).fit(data) for known in (labels, "k", ["p1", "p2"], chances, list(labels))]
    for model in found[1:]:
        np.testing.assert_allclose(model.log_likelihood_, found[0].log_likelihood_, rtol=1e-9)
    blank = data.assign(x=np.where(np.arange(SIZE) == 30, np.nan, data.x))
    dropped = mixture(prior_classes=labels).fit(blank)
    assert dropped.log_likelihood_ == pytest.approx(mixture(prior_classes="k").fit(blank).log_likelihood_)
    assert dropped.n_units_ == SIZE - 1


def test_known_classes_of_units():
    labels = np.repeat(np.arange(SIZE // 4) % 2 + 1, 4)
    by_row = mixture(prior_classes=labels, unit="u").fit(DATA)
    by_unit = mixture(prior_classes=labels[::4], unit="u").fit(DATA)
    assert by_row.log_likelihood_ == by_unit.log_likelihood_


@pytest.mark.filterwarnings("ignore:Inverting hessian")
def test_zero_inflation_equals_statsmodels():
    rng = np.random.default_rng(3)
    zero = rng.random(SIZE) < 1 / (1 + np.exp(0.5 - DATA.z))
    data = frame(n=np.where(zero, 0, rng.poisson(np.exp(1 + 0.3 * DATA.x))))
    expert = regression("n ~ x", family="poisson")
    model = make_sound(mixture(expert, gate="~ z", n_experts=1, extra=[ms.PointMass(0)]).fit(data))
    inflated = sm.ZeroInflatedPoisson(
        data.n, np.column_stack([ONES, data.x]), exog_infl=np.column_stack([ONES, data.z]), inflation="logit"
    ).fit(method="newton", maxiter=200, disp=0)
    assert model.log_likelihood_ == pytest.approx(inflated.llf)
    table = model.tidy().set_index("parameter")
    np.testing.assert_allclose(table.loc["gate", "estimate"], inflated.params[:2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table.loc["mean", "estimate"], inflated.params[2:], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(data), inflated.predict(), rtol=1e-4)
    assert model.responsibilities(data)[data.n > 0, 1].max() == 0
    assert "class 2 is point_mass" in str(model.summary())


def test_hurdle_of_a_continuous_family():
    rng = np.random.default_rng(4)
    zero = rng.random(SIZE) < 0.3
    data = frame(c=np.where(zero, 0.0, rng.gamma(3.0, np.exp(0.4 * DATA.x) / 3)))
    expert = regression("c ~ x", family="gamma")
    model = make_sound(mixture(expert, n_experts=1, extra=[ms.PointMass(0)]).fit(data))
    alone = expert.fit(data[~zero])
    share = zero.mean()
    expected = alone.log_likelihood_ + zero.sum() * np.log(share) + (~zero).sum() * np.log(1 - share)
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(model.predict(data), (1 - share) * alone.predict(data), rtol=1e-4)
    draws = np.concatenate([model.simulate(data, random_state=seed) for seed in range(50)])
    assert np.mean(draws == 0) == pytest.approx(share, abs=0.02)
    with pytest.raises(ms.DataError, match="'c' holds"):
        expert.fit(data)


def test_noise():
    rng = np.random.default_rng(5)
    Y = np.column_stack([DATA.x, DATA.z]) + 0.1 * rng.normal(size=(SIZE, 2))
    Y[:12] = rng.uniform(-8, 8, size=(12, 2))
    data = frame(p=Y[:, 0], q=Y[:, 1])
    expert = regression("cbind(p, q) ~ x + z", family="multivariate_gaussian")
    model = make_sound(mixture(expert, n_experts=1, extra=[ms.Noise()]).fit(data))
    noisy = model.responsibilities(data)[:, 1]
    assert noisy[:12].mean() > 0.9
    assert noisy[12:].max() < 0.5
    volume = np.prod(np.ptp(Y, axis=0))
    far = data.assign(p=np.where(np.arange(SIZE) == 0, data.p[1], data.p))
    assert np.isfinite(model.predict(far, kind="log_density")).all()
    assert np.exp(model.predict(data, kind="log_density")[0]) == pytest.approx(model.gate_proba(data)[0, 1] / volume)


def test_different_experts_of_one_response():
    experts = [regression("n ~ x", family="poisson"), regression("n ~ 1", family="binomial")]
    with pytest.raises(ms.DataError, match="binomial needs"):
        mixture(experts).fit(DATA)
    with pytest.raises(ms.FormulaError, match="different responses"):
        mixture([regression("y ~ x"), regression("n ~ x", family="poisson")]).fit(DATA)
    model = make_sound(
        mixture([regression("y ~ x"), regression("y ~ z + x", family="student_t", fixed={"df": 5})]).fit(DATA)
    )
    assert model.predict(DATA, kind="expert_mean").shape == (SIZE, 2)


def test_joint_with_missing_items():
    rng = np.random.default_rng(6)
    latent = rng.random(SIZE) < 0.5
    items = {f"i{j}": np.where(rng.random(SIZE) < np.where(latent, 0.9, 0.2), 1.0, 0.0) for j in range(4)}
    data = frame(**items)
    data.loc[:9, "i0"] = np.nan
    data.loc[5:14, "i1"] = np.nan
    joint = ms.Joint([regression(f"i{j} ~ 1", family="binomial") for j in range(4)])
    model = make_sound(mixture(joint, n_init=2).fit(data))
    assert model.n_units_ == SIZE
    share = 1 / (1 + np.exp(-estimate(model, "gate")[0]))
    chance = model.predict(data, kind="expert_mean")
    log_f = np.log([1 - share, share]) + sum(
        np.where(
            data[f"i{j}"].isna().to_numpy()[:, None],
            0.0,
            stats.bernoulli.logpmf(data[f"i{j}"].fillna(0).to_numpy()[:, None], chance[j]),
        )
        for j in range(4)
    )
    assert model.log_likelihood_ == pytest.approx(logsumexp(log_f, axis=1).sum())
    assert list(model.predict(data).columns) == ["i0", "i1", "i2", "i3"]
    assert list(model.simulate(data, random_state=0).columns) == ["i0", "i1", "i2", "i3"]
    assert {f"mean[i{j}]" for j in range(4)} | {"gate"} == set(model.tidy()["parameter"])


def test_shared(free):
    model = make_sound(mixture(regression("y ~ x + z", shared="z + sigma"), gate="~ z").fit(DATA))
    table = model.tidy()
    assert set(table.loc[table["expert"].isna(), "parameter"]) == {"mean", "sigma"}
    assert model.n_parameters_ == 8
    assert "Shared by all experts" in str(model.summary())
    as_list = mixture(regression("y ~ x + z", shared=["z", "sigma"]), gate="~ z").fit(DATA)
    assert as_list.log_likelihood_ == model.log_likelihood_


def test_fixed_equals_offset():
    held = regression("y ~ x + z", fixed={"x": 0.5, "sigma": 2.0}).fit(DATA)
    offset = regression("y ~ z + offset(0.5 * x)", fixed={"sigma": 2.0}).fit(DATA)
    assert held.log_likelihood_ == pytest.approx(offset.log_likelihood_)
    assert set(held.tidy()["term"]) == {"Intercept", "z"}
    assert "fixed: x = 0.5, sigma = 2" in str(held.summary())
    np.testing.assert_allclose(held.predict(DATA), offset.predict(DATA))


def test_offsets_anywhere():
    exposure = np.exp(DATA.z)
    model = regression("n ~ x + offset(log(e))", family="poisson").fit(frame(e=exposure))
    glm = sm.GLM(DATA.n, np.column_stack([ONES, DATA.x]), family=sm.families.Poisson(), offset=DATA.z).fit(tol=1e-12)
    assert model.log_likelihood_ == pytest.approx(glm.llf)
    data = frame(o=0.1 * DATA.z)
    scaled = regression("y ~ x", sigma="~ 1 + offset(o)").fit(data)
    sigma = np.exp(estimate(scaled, "sigma")[0] + 0.1 * DATA.z)
    assert scaled.log_likelihood_ == pytest.approx(stats.norm.logpdf(DATA.y, scaled.predict(data), sigma).sum())
    with pytest.raises(ms.FormulaError, match="gate's formula"):
        mixture(gate="~ 1 + offset(o)").fit(data)


def test_equal_shares():
    model = make_sound(mixture(gate="equal").fit(DATA))
    assert "gate" not in set(model.tidy()["parameter"])
    np.testing.assert_array_equal(model.gate_proba(DATA), 0.5)


def test_starts(free):
    again = mixture(gate="~ z", start=free).fit(DATA)
    assert again.log_likelihood_ == pytest.approx(free.log_likelihood_)
    parted = mixture(gate="~ z", start=NEAREST).fit(DATA)
    assert parted.log_likelihood_ == pytest.approx(free.log_likelihood_)
    for other in (mixture(start=free), mixture(start=mixture())):
        with pytest.raises(ms.DataError, match="start="):
            other.fit(DATA)


@pytest.mark.parametrize("algorithm", ["em", "squarem"])
def test_algorithms(free, algorithm):
    model = make_sound(mixture(gate="~ z", algorithm=algorithm, max_iter=2000).fit(DATA))
    assert model.log_likelihood_ == pytest.approx(free.log_likelihood_, abs=1e-4)
    np.testing.assert_allclose(model.tidy()["std_error"], free.tidy()["std_error"], rtol=1e-2)


def gradient(model, data, index, step=1e-5):
    """d (log-likelihood / n) / d phi_index by central differences of the density at moved coefficients."""
    fitted, ends = model.fitted_, []
    for sign in (1, -1):
        phi = fitted.phi.copy()
        phi[index] += sign * step
        model.fitted_ = fitted._replace(phi=phi)
        ends.append(model.predict(data, kind="log_density").mean())
    model.fitted_ = fitted
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize(("l1_ratio", "penalty"), [(0.0, 0.1), (1.0, 0.1), (0.5, 0.1)])
def test_penalised_optimality(l1_ratio, penalty):
    data = frame(x=DATA.x / DATA.x.std(ddof=0), z=DATA.z / DATA.z.std(ddof=0))
    expert = regression("y ~ x + z", penalty=penalty, l1_ratio=l1_ratio)
    model = mixture(expert, gate="~ x + z", gate_penalty=penalty, l1_ratio=l1_ratio, scale_penalty=0).fit(data)
    labels, phi = model.fitted_.assembled.named.labels, model.fitted_.phi
    slopes = [i for i, label in enumerate(labels) if label.term != "Intercept"]
    for i in slopes:
        slope, value = gradient(model, data, i), phi[i]
        smooth = slope - penalty * (1 - l1_ratio) * value
        if value:
            assert smooth == pytest.approx(penalty * l1_ratio * np.sign(value), abs=1e-5)
        else:
            assert abs(smooth) <= penalty * l1_ratio + 1e-6
    assert any(phi[i] == 0 for i in slopes) == (l1_ratio > 0)
    assert "penalised fit" in str(model.summary())


@pytest.mark.parametrize(
    ("family", "response", "options"),
    [
        ("student_t", "t", {"sigma": "~ x", "df": "~ 1"}),
        ("gamma", "p", {"shape": "~ x"}),
        ("beta", "s", {"precision": "~ x"}),
        ("negative_binomial", "n", {"dispersion": "~ z"}),
        ("multivariate_gaussian", "cbind(y, p)", {"sigma": "~ x", "dependence": "~ z"}),
    ],
)
def test_every_parameter_has_a_formula(family, response, options):
    rng = np.random.default_rng(7)
    data = frame(p=rng.gamma(2.0, np.exp(DATA.x)), s=rng.beta(2, 3, SIZE), n=rng.negative_binomial(2, 0.3, SIZE))
    data["t"] = DATA.x + rng.standard_t(3, SIZE)
    table = make_sound(regression(f"{response} ~ x + z", family=family, **options).fit(data)).tidy()
    for name, formula in options.items():
        expected = {"Intercept", formula[2:]} - {"1"}
        assert set(table.loc[table["parameter"].str.startswith(name), "term"]) == expected
