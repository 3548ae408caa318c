"""Every constructor argument: a wrong type or value is one error that names it."""

import numpy as np
import pytest

import mixstat as ms
from mixstat.exceptions import MixstatError
from tests.estimators.data import frame, mixture, regression

DATA = frame()

OF_REGRESSION = {
    "formula": [3, ["y ~ x"], "y", "~ x", "", "y ~ x ~ z", "y ~ nope", "y ~ x | z"],
    "family": ["nope", 3, None],
    "shared": [3, "nope", [1]],
    "fixed": [3, {"nope": 1}, {"sigma": -1}, {"sigma": "a"}, {"mean": 1.0}, {"x": np.nan}, {1: 2.0}],
    "unit": [3, "nope"],
    "cluster": [3, "nope"],
    "penalty": [-1, "a", np.nan, np.inf, True],
    "l1_ratio": [2, "a", -0.1],
    "tol": ["a", -1, None],
    "max_iter": [0, 1.5, "a", True],
    "verbose": ["a", -1],
    "sigma": [3, "x", "y ~ x", "~ nope"],
    "nonsense": ["~ x"],
}
OF_MIXTURE = {
    "expert": [3, "y ~ x", [], [3], ms.Joint([]), ms.Joint([3]), ms.Joint([ms.Regression(), ms.Regression("n ~ 1")])],
    "gate": [3, "x", "y ~ x", "~ nope", "equals"],
    "n_experts": [0, 1.5, "a", True, -1, 121],
    "extra": [3, ms.Noise(), [3], "a"],
    "unit": [3, "nope"],
    "cluster": [3],
    "prior_classes": [
        3,
        "nope",
        [1, 2],
        np.zeros((120, 3)),
        np.array(["a"] * 120),
        np.full(120, 7),
        np.zeros((120, 2)),
    ],
    "n_init": [0, "a", 2.5, True],
    "random_state": ["a", -1, 1.5],
    "tol": ["a"],
    "max_iter": [0],
    "scale_penalty": [-1, "a"],
    "gate_penalty": [-1],
    "l1_ratio": [-1],
    "start": [3, "a", [1, 2], np.full(120, 3)],
    "algorithm": ["x", 3],
    "verbose": ["a"],
}


def cases(options):
    return [pytest.param(name, value, id=f"{name}-{i}") for name, vs in options.items() for i, value in enumerate(vs)]


def check(error, name, value):
    assert isinstance(error.value, ValueError)
    message = str(error.value)
    named = name in message or (isinstance(value, str) and value in message)
    assert named or name in ("formula", "gate", "sigma", "expert", "n_experts")
    assert len(message) < 400


@pytest.mark.parametrize(("name", "value"), cases(OF_REGRESSION))
def test_regression(name, value):
    with pytest.raises(MixstatError) as error:
        regression(**{"formula": "y ~ x", name: value}).fit(DATA)
    check(error, name, value)


@pytest.mark.parametrize(("name", "value"), cases(OF_MIXTURE))
def test_mixture(name, value):
    with pytest.raises(MixstatError) as error:
        mixture(**{"expert": regression("y ~ x"), "n_init": 1, name: value}).fit(DATA)
    check(error, name, value)


@pytest.mark.parametrize("value", ["0", np.nan, None, True])
def test_point_mass(value):
    with pytest.raises(ms.OptionError, match="PointMass"):
        ms.PointMass(value)


def test_numpy_integers_count():
    model = mixture(n_experts=np.int64(2), n_init=np.int32(1), random_state=np.int64(0)).fit(DATA)
    assert model.fitted_.assembled.mixture.experts == 2


def test_gate_in_the_formula():
    by_bar = mixture(regression("y ~ x | z")).fit(DATA)
    by_option = mixture(gate="~ z").fit(DATA)
    assert by_bar.log_likelihood_ == by_option.log_likelihood_
    with pytest.raises(ms.FormulaError, match="gate is given twice"):
        mixture(regression("y ~ x | z"), gate="~ z").fit(DATA)


def test_unit_that_differs():
    with pytest.raises(ms.OptionError, match="differs"):
        mixture(regression("y ~ x", unit="g"), unit="u").fit(DATA)


def test_unknown_words_after_a_fit():
    model = regression("y ~ x").fit(DATA)
    for call in (
        lambda: model.predict(DATA, kind="foo"),
        lambda: model.predict(DATA, weights="foo"),
        lambda: model.covariance("foo"),
        lambda: model.confint(kind="foo"),
        lambda: model.tidy(level=95),
        lambda: model.tidy(level="a"),
    ):
        with pytest.raises(ms.OptionError, match="must be"):
            call()
    with pytest.raises(ms.DataError, match="cluster="):
        model.covariance("cluster")


def test_response_given_twice():
    model = regression("y ~ x")
    with pytest.raises(ms.DataError, match=r"'y', in 120 rows \(first: row 0\)"):
        model.fit(DATA, DATA["y"] + 1)
    with pytest.raises(ms.DataError, match="4 entries, the table 120 rows"):
        model.fit(DATA, DATA["y"][:4])
    whole = model.fit(DATA).log_likelihood_
    assert model.fit(DATA, DATA["y"]).log_likelihood_ == whole
    assert model.fit(DATA[["x"]], DATA["y"].to_numpy()).log_likelihood_ == whole


def test_outcomes_are_different_responses():
    with pytest.raises(ms.FormulaError, match="two outcomes of Joint are the same response, 'y'"):
        mixture(ms.Joint([regression("y ~ x"), regression("y ~ z")])).fit(DATA)
    data = DATA.assign(other=np.random.default_rng(4).binomial(20, 0.3, 120), trials=20)
    grouped = [regression(f"{name} / trials ~ 1", family="binomial") for name in ("n", "other")]
    assert mixture(ms.Joint(grouped), n_experts=1).fit(data).n_parameters_ == 2
    with pytest.raises(ms.FormulaError, match="non-empty list"):
        mixture(ms.Joint(regression("y ~ x"))).fit(DATA)


@pytest.mark.filterwarnings("ignore::mixstat.ConvergenceWarning")
def test_experts_of_one_response_are_all_masses_or_all_densities():
    both = [regression("n ~ x", family="poisson"), regression("n ~ x")]
    with pytest.raises(ms.FormulaError, match=r"'n' probabilities and densities, .*\(poisson, gaussian\)"):
        mixture(both).fit(DATA)
    counts = [regression("n ~ x", family="poisson"), regression("n ~ x", family="negative_binomial")]
    assert mixture(counts[:1] * 2, n_init=1).fit(DATA).n_parameters_ == 5


def test_an_offset_holds_a_column():
    for formula in ("y ~ x + offset(1)", "y ~ x + offset(2 * 3)"):
        with pytest.raises(ms.FormulaError, match=r"'offset\(.*\)'.*an offset is a column"):
            regression(formula).fit(DATA)
