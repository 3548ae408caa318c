"""flexmix (R): log-likelihoods and coefficients of gated mixtures; `flexmix.R` made the numbers.

The gate of flexmix is fitted by nnet to a relative tolerance of 1e-8, which bounds the agreement of coefficients.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import mixstat as ms
from tests.reference.values import coefficients, data, fit, stored

pytestmark = pytest.mark.reference

AGREE = {
    "poisson": (ms.Regression("poisson ~ x", family="poisson"), "regressions", {"gate": "~ z"}),
    "poisson_constant_gate": (ms.Regression("poisson ~ x", family="poisson"), "regressions", {}),
    "binomial": (
        ms.Regression("cbind(successes, failures) ~ x", family="binomial"),
        "regressions",
        {"gate": "~ z"},
    ),
    "grouped_poisson": (
        ms.Regression("poisson ~ x", family="poisson", unit="person"),
        "grouped",
        {"gate": "~ z"},
    ),
}


@pytest.mark.parametrize("name", AGREE)
def test_where_flexmix_is_maximum_likelihood(name):
    expert, table, options = AGREE[name]
    model, peer = fit(expert, table, **options), stored("flexmix")[name]
    assert model.log_likelihood_ == pytest.approx(peer["log_likelihood"], abs=1e-5)
    assert model.n_parameters_ == peer["parameters"]
    np.testing.assert_allclose(coefficients(model, "mean", 1), peer["expert1"], atol=2e-4)
    np.testing.assert_allclose(coefficients(model, "mean", 2), peer["expert2"], atol=2e-4)
    if options:
        np.testing.assert_allclose(coefficients(model, "gate", 2), peer["gate"], atol=2e-3)


def gaussian_density(peer: dict, k: int) -> np.ndarray:
    frame, (intercept, slope, sigma) = data("regressions"), peer[f"expert{k}"]
    return stats.norm.logpdf(frame["gaussian"], intercept + slope * frame["x"], sigma)


def gamma_density(peer: dict, k: int) -> np.ndarray:
    """flexmix's gamma has an inverse link: the mean is 1 / coefficient."""
    inverse_mean, shape = peer[f"expert{k}"]
    return stats.gamma.logpdf(data("regressions")["gamma"], shape, scale=1 / (inverse_mean * shape))


def gated(log_density: np.ndarray, gate: np.ndarray) -> float:
    """sum log sum_k pi_k f_k of (class, row) log densities and the second class's gate coefficients."""
    eta = gate[0] + gate[1] * data("regressions")["z"].to_numpy()
    log_gate = np.stack([-np.logaddexp(0, eta), -np.logaddexp(0, -eta)])
    return float(logsumexp(log_density + log_gate, axis=0).sum())


DENSITY = {"gaussian": gaussian_density, "gamma": gamma_density}


def ours_as_peer(name: str, model: ms.MixtureOfExperts) -> dict:
    """Our coefficients in flexmix's parametrisation."""
    if name == "gaussian":
        experts = {k: [*coefficients(model, "mean", k), *np.exp(coefficients(model, "sigma", k))] for k in (1, 2)}
    else:
        experts = {
            k: [*np.exp(-coefficients(model, "mean", k)), *np.exp(coefficients(model, "shape", k))] for k in (1, 2)
        }
    return {"expert1": experts[1], "expert2": experts[2], "gate": coefficients(model, "gate", 2)}


@pytest.mark.parametrize("name", ["gaussian", "gamma"])
def test_where_flexmix_is_not_maximum_likelihood(name):
    """Its scales are not maximum likelihood estimates: ours is higher, and scipy gives both values."""
    formula = {"gaussian": "gaussian ~ x", "gamma": "gamma ~ 1"}[name]
    model = fit(ms.Regression(formula, family=name), "regressions", gate="~ z")
    peer = stored("flexmix")[name]
    theirs = gated(np.stack([DENSITY[name](peer, k) for k in (1, 2)]), peer["gate"])
    assert theirs == pytest.approx(peer["log_likelihood"], rel=1e-12)
    own = ours_as_peer(name, model)
    ours = gated(np.stack([DENSITY[name](own, k) for k in (1, 2)]), own["gate"])
    assert ours == pytest.approx(model.log_likelihood_, rel=1e-11)
    assert theirs + 1e-4 < ours < theirs + 1.0
