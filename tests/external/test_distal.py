"""Distal outcomes: estimates and covariances against formulas in plain numpy, and limiting cases."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm
from statsmodels.tools.numdiff import approx_fprime, approx_hess

import mixstat as ms
from tests.external.cases import (
    fitted,
    gate_logs,
    item_logs,
    parameters_of,
    posterior,
    sample,
    separated,
)

METHODS = ["BCH", "ML", "two_stage", "modal", "proportional"]


def logs_of(method: str, parameters: np.ndarray, assignment: str = "modal") -> tuple[np.ndarray, np.ndarray]:
    """(assigned, unit, class) log L with the class sizes held, and weights (assigned, unit)."""
    table = sample()
    size = gate_logs(parameters[10:], np.ones((len(table), 1)))
    if method == "two_stage":
        return (item_logs(parameters, table) + size)[None], np.ones((1, len(table)))
    responsibility = posterior(parameters, table)
    modal = np.eye(2)[np.argmax(posterior(parameters_of(fitted()), table), axis=1)]
    assigned = modal if assignment == "modal" else responsibility
    errors = (responsibility.T @ assigned) / responsibility.sum(axis=0)[:, None]
    return np.log(errors.T)[:, None] + size, assigned.T


def gaussian_terms(method: str, parameters: np.ndarray, assignment: str = "modal"):
    """(mean, log sd by class) -> (unit,) terms of the log-likelihood."""
    logs, weight = logs_of(method, parameters, assignment)
    d = sample()["d"].to_numpy()[:, None]
    return lambda p: np.sum(weight * logsumexp(logs + norm.logpdf(d, p[:2], np.exp(p[2:])), axis=2), axis=0)


@pytest.mark.parametrize(
    ("method", "assignment"), [("ML", "modal"), ("ML", "proportional"), ("two_stage", None)], ids=str
)
def test_means_by_likelihood(method, assignment):
    start = parameters_of(fitted())
    terms = gaussian_terms(method, start, assignment or "modal")
    best = minimize(lambda p: -terms(p).sum(), [1.0, 3.0, 0.0, 0.3], tol=1e-10)
    found = fitted().distal(sample(), "d", method=method, assignment=assignment, standard_errors="robust")
    np.testing.assert_allclose(found.estimates[:, 0], best.x[:2], atol=1e-5)
    assert found.log_likelihood == pytest.approx(-best.fun, rel=1e-9)
    inverse = np.linalg.inv(-approx_hess(best.x, lambda p: terms(p).sum()))
    scores = approx_fprime(best.x, terms, centered=True)
    np.testing.assert_allclose(found.covariance, (inverse @ scores.T @ scores @ inverse)[:2, :2], rtol=2e-3, atol=1e-6)

    def gradient(parameters):
        moved = gaussian_terms(method, parameters, assignment or "modal")
        return approx_fprime(best.x, lambda p: moved(p).sum(), epsilon=1e-4, centered=True)

    influence = inverse @ approx_fprime(start, gradient, epsilon=1e-3, centered=True)
    base = inverse if method == "two_stage" else inverse @ scores.T @ scores @ inverse
    expected = (base + influence @ fitted().covariance() @ influence.T)[:2, :2]
    corrected = (
        fitted().distal(sample(), "d", method=method, assignment=assignment, standard_errors="corrected").covariance
    )
    np.testing.assert_allclose(corrected, expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["ML", "two_stage"])
def test_proportions_by_likelihood(method):
    logs, weight = logs_of(method, parameters_of(fitted()))
    yes = (sample()["g"] == "yes").to_numpy()[:, None]
    terms = lambda p: np.sum(weight * logsumexp(logs + np.log(np.where(yes, p, 1 - p)), axis=2), axis=0)  # noqa: E731
    best = minimize(lambda p: -terms(p).sum(), [0.4, 0.6], bounds=[(0.01, 0.99)] * 2, tol=1e-14).x
    for _ in range(3):
        best = best - np.linalg.solve(approx_hess(best, lambda p: terms(p).sum()), approx_fprime(best, terms).sum(0))
    found = fitted().distal(sample(), "g", method=method, standard_errors="information")
    np.testing.assert_allclose(found.estimates[:, 1], best, atol=1e-5)
    np.testing.assert_allclose(found.estimates.sum(axis=1), 1.0)
    inverse = np.linalg.inv(-approx_hess(best, lambda p: terms(p).sum()))
    np.testing.assert_allclose(found.covariance[1::2, 1::2], inverse, rtol=1e-3)


@pytest.mark.parametrize("assignment", ["modal", "proportional"])
def test_bch_by_hand(assignment):
    """Weighted means with weights a D^-1 and the sandwich of their estimating equations."""
    table, found = sample(), fitted().distal(sample(), "d", assignment=assignment)
    responsibility = fitted().responsibilities(table)
    modal = np.eye(2)[fitted().classify() - 1]
    assigned = modal if assignment == "modal" else responsibility
    errors = responsibility.T @ assigned / responsibility.sum(axis=0)[:, None]
    weight = assigned @ np.linalg.inv(errors)
    np.testing.assert_allclose(weight.sum(axis=0), responsibility.sum(axis=0))
    d = table["d"].to_numpy()[:, None]
    means = (weight * d).sum(axis=0) / weight.sum(axis=0)
    np.testing.assert_allclose(found.estimates[:, 0], means, atol=1e-8)
    influence = weight * (d - means) / weight.sum(axis=0)
    np.testing.assert_allclose(found.covariance, influence.T @ influence, rtol=1e-6)
    difference, variance = means[1] - means[0], np.array([-1, 1]) @ found.covariance @ [-1, 1]
    test, pair = found.test(), found.pairwise().iloc[0]
    assert test.statistic == pytest.approx(difference**2 / variance)
    assert test.df == 1
    assert pair["difference"] == pytest.approx(difference)
    assert pair["std_error"] == pytest.approx(np.sqrt(variance))
    assert pair["statistic"] == pytest.approx(test.statistic)


@pytest.mark.parametrize("method", METHODS)
def test_separated_classes_are_groups(method):
    model, table = separated()
    groups = table.groupby("k")
    found = model.distal(table, "d", method=method, standard_errors="robust")
    np.testing.assert_allclose(found.estimates[:, 0], groups["d"].mean(), atol=1e-8)
    errors = groups["d"].std(ddof=0) / np.sqrt(groups["d"].size())
    np.testing.assert_allclose(found.tidy()["std_error"], errors, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, np.diag(errors**2), atol=1e-9)
    statistic = _wald_of_groups(groups["d"].mean().to_numpy(), errors.to_numpy() ** 2)
    assert found.test().statistic == pytest.approx(statistic, rel=1e-6)
    assert found.test().df == 2
    shares = model.distal(table, "g", method=method)
    yes = table["g"].eq("yes").groupby(table["k"]).mean()
    np.testing.assert_allclose(shares.estimates[:, 1], yes, atol=1e-8)
    expected = np.sqrt(yes * (1 - yes) / groups.size())
    np.testing.assert_allclose(shares.tidy().query("term == 'yes'")["std_error"], expected, rtol=1e-5)
    assert shares.test().df == 2
    assert list(shares.pairwise()["df"]) == [1, 1, 1]


def _wald_of_groups(means: np.ndarray, variances: np.ndarray) -> float:
    """sum (m_k - m)^2 / v_k around the precision-weighted mean."""
    centre = np.average(means, weights=1 / variances)
    return float(np.sum((means - centre) ** 2 / variances))


@pytest.mark.parametrize("method", METHODS)
def test_one_class_is_the_whole_sample(method):
    table = sample()
    model = ms.Regression("b1 ~ z", family="binomial", verbose=0).fit(table)
    found = model.distal(table, "d", method=method)
    assert found.estimates[0, 0] == pytest.approx(table["d"].mean())
    assert found.tidy()["std_error"][0] == pytest.approx(table["d"].std(ddof=0) / np.sqrt(600))
    assert found.test() == (0.0, 0, 1.0)
    assert not len(found.pairwise())
    assert "Means of d by class" in str(found)


@pytest.mark.parametrize("method", METHODS)
def test_weights_count(method):
    """Twice the weight is twice the unit."""
    model, table = separated()
    weight = np.random.default_rng(0).integers(0, 3, len(table))
    weighted = ms.MixtureOfExperts(**model.get_params(deep=False)).fit(table, sample_weight=weight)
    found = weighted.distal(table, "d", method=method)
    repeated = table.loc[table.index.repeat(weight)].groupby("k")["d"].mean()
    np.testing.assert_allclose(found.estimates[:, 0], repeated, atol=1e-8)


def test_kinds_of_outcome():
    model, table = separated()
    coded = table.assign(
        flag=table["g"] == "yes", code=np.where(table["g"] == "yes", 2.0, 1.0), zero=(table["g"] == "yes") * 1.0
    )
    expected = model.distal(table, "g").estimates
    flagged, coarse = model.distal(coded, "flag"), model.distal(coded, "code", categorical=True)
    np.testing.assert_allclose(flagged.estimates, expected)
    np.testing.assert_allclose(coarse.estimates, expected)
    assert coarse.levels == (1, 2)
    assert model.distal(coded, "code").levels == ()
    plain = model.distal(coded, "zero", categorical=False)
    np.testing.assert_allclose(plain.estimates[:, 0], expected[:, 1])
    logs = model.distal(table.assign(e=np.exp(table["d"])), "log(e)")
    np.testing.assert_allclose(logs.estimates, model.distal(table, "d").estimates)
    spaced = model.distal(table.rename(columns={"d": "my outcome"}), "my outcome")
    np.testing.assert_allclose(spaced.estimates, model.distal(table, "d").estimates)


def test_a_level_that_a_class_does_not_have():
    model, table = separated()
    bounded = table.assign(g=np.where(table["k"] == 1, "no", table["g"]))
    for method in METHODS:
        found = model.distal(bounded, "g", method=method)
        np.testing.assert_allclose(found.estimates[0], [1.0, 0.0], atol=1e-9)
        np.testing.assert_allclose(found.tidy()["std_error"][:2], 0.0, atol=1e-5)
        assert (found.tidy()["std_error"][2:] > 0.01).all()


def test_missing_outcomes_drop_and_are_counted():
    model, table = separated()
    gaps = table.assign(d=table["d"].mask(np.arange(240) % 10 == 0))
    found = model.distal(gaps, "d")
    np.testing.assert_allclose(found.estimates[:, 0], gaps.groupby("k")["d"].mean(), atol=1e-8)
    assert "216; 24 of the fit left out (missing values, or no row)" in str(found)


def test_means_out_of_range_warn():
    table = sample().assign(rare=((fitted().classify() == 2) & (sample()["z"] > 1)) * 1.0)
    with pytest.warns(UserWarning, match=r"the proportion of class 1 lies outside the outcome's range"):
        fitted().distal(table, "rare")
