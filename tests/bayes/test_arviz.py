"""Draws for ArviZ 0.2x and 1.x: names, dimensions, pointwise log-likelihoods, loo and compare."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from mixstat.results import inference_data
from mixstat.results.inference_data import arrange
from mixstat.results.labels import Label
from tests.bayes.library import arviz, lines, two_lines
from tests.estimators.data import frame as small_frame
from tests.estimators.data import mixture, regression

az = arviz()


def variables(group) -> dict:
    """(dimensions, shape) by name."""
    return {str(name): (value.dims, value.shape) for name, value in group.data_vars.items()}


def dataset(data, group):
    """A group as a Dataset in both versions."""
    found = data[group]
    return found.to_dataset() if hasattr(found, "to_dataset") else found


def elpd(data) -> float:
    """The estimate of `loo` in both versions."""
    result = az.loo(data)
    return float(result.elpd_loo if hasattr(result, "elpd_loo") else result.elpd)


def test_laplace_draws_by_parameter_expert_and_term():
    model = two_lines(300)
    data = model.to_arviz(random_state=0)
    posterior = dataset(data, "posterior")
    assert variables(posterior) == {
        "mean": (("chain", "draw", "expert", "term"), (1, 1000, 2, 2)),
        "sigma": (("chain", "draw", "expert"), (1, 1000, 2)),
        "gate": (("chain", "draw", "gate_expert", "gate_term"), (1, 1000, 1, 2)),
    }
    assert posterior.attrs["kind"] == "laplace"
    assert posterior.attrs["inference_library"] == "mixstat"
    assert posterior["sigma"].attrs["link"] == "log"
    draws, table = model.laplace_draws(random_state=0), model.tidy()
    for place, row in enumerate(table.itertuples()):
        where = {"expert": row.expert, "term": row.term}
        if row.parameter == "gate":
            where = {"gate_expert": row.expert, "gate_term": row.term}
        if row.parameter == "sigma":
            where.pop("term")
        assert np.array_equal(posterior[row.parameter].sel(where).to_numpy()[0], draws[:, place])


def test_log_likelihood_is_by_unit_and_draw():
    frame = small_frame(w=np.where(np.arange(120) < 8, 0.0, 1.5))
    model = mixture(regression("y ~ x"), unit="u").fit(frame, sample_weight="w")
    other = model.fitted_.theta + 0.05
    data = model.to_arviz(np.stack([model.fitted_.theta, other])[None], kind="laplace")
    by_unit = dataset(data, "log_likelihood")["y"]
    assert by_unit.dims == ("chain", "draw", "unit")
    assert list(by_unit["unit"].to_numpy()) == list(range(2, 30))
    assert np.allclose(by_unit[0, 0], 1.5 * model.predict(frame, kind="log_density")[2:], rtol=1e-9)
    assert float(by_unit[0, 0].sum()) == pytest.approx(model.log_likelihood_)
    moved = model.fitted_._replace(phi=model.fitted_.phi + 0.05)
    model.fitted_ = moved
    assert np.allclose(by_unit[0, 1], 1.5 * model.predict(frame, kind="log_density")[2:], rtol=1e-9)
    assert np.array_equal(dataset(data, "observed_data")["y"], frame.y)


def test_a_sample_with_its_statistics():
    pytest.importorskip("blackjax")
    model = two_lines(300)
    draws = model.sample_posterior(60, 2, warmup=100, random_state=1)
    data = model.to_arviz(draws)
    statistics = dataset(data, "sample_stats")
    assert variables(dataset(data, "posterior"))["mean"] == (("chain", "draw", "expert", "term"), (2, 60, 2, 2))
    assert np.array_equal(statistics["lp"], draws.log_posterior)
    assert set(statistics.data_vars) == {"lp", "diverging", "acceptance_rate", "energy", "n_steps"}
    table = az.summary(data)
    assert len(table) == model.n_parameters_
    assert np.allclose(sorted(table["mean"].astype(float)), sorted(draws.summary()["mean"]), atol=0.006)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        az.plot_trace(data)


def test_loo_prefers_the_model_that_is_right():
    frame = lines(300)
    one = ms.Regression("y ~ x + z", verbose=0).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right, wrong = two_lines(300).to_arviz(random_state=0), one.to_arviz(random_state=0)
        table = az.compare({"two": right, "one": wrong})
        gap = elpd(right) - elpd(wrong)
    assert table.index[0] == "two"
    assert gap > 30
    assert gap == pytest.approx(two_lines(300).log_likelihood_ - one.log_likelihood_, abs=15)


def test_loo_of_a_gaussian_is_nearly_its_exact_cross_validation():
    """Leave-one-out log predictive densities of plain refits, for one expert."""
    frame = lines(60)
    model = ms.Regression("y ~ x", verbose=0).fit(frame)
    exact = 0.0
    for place in range(60):
        rest = ms.Regression("y ~ x", verbose=0).fit(frame.drop(place))
        exact += float(rest.predict(frame.iloc[[place]], kind="log_density")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert elpd(model.to_arviz(random_state=0)) == pytest.approx(exact, abs=1.0)


def test_bootstrap_draws_are_no_posterior():
    model = two_lines(300)
    theta = model.laplace_draws(50, random_state=0)
    converged = np.arange(50) != 7
    data = model.to_arviz(SimpleNamespace(theta=theta, converged=converged))
    group = dataset(data, "bootstrap")
    assert group.attrs["kind"] == "bootstrap"
    assert variables(group)["mean"] == (("chain", "draw", "expert", "term"), (1, 49, 2, 2))
    names = set(data.groups() if isinstance(data.groups, type(data.to_dict)) else data.children)
    assert {name.strip("/") for name in names} == {"bootstrap", "observed_data"}
    assert variables(dataset(model.to_arviz(theta, kind="bootstrap"), "bootstrap"))["sigma"][1] == (1, 50, 2)


def test_points_missing_and_categorical_responses():
    frame = small_frame()
    frame.loc[:9, "y"] = 0.0
    hurdle = mixture(regression("y ~ x"), extra=[ms.PointMass(0)]).fit(frame)
    assert np.array_equal(dataset(hurdle.to_arviz(), "observed_data")["y"], frame.y)
    gaps = frame.assign(n=frame.n.where(np.arange(120) > 4).astype(float))
    joint = mixture(ms.Joint([regression("y ~ x"), regression("n ~ 1", family="poisson")])).fit(gaps)
    data = joint.to_arviz()
    assert np.array_equal(dataset(data, "observed_data")["n"], gaps.n, equal_nan=True)
    assert list(dataset(data, "log_likelihood").data_vars) == ["joint"]
    assert {"mean[y]", "mean[n]", "sigma[y]"} <= set(dataset(data, "posterior").data_vars)
    letters = dataset(regression("g ~ x", family="categorical").fit(frame).to_arviz(), "observed_data")["g"]
    levels = np.array(letters.attrs["levels"].split(", "))
    assert list(levels[letters.to_numpy().astype(int)]) == list(frame.g)


def test_arrangement_of_shared_and_unequal_coefficients():
    labels = [
        Label(1, "mean", "Intercept", "identity"),
        Label(0, "mean", "x", "identity"),
        Label(0, "sigma", "Intercept", "log"),
        Label(2, "mean", "Intercept", "identity"),
        Label(1, "shape", "Intercept", "log"),
        Label(2, "shape", "Intercept", "log"),
        Label(2, "shape", "v", "log"),
        Label(2, "gate", "Intercept", "logit"),
    ]
    found = {variable.name: variable for variable in arrange(labels)}
    assert {name: variable.places.tolist() for name, variable in found.items()} == {
        "mean_shared": [1],
        "mean": [0, 3],
        "sigma": 2,
        "shape_1": 4,
        "shape_2": [5, 6],
        "gate": [7],
    }
    group = inference_data.coefficient_group(labels, np.arange(16.0).reshape(1, 2, 8))
    assert group.variables["shape_2"][0] == ("chain", "draw", "shape_2_term")
    assert group.variables["gate"][0] == ("chain", "draw", "gate_expert")
    assert np.array_equal(group.variables["sigma"][1], [[2.0, 10.0]])
    assert dict(group.coordinates)["expert"] == [1, 2]


def test_bad_draws():
    model = two_lines(300)
    size = model.n_parameters_
    with pytest.raises(OptionError, match="takes kind="):
        model.to_arviz(np.zeros((3, size)))
    with pytest.raises(OptionError, match=r"does not suit these draws \(laplace\)"):
        model.to_arviz(kind="posterior")
    with pytest.raises(OptionError, match="kind must be one of"):
        model.to_arviz(np.zeros((3, size)), kind="prior")
    with pytest.raises(OptionError, match=rf"\(draw, {size}\)"):
        model.to_arviz(np.zeros((3, size + 1)), kind="laplace")
    with pytest.raises(DataError, match="1 numbers that are not finite"):
        model.to_arviz(np.where(np.eye(2, size, 1) * [[1], [0]] > 0, np.nan, 0.0), kind="laplace")


def test_a_saved_model_has_draws_without_likelihood():
    saved = pickle.loads(pickle.dumps(two_lines(300)))
    with pytest.raises(DataError, match="training data"):
        saved.to_arviz()
    assert "posterior" in saved.to_arviz(log_likelihood=False)


def test_without_arviz_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(inference_data, "_version", lambda package: None)
    with pytest.raises(ImportError, match="pip install arviz"):
        two_lines(300).to_arviz()


def test_units_are_named_by_the_rows_that_were_kept():
    frame = lines(80).assign(x=lambda f: f.x.where(np.arange(80) != 5))
    model = ms.Regression("y ~ x", verbose=0).fit(frame)
    units = dataset(model.to_arviz(), "log_likelihood")["unit"].to_numpy()
    assert list(units) == [place for place in range(80) if place != 5]
