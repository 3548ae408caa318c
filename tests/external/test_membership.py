"""Covariates of the classes: estimates and covariances against likelihoods in plain numpy, and limiting cases."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from statsmodels.discrete.discrete_model import MNLogit
from statsmodels.tools.numdiff import approx_fprime, approx_hess

import mixstat as ms
from tests.external.cases import (
    draw,
    fitted,
    gate_logs,
    in_order,
    item_logs,
    latent_class,
    parameters_of,
    posterior,
    sample,
    separated,
    with_constant,
)
from tests.identity.latent_class import item_frame, latent_class_model


def errors_of(responsibility: np.ndarray, assigned: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """P(assigned = s | class = t), by counting."""
    table = np.zeros((2, 2))
    for t in range(2):
        for s in range(2):
            table[t, s] = np.sum(weight * responsibility[:, t] * assigned[:, s]) / np.sum(weight * responsibility[:, t])
    return table


def unit_terms(kind: str, assignment: str, parameters: np.ndarray, table: pd.DataFrame, weight: np.ndarray):
    """gamma -> (unit,) terms of the last step's objective without weights, written from the formulas."""
    z, responsibility = with_constant(table["z"]), posterior(parameters, table)
    modal = np.eye(2)[np.argmax(posterior(parameters_of(fitted()), table), axis=1)]
    assigned = modal if assignment == "modal" else responsibility
    if kind == "two_stage":
        logs = item_logs(parameters, table)
        return lambda gamma: logsumexp(logs + gate_logs(gamma, z), axis=1)
    errors = errors_of(responsibility, assigned, weight)
    if kind == "ML":
        return lambda gamma: np.sum(assigned * np.log(np.exp(gate_logs(gamma, z)) @ errors), axis=1)
    shares = assigned @ np.linalg.inv(errors) if kind == "BCH" else assigned
    return lambda gamma: np.sum(shares * gate_logs(gamma, z), axis=1)


CASES = [("two_stage", "modal")] + [(k, a) for k in ("ML", "BCH", "none") for a in ("modal", "proportional")]


def analyse(kind: str, assignment: str, **options):
    steps = {} if kind == "two_stage" else {"method": "three_step", "correction": kind, "assignment": assignment}
    return fitted().membership(sample(), "~ z", **steps, **options)


@pytest.mark.parametrize(("kind", "assignment"), CASES)
def test_estimates_maximise_the_objective(kind, assignment):
    terms = unit_terms(kind, assignment, parameters_of(fitted()), sample(), np.ones(600))
    best = minimize(lambda gamma: -terms(gamma).sum(), np.zeros(2), tol=1e-10)
    found = analyse(kind, assignment)
    assert found.converged
    np.testing.assert_allclose(found.coefficients[0], best.x, atol=1e-5)
    if found.log_likelihood is not None:
        assert found.log_likelihood == pytest.approx(-best.fun, rel=1e-10)


@pytest.mark.parametrize(("kind", "assignment"), CASES)
def test_last_step_covariances(kind, assignment):
    terms = unit_terms(kind, assignment, parameters_of(fitted()), sample(), np.ones(600))
    gamma = analyse(kind, assignment).coefficients[0]
    inverse = np.linalg.inv(-approx_hess(gamma, lambda g: terms(g).sum()))
    scores = approx_fprime(gamma, terms, centered=True)
    naive = analyse(kind, assignment, standard_errors="information").covariance
    robust = analyse(kind, assignment, standard_errors="robust").covariance
    np.testing.assert_allclose(naive, inverse, rtol=1e-4)
    np.testing.assert_allclose(robust, inverse @ scores.T @ scores @ inverse, rtol=1e-4)


@pytest.mark.parametrize(("kind", "assignment"), CASES)
def test_correction_for_the_first_step(kind, assignment):
    """V + H^-1 J V_1 J' H^-1 with J differentiated on the user's scale, in plain numpy."""
    gamma, start = analyse(kind, assignment).coefficients[0], parameters_of(fitted())
    terms = unit_terms(kind, assignment, start, sample(), np.ones(600))
    inverse = np.linalg.inv(-approx_hess(gamma, lambda g: terms(g).sum()))

    def gradient(parameters):
        moved = unit_terms(kind, assignment, parameters, sample(), np.ones(600))
        return approx_fprime(gamma, lambda g: moved(g).sum(), epsilon=1e-4, centered=True)

    influence = inverse @ approx_fprime(start, gradient, epsilon=1e-3, centered=True)
    base = analyse(kind, assignment, standard_errors="information" if kind == "two_stage" else "robust").covariance
    expected = base + influence @ fitted().covariance() @ influence.T
    found = analyse(kind, assignment, standard_errors="corrected").covariance
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_two_stages_with_known_experts_are_the_one_step_fit():
    table = sample().assign(y=lambda t: np.random.default_rng(4).normal(2.0 * t["k"]))
    experts = [ms.Regression("y ~ 1", fixed={"Intercept": mean, "sigma": 1.0}) for mean in (0.0, 2.0)]
    full = ms.MixtureOfExperts(experts, gate="~ z + h", n_init=2, random_state=0, verbose=0).fit(table)
    found = full.membership(table, "~ z + h")
    expected = full.tidy()
    assert list(found.tidy()["term"]) == list(expected["term"])
    np.testing.assert_allclose(found.tidy()["estimate"], expected["estimate"], atol=1e-6)
    np.testing.assert_allclose(found.covariance, full.covariance(), rtol=1e-4)
    np.testing.assert_allclose(found.predict_proba(table[["z", "h"]]), full.gate_proba(table), atol=1e-6)
    assert found.log_likelihood == pytest.approx(full.log_likelihood_, rel=1e-9)


def test_three_overlapping_classes_with_missing_and_nominal_items():
    """From responsibilities alone: f_k(y_i) is proportional to r_ik / pi_k."""
    table = item_frame()
    model = latent_class_model().fit(table)
    ratio = np.log(model.responsibilities(table) / model.gate_proba(table))
    columns = with_constant(table["v"])

    def value(gamma):
        eta = np.column_stack([np.zeros(len(table)), columns @ gamma.reshape(2, 2).T])
        return np.sum(logsumexp(ratio + log_softmax(eta, axis=1), axis=1))

    found = model.membership(table, "~ v", standard_errors="information")
    best = minimize(lambda gamma: -value(gamma), np.zeros(4), tol=1e-10).x
    np.testing.assert_allclose(found.coefficients.ravel(), best, atol=1e-4)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(-approx_hess(best, value)), rtol=1e-3)
    assert (np.diag(model.membership(table, "~ v").covariance) > np.diag(found.covariance)).all()


@pytest.mark.parametrize(
    "options",
    [{}, *({"method": "three_step", "correction": c, "assignment": a} for _, a in CASES[1:3] for c in ("ML", "BCH"))],
)
@pytest.mark.parametrize("errors", ["information", "robust"])
def test_separated_classes_are_a_multinomial_logit(options, errors):
    model, table = separated()
    found = model.membership(table, "~ z", standard_errors=errors, **options)
    peer = MNLogit(table["k"], with_constant(table["z"])).fit(
        disp=0, tol=1e-12, cov_type="HC0" if errors == "robust" else "nonrobust"
    )
    np.testing.assert_allclose(found.coefficients, np.asarray(peer.params).T, atol=1e-6)
    np.testing.assert_allclose(found.tidy()["std_error"], np.asarray(peer.bse).T.ravel(), rtol=1e-5)
    table_of = found.tidy()
    assert list(table_of["class"]) == [2, 2, 3, 3]
    np.testing.assert_allclose(found.predict_proba(table), peer.predict(), atol=1e-6)


def test_wald_tests_of_terms():
    model, table = separated()
    found = model.membership(table, "~ z + g")
    tests = found.test().set_index("term")
    slopes = np.flatnonzero(found.tidy()["term"] == "z")
    estimate, inverse = found.coefficients[:, 1], np.linalg.inv(found.covariance[np.ix_(slopes, slopes)])
    assert tests.loc["z", "statistic"] == pytest.approx(estimate @ inverse @ estimate)
    assert tests.loc["z", "df"] == 2
    assert list(tests.index) == ["Intercept", "z", "g"]


def test_weights_count_as_repeated_units():
    table = draw(7, 300)
    weight = np.random.default_rng(0).integers(0, 4, 300)
    repeated = table.loc[table.index.repeat(weight)].reset_index(drop=True)
    weighted = latent_class().fit(table, sample_weight=weight)
    several = latent_class().fit(repeated)
    for options in ({}, {"method": "three_step"}, {"method": "three_step", "correction": "BCH"}):
        one = weighted.membership(table, "~ z", standard_errors="information", **options)
        two = several.membership(repeated, "~ z", standard_errors="information", **options)
        np.testing.assert_allclose(one.coefficients, two.coefficients, atol=1e-5)
        np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-4)
    modal = np.eye(2)[weighted.classify() - 1]
    errors = weighted.classification_table().errors.to_numpy()
    np.testing.assert_allclose(errors, errors_of(weighted.responsibilities(table), modal, weight), atol=1e-10)


def test_clusters_sum_scores():
    table = pd.concat([sample(), sample()], ignore_index=True).assign(pair=np.tile(np.arange(600), 2))
    doubled = latent_class(cluster="pair").fit(table)
    doubled = in_order(doubled)
    for options in ({}, {"method": "three_step", "correction": "BCH"}):
        found = doubled.membership(table, "~ z", standard_errors="cluster", **options)
        expected = fitted().membership(sample(), "~ z", standard_errors="robust", **options)
        np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-4)


def test_missing_covariates_drop_and_are_counted():
    table = sample().copy()
    table.loc[[3, 10, 11], "z"] = np.nan
    found = fitted().membership(table, "~ z", method="three_step")
    assert "597; 3 of the fit left out" in str(found.summary())
    errors = fitted().classification_table().errors.to_numpy()
    modal = fitted().classify() - 1
    seen = table["z"].notna().to_numpy()
    columns = with_constant(table["z"])[seen]
    best = minimize(
        lambda g: -np.log(np.sum(np.exp(gate_logs(g, columns)) * errors.T[modal[seen]], axis=1)).sum(), np.zeros(2)
    )
    np.testing.assert_allclose(found.coefficients[0], best.x, atol=1e-4)


def test_units_of_several_rows():
    rng = np.random.default_rng(2)
    people = pd.DataFrame({"id": np.arange(150), "z": rng.normal(size=150)})
    second = rng.random(150) < 1 / (1 + np.exp(-people["z"]))
    rows = people.loc[people.index.repeat(4)].assign(x=rng.normal(size=600))
    rows["y"] = np.where(second[rows.index], 2 + rows["x"], -rows["x"]) + rng.normal(size=600)
    rows = rows.sample(frac=1.0, random_state=0)
    model = ms.MixtureOfExperts(ms.Regression("y ~ x"), unit="id", n_init=3, random_state=0, verbose=0).fit(rows)
    for options in ({}, {"method": "three_step", "correction": "BCH"}):
        one, many = (model.membership(given, "~ z", **options) for given in (people, rows))
        np.testing.assert_allclose(one.coefficients, many.coefficients, atol=1e-8)
        np.testing.assert_allclose(one.covariance, many.covariance, rtol=1e-6)
    with pytest.raises(ms.DataError, match="covariate 'x' varies inside unit"):
        model.membership(rows, "~ x")
    half = model.membership(people.head(100), "~ z")
    assert "100; 50 of the fit left out" in str(half.summary())


@pytest.mark.parametrize(
    "options", [{"gate": "equal", "algorithm": "em"}, {"extra": [ms.Noise()]}], ids=["equal shares after EM", "noise"]
)
def test_other_gates_and_classes(options):
    """Shared parameters with equal shares after EM alone, and with a class of noise."""
    _, table = separated()
    stray = np.random.default_rng(0).random(240) < 0.1
    table = table.assign(y=table["y"].where(~stray, 50 + 350 * stray.cumsum() / stray.sum()))
    expert = ms.Regression("y ~ 1", shared="sigma")
    model = ms.MixtureOfExperts(expert, n_experts=3, n_init=5, random_state=0, verbose=0, **options).fit(table)
    for analysis in ({}, {"method": "three_step", "standard_errors": "corrected"}):
        found = model.membership(table, "~ z", **analysis)
        assert found.coefficients.shape == (2 + len(model.extra), 2)
        assert found.converged
        assert (found.tidy()["std_error"] > 0).all()
        shares = model.responsibilities(table).mean(axis=0)
        np.testing.assert_allclose(found.predict_proba(table).mean(axis=0), shares, atol=0.03)


def test_relabelled_fits_give_relabelled_coefficients():
    turned = fitted().reorder([2, 1])
    for options in ({}, {"method": "three_step", "correction": "BCH", "standard_errors": "corrected"}):
        one, two = (model.membership(sample(), "~ z", **options) for model in (fitted(), turned))
        np.testing.assert_allclose(one.coefficients, -two.coefficients, atol=1e-7)
        np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-5)


def test_summary_in_both_forms():
    found = analyse("BCH", "modal")
    assert "BCH weights are negative for 600 units" in str(found)
    assert "<table" in found._repr_html_()
    assert list(found.tidy()) == [
        "class", "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"
    ]  # fmt: skip
