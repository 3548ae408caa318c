"""Data of two gated experts for every family, drawn by numpy alone."""

from collections.abc import Callable

import numpy as np
import pandas as pd

SIZE = 400
Rng = np.random.Generator


def expit(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-eta))


def covariates(rng: Rng, size: int = SIZE) -> pd.DataFrame:
    """x of the experts, v of the gate, s of the second parameter, an offset o and weights w."""
    return pd.DataFrame(
        {
            "x": rng.normal(1.0, 2.0, size),
            "v": rng.normal(-1.0, 1.5, size),
            "s": rng.uniform(-1.0, 1.0, size),
            "o": rng.normal(0.0, 0.2, size),
            "w": rng.uniform(0.5, 2.0, size),
            "trials": rng.integers(3, 12, size),
        }
    )


def _gaussian(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    return {"y": rng.normal(3 * mean, np.exp(scale))}


def _student_t(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    return {"y": 3 * mean + np.exp(scale) * rng.standard_t(4, len(mean))}


def _lognormal(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    return {"y": np.exp(rng.normal(3 * mean, np.exp(scale)))}


def _gamma(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    shape = np.exp(1.5 + scale)
    return {"y": rng.gamma(shape, np.exp(mean) / shape)}


def _inverse_gaussian(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    return {"y": rng.wald(np.exp(mean), np.exp(2.0 + scale))}


def _beta(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    precision, m = np.exp(2.5 + scale), expit(mean)
    return {"y": np.clip(rng.beta(m * precision, (1 - m) * precision), 1e-6, 1 - 1e-6)}


def _poisson(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    return {"y": rng.poisson(np.exp(1.0 + mean))}


def _negative_binomial(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    size = np.exp(0.5 - scale)
    return {"y": rng.poisson(rng.gamma(size, np.exp(1.5 + mean) / size))}


def _binomial(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    successes = rng.binomial(frame["trials"], expit(1.5 * mean))
    return {"y": successes, "failures": frame["trials"] - successes}


def _categorical(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    logits = np.stack([np.zeros_like(mean), 8 * mean, -8 * mean])
    codes = np.argmax(logits + rng.gumbel(size=logits.shape), axis=0)
    return {"y": np.array(["a", "b", "c"])[codes]}


def _two_responses(rng: Rng, mean: np.ndarray, scale: np.ndarray, frame: pd.DataFrame) -> dict:
    first = rng.normal(size=len(mean))
    second = 0.6 * first + 0.8 * rng.normal(size=len(mean))
    return {"y": 3 * mean + np.exp(scale) * first, "z": 1.0 - 2 * mean + np.exp(scale) * second}


DRAW: dict[str, Callable[[Rng, np.ndarray, np.ndarray, pd.DataFrame], dict]] = {
    "gaussian": _gaussian,
    "student_t": _student_t,
    "lognormal": _lognormal,
    "gamma": _gamma,
    "inverse_gaussian": _inverse_gaussian,
    "beta": _beta,
    "poisson": _poisson,
    "negative_binomial": _negative_binomial,
    "binomial": _binomial,
    "categorical": _categorical,
    "multivariate_gaussian": _two_responses,
    "diagonal_gaussian": _two_responses,
}


def mixture_frame(family: str, seed: int = 1, size: int = SIZE) -> pd.DataFrame:
    """Two experts with opposite slopes; expert 2 has probability expit(0.4 + 0.8 v)."""
    rng = np.random.default_rng(seed)
    frame = covariates(rng, size)
    second = rng.random(size) < expit(0.4 + 0.8 * frame["v"])
    mean = np.where(second, 0.8 + 0.3 * frame["x"], -0.8 - 0.2 * frame["x"]) + frame["o"]
    scale = np.where(second, -0.3 + 0.3 * frame["s"], 0.2 * frame["s"])
    return frame.assign(**DRAW[family](rng, np.asarray(mean), np.asarray(scale), frame))


def single_frame(family: str, seed: int = 2, size: int = SIZE) -> pd.DataFrame:
    """One expert: mean predictor 0.3 + 0.25 x + o."""
    rng = np.random.default_rng(seed)
    frame = covariates(rng, size)
    mean = np.asarray(0.3 + 0.25 * frame["x"] + frame["o"])
    return frame.assign(**DRAW[family](rng, mean, np.zeros(size), frame))
