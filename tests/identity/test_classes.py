"""Classes beside the experts and known classes, by brute force: log p(y) = log sum_k a_k pi_k f_k(y)."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import mixstat as ms
from tests.identity.oracle import gate_scores, predictors
from tests.identity.simulate import mixture_frame

FRAME = mixture_frame("gaussian", seed=8, size=300).drop(columns=["o", "w"])
OUTLIERS = 15


def fit(frame: pd.DataFrame, **options) -> ms.MixtureOfExperts:
    settings = {"n_init": 4, "random_state": 1, "verbose": 0, **options}
    return ms.MixtureOfExperts(ms.Regression("y ~ x"), gate="~ v", n_experts=2, **settings).fit(frame)


def log_joint(table: pd.DataFrame, frame: pd.DataFrame, extra: list[np.ndarray]) -> np.ndarray:
    """(class, row) log pi_k + log f_k, extra classes after the experts."""
    theta = table["estimate"].to_numpy()
    scores = np.stack(gate_scores(table, frame, 2 + len(extra), theta))
    eta = [predictors(table, frame, k, theta) for k in (1, 2)]
    densities = [stats.norm.logpdf(frame["y"], e["mean"], np.exp(e["sigma"])) for e in eta]
    return scores - logsumexp(scores, axis=0) + np.stack([*densities, *extra])


def test_noise():
    rng = np.random.default_rng(1)
    frame = FRAME.copy()
    frame.loc[: OUTLIERS - 1, "y"] = rng.uniform(-40, 40, OUTLIERS)
    model = fit(frame, extra=[ms.Noise()])
    uniform = np.full(len(frame), -np.log(np.ptp(frame["y"])))
    table = model.tidy()
    joint = log_joint(table, frame, [uniform])
    assert model.log_likelihood_ == pytest.approx(logsumexp(joint, axis=0).sum(), rel=1e-10)
    expected = np.exp(joint - logsumexp(joint, axis=0)).T
    np.testing.assert_allclose(model.responsibilities(frame), expected, atol=1e-9)


@pytest.mark.parametrize("form", ["labels", "probabilities"])
def test_known_classes(form):
    rng = np.random.default_rng(2)
    known = rng.random(len(FRAME)) < 0.3
    guess = np.where(FRAME["y"] > FRAME["y"].median(), 2, 1)
    if form == "labels":
        given, prior = np.where(known, guess, np.nan), np.ones((len(FRAME), 2))
        prior[known] = np.eye(2)[guess[known] - 1]
    else:
        first = np.where(known, np.where(guess == 1, 0.9, 0.1), 0.5)
        given = prior = np.column_stack([first, 1 - first])
    model = fit(FRAME, prior_classes=given)
    with np.errstate(divide="ignore"):
        joint = log_joint(model.tidy(), FRAME, []) + np.log(prior).T
    assert model.log_likelihood_ == pytest.approx(logsumexp(joint, axis=0).sum(), rel=1e-10)


def test_shared_slope_and_fixed_sigma():
    expert = ms.Regression("y ~ x", shared=["x"], fixed={"sigma": 1.5})
    model = ms.MixtureOfExperts(expert, gate="~ v", n_experts=2, n_init=4, random_state=1, verbose=0).fit(FRAME)
    table = model.tidy()
    assert model.n_parameters_ == len(table) == 5
    theta = table["estimate"].to_numpy()
    scores = np.stack(gate_scores(table, FRAME, 2, theta))
    means = [predictors(table, FRAME, k, theta)["mean"] for k in (1, 2)]
    joint = scores - logsumexp(scores, axis=0) + np.stack([stats.norm.logpdf(FRAME["y"], m, 1.5) for m in means])
    assert model.log_likelihood_ == pytest.approx(logsumexp(joint, axis=0).sum(), rel=1e-10)
