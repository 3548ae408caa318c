"""Items of three latent classes, and a plain EM in numpy for them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

import mixstat as ms

BINARY = ["b1", "b2", "b3", "b4", "b5"]
NOMINAL = ["c1", "c2"]
CLASSES = 3


def item_frame(seed: int = 11, size: int = 600, missing: float = 0.15) -> pd.DataFrame:
    """Five binary items, two of three categories, and v, on which membership depends."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=size)
    score = np.stack([np.zeros(size), 0.3 + 0.9 * v, -0.2 - 0.8 * v])
    k = np.argmax(score + rng.gumbel(size=score.shape), axis=0)
    success = np.array([[0.9, 0.85, 0.8, 0.2, 0.15], [0.2, 0.25, 0.85, 0.9, 0.3], [0.15, 0.1, 0.2, 0.3, 0.85]])
    nominal = np.array([[0.7, 0.2, 0.1], [0.15, 0.7, 0.15], [0.1, 0.2, 0.7]])
    frame = pd.DataFrame({"v": v})
    for j, name in enumerate(BINARY):
        frame[name] = (rng.random(size) < success[k, j]).astype(float)
    for name in NOMINAL:
        frame[name] = (rng.random(size)[:, None] > nominal[k].cumsum(axis=1)).sum(axis=1).astype(float)
    items = frame[BINARY + NOMINAL]
    frame[BINARY + NOMINAL] = items.mask(rng.random(items.shape) < missing)
    return frame


def latent_class_model(gate: str | None = None, **options) -> ms.MixtureOfExperts:
    """The latent class model as a mixture of joint regressions without covariates."""
    outcomes = [ms.Regression(f"{name} ~ 1", family="binomial") for name in BINARY]
    outcomes += [ms.Regression(f"{name} ~ 1", family="categorical") for name in NOMINAL]
    settings = {"n_init": 6, "random_state": 1, "verbose": 0, **options}
    return ms.MixtureOfExperts(ms.Joint(outcomes), gate=gate, n_experts=CLASSES, **settings)


class PlainEM(NamedTuple):
    """Where plain EM stopped: log-likelihood, shares (class,), probabilities of each item's levels."""

    log_likelihood: float
    shares: np.ndarray
    probabilities: list[np.ndarray]


def plain_em(frame: pd.DataFrame, responsibility: np.ndarray, steps: int = 4000) -> PlainEM:
    """EM of the latent class model with items missing at random, from (unit, class) responsibilities."""
    levels = [2] * len(BINARY) + [3] * len(NOMINAL)
    indicators = []
    for name, count in zip(BINARY + NOMINAL, levels, strict=True):
        values = frame[name].to_numpy()
        indicators.append(np.stack([values == level for level in range(count)], axis=1).astype(float))
    value, previous = -np.inf, -np.inf
    for _ in range(steps):
        shares = responsibility.mean(axis=0)
        tables = [responsibility.T @ hot for hot in indicators]
        tables = [table / table.sum(axis=1, keepdims=True) for table in tables]
        logs = sum(hot @ np.log(table).T for hot, table in zip(indicators, tables, strict=True))
        joint = logs + np.log(shares)
        total = logsumexp(joint, axis=1)
        responsibility = np.exp(joint - total[:, None])
        previous, value = value, total.sum()
        if value - previous < 1e-11:
            break
    return PlainEM(float(value), shares, tables)
