"""Write the simulated data that `flexmix.R` and `mclust.R` fit: `python -m tests.reference.make_data`."""

from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent / "data"
SEED = 20240501


def expit(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-eta))


def regressions(rng: np.random.Generator, size: int = 250) -> pd.DataFrame:
    """One covariate x of the experts, one z of the gate, and a response of each family."""
    x, z = rng.uniform(-2, 2, size), rng.normal(size=size)
    second = rng.random(size) < expit(0.3 + 0.9 * z)
    eta = np.where(second, 0.9 + 0.5 * x, -0.6 - 0.4 * x)
    trials = rng.integers(4, 11, size)
    successes = rng.binomial(trials, expit(1.5 * eta))
    return pd.DataFrame(
        {
            "class": second + 1,
            "x": x,
            "z": z,
            "gaussian": rng.normal(2 * eta, np.where(second, 0.8, 0.5)),
            "poisson": rng.poisson(np.exp(1.0 + eta)),
            "gamma": rng.gamma(5.0, np.exp(eta) / 5.0),
            "successes": successes,
            "failures": trials - successes,
        }
    )


def grouped(rng: np.random.Generator, units: int = 60) -> pd.DataFrame:
    """Counts of 60 persons on two to six occasions; the class is the person's."""
    counts = rng.integers(2, 7, units)
    z = rng.normal(size=units)
    second = rng.random(units) < expit(0.2 + z)
    person = np.repeat(np.arange(units), counts)
    x = rng.uniform(-2, 2, len(person))
    eta = np.where(second[person], 0.9 + 0.3 * x, 0.3 - 0.3 * x)
    return pd.DataFrame(
        {
            "class": second[person] + 1,
            "person": person + 1,
            "x": x,
            "z": z[person],
            "poisson": rng.poisson(np.exp(eta)),
        }
    )


def clusters(rng: np.random.Generator, size: int = 300) -> pd.DataFrame:
    """Three Gaussian clusters in three dimensions with their own covariances."""
    label = rng.integers(3, size=size)
    centre = np.array([[0.0, 0.0, 0.0], [4.0, 1.0, -2.0], [-3.0, 4.0, 1.0]])
    factor = rng.normal(size=(3, 3, 3)) * 0.5 + np.eye(3)
    values = centre[label] + np.einsum("nij,nj->ni", factor[label], rng.normal(size=(size, 3)))
    return pd.DataFrame(values, columns=["a", "b", "c"]).assign(**{"class": label + 1})


def main() -> None:
    rng = np.random.default_rng(SEED)
    FOLDER.mkdir(exist_ok=True)
    for name, frame in {"regressions": regressions(rng), "grouped": grouped(rng), "clusters": clusters(rng)}.items():
        frame.round(6).to_csv(FOLDER / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
