"""Rows grouped in units share one class: log p(y_i) = log sum_k pi_k(v_i) prod_t f_k(y_it)."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import mixstat as ms
from tests.identity.oracle import gate_scores, predictors
from tests.identity.simulate import expit

UNITS = 80


def grouped_frame(seed: int = 3) -> pd.DataFrame:
    """80 units of one to six rows, in random order of rows; v is constant in a unit."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 7, UNITS)
    v = rng.normal(size=UNITS)
    second = rng.random(UNITS) < expit(0.3 + v)
    unit = np.repeat(np.arange(UNITS), counts)
    x = rng.normal(size=len(unit))
    mean = np.where(second[unit], 1.0 + 0.5 * x, 0.2 - 0.5 * x)
    frame = pd.DataFrame({"person": unit + 100, "x": x, "v": v[unit], "y": rng.poisson(np.exp(mean))})
    return frame.assign(z=rng.normal(mean, 0.7)).sample(frac=1.0, random_state=1)


@cache
def fitted(family: str) -> tuple[ms.MixtureOfExperts, pd.DataFrame]:
    frame = grouped_frame()
    response = {"poisson": "y", "gaussian": "z"}[family]
    expert = ms.Regression(f"{response} ~ x", family=family)
    model = ms.MixtureOfExperts(expert, gate="~ v", unit="person", n_init=3, random_state=1, verbose=0)
    return model.fit(frame), frame


def log_density(family: str, frame: pd.DataFrame, eta: dict) -> np.ndarray:
    if family == "poisson":
        return stats.poisson.logpmf(frame["y"], np.exp(eta["mean"]))
    return stats.norm.logpdf(frame["z"], eta["mean"], np.exp(eta["sigma"]))


def joint(family: str, table: pd.DataFrame, frame: pd.DataFrame) -> np.ndarray:
    """log pi_k + sum_t log f_k, (class, unit), units in order of first appearance."""
    theta = table["estimate"].to_numpy()
    rows = np.stack([log_density(family, frame, predictors(table, frame, k, theta)) for k in (1, 2)])
    units = frame.drop_duplicates("person")
    scores = np.stack(gate_scores(table, units, 2, theta))
    log_gate = scores - logsumexp(scores, axis=0)
    sums = [pd.Series(row, frame["person"].to_numpy()).groupby(level=0).sum()[units["person"]] for row in rows]
    return log_gate + np.stack(sums)


@pytest.mark.parametrize("family", ["poisson", "gaussian"])
def test_log_likelihood_by_brute_force(family):
    model, frame = fitted(family)
    expected = logsumexp(joint(family, model.tidy(), frame), axis=0).sum()
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-10)
    assert model.n_units_ == UNITS
    assert model.n_rows_ == len(frame)


@pytest.mark.parametrize("family", ["poisson", "gaussian"])
def test_responsibilities_by_brute_force(family):
    model, frame = fitted(family)
    both = joint(family, model.tidy(), frame)
    expected = np.exp(both - logsumexp(both, axis=0)).T
    np.testing.assert_allclose(model.responsibilities(frame), expected, atol=1e-10)


def test_fit_is_a_maximum_of_the_brute_force_likelihood():
    """No coordinate step of one per mille raises it."""
    model, frame = fitted("poisson")
    table = model.tidy()
    best = logsumexp(joint("poisson", table, frame), axis=0).sum()
    for index in table.index:
        for step in (-1e-3, 1e-3):
            moved = table.copy()
            moved.loc[index, "estimate"] += step
            assert logsumexp(joint("poisson", moved, frame), axis=0).sum() < best


def test_units_of_one_row_are_rows():
    frame = grouped_frame().drop_duplicates("person")
    expert = ms.Regression("y ~ x", family="poisson")
    options = {"gate": "~ v", "n_init": 3, "random_state": 1, "verbose": 0}
    grouped = ms.MixtureOfExperts(expert, unit="person", **options).fit(frame)
    plain = ms.MixtureOfExperts(expert, **options).fit(frame)
    assert grouped.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-11)
    np.testing.assert_allclose(grouped.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-6, atol=1e-8)
