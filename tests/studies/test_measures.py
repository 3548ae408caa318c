"""Performance measures: against the formulas written out, and their Monte-Carlo errors against simulation."""

import numpy as np
import pandas as pd
import pytest

from mixstat.studies.measures import MEASURES, Sample, measures_of, sample_of

N = 60


def draw(rng: np.random.Generator, truth: float = 0.5) -> Sample:
    """Biased estimates whose reported errors are too small and vary."""
    estimate = truth + 0.05 + 0.3 * rng.normal(size=N)
    error = 0.25 * np.sqrt(rng.chisquare(20, size=N) / 20)
    missing = np.full(N, np.nan)
    table = pd.DataFrame({"estimate": estimate, "std_error": error, "conf_low": missing, "conf_high": missing})
    return sample_of(table, 0.95, truth)


def test_formulas_of_table_6():
    sample = draw(np.random.default_rng(0))
    e, s, t = list(sample.estimate), list(sample.std_error), 0.5
    mean = sum(e) / N
    spread = (sum((a - mean) ** 2 for a in e) / (N - 1)) ** 0.5
    mse = sum((a - t) ** 2 for a in e) / N
    average = sum(b**2 for b in s) / N
    wobble = sum((b**2 - average) ** 2 for b in s) / (N - 1)
    model = average**0.5
    z = 1.959963984540054
    covered = sum(a - z * b <= t <= a + z * b for a, b in zip(e, s, strict=True)) / N
    centred = sum(a - z * b <= mean <= a + z * b for a, b in zip(e, s, strict=True)) / N
    rejected = sum(abs(a / b) > z for a, b in zip(e, s, strict=True)) / N
    mse_error = (sum(((a - t) ** 2 - mse) ** 2 for a in e) / (N * (N - 1))) ** 0.5
    wanted = {
        "bias": (mean - t, spread / N**0.5),
        "relative_bias": ((mean - t) / t, spread / N**0.5 / t),
        "empirical_se": (spread, spread / (2 * (N - 1)) ** 0.5),
        "mse": (mse, mse_error),
        "rmse": (mse**0.5, mse_error / (2 * mse**0.5)),
        "model_se": (model, (wobble / (4 * N * average)) ** 0.5),
        "relative_error_se": (
            model / spread - 1,
            model / spread * (wobble / (4 * N * model**4) + 1 / (2 * (N - 1))) ** 0.5,
        ),
        "coverage": (covered, (covered * (1 - covered) / N) ** 0.5),
        "bias_eliminated_coverage": (centred, (centred * (1 - centred) / N) ** 0.5),
        "rejection": (rejected, (rejected * (1 - rejected) / N) ** 0.5),
    }
    found = {m.measure: (m.value, m.mcse) for m in measures_of(sample)}
    assert list(found) == list(MEASURES)
    for name, pair in wanted.items():
        assert found[name] == pytest.approx(pair, rel=1e-12), name


def test_monte_carlo_errors_are_the_spread_of_the_measures_over_studies():
    rng = np.random.default_rng(1)
    studies = [list(measures_of(draw(rng))) for _ in range(1500)]
    values = np.array([[m.value for m in study] for study in studies])
    errors = np.array([[m.mcse for m in study] for study in studies])
    ratio = np.sqrt((errors**2).mean(axis=0)) / values.std(axis=0, ddof=1)
    # The share around the mean of the same estimates varies less than a binomial share around a fixed point.
    for name, one in zip(MEASURES, ratio, strict=True):
        assert 0.9 < one < (1.6 if name == "bias_eliminated_coverage" else 1.1), (name, one)


def test_what_is_unknown_has_no_measure():
    rng = np.random.default_rng(2)
    without_truth = draw(rng)._replace(truth=np.nan)
    assert {m.measure for m in measures_of(without_truth)} == {
        "empirical_se",
        "model_se",
        "relative_error_se",
        "bias_eliminated_coverage",
        "rejection",
    }
    nothing = np.full(N, np.nan)
    bare = Sample(rng.normal(size=N), nothing, nothing, nothing, 0.0)
    assert {m.measure for m in measures_of(bare)} == {"bias", "empirical_se", "mse", "rmse"}


def test_replicates_without_an_error_count_for_the_bias_alone():
    sample = draw(np.random.default_rng(3))
    kept = np.where(np.arange(N) < 10, np.nan, 1.0)
    sample = sample._replace(
        std_error=kept * sample.std_error, conf_low=kept * sample.conf_low, conf_high=kept * sample.conf_high
    )
    counts = {m.measure: m.n_replicates for m in measures_of(sample)}
    assert counts["bias"] == N
    assert counts["coverage"] == counts["model_se"] == N - 10


def test_own_intervals_are_used():
    table = pd.DataFrame(
        {"estimate": [1.0, 1.0], "std_error": [0.1, 0.1], "conf_low": [-3.0, np.nan], "conf_high": [3.0, np.nan]}
    )
    found = {m.measure: m.value for m in measures_of(sample_of(table, 0.95, 0.5))}
    assert found["coverage"] == found["rejection"] == 0.5


def test_a_single_replicate_has_no_monte_carlo_error():
    table = pd.DataFrame({"estimate": [1.0], "std_error": [0.1], "conf_low": [np.nan], "conf_high": [np.nan]})
    found = {m.measure: m for m in measures_of(sample_of(table, 0.95, 0.9))}
    assert found["bias"].value == pytest.approx(0.1)
    assert np.isnan(found["bias"].mcse)
    assert found["coverage"].value == 1.0
