"""The shipped tables lead back to the truths of `data/provenance.md`, and are pleasant to fit."""

import pytest

import mixstat as ms

WAGES = {
    (1, "mean"): {"Intercept": 1.60, "school": 0.04, "exper": 0.010},
    (2, "mean"): {"Intercept": 1.20, "school": 0.11, "exper": 0.035},
    (2, "gate"): {"Intercept": -0.6, "city": 1.2, "union": -0.9},
}
VISITS = {
    (1, "mean"): {"Intercept": 1.00, "month": -0.25, "pain": 0.20},
    (2, "mean"): {"Intercept": 0.90, "month": 0.02, "pain": 0.35},
    (2, "gate"): {"Intercept": -2.3, "age": 0.04},
}


@pytest.mark.parametrize(
    ("load", "expert", "options", "truth"),
    [
        (ms.datasets.load_wages, ms.Regression("log_wage ~ school + exper"), {"gate": "~ city + union"}, WAGES),
        (
            ms.datasets.load_visits,
            ms.Regression("visits ~ month + pain", family="poisson"),
            {"gate": "~ age", "unit": "patient"},
            VISITS,
        ),
    ],
    ids=["wages", "visits"],
)
def test_estimates_are_near_the_truth(load, expert, options, truth):
    model = ms.MixtureOfExperts(expert, n_init=5, random_state=1, verbose=0, **options).fit(load())
    table = model.tidy().set_index(["expert", "parameter", "term"])
    for (number, parameter), values in truth.items():
        for term, value in values.items():
            row = table.loc[(number, parameter, term)]
            assert abs(row["estimate"] - value) < 3 * row["std_error"], (number, parameter, term)
