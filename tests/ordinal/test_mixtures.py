"""Ordinal experts under a gate: penalised EM never falls, crossing is counted, and a fit that stops at it says so."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.fit.crossing import count_pressed, stopped
from mixstat.fit.em import em
from mixstat.fit.maximize import Found
from mixstat.fit.precision import double


@cache
def groups():
    rng = np.random.default_rng(3)
    z, x = rng.normal(size=(2, 600))
    first = rng.random(600) < 1 / (1 + np.exp(-1.5 * z))
    latent = np.where(first, 2.5 * x, -2 * x + 1) + rng.logistic(size=600)
    return pd.DataFrame({"y": np.digitize(latent, [-1, 0.5, 2]), "x": x, "z": z})


@cache
def shrunken():
    expert = ms.OrdinalRegression("y ~ x", slopes="shrunken", penalty=0.02)
    model = ms.MixtureOfExperts(expert, gate="~ z", n_experts=2, n_init=3, random_state=0, verbose=0)
    with pytest.warns(ms.CrossingWarning, match="of 600 rows"):
        return model.fit(groups())


def test_crossed_rows_of_experts_are_counted_and_refused():
    model = shrunken()
    assert model.n_crossed_ > 0
    assert "cut_k - x'b_k" in str(model.summary())
    with pytest.raises(ms.DataError, match="cross"):
        model.predict_proba(groups())


@double
def test_em_of_penalised_experts_never_falls():
    """One objective with one penalty: lam n / sum r for each expert."""
    problem, theta = shrunken()._problem, shrunken().fitted_.solution.theta
    rng = np.random.default_rng(0)
    at = problem.expect(theta * rng.uniform(0.5, 1.0, len(theta)))
    values = [at.objective]
    for _ in range(15):
        result = em(problem, at.theta, tol=0.0, max_iter=1)
        at = problem.expect(result.theta)
        values.append(at.objective)
    assert (np.diff(values) >= -1e-9).all()
    assert values[-1] > values[0] + 1


def test_a_fit_that_stops_at_a_crossing_says_so():
    model = shrunken()
    solution, problem = model.fitted_.solution, model._problem
    labels = model.fitted_.assembled.named.labels
    assert count_pressed(problem, solution.phi) == 0
    phi = solution.phi.copy()
    cuts = [place for place, label in enumerate(labels) if label.parameter in ("cut_1", "cut_2") and label.expert == 1]
    phi[cuts] = phi[cuts[0]]
    slopes = [place for place, label in enumerate(labels) if label.parameter == "difference_2" and label.expert == 1]
    phi[slopes] = 0.0
    halted = solution._replace(phi=phi, verdict=solution.verdict._replace(converged=False, status="not converged"))
    words = stopped(Found(halted, False, problem)).solution.verdict.status
    assert "begin to cross" in words
    assert words.endswith("not converged")
    assert stopped(Found(solution, False, problem)).solution.verdict == solution.verdict
