"""Fitted models of every shape, one a process, and the rows that effects are asked of."""

from functools import cache

import numpy as np

import mixstat as ms
from tests.estimators.data import SIZE, frame, mixture, regression


def data():
    """The rows that models are fitted to."""
    rng = np.random.default_rng(3)
    table = frame(p=np.exp(rng.normal(size=SIZE)), v=np.repeat(rng.normal(size=SIZE // 4), 4))
    second = table.y - 3 > 0
    table["w"] = np.where(second, 2 - table.x, table.x) + 0.4 * rng.normal(size=SIZE)
    table["k"] = np.where(rng.random(SIZE) < 0.3, "c", np.where(second == (table.x > 0), "a", "b"))
    table["f"] = table.x + rng.normal(size=SIZE) > 0
    table["e"] = np.exp(table.y / 3)
    table["o"] = np.where(rng.random(SIZE) < 0.1, rng.uniform(-6, 12, SIZE), table.y)
    table["c"] = rng.poisson(np.exp(np.where(second, 0.5 + 0.3 * table.x, 2.5 - 0.2 * table.x) + np.log(table.p) / 5))
    table["m"] = np.where(rng.random(SIZE) < 0.3, 0, rng.poisson(np.exp(1.5 + 0.4 * table.x)))
    return table


DATA = data()
ROWS = DATA[(DATA.x.abs() < 1.5) & (DATA.z.abs() < 1.5)].iloc[:12].reset_index(drop=True)


def _units():
    return mixture(regression("y ~ x"), gate="~ v", unit="u")


def _experts():
    return mixture([regression("y ~ x + z"), regression("y ~ exp(x / 2) + f")], gate="~ z:f")


def _joint():
    return mixture(ms.Joint([regression("y ~ x"), regression("k ~ z", family="categorical")]), gate="~ x")


MODELS = {
    "splines": lambda: mixture(regression("y ~ bs(x, df=4) + log(p):g", sigma="~ z"), gate="~ poly(z, 2)"),
    "offset": lambda: mixture(regression("c ~ x*z + offset(log(p) / 5)", family="poisson"), gate="~ z"),
    "lognormal": lambda: mixture(regression("e ~ x + f", family="lognormal", sigma="~ x"), gate="~ z"),
    "noise": lambda: mixture(regression("o ~ x"), gate="~ z", extra=[ms.Noise()]),
    "inflated": lambda: mixture(
        regression("m ~ x", family="poisson"), n_experts=1, gate="~ z", extra=[ms.PointMass(0)]
    ),
    "categories": lambda: mixture(regression("k ~ x + f", family="categorical"), gate="~ z"),
    "responses": lambda: mixture(regression("cbind(y, w) ~ x", family="multivariate_gaussian"), gate="~ z"),
    "joint": _joint,
    "units": _units,
    "tied": lambda: mixture(regression("y ~ x + z + f", shared=["z"], fixed={"f": 0.1}), gate="~ z"),
    "equal": lambda: mixture(gate="equal"),
    "experts": _experts,
}


@cache
def fitted(name: str):
    """The model of that name; sound, so that every parameter has a standard error."""
    model = MODELS[name]().fit(DATA)
    assert np.isfinite(model.covariance()).all(), name
    return model
