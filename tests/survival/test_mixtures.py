"""Mixtures of survival experts: truncation on the mixture, Never, one expert, equal experts, standard errors."""

from functools import cache

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, log_softmax

import mixstat as ms
from mixstat.core import mixture as kernels
from tests.survival import brute_force as bf
from tests.survival.brute_force import Law, Rows


@cache
def two_classes() -> pd.DataFrame:
    """Late entry; the class of a row follows z, its time x."""
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=(2, 600))
    slow = rng.random(600) < expit(0.3 + 1.2 * z)
    law = Law(np.where(slow, 0.16 * np.exp(0.3 * x), np.exp(-0.5 * x)), 1.0, np.where(slow, 3.0, 1.5), 1.0)
    return bf.simulate(rng, law, 9.0, 0.6, x=x, z=z)


@cache
def cured() -> pd.DataFrame:
    """A third never has the event, more often with z."""
    rng = np.random.default_rng(7)
    x, z = rng.normal(size=(2, 500))
    law = Law(np.exp(-0.5 * x), 1.0, 1.5, 1.0)
    table = bf.simulate(rng, law, 6.0, x=x, z=z)
    never = rng.random(500) < expit(-0.5 + z)
    end = rng.uniform(1, 6, 500)
    return table.assign(time=np.where(never, end, table["time"]), event=np.where(never, 0, table["event"]), hazard=0.02)


@cache
def mixed() -> ms.MixtureOfExperts:
    expert = ms.SurvivalRegression("Surv(entry, time, event) ~ x")
    return ms.MixtureOfExperts(expert, gate="~ z", n_experts=2, n_init=6, random_state=0, verbose=0).fit(two_classes())


@cache
def with_never() -> ms.MixtureOfExperts:
    expert = ms.SurvivalRegression("Surv(time, event) ~ x", baseline="weibull")
    return ms.MixtureOfExperts(expert, extra=[ms.Never()], gate="~ z", n_experts=1, verbose=0).fit(cured())


def seen(table: pd.DataFrame) -> Rows:
    return Rows.right(table["time"].to_numpy(), table["event"].to_numpy(), table["entry"].to_numpy())


def mixture_terms(theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of each row of two_classes() from coefficients in the order of `mixed().tidy()`."""
    found = dict(zip(mixed().coefficient_names_, theta, strict=True))
    table = two_classes()
    x, rows = table["x"].to_numpy(), seen(table)
    shape = next(value for name, value in found.items() if ":kappa1:" in name)
    terms, entries = [], []
    for k in (1, 2):
        phi = np.exp(found[f"{k}:phi:Intercept"] + found[f"{k}:phi:x"] * x)
        law = Law(phi, 1.0, np.exp(found[f"{k}:gamma:Intercept"]), float(np.expm1(shape)))
        terms.append(bf.log_term(law, rows))
        entries.append(bf.log_entry(law, rows))
    gate = found["2:gate:Intercept"] + found["2:gate:z"] * table["z"].to_numpy()
    return bf.mixture(log_softmax(np.stack([0 * gate, gate]), axis=0), terms, entries)


def never_terms(theta: np.ndarray) -> np.ndarray:
    """The same of cured() and `with_never()`."""
    found = dict(zip(with_never().coefficient_names_, theta, strict=True))
    table = cured()
    law = Law(
        np.exp(found["1:phi:Intercept"] + found["1:phi:x"] * table["x"].to_numpy()),
        1.0,
        np.exp(found["1:gamma:Intercept"]),
        1.0,
    )
    gate = found["2:gate:Intercept"] + found["2:gate:z"] * table["z"].to_numpy()
    rows, zero = seen(table), np.zeros(len(table))
    log_gate = log_softmax(np.stack([zero, gate]), axis=0)
    return bf.mixture(log_gate, [bf.log_term(law, rows), bf.never(rows)], [zero, zero])


def test_late_entry_is_that_of_the_mixture():
    model = mixed()
    assert model.converged_
    at = model.tidy()["estimate"].to_numpy()
    assert model.log_likelihood_ == pytest.approx(mixture_terms(at).sum(), rel=1e-12)


def test_classes_are_found():
    found = bf.coefficients(mixed())
    slow = 1 if found["1:phi:Intercept"] < found["2:phi:Intercept"] else 2
    sign = 1 if slow == 2 else -1
    assert found[f"{slow}:phi:Intercept"] == pytest.approx(np.log(0.16), abs=0.15)
    assert sign * found["2:gate:z"] == pytest.approx(1.2, abs=0.5)


@pytest.mark.parametrize(("model", "terms"), [(mixed, mixture_terms), (with_never, never_terms)])
def test_standard_errors_are_those_of_the_whole_likelihood(model, terms):
    """Information and sandwich from differences of the brute-force log-likelihood, gate and experts together."""
    at = model().tidy()["estimate"].to_numpy()
    size, step = len(at), 1e-4
    scores = np.stack([(terms(at + h) - terms(at - h)) / (2 * step) for h in step * np.eye(size)])
    assert np.abs(scores.sum(axis=1)).max() < 0.02  # what the scale penalty weighs
    covariance = np.linalg.inv(-bf.numeric_hessian(lambda theta: float(terms(theta).sum()), at))
    np.testing.assert_allclose(model().tidy()["std_error"], np.sqrt(np.diag(covariance)), rtol=1e-4)
    np.testing.assert_allclose(model().covariance(), covariance, rtol=1e-3, atol=1e-5)
    robust = covariance @ scores @ scores.T @ covariance
    np.testing.assert_allclose(model().covariance("robust"), robust, rtol=1e-3, atol=1e-5)


def test_mixture_cure_is_brute_force():
    model = with_never()
    at = model.tidy()["estimate"].to_numpy()
    assert model.log_likelihood_ == pytest.approx(never_terms(at).sum(), rel=1e-12)
    found = bf.coefficients(model)
    new = pd.DataFrame({"x": [0.0, 0.0], "z": [0.0, 1.0]})
    share = expit(found["2:gate:Intercept"] + found["2:gate:z"] * new["z"].to_numpy())
    np.testing.assert_allclose(model.cure_fraction(new)["estimate"], share, rtol=1e-10)
    assert np.isinf(model.quantile(new, 0.999)).all()


def test_cure_with_a_background_hazard():
    """Those to whom the event never comes die of the background alone."""
    expert = ms.SurvivalRegression("Surv(time, event) ~ x", baseline="weibull", background="hazard")
    model = ms.MixtureOfExperts(expert, extra=[ms.Never()], gate="~ z", n_experts=1, verbose=0).fit(cured())
    found = bf.coefficients(model)
    table = cured()
    rows = seen(table)._replace(background=table["hazard"].to_numpy())
    law = Law(
        np.exp(found["1:phi:Intercept"] + found["1:phi:x"] * table["x"].to_numpy()),
        1.0,
        np.exp(found["1:gamma:Intercept"]),
        1.0,
    )
    gate = found["2:gate:Intercept"] + found["2:gate:z"] * table["z"].to_numpy()
    log_gate = log_softmax(np.stack([0 * gate, gate]), axis=0)
    expected = bf.mixture(log_gate, [bf.log_term(law, rows), bf.never(rows)], [0 * gate, 0 * gate]).sum()
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-12)


def test_one_expert_is_the_single_model():
    expert = ms.SurvivalRegression("Surv(entry, time, event) ~ x", power="~ z", verbose=0)
    single = expert.fit(two_classes())
    mixture = ms.MixtureOfExperts(expert, n_experts=1, verbose=0).fit(two_classes())
    assert mixture.log_likelihood_ == pytest.approx(single.log_likelihood_, abs=1e-9)
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(mixture.tidy()[columns], single.tidy()[columns], rtol=1e-6)


def test_equal_experts_are_one():
    """At equal coefficients of the experts the mixture is one law, whatever the gate."""
    problem = mixed()._problem
    phi = problem.ties.expand(mixed().fitted_.solution.theta)
    groups, gate = problem.mixture.split(phi)
    equal = np.concatenate([np.repeat(np.asarray(g)[:1], len(g), axis=0).ravel() for g in groups])
    values = []
    for share in (0.0, -3.0, 50.0):
        with jax.enable_x64(True):
            at = np.concatenate([equal, np.full(np.asarray(gate).size, share)])
            values.append(float(kernels.log_likelihood(problem.mixture, at, problem.design)))
    assert values[1:] == pytest.approx(values[:1] * 2, rel=1e-12)


@pytest.mark.slow
def test_responsibilities_and_curves_are_those_of_bayes():
    """Membership given the row, and S, f and h of the mixture and of its classes."""
    model, table = mixed(), two_classes().head(6)
    found = bf.coefficients(model)
    shape = next(value for name, value in found.items() if ":kappa1:" in name)
    x, rows = table["x"].to_numpy(), seen(table)
    gate = found["2:gate:Intercept"] + found["2:gate:z"] * table["z"].to_numpy()
    pi = np.exp(log_softmax(np.stack([0 * gate, gate]), axis=0))
    laws = [
        Law(
            np.exp(found[f"{k}:phi:Intercept"] + found[f"{k}:phi:x"] * x),
            1.0,
            np.exp(found[f"{k}:gamma:Intercept"]),
            float(np.expm1(shape)),
        )
        for k in (1, 2)
    ]
    joint = pi * np.exp([bf.log_term(law, rows) for law in laws])
    np.testing.assert_allclose(model.responsibilities(table), (joint / joint.sum(axis=0)).T, rtol=1e-9)
    for time in (0.4, 2.0, 7.0):
        survival = np.exp([-law.total(time) for law in laws])
        density = survival * np.exp([law.log_hazard(time) for law in laws])
        total, f = (pi * survival).sum(axis=0), (pi * density).sum(axis=0)
        expected = {"survival": total, "density": f, "hazard": f / total, "cumulative_hazard": -np.log(total)}
        for kind, values in expected.items():
            np.testing.assert_allclose(model.predict(table, kind=kind, times=[time])[:, 0], values, rtol=1e-10)
            np.testing.assert_allclose(model.curves(table, [time], kind=kind)["estimate"], values, rtol=1e-10)
        both = model.curves(table, [time], by_class=True).pivot(index="expert", columns="rowid", values="estimate")
        np.testing.assert_allclose(both, survival, rtol=1e-10)


def test_shape_is_common_unless_it_has_a_formula():
    names = [name for name in mixed().coefficient_names_ if "kappa1" in name]
    assert names == ["shared:kappa1:Intercept"]
    expert = ms.SurvivalRegression("Surv(entry, time, event) ~ x", shape="~ 1")
    with np.errstate(all="ignore"):
        own = ms.MixtureOfExperts(expert, gate="~ z", n_experts=2, n_init=2, random_state=0, verbose=0)
        own.fit(two_classes())
    assert own.fitted_.theta.size == mixed().fitted_.theta.size + 1 or "kappa is infinite" in own.status_
    assert own.log_likelihood_ > mixed().log_likelihood_ - 1e-6
