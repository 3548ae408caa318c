"""Gate effects: class probabilities at given gate covariates, with confidence intervals from the logit scale.

    pi_k(v) = exp(gamma_k'v) / sum_m exp(gamma_m'v),   L_k = logit(mean_i pi_k(v_i)),   var L_k = J_k V J_k'

J_k = dL_k / dgamma is exact (delta method; Agresti, 2013, Categorical Data Analysis, section 16.1). Numpy alone.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import norm

TINY = np.finfo(float).tiny


class GateEffects(NamedTuple):
    """Probabilities and their interval, each (point, class)."""

    probability: np.ndarray
    low: np.ndarray
    high: np.ndarray


def gate_effects(
    coefficients: np.ndarray, covariance: np.ndarray, designs: Iterable[np.ndarray], level: float
) -> GateEffects:
    """One point a design (row, column), over whose rows the probabilities are averaged.

    `coefficients` (class - 1, column) are against class 1; `covariance` is of the flattened coefficients, with zeros
    for those that are fixed.
    """
    points = [_at(coefficients, design) for design in designs]
    logits = np.array([point[1] for point in points])
    spread = np.array([np.einsum("ka,ab,kb->k", slope, covariance, slope) for *_, slope in points])
    half = norm.ppf(0.5 + level / 2) * np.sqrt(spread.clip(min=0.0))
    return GateEffects(np.array([point[0] for point in points]), expit(logits - half), expit(logits + half))


def _at(coefficients: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability (class,), its logit, and the logit's derivative (class, coefficient)."""
    classes = len(coefficients) + 1
    eta = np.column_stack([np.zeros(len(design)), design @ coefficients.T])
    share, others = softmax(eta, axis=1), 1.0 - np.eye(classes)
    mean, rest = share.mean(axis=0), (share @ others).mean(axis=0)
    own = np.einsum("ik,km,ic->kmc", share, np.eye(classes), design)
    both = np.einsum("ik,im,ic->kmc", share, share, design)
    inside = np.maximum(mean, TINY) * np.maximum(rest, TINY)
    slope = ((own - both)[:, 1:] / len(design)).reshape(classes, -1) / np.maximum(inside, TINY)[:, None]
    return mean, np.log(np.maximum(mean, TINY)) - np.log(np.maximum(rest, TINY)), slope
