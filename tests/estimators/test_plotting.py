"""Plots of fits: numbers against independent computations; every kind of model has a plot or one clear error."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from scipy.special import expit, softmax
from scipy.stats import norm

import mixstat as ms
from mixstat.inference.gate_effects import gate_effects
from tests.estimators.data import SIZE, frame, mixture, regression

DATA = frame()
FIRST = np.where(DATA.y - 1 - DATA.x < 5 - DATA.x - DATA.y, 2, 1)


@pytest.fixture(scope="module")
def model():
    return mixture(regression("y ~ x + z"), gate="~ z + g").fit(DATA)


@pytest.fixture(scope="module")
def known():
    """Classes known for every unit: the gate is a logistic regression."""
    label = np.where(np.random.default_rng(2).random(SIZE) < expit(DATA.z + DATA.x), 2, 1)
    data = frame(k=label, y=np.where(label == 2, 5 + DATA.x, DATA.x))
    data["y"] += 0.3 * np.random.default_rng(3).normal(size=SIZE)
    exog = np.column_stack([np.ones(SIZE), data.z, data.x])
    return mixture(gate="~ z + x", prior_classes="k").fit(data), data, sm.Logit(label == 2, exog).fit(disp=0)


@pytest.fixture(scope="module")
def noisy():
    """Some responses far from both lines, and a class for them."""
    far = np.random.default_rng(6).uniform(-20, 25, SIZE)
    data = frame(y=np.where(np.arange(SIZE) < 15, far, DATA.y))
    return mixture(regression("y ~ x"), n_experts=2, extra=[ms.Noise()]).fit(data), data


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def band_of(collection, points: int) -> np.ndarray:
    """(point, 2): lower and upper edge of a band."""
    vertices = collection.get_paths()[0].vertices
    low, high = vertices[1 : points + 1], vertices[points + 2 : 2 * points + 2][::-1]
    np.testing.assert_allclose(low[:, 0], high[:, 0])
    return np.sort(np.column_stack([low[:, 1], high[:, 1]]), axis=1)


def test_gate_bands_are_those_of_a_logistic_regression(known):
    model, data, logit = known
    ax = model.plot_gate("z", level=0.9)
    x, probability = ax.lines[1].get_xydata().T
    exog = np.column_stack([np.ones(len(x)), x, np.full(len(x), data.x.median())])
    linear = exog @ logit.params
    half = norm.ppf(0.95) * np.sqrt(np.einsum("ia,ab,ib->i", exog, logit.cov_params(), exog))
    np.testing.assert_allclose(probability, expit(linear), rtol=1e-5)
    edges = np.column_stack([expit(linear - half), expit(linear + half)])
    np.testing.assert_allclose(band_of(ax.collections[1], len(x)), edges, rtol=1e-4)
    np.testing.assert_allclose(band_of(ax.collections[0], len(x)), 1 - edges[:, ::-1], rtol=1e-4)
    assert (x[0], x[-1]) == (data.z.min(), data.z.max())


def test_average_gate_is_the_mean_over_units(known):
    model, data, _ = known
    ax = model.plot_gate("z", data, hold="average", level=None)
    x, probability = ax.lines[1].get_xydata().T
    for place in (0, 40, 79):
        assert probability[place] == pytest.approx(model.gate_proba(data.assign(z=x[place]))[:, 1].mean())
    assert not ax.collections


def test_delta_method_of_three_classes():
    """Against central differences of the logit of the mean probability."""
    rng = np.random.default_rng(1)
    gamma, root, design = rng.normal(size=(2, 3)), rng.normal(size=(6, 6)), rng.normal(size=(25, 3))
    covariance, step = root @ root.T / 50, 1e-5

    def logits(flat):
        eta = np.column_stack([np.zeros(25), design @ flat.reshape(2, 3).T])
        mean = softmax(eta, axis=1).mean(axis=0)
        return np.log(mean) - np.log1p(-mean)

    slope = np.column_stack(
        [(logits(gamma.ravel() + e) - logits(gamma.ravel() - e)) / (2 * step) for e in step * np.eye(6)]
    )
    half = norm.ppf(0.975) * np.sqrt(np.diag(slope @ covariance @ slope.T))
    made = gate_effects(gamma, covariance, [design], 0.95)
    centre = logits(gamma.ravel())
    np.testing.assert_allclose(made.probability[0], expit(centre))
    np.testing.assert_allclose(made.low[0], expit(centre - half), rtol=1e-6)
    np.testing.assert_allclose(made.high[0], expit(centre + half), rtol=1e-6)
    far = gate_effects(1e3 * gamma, covariance, [design[:1]], 0.95)
    assert np.isfinite([far.low, far.high]).all()


def test_gate_of_levels(model):
    ax = model.plot_gate("g")
    held = pd.DataFrame({"g": list("abc"), "z": DATA.z.median(), "x": DATA.x.median()})
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], model.gate_proba(held).T)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    first = model.plot_gate()
    most = DATA.g.mode()[0]
    x, probability = first.lines[1].get_xydata().T
    held = pd.DataFrame({"z": x, "g": most, "x": 0.0})
    np.testing.assert_allclose(probability, model.gate_proba(held)[:, 1])
    assert first.get_xlabel() == "z"


def test_fit_shows_data_and_means(model):
    ax = model.plot_fit(DATA, x="x", names=["low", "high"])
    np.testing.assert_allclose(ax.collections[0].get_offsets(), DATA[["x", "y"]])
    line = ax.lines[1].get_xydata()
    held = pd.DataFrame({"x": line[:, 0], "z": DATA.z.median(), "g": "a"})
    np.testing.assert_allclose(line[:, 1], model.predict(held, kind="expert_mean")[:, 1])
    assert texts(ax) == ["low", "high"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    shade = ax.collections[0].get_facecolors()[:, 0]
    responsibility = model.responsibilities(DATA)[:, 1]
    assert np.corrcoef(shade, responsibility)[0, 1] > 0.999
    assert [label.get_text() for label in model.plot_fit(x="g").get_xticklabels()] == ["a", "b", "c"]


def test_coefficients(model):
    ax = model.plot_coefficients(level=0.9)
    tidy = model.tidy(0.9).query("parameter == 'mean' and term != 'Intercept'")
    shown = np.concatenate([line.get_xdata() for line in ax.lines[:2]])
    np.testing.assert_allclose(shown, tidy["estimate"])
    bars = np.concatenate([c.get_segments() for c in ax.collections])
    np.testing.assert_allclose(bars[:, :, 0], tidy[["conf_low", "conf_high"]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x", "z"]
    assert ax.get_xlabel() == "Estimate (90% interval)"
    gate = model.plot_coefficients("gate", intercepts=True, exponentiate=True)
    np.testing.assert_allclose(gate.lines[0].get_xdata(), np.exp(model.tidy().query("parameter == 'gate'")["estimate"]))
    assert texts(gate) == ["Expert 2"]


def test_responsibilities_of_the_fit_are_weighted():
    weight = np.where(DATA.g == "a", 2.0, 0.5)
    model = mixture(regression("y ~ x")).fit(DATA, sample_weight=weight)
    values = model.responsibilities(DATA)[:, 0]
    kept = values >= 1e-4
    own, other = model.plot_responsibilities(), model.plot_responsibilities(DATA)
    expected = np.histogram(values[kept], 20, (0, 1), weights=weight[kept])[0]
    np.testing.assert_allclose(own.patches[0].get_data().values, expected)
    np.testing.assert_allclose(other.patches[0].get_data().values, np.histogram(values[kept], 20, (0, 1))[0])


def test_starts(model):
    ax = model.plot_starts()
    shown = np.concatenate([c.get_offsets()[:, 1] for c in ax.collections[:-1]])
    np.testing.assert_allclose(np.sort(shown), np.sort(model.starts_["log_likelihood"]))
    assert texts(ax)[-1].startswith(f"Best: {model.starts_['log_likelihood'].max():.3f}, reached by")


def test_overview(model):
    titles = [ax.get_title(loc="left") for ax in model.plot().axes]
    assert titles == ["Coefficients", "Gate", "Fit", "Responsibilities", "Starts"]
    alone = regression("y ~ x").fit(DATA)
    assert [ax.get_title(loc="left") for ax in alone.plot().axes] == ["Coefficients", "Fit", "Starts"]


def test_data_of_the_fit_leave_with_the_pickle(model):
    again = pickle.loads(pickle.dumps(model))
    for name in ("plot_gate", "plot_fit", "plot_responsibilities", "plot"):
        with pytest.raises(ms.DataError, match="the data are needed"):
            getattr(again, name)()
    line, other = (m.plot_gate("z", DATA).lines[0].get_ydata() for m in (again, model))
    np.testing.assert_allclose(line, other)


def test_rows_dropped_in_fit_are_not_plotted(model):
    blank = DATA.assign(x=np.where(np.arange(SIZE) < 3, np.nan, DATA.x))
    fitted = mixture(regression("y ~ x"), gate="~ z").fit(blank)
    np.testing.assert_allclose(fitted.plot_fit().collections[0].get_offsets(), DATA[["x", "y"]][3:])
    with pytest.raises(ms.DataError, match="'x': 3"):
        fitted.plot_fit(blank)


def test_units_stand_once():
    data = frame(v=np.repeat(np.random.default_rng(4).normal(size=SIZE // 4), 4))
    model = mixture(regression("y ~ x"), gate="~ v", unit="u", gate_penalty=0.01).fit(data)
    assert model.plot_responsibilities().patches[0].get_data().values.sum() <= SIZE // 4
    assert len(model.plot_fit().collections[0].get_offsets()) == SIZE
    x, probability = model.plot_gate("v").lines[1].get_xydata().T
    np.testing.assert_allclose(probability, model.gate_proba(pd.DataFrame({"v": x, "x": 0.0}))[:, 1])


NO_GATE = (ms.DataError, "no covariates")


@pytest.mark.parametrize("options", [{"gate": "equal"}, {"gate": "~ 1"}, {"n_experts": 1, "gate": "~ z"}])
def test_gates_without_covariates(options):
    model = mixture(regression("y ~ x"), **options).fit(DATA)
    with pytest.raises(NO_GATE[0], match=NO_GATE[1]):
        model.plot_gate()
    assert len(model.plot_fit().lines) == model.fitted_.assembled.mixture.experts


def test_one_class_has_no_responsibilities_to_plot():
    model = regression("y ~ x").fit(DATA)
    with pytest.raises(ms.DataError, match="one class"):
        model.plot_responsibilities()
    assert model.plot_coefficients().get_legend() is None


def test_shared_coefficients():
    ax = mixture(regression("y ~ x + z", shared="x"), gate="~ z").fit(DATA).plot_coefficients()
    assert texts(ax) == ["Shared", "Expert 1", "Expert 2"]
    assert len(ax.lines[0].get_xdata()) == 1


def test_classes_that_are_no_experts(noisy):
    rng = np.random.default_rng(3)
    zero = rng.random(SIZE) < expit(DATA.z - 0.5)
    data = frame(n=np.where(zero, 0, rng.poisson(np.exp(1 + 0.3 * DATA.x))))
    model = mixture(regression("n ~ x", family="poisson"), gate="~ z", n_experts=1, extra=[ms.PointMass(0)]).fit(data)
    gate, fit = model.plot_gate(), model.plot_fit()
    assert texts(gate) == texts(fit) == texts(model.plot_responsibilities()) == ["Expert 1", "Point mass at 0"]
    assert len(fit.lines) == 1
    assert gate.lines[1].get_color() == "#7a7a7a"
    assert texts(noisy[0].plot_fit()) == ["Expert 1", "Expert 2", "Noise"]


def test_several_responses():
    model = regression("cbind(y, x) ~ z", family="multivariate_gaussian").fit(DATA)
    with pytest.raises(ms.OptionError, match="'y', 'x'"):
        model.plot_fit()
    ax = model.plot_fit(response="x")
    np.testing.assert_allclose(ax.collections[0].get_offsets(), DATA[["z", "x"]])
    assert [t.get_text() for t in model.plot_coefficients().get_yticklabels()] == ["mean[y]: z", "mean[x]: z"]


def test_several_outcomes():
    joint = mixture(ms.Joint([regression("y ~ x"), regression("n ~ 1", family="poisson")])).fit(DATA)
    np.testing.assert_allclose(joint.plot_fit(response="n").collections[0].get_offsets(), DATA[["x", "n"]])
    assert joint.plot().axes


def test_categories_and_shares():
    model = regression("g ~ x", family="categorical").fit(DATA)
    with pytest.raises(ms.DataError, match="categorical"):
        model.plot_fit()
    assert [t.get_text() for t in model.plot_coefficients().get_yticklabels()] == ["logit[b]: x", "logit[c]: x"]
    data = frame(s=np.arange(SIZE) % 5, f=2)
    shares = regression("cbind(s, f) ~ x", family="binomial").fit(data).plot_fit()
    np.testing.assert_allclose(shares.collections[0].get_offsets()[:, 1], data.s / (data.s + 2))
    assert shares.get_ylabel() == "share of s"


def test_arrays_and_other_tables():
    X, y = DATA[["x", "z"]].to_numpy(), DATA["y"].to_numpy()
    model = regression().fit(X, y)
    for ax in (model.plot_fit(x="x1"), model.plot_fit(X, "x1", y=y)):
        np.testing.assert_allclose(ax.collections[0].get_offsets(), DATA[["z", "y"]])
    table = pl.DataFrame({name: DATA[name].tolist() for name in ("x", "y", "z", "g")})
    model = mixture(gate="~ g").fit(table)
    np.testing.assert_allclose(model.plot_fit().collections[0].get_offsets(), DATA[["x", "y"]])
    assert len(model.plot_gate("g", table).lines) == 2


def test_whole_numbers_as_levels_of_a_formula():
    data = frame(q=np.arange(SIZE) % 4)
    model = mixture(gate="~ C(q)", gate_penalty=0.01).fit(data)
    x, probability = model.plot_gate("q").lines[1].get_xydata().T
    np.testing.assert_array_equal(x, [0, 1, 2, 3])
    np.testing.assert_allclose(probability, model.gate_proba(pd.DataFrame({"q": x, "x": 0.0}))[:, 1])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: m.plot_gate("x"), "'z', 'g'"),
        (lambda m: m.plot_gate("z", hold="mean"), "hold"),
        (lambda m: m.plot_gate("z", level=1.0), "level"),
        (lambda m: m.plot_gate("z", names=["a"]), "names must hold 2"),
        (lambda m: m.plot_fit(x="nothing"), "'nothing'"),
        (lambda m: m.plot_fit(response="z"), "response"),
        (lambda m: m.plot_coefficients("mu"), "'mean', 'sigma', 'gate'"),
    ],
)
def test_errors_name_the_argument(model, call, match):
    with pytest.raises((ms.OptionError, ms.DataError), match=match):
        call(model)


def test_confusion_of_two_fits(model, noisy):
    other, data = noisy
    ax = ms.plot_confusion(model, other, data)
    expected = pd.crosstab(model.responsibilities(data).argmax(axis=1), other.responsibilities(data).argmax(axis=1))
    shown = np.array([int(text.get_text()) for text in ax.texts]).reshape(2, 3)
    np.testing.assert_array_equal(shown[:, expected.columns], expected)
    assert shown.sum() == SIZE
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Expert 1", "Expert 2", "Noise"]


def test_strange_names_start_no_formula():
    data = DATA.rename(columns={"x": "<script>$^{x}$"})
    model = regression("y ~ `<script>$^{x}$`").fit(data)
    for ax in (model.plot_fit(), model.plot_coefficients()):
        ax.figure.canvas.draw()
    assert model.plot_fit().get_xlabel() == r"<script>\$^{x}\$"
    html = ms.compare([model]).to_html()
    assert "&lt;script&gt;" in html
    assert "<script" not in html + model.summary().to_html()
