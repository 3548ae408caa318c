"""Fitted models of every kind, and what has to be equal to the bit after a round trip."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.families import Categorical
from tests.estimators.data import SIZE, frame, mixture, regression


def _sample() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    data = frame()
    data["t"] = data.x + rng.standard_t(4, SIZE)
    data["p"] = rng.gamma(2.0, np.exp(0.3 * data.x))
    data["s"] = rng.beta(2.0, 3.0, SIZE)
    data["k"] = rng.negative_binomial(2, 0.3, SIZE)
    data["trials"] = rng.integers(1, 9, SIZE)
    data["hits"] = rng.binomial(data.trials, 0.4)
    data["failures"] = data.trials - data.hits
    data["grade"] = rng.integers(1, 4, SIZE)
    data["e"] = rng.uniform(1.0, 2.0, SIZE)
    data["flag"] = rng.random(SIZE) < 0.5
    data["v"] = np.resize([0.5, -1.0, 2.0, 1.0], SIZE // 4).repeat(4)
    data["w"] = rng.uniform(0.5, 2.0, SIZE // 4).repeat(4)
    data["c"] = np.repeat(np.arange(10), SIZE // 10)
    data["i"] = np.where(rng.random(SIZE) < 0.1, np.nan, data.b)
    data["j"] = np.where(rng.random(SIZE) < 0.1, np.nan, data.p)
    return data


DATA = _sample()
RICH = "y ~ g * x + C(grade, Sum) + bs(z, df=4) + cr(e, df=3) + poly(p, 2) + scale(s):flag + offset(0.1 * k) + I(z > 0)"
RESPONSES = {
    "gaussian": ("y", {}),
    "student_t": ("t", {"sigma": "~ z"}),
    "lognormal": ("p", {}),
    "gamma": ("j", {}),
    "inverse_gaussian": ("p", {}),
    "beta": ("s", {}),
    "poisson": ("n", {}),
    "negative_binomial": ("k", {}),
    "binomial": ("hits / trials", {}),
    "categorical": ("g", {}),
    "multivariate_gaussian": ("cbind(y, p)", {}),
    "diagonal_gaussian": ("cbind(t, s)", {}),
}
"""A response and formulas for every family."""


def _outcomes(*names: str) -> ms.Joint:
    given = [(name, *RESPONSES[name]) for name in names]
    return ms.Joint([regression(f"{left} ~ x", family=name, **options) for name, left, options in given])


MODELS: dict[str, Any] = {
    "families on the line": lambda: mixture(_outcomes("gaussian", "student_t", "lognormal", "beta"), n_experts=1),
    "families above 0": lambda: mixture(
        _outcomes("gamma", "inverse_gaussian", "poisson", "negative_binomial"), n_experts=1
    ),
    "other families": lambda: mixture(
        _outcomes("binomial", "categorical", "multivariate_gaussian", "diagonal_gaussian"), n_experts=1
    ),
    "counts": lambda: regression("n ~ x + offset(log(e))", family="poisson"),
    "trials": lambda: regression("cbind(hits, failures) ~ x", family="binomial"),
    "numbers as categories": lambda: regression("grade ~ x", family="categorical"),
    "flags as categories": lambda: regression("flag ~ x", family=Categorical()),
    "function of the response": lambda: regression("log(p) ~ .", fixed={"x": 0.25}, penalty=0.01, l1_ratio=0.5),
    "rich formula": lambda: regression(RICH, sigma="~ bs(z, df=4) + g"),
    "gate": lambda: mixture(regression("y ~ x | z + g"), extra=[ms.Noise(), ms.PointMass(0)]),
    "units": lambda: mixture(regression("y ~ x", unit="u"), gate="~ v", cluster="c", extra=(ms.Noise(),)),
    "ties": lambda: mixture(regression("y ~ x + z + g", shared="z + sigma", fixed={"x": 1.0}), gate="equal"),
    "different experts": lambda: mixture([regression("y ~ x"), regression("y ~ z", family="student_t")], gate="~ z"),
    "joint": lambda: mixture(
        ms.Joint(
            [
                regression("i ~ 1", family="binomial"),
                regression("j ~ x", family="gamma"),
                regression("b ~ 1", family="binomial"),
                regression("g ~ 1", family="categorical"),
            ]
        ),
        gate="~ z",
        extra=[ms.Noise()],
    ),
    "known classes": lambda: mixture(gate="~ z", prior_classes="known"),
    "collinear": lambda: mixture(regression("y ~ x + twice")),
    "em": lambda: mixture(algorithm="em", max_iter=30),
}


def table() -> pd.DataFrame:
    known = np.where(np.arange(SIZE) < 20, np.where(DATA.y > 3, 2.0, 1.0), np.nan)
    return DATA.assign(twice=2 * DATA.x, known=known)


@cache
def fitted(name: str) -> Any:
    """A fitted model and the rows it was fitted to."""
    model, data = MODELS[name](), table()
    if name == "function of the response":
        data = data[["p", "x", "g", "z"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the data say is no matter here
        return model.fit(data, sample_weight="w" if name == "units" else None), data


def assert_same(model: Any, again: Any, data: Any, y: Any = None) -> None:
    """Everything that a model says, equal to the bit."""
    assert repr(again) == repr(model)
    assert again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    _assert_same_reports(model, again)
    for kind in ("mean", "expert_mean"):
        assert_equal(again.predict(data, kind=kind), model.predict(data, kind=kind))
    assert_equal(again.predict(data, y, kind="log_density"), model.predict(data, y, kind="log_density"))
    assert_equal(again.responsibilities(data, y), model.responsibilities(data, y))
    assert_equal(again.gate_proba(data), model.gate_proba(data))
    assert_equal(again.simulate(data, random_state=5), model.simulate(data, random_state=5))
    assert again.score(data, y) == model.score(data, y)
    if hasattr(model, "predict_proba"):
        assert_equal(again.predict_proba(data), model.predict_proba(data))


def _assert_same_reports(model: Any, again: Any) -> None:
    if model.fitted_.solution.information is not None:
        for method in ("tidy", "confint"):
            assert_equal(getattr(again, method)(0.9), getattr(model, method)(0.9))
        assert str(again.summary()) == str(model.summary())
        assert_equal(again.covariance(), model.covariance())
    assert_equal(again.glance(), model.glance())
    for name in ("aic", "bic", "sabic", "caic", "icl", "entropy"):
        assert getattr(again, name)() == getattr(model, name)()
    learnt = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")} - {"fitted_"}
    assert learnt == {name for name in vars(again) if name.endswith("_") and not name.startswith("_")} - {"fitted_"}
    for name in learnt:
        assert_equal(getattr(again, name), getattr(model, name))
        assert type(getattr(again, name)) is type(getattr(model, name))


def assert_equal(one: Any, other: Any) -> None:
    """The same type, shape and bits."""
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_equal(mine, its)
    else:
        np.testing.assert_array_equal(one, other)
