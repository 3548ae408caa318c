"""Rows to clone: checked, weighted, with `u = atanh(a)`, `|a| <= 1 - 1e-6`, in float64."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixstat.exceptions import DataError, OptionError
from mixstat.policies.cloning_em import Sample, log_likelihood
from mixstat.policies.policy import GaussianMixturePolicy, Params
from mixstat.policies.squashing import log_jacobian

BOUND = 1.0 - 1e-6
"""Actions are clipped to +-this before atanh."""
BEYOND = 0.01
"""Share of rows beyond [-1, 1] that is taken for noise, and clipped."""


def to_sample(
    policy: GaussianMixturePolicy, observations: Any, actions: Any, weight: np.ndarray | None
) -> tuple[Sample, int]:
    """The rows, and how many of them have an action at a bound."""
    s = _matrix("observations", observations, policy.observation_size)
    a = _matrix("actions", actions, policy.action_size)
    rows = len(a)
    if len(s) != rows:
        raise DataError(f"observations hold {len(s)} rows and actions {rows}: one observation an action is needed")
    if weight is not None and len(weight) != rows:
        raise DataError(f"sample_weight and advantages must have one entry a row: got {len(weight)} for {rows} rows")
    v = np.ones(rows) if weight is None else weight / weight.mean()
    if not policy.squash:
        return Sample(s, a, v), 0
    beyond = float(np.mean(np.any(np.abs(a) > 1.0, axis=1)))
    if beyond > BEYOND:
        raise DataError(
            f"a squashed policy acts in [-1, 1], but {beyond:.0%} of the rows lie beyond: actions reach from "
            f"{a.min():.6g} to {a.max():.6g}; rescale them, or use GaussianMixturePolicy(squash=False)"
        )
    clipped = np.clip(a, -BOUND, BOUND)
    return Sample(s, np.arctanh(clipped), v), int(np.any(clipped != a, axis=1).sum())


def warn_of_clipped(clipped: int, rows: int) -> None:
    """A warning that some rows have an action at a bound."""
    if clipped:
        text = (
            f"{clipped} of {rows} rows have an action at a bound or beyond: clipped to 1 - 1e-6, whose atanh is finite"
        )
        warnings.warn(text, UserWarning, stacklevel=3)


def row_weights(sample_weight: Any, advantages: Any, beta: float) -> np.ndarray | None:
    """sample_weight x exp(advantage / beta), up to a factor; None without either."""
    if sample_weight is None and advantages is None:
        return None
    if not beta > 0:
        raise OptionError(f"beta, the advantages' temperature, must be positive, got {beta!r}")
    v = np.ones(1) if sample_weight is None else _vector("sample_weight", sample_weight)
    if np.any(v < 0) or not v.sum() > 0:
        raise DataError("sample_weight must be non-negative, and not 0 everywhere")
    if advantages is None:
        return v
    advantage = _vector("advantages", advantages)
    if len(v) not in (1, len(advantage)):
        raise DataError(f"sample_weight has {len(v)} entries and advantages {len(advantage)}")
    return v * np.exp((advantage - advantage.max()) / beta)


def mean_log_density(policy: GaussianMixturePolicy, params: Params, sample: Sample) -> float:
    """Mean log-density of the actions, a row."""
    of_u = float(log_likelihood(policy, params, sample))
    return (
        of_u - float(np.mean(sample.weight * log_jacobian(jnp.asarray(sample.pre_squash)))) if policy.squash else of_u
    )


def pick(sample: Sample, rows: np.ndarray) -> Sample:
    """Some rows, weights of mean 1 again."""
    s, u, v = (np.asarray(part)[rows] for part in sample)
    return Sample(s, u, v / v.mean())


def _matrix(name: str, value: Any, columns: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 and columns == 1 else array
    if array.ndim != 2 or array.shape[1] != columns or len(array) == 0:
        raise DataError(f"{name} must have shape (rows, {columns}), got {array.shape}")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).any(axis=1).sum())
        raise DataError(f"{name} hold NaN or infinite values in {bad} of {len(array)} rows: drop these rows")
    return array


def _vector(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise DataError(f"{name} must be finite numbers of shape (rows,), got shape {array.shape}")
    return array
