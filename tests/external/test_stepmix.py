"""Three-step and two-step estimates against StepMix (Morin et al.) on the same latent class model."""

from functools import cache

import numpy as np
import pytest

from tests.external.cases import ITEMS, fitted, sample

CONVERGED = {"max_iter": 5000, "abs_tol": 1e-13, "rel_tol": 0.0, "verbose": 0, "progress_bar": 0, "random_state": 3}
NEWTON = {"method": "newton-raphson", "max_iter": 50, "intercept": True, "tol": 1e-10}


@cache
def peer(structural: str, steps: int, correction: str | None, assignment: str = "modal"):
    """(fitted StepMix, whether its classes are in the other order)."""
    from stepmix.stepmix import StepMix

    table = sample()
    options = {"structural_params": NEWTON} if structural == "covariate" else {}
    model = StepMix(
        2,
        n_steps=steps,
        correction=correction,
        assignment=assignment,
        measurement="binary",
        structural=structural,
        **options,
        **CONVERGED,
    )
    outcome = {"covariate": ["z"], "gaussian_unit": ["d"], "gaussian_diag": ["d"], "binary": ["g"]}[structural]
    values = table[outcome].eq("yes").astype(float) if structural == "binary" else table[outcome]
    model.fit(table[ITEMS], values)
    first = model.get_parameters()["measurement"]["pis"][:, 0]
    return model, bool(first[0] < first[1])


def coefficients(*key) -> np.ndarray:
    model, turned = peer("covariate", *key)
    beta = model.get_parameters()["structural"]["beta"]
    return beta[0] - beta[1] if turned else beta[1] - beta[0]


def means(structural: str, *key) -> np.ndarray:
    model, turned = peer(structural, *key)
    found = model.get_parameters()["structural"]
    values = (found["pis"] if structural == "binary" else found["means"])[:, 0]
    return values[::-1] if turned else values


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ((2, None), {"method": "two_stage"}),
        ((3, "ML"), {"method": "three_step"}),
        ((3, "BCH"), {"method": "three_step", "correction": "BCH"}),
        ((3, "BCH", "soft"), {"method": "three_step", "correction": "BCH", "assignment": "proportional"}),
        ((3, None), {"method": "three_step", "correction": "none"}),
        ((3, None, "soft"), {"method": "three_step", "correction": "none", "assignment": "proportional"}),
    ],
)
def test_covariates(key, options):
    ours = fitted().membership(sample(), "~ z", **options).coefficients[0]
    np.testing.assert_allclose(ours, coefficients(*key), atol=1e-4)


@pytest.mark.parametrize(
    ("structural", "key", "options"),
    [
        ("gaussian_unit", (3, "BCH"), {"method": "BCH"}),
        ("gaussian_unit", (3, "BCH", "soft"), {"method": "BCH", "assignment": "proportional"}),
        ("gaussian_diag", (3, "ML"), {"method": "ML"}),
        ("gaussian_diag", (2, None), {"method": "two_stage"}),
        ("gaussian_unit", (3, None), {"method": "modal"}),
        ("gaussian_unit", (3, None, "soft"), {"method": "proportional"}),
    ],
)
def test_means(structural, key, options):
    ours = fitted().distal(sample(), "d", **options).estimates[:, 0]
    np.testing.assert_allclose(ours, means(structural, *key), atol=1e-4)


@pytest.mark.parametrize(
    ("key", "method"), [((3, "BCH"), "BCH"), ((3, "ML"), "ML"), ((2, None), "two_stage"), ((3, None), "modal")]
)
def test_proportions(key, method):
    found = fitted().distal(sample(), "g", method=method)
    assert found.levels == ("no", "yes")
    np.testing.assert_allclose(found.estimates[:, 1], means("binary", *key), atol=1e-4)
