"""The shipped tables and the simulator: what the documents say about them holds."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat import datasets

DATA = Path(__file__).parents[1] / "data"


def test_tables_are_read():
    wages, visits = ms.datasets.load_wages(), ms.datasets.load_visits()
    assert wages.shape == (1200, 6)
    assert list(wages.columns) == ["log_wage", "school", "exper", "city", "union", "track"]
    assert visits["patient"].nunique() == 250
    assert not wages.isna().any().any()
    assert not visits.isna().any().any()


def test_outcomes_of_the_campaign_are_ordered():
    table = ms.datasets.load_campaign()
    assert table["outcome"].cat.ordered
    assert list(table["outcome"].value_counts(sort=False)) == [1631, 1060, 272, 37]


def test_fertility_is_the_table_of_statsmodels():
    from statsmodels.datasets import fertility

    table, wide = ms.datasets.load_fertility(), fertility.load_pandas().data.set_index("Country Code")
    assert list(table.columns) == ["country", "code", "year", "rate"]
    assert table.shape == (214 * 52, 4)
    assert table.groupby("code").size().eq(52).all()
    assert (table["year"].min(), table["year"].max()) == (1960, 2011)
    for row in table.dropna().sample(50, random_state=0).itertuples():
        assert row.rate == wide.loc[row.code, str(row.year)]
        assert row.country == wide.loc[row.code, "Country Name"]
    left_out = set(wide["Country Name"]) - set(table["country"])
    assert len(left_out) == 5
    assert {"OECD members", "Other small states"} < left_out
    assert (
        table["rate"].isna().sum()
        == wide.drop(index=list(datasets.AGGREGATES)).loc[:, "1960":"2011"].isna().sum().sum()
        > 0
    )


@pytest.mark.parametrize("name", ["wages", "visits", "achievement", "melanoma", "campaign"])
def test_scripts_make_the_tables(name, tmp_path):
    script = tmp_path / f"make_{name}.py"
    script.write_text((DATA / f"make_{name}.py").read_text(encoding="utf-8"), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    script.unlink()
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in DATA.glob(f"{name}.*"))
    assert all((tmp_path / file).read_bytes() == (DATA / file).read_bytes() for file in made)


def test_same_seed_same_sample():
    a, b = ms.datasets.make_moe(50, random_state=3), ms.datasets.make_moe(50, random_state=3)
    pd.testing.assert_frame_equal(a.data, b.data)
    assert len(np.unique(a.classes)) == 2


def test_truth_follows_the_order_of_experts():
    flipped = ms.datasets.make_moe(400, coefficients=((5.0,), (-5.0,)), gate=((2.0,),), random_state=1)
    assert list(flipped.truth["value"]) == [-5.0, 0.0, 5.0, 0.0, -2.0]
    assert (flipped.classes == 1).mean() == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.07)
    assert flipped.formula == "y ~ 1"
    assert flipped.gate == "~ 1"


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("gaussian", {"parameters": {"sigma": (0.5, 0.8)}}),
        ("poisson", {"coefficients": ((0.0, 0.5), (2.0, -0.3)), "occasions": 3}),
    ],
)
def test_a_fit_recovers_the_truth(family, options):
    made = ms.datasets.make_moe(800, family=family, random_state=2, **options)
    unit = "unit" if "occasions" in options else None
    expert = ms.Regression(made.formula, family=family)
    model = ms.MixtureOfExperts(expert, gate=made.gate, unit=unit, n_init=4, random_state=1, verbose=0).fit(made.data)
    both = model.tidy().merge(made.truth, on=["expert", "parameter", "term"], how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    assert (((both["estimate"] - both["value"]) / both["std_error"]).abs() < 4).all()


def test_errors_say_what_to_give():
    with pytest.raises(ms.DataError, match="no parameter \\['sgima'\\]; it has \\['sigma'\\]"):
        ms.datasets.make_moe(10, parameters={"sgima": 1.0})
    with pytest.raises(ms.DataError, match="one response and one location"):
        ms.datasets.make_moe(10, family="multivariate_gaussian")


def test_tables_are_found_inside_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "wages.csv").write_text("a\n1\n", encoding="utf-8")
    monkeypatch.setattr(datasets, "files", lambda package: tmp_path)
    assert list(datasets.load_wages().columns) == ["a"]
