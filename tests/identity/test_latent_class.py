"""A latent class model with missing items against plain EM in numpy and against StepMix."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.identity.latent_class import (
    BINARY,
    CLASSES,
    NOMINAL,
    item_frame,
    latent_class_model,
    plain_em,
)

CONVERGED = {"max_iter": 5000, "abs_tol": 1e-13, "rel_tol": 0.0, "n_init": 3}


@cache
def fitted() -> tuple[ms.MixtureOfExperts, pd.DataFrame]:
    frame = item_frame()
    return latent_class_model().fit(frame), frame


def stepmix(frame: pd.DataFrame, structural: dict | None = None, **options) -> float:
    """The log-likelihood that StepMix reaches."""
    from stepmix.stepmix import StepMix

    measurement = {
        "binary": {"model": "binary_nan", "n_columns": len(BINARY)},
        "nominal": {"model": "categorical_nan", "n_columns": len(NOMINAL)},
    }
    peer = StepMix(
        CLASSES, n_steps=1, measurement=measurement, random_state=3, verbose=0, progress_bar=0, **structural or {}
    ).set_params(**options)
    outcomes = frame[["v"]] if structural else None
    peer.fit(frame[BINARY + NOMINAL], outcomes)
    return peer.score(frame[BINARY + NOMINAL], outcomes) * len(frame)


def test_plain_em_agrees():
    model, frame = fitted()
    assert model.converged_, model.status_
    peer = plain_em(frame, model.responsibilities(frame))
    assert model.log_likelihood_ == pytest.approx(peer.log_likelihood, rel=1e-11)
    estimate = model.tidy().set_index(["expert", "parameter", "term"])["estimate"]
    levels = np.log(peer.shares[1:] / peer.shares[0])
    np.testing.assert_allclose(estimate[[(2, "gate", "Intercept"), (3, "gate", "Intercept")]], levels, atol=1e-5)


def test_no_start_of_plain_em_is_better():
    model, frame = fitted()
    rng = np.random.default_rng(0)
    reached = [plain_em(frame, rng.dirichlet(np.ones(CLASSES), len(frame))).log_likelihood for _ in range(5)]
    assert max(reached) <= model.log_likelihood_ + 1e-8
    assert max(reached) == pytest.approx(model.log_likelihood_, rel=1e-9)


def test_a_row_without_items_adds_nothing():
    model, frame = fitted()
    empty = frame.head(1).assign(**dict.fromkeys(BINARY + NOMINAL, np.nan))
    more = latent_class_model().fit(pd.concat([frame, empty]))
    assert more.log_likelihood_ == pytest.approx(model.log_likelihood_, rel=1e-11)


def test_stepmix_converged_agrees():
    model, frame = fitted()
    assert stepmix(frame, **CONVERGED) == pytest.approx(model.log_likelihood_, rel=1e-8)


def test_stepmix_by_default_is_not_above():
    model, frame = fitted()
    assert stepmix(frame) <= model.log_likelihood_ + 1e-6


def test_stepmix_with_a_covariate_is_not_above():
    frame = item_frame()
    model = latent_class_model(gate="~ v").fit(frame)
    assert model.converged_, model.status_
    newton = {"method": "newton-raphson", "max_iter": 1, "intercept": True}
    peer = stepmix(frame, {"structural": "covariate", "structural_params": newton}, **CONVERGED)
    assert peer <= model.log_likelihood_ + 1e-6
    assert peer == pytest.approx(model.log_likelihood_, rel=1e-6)
