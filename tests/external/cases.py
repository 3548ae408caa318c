"""Simulated latent classes with known external variables, fits of them, and their likelihood in plain numpy."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit, log_softmax, logsumexp

import mixstat as ms

ITEMS = ["b1", "b2", "b3", "b4", "b5"]
SUCCESS = np.array([[0.85, 0.8, 0.75, 0.25, 0.2], [0.2, 0.25, 0.3, 0.8, 0.75]])
"""P(item = 1 | class), first class 1."""
GATE = np.array([0.2, 0.8])
"""Logit of class 2 on (1, z)."""
MEANS = np.array([1.0, 3.0])
SCALES = np.array([1.0, 1.5])
YES = np.array([0.3, 0.7])
"""P(g = "yes" | class)."""


def draw(seed: int, size: int) -> pd.DataFrame:
    """Five items, a covariate z, distal outcomes d and g, and the true class k (0, 1)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=size)
    k = (rng.random(size) < expit(GATE[0] + GATE[1] * z)).astype(int)
    table = pd.DataFrame(rng.random((size, 5)) < SUCCESS[k], columns=ITEMS).astype(float)
    return table.assign(
        z=z,
        h=rng.choice(list("abc"), size),
        d=rng.normal(MEANS[k], SCALES[k]),
        g=np.where(rng.random(size) < YES[k], "yes", "no"),
        k=k,
    )


def latent_class(**options) -> ms.MixtureOfExperts:
    """Two latent classes of five binary items."""
    outcomes = [ms.Regression(f"{name} ~ 1", family="binomial") for name in ITEMS]
    return ms.MixtureOfExperts(ms.Joint(outcomes), **{"n_init": 3, "random_state": 0, "verbose": 0, **options})


def in_order(model: ms.MixtureOfExperts) -> ms.MixtureOfExperts:
    """The model with the class of many b1 first, as in `SUCCESS`."""
    table = model.tidy().query("parameter == 'mean[b1]'").set_index("expert")["estimate"]
    return model if table[1] > table[2] else model.reorder([2, 1])


@cache
def sample(size: int = 600) -> pd.DataFrame:
    return draw(1, size)


@cache
def fitted(size: int = 600) -> ms.MixtureOfExperts:
    return in_order(latent_class().fit(sample(size)))


def parameters_of(model: ms.MixtureOfExperts) -> np.ndarray:
    """(11,) item logits of class 1, of class 2, the gate's logit: in the order of `covariance()`."""
    return model.tidy()["estimate"].to_numpy()


def item_logs(parameters: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """log f_k(items) (unit, class)."""
    eta, items = parameters[:10].reshape(2, 5), table[ITEMS].to_numpy()
    return items @ eta.T - np.logaddexp(0, eta).sum(axis=1)


def gate_logs(gamma: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """log pi (unit, class) of two classes."""
    return log_softmax(np.column_stack([np.zeros(len(columns)), columns @ gamma]), axis=1)


def posterior(parameters: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Responsibilities (unit, class) of the latent class model without covariates."""
    joint = item_logs(parameters, table) + gate_logs(parameters[10:], np.ones((len(table), 1)))
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def with_constant(z: pd.Series) -> np.ndarray:
    return np.column_stack([np.ones(len(z)), z])


@cache
def separated() -> tuple[ms.MixtureOfExperts, pd.DataFrame]:
    """Three classes that no unit mistakes, the true class k (1, 2, 3) and external variables."""
    rng = np.random.default_rng(5)
    z = rng.normal(size=240)
    k = 1 + np.argmax(np.outer(z, [0.0, 0.7, -0.4]) + rng.gumbel(size=(240, 3)), axis=1)
    table = pd.DataFrame({"k": k, "z": z, "y": 100.0 * k + rng.normal(size=240), "d": k * 0.5 + rng.normal(size=240)})
    table["g"] = np.where(rng.random(240) < 0.2 * k, "yes", "no")
    model = ms.MixtureOfExperts(ms.Regression("y ~ 1"), n_experts=3, n_init=5, random_state=0, verbose=0)
    return model.fit(table), table
