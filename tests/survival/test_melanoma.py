"""The melanoma table is the trial that its provenance describes, and mixture cure finds its truth."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixstat as ms

TRUTH = json.loads((Path(__file__).parents[2] / "data" / "melanoma.json").read_text(encoding="utf-8"))


@cache
def trial() -> pd.DataFrame:
    return ms.datasets.load_melanoma()


@cache
def model() -> ms.MixtureOfExperts:
    expert = ms.SurvivalRegression("Surv(years, relapse) ~ treatment + stage", baseline="weibull")
    gate = "~ treatment + stage + I((age - 50) / 10)"
    return ms.MixtureOfExperts(expert, extra=[ms.Never()], gate=gate, n_experts=1, verbose=0).fit(trial())


def test_rows_are_as_described():
    table = trial()
    assert list(table.columns) == ["patient", "treatment", "stage", "age", "sex", "years", "relapse"]
    assert len(table) == 360
    assert table["patient"].is_unique
    assert not table.isna().any().any()
    assert table["treatment"].value_counts().to_dict() == {"control": 180, "interferon": 180}
    assert set(table["stage"]) == {"II", "IIIA", "IIIB"}
    assert set(table["relapse"]) == {0, 1}
    assert table["years"].between(0.001, TRUTH["end_of_study"]).all()


def test_the_plateau_is_seen():
    """What the provenance says of follow-up."""
    relapsed, other = trial()[trial()["relapse"] == 1], trial()[trial()["relapse"] == 0]
    assert relapsed["years"].max() == pytest.approx(4.3, abs=0.05)
    assert len(other) / 360 == pytest.approx(0.44, abs=0.005)
    assert other["years"].median() > 8


def test_mixture_cure_finds_the_truth():
    """Every coefficient within three standard errors, the cured share within two."""
    table = model().tidy()
    assert model().converged_
    gate = table[table["parameter"] == "gate"]
    phi = table[table["parameter"] == "phi"]
    gamma = table[table["parameter"] == "gamma"]
    for rows, truth in ((gate, TRUTH["never"]), (phi, TRUTH["log_phi"][:4]), (gamma, [TRUTH["log_gamma"]])):
        assert len(rows) == len(truth)
        assert (np.abs(rows["estimate"] - truth) < 3 * rows["std_error"]).all()
    design = np.column_stack(
        [
            np.ones(360),
            trial()["treatment"] == "interferon",
            trial()["stage"] == "IIIA",
            trial()["stage"] == "IIIB",
            (trial()["age"] - 50) / 10,
        ]
    )
    share = (1 / (1 + np.exp(-design @ TRUTH["never"]))).mean()
    cured = model().cure_fraction().iloc[0]
    assert abs(cured["estimate"] - share) < 2 * cured["std_error"]


def test_a_law_that_levels_off_says_so_too():
    """Without Never the estimated kappa is below 0, and its profile interval as well."""
    single = ms.SurvivalRegression("Surv(years, relapse) ~ treatment + stage", scale="ph", verbose=0).fit(trial())
    found = single.cure_profile().set_index("quantity")
    assert found.loc["log(kappa + 1)", "conf_high"] < 0
    assert 0 < found.loc["cure_fraction", "conf_low"] < found.loc["cure_fraction", "conf_high"] < 1
    assert "cure_profile()" in str(single.summary())
