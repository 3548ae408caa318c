"""Simulated classes of moderate separation: assigning units attenuates, corrected methods do not and their intervals
cover."""

from functools import cache

import numpy as np
import pytest

import mixstat as ms
from tests.external.cases import GATE, MEANS, YES, draw, in_order, latent_class

REPLICATES, SIZE = 200, 1000
SLOPES = {
    "two_stage": {"method": "two_stage"},
    "ML": {"method": "three_step", "standard_errors": "corrected"},
    "ML proportional": {"method": "three_step", "assignment": "proportional", "standard_errors": "corrected"},
    "BCH": {"method": "three_step", "correction": "BCH", "standard_errors": "corrected"},
    "none": {"method": "three_step", "correction": "none"},
}
DIFFERENCES = {
    "two_stage": {"method": "two_stage"},
    "ML": {"method": "ML", "standard_errors": "corrected"},
    "BCH": {"method": "BCH", "standard_errors": "corrected"},
    "modal": {"method": "modal"},
}


def estimates(size: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """(truth, estimate, standard error) of the slope, of the difference of means and of a proportion by method."""
    table = draw(seed, size)
    model = in_order(latent_class().fit(table))
    return {
        **{f"slope {name}": slope(model, table, options) for name, options in SLOPES.items()},
        **{f"means {name}": difference(model, table, options) for name, options in DIFFERENCES.items()},
        **{f"share {name}": share(model, table, options) for name, options in DIFFERENCES.items()},
    }


def slope(model: ms.MixtureOfExperts, table, options: dict) -> tuple[float, float, float]:
    row = model.membership(table, "~ z", **options).tidy().iloc[1]
    return GATE[1], row["estimate"], row["std_error"]


def difference(model: ms.MixtureOfExperts, table, options: dict) -> tuple[float, float, float]:
    pair = model.distal(table, "d", **options).pairwise().iloc[0]
    return MEANS[1] - MEANS[0], pair["difference"], pair["std_error"]


def share(model: ms.MixtureOfExperts, table, options: dict) -> tuple[float, float, float]:
    row = model.distal(table, "g", **options).tidy().iloc[1]
    return YES[0], row["estimate"], row["std_error"]


def test_a_large_sample():
    for name, (truth, estimate, error) in estimates(12_000, 4).items():
        if name.endswith(("none", "modal")):
            assert abs(estimate - truth) > 5 * error, name
        else:
            assert abs(estimate - truth) < 3 * error, name


@cache
def study() -> dict[str, np.ndarray]:
    """(replicate, 3) truth, estimate and standard error by analysis."""
    runs = [estimates(SIZE, seed) for seed in range(REPLICATES)]
    return {name: np.array([run[name] for run in runs]) for name in runs[0]}


CORRECTED = [f"slope {n}" for n in SLOPES if n != "none"]
CORRECTED += [f"{what} {n}" for what in ("means", "share") for n in DIFFERENCES if n != "modal"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRECTED)
def test_corrected_methods_are_unbiased_and_cover(name):
    truth, estimate, error = study()[name].T
    spread = estimate.std(ddof=1)
    assert abs((estimate - truth).mean()) < 4 * spread / np.sqrt(REPLICATES) + 0.02 * abs(truth[0])
    assert (np.abs(estimate - truth) < 1.96 * error).mean() > 0.90
    assert error.mean() == pytest.approx(spread, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slope none", "means modal", "share modal"])
def test_assigned_classes_attenuate(name):
    truth, estimate, error = study()[name].T
    assert abs((estimate - truth).mean()) > 10 * estimate.std(ddof=1) / np.sqrt(REPLICATES)
    assert (np.abs(estimate - truth) < 1.96 * error).mean() < 0.8
