"""Simulated data of the benchmarks."""

import numpy as np
import pandas as pd

COVARIATES = 5
TERMS = [f"x{j + 1}" for j in range(COVARIATES)]
FORMULA = "y ~ " + " + ".join(TERMS)
CHUNK = 1_000_000
GATE = "~ " + " + ".join(TERMS)


def gaussian_experts(n: int, experts: int = 3, seed: int = 0) -> pd.DataFrame:
    """Gaussian experts and a gate over the same five covariates; the column `class` is 1..K.

    Drawn in chunks into columns, so that its own peak memory is little more than the table.
    """
    rng = np.random.default_rng(seed)
    columns = {name: np.empty(n) for name in [*TERMS, "y"]} | {"class": np.empty(n, dtype=np.int8)}
    for begin in range(0, n, CHUNK):
        place = slice(begin, min(begin + CHUNK, n))
        for name, values in _chunk(rng, place.stop - begin, experts).items():
            columns[name][place] = values
    return pd.DataFrame(columns, copy=False)


def _chunk(rng: np.random.Generator, n: int, experts: int) -> dict[str, np.ndarray]:
    slopes = np.random.default_rng(99).normal(scale=0.6, size=(experts, COVARIATES))
    gate = np.random.default_rng(98).normal(scale=0.7, size=(experts, COVARIATES))
    gate[0] = 0.0
    x = rng.normal(size=(n, COVARIATES))
    label = np.argmax(x @ gate.T + rng.gumbel(size=(n, experts)), axis=1)
    sigma = np.linspace(0.7, 1.2, experts)
    mean = np.linspace(-1.5, 1.5, experts)[label] + (x * slopes[label]).sum(axis=1)
    y = mean + sigma[label] * rng.normal(size=n)
    return dict(zip(TERMS, x.T, strict=True)) | {"y": y, "class": label + 1}


def disturbed(labels: np.ndarray, share: float = 0.5, seed: int = 1) -> np.ndarray:
    """Labels of which a share is drawn anew: the start partition given to every program."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(1, labels.max() + 1, len(labels))
    return np.where(rng.random(len(labels)) < share, noise, labels)


def clusters(n: int, dimension: int, components: int, seed: int = 0) -> np.ndarray:
    """(n, dimension) points of overlapping Gaussian clusters with full covariances."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(scale=1.5, size=(components, dimension))
    factor = np.eye(dimension) + 0.3 * rng.normal(size=(components, dimension, dimension))
    label = rng.integers(components, size=n)
    points = centre[label]
    noise = rng.normal(size=(n, dimension))
    for k in range(components):
        points[label == k] += noise[label == k] @ factor[k].T
    return points


def binary_items(n: int, items: int = 10, seed: int = 0) -> pd.DataFrame:
    """Ten binary items of three latent classes, membership depending on v1 and v2."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(n, 2))
    score = np.column_stack([np.zeros(n), 0.3 + v @ [1.0, -0.5], -0.2 + v @ [-0.7, 0.8]])
    label = np.argmax(score + rng.gumbel(size=score.shape), axis=1)
    half = items // 2
    success = np.array([[0.8] * items, [0.8] * half + [0.2] * (items - half), [0.2] * items])
    values = (rng.random((n, items)) < success[label]).astype(float)
    names = [f"item{j + 1}" for j in range(items)]
    return pd.DataFrame(values, columns=names).assign(v1=v[:, 0], v2=v[:, 1])


def growth(n: int, seed: int = 0, waves: int = 10) -> pd.DataFrame:
    """Two bilinear classes of n subjects, individually timed waves, two gate covariates, one within-class covariate."""
    rng = np.random.default_rng(seed)
    g1, g2, x = rng.normal(size=(3, n))
    late = rng.random(n) < 1 / (1 + np.exp(-np.log(1.5) * g1 - np.log(1.7) * g2))
    time = np.arange(waves) + np.where(
        np.isin(np.arange(waves), [0, waves - 1]), 0.0, rng.uniform(-0.25, 0.25, (n, waves))
    )
    factor = np.linalg.cholesky(np.array([[25.0, 1.5, 1.5], [1.5, 1.0, 0.3], [1.5, 0.3, 1.0]]))
    eta = np.array([100.0, -5.0, -2.6]) + rng.normal(size=(n, 3)) @ factor.T + x[:, None] * np.array([1.5, 0.3, 0.3])
    eta[late, 2] -= 0.8
    knot = np.where(late, 5.5, 3.5)[:, None]
    mean = eta[:, :1] + eta[:, 1:2] * np.minimum(time, knot) + eta[:, 2:] * np.maximum(time - knot, 0.0)
    y = mean + rng.normal(size=(n, waves))
    subjects = {"id": np.arange(n), "g1": g1, "g2": g2, "x": x}
    rows = {name: np.repeat(values, waves) for name, values in subjects.items()}
    return pd.DataFrame({**rows, "time": time.ravel(), "y": y.ravel()})
