"""Effects by brute force: `predict` at moved coefficients and covariates, differenced numerically."""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
import pandas as pd

STENCIL = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}
"""Weights of a derivative of order 4."""
STEP = 2e-3


def outcome(model: Any, table: Any, target: str) -> np.ndarray:
    """What `predict`, `predict_proba` and `gate_proba` say, (row, output), in the order of the tables of effects."""
    if target == "gate":
        return model.gate_proba(table.drop(columns="u", errors="ignore"))
    if target == "responsibility":
        found = model.responsibilities(table)
        return found if len(found) == len(table) else found[pd.factorize(table["u"])[0]]
    if target == "mean":
        categorical = hasattr(model, "predict_proba") and not isinstance(model.predict(table), pd.DataFrame)
        found = model.predict_proba(table) if categorical else np.asarray(model.predict(table))
        return found.reshape(len(table), -1)
    means = model.predict(table, kind="expert_mean")
    means = means if isinstance(means, list) else [means]
    parts = [part[:, :, None] if part.ndim == 2 else part for part in means]
    return np.concatenate(parts, axis=2).reshape(len(table), -1)


def slope(function: Callable[[Any], np.ndarray], table: Any, name: str) -> np.ndarray:
    """d function / d covariate."""
    moved = {k: function(table.assign(**{name: table[name] + k * STEP})) for k in STENCIL}
    return sum(STENCIL[k] * value for k, value in moved.items()) / STEP


def errors(model: Any, quantity: Callable[[Any], np.ndarray], kind: str = "information") -> np.ndarray:
    """Delta-method standard errors of `quantity(model)`, from a numeric Jacobian in the free parameters."""
    fitted, ties = model.fitted_, model.fitted_.assembled.named.ties
    theta, derivatives = fitted.theta, []
    for place in range(len(theta)):
        size = STEP * max(1.0, abs(theta[place]))
        total = 0.0
        for k, weight in STENCIL.items():
            other = copy(model)
            other.fitted_ = fitted._replace(phi=ties.expand(theta + k * size * np.eye(len(theta))[place]))
            total = total + weight * quantity(other) / size
        derivatives.append(total)
    jacobian = np.moveaxis(np.array(derivatives), 0, -1)
    return np.sqrt(np.einsum("...i,ij,...j->...", jacobian, model.covariance(kind), jacobian))


def assert_same(table: pd.DataFrame, model: Any, quantity: Callable[[Any], np.ndarray], kind: str = "information"):
    """Estimates and standard errors of `table` are those of `quantity` (row, output) or (output,)."""
    found = quantity(model)
    np.testing.assert_allclose(table["estimate"], found.T.ravel(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(table["std_error"], errors(model, quantity, kind).T.ravel(), rtol=1e-6, atol=1e-8)
