"""EM and SQUAREM never lower the objective, and reach the maximum that Newton finds."""

import jax
import numpy as np
import pytest

from mixstat.families import FAMILIES
from mixstat.fit.em import em, squarem
from tests.identity.models import fitted

ROUNDING = 1e-11


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_em_never_falls(family):
    problem = fitted(family).model._problem
    maximum = fitted(family).model.fitted_.solution
    rng = np.random.default_rng(7)
    for _ in range(2):
        theta = maximum.theta + rng.normal(0.0, 0.5, len(maximum.theta))
        with jax.enable_x64(True):
            path = climb(problem, theta, steps=25)
        slack = ROUNDING * np.abs(path[:-1])
        assert (np.diff(path) >= -slack).all()
        assert path[-1] > path[0]


def climb(problem, theta: np.ndarray, *, steps: int) -> np.ndarray:
    """Objectives along EM, one step at a time."""
    path = [problem.expect(theta).objective]
    for _ in range(steps):
        step = em(problem, theta, tol=-np.inf, max_iter=1)
        theta = step.theta
        path.append(step.objective)
    return np.array(path)


@pytest.mark.parametrize("driver", [em, squarem])
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_em_reaches_newtons_maximum(driver, family):
    problem = fitted(family).model._problem
    maximum = fitted(family).model.fitted_.solution
    with jax.enable_x64(True):
        found = driver(problem, maximum.theta + 0.05, tol=1e-11, max_iter=5000)
    assert found.objective == pytest.approx(maximum.objective, rel=1e-9)
    assert found.objective <= maximum.objective + ROUNDING * abs(maximum.objective)
