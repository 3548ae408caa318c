"""Comparison: the right number in the right cell, blanks where a model has no such coefficient, names escaped."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.results.comparison import Comparison, Fit
from tests.estimators.data import frame, mixture, regression
from tests.results.test_latex import rows_of

EVIL = "<script>&_%</script>"


def table(*rows) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["expert", "parameter", "term", "estimate", "std_error", "p_value"])
    return made.astype({"expert": "Int64"})


ONE = table((1, "mean", "x", 1.23456, 0.5, 0.02), (1, "sigma", "Intercept", -0.5, 0.25, 0.2))
TWO = table(
    (1, "mean", "Intercept", 2.0, 0.1, 0.0001),
    (1, "mean", "x", -1.0, 0.2, 0.005),
    (None, "sigma", "Intercept", -0.75, 0.3, 0.5),
    (2, "mean", "x", 3.0, 0.4, 0.06),
    (2, "gate", EVIL, 0.1, 0.4, 0.8),
)
FACTS = {"log_likelihood": -10.5, "n_parameters": 2, "aic": 25.0, "bic": 26.125, "n_units": 50, "families": "gaussian"}


def comparison(**options) -> Comparison:
    return Comparison([Fit("one", ONE, FACTS), Fit(EVIL, TWO, FACTS | {"n_units": 60})], **options)


def test_frame():
    made = comparison().frame
    assert list(made.index) == [
        (0, "sigma", "Intercept"),
        (1, "mean", "x"),
        (1, "mean", "Intercept"),
        (1, "sigma", "Intercept"),
        (2, "mean", "x"),
        (2, "gate", EVIL),
    ]
    values = made.to_dict("index")
    assert values[1, "mean", "x"]["one", "estimate"] == 1.23456
    assert values[1, "mean", "x"][EVIL, "std_error"] == 0.2
    assert np.isnan(values[2, "mean", "x"]["one", "estimate"])
    assert values[0, "sigma", "Intercept"][EVIL, "p_value"] == 0.5
    assert made.notna().to_numpy().sum() == 3 * (len(ONE) + len(TWO))


def test_statistics():
    made = comparison().statistics
    assert made.loc["log_likelihood", "one"] == -10.5
    assert list(made.loc["n_units"]) == [50, 60]


def test_text():
    lines = str(comparison()).splitlines()
    place = lines.index("Expert 1")
    assert lines.index("Shared by all experts") < place < lines.index("Expert 2") < lines.index("Gate, class 2")
    assert lines[place + 1].split() == ["mean", "x", "1.235", "-1.000"]
    assert lines[place + 2].split() == ["(0.500)", "(0.200)"]
    assert lines[place + 3].split() == ["Intercept", "2.000"]
    assert lines[place + 1].index("1.235") + 5 == lines[place + 5].index("-0.500") + 6
    numbers = [line for line in lines if line.startswith(("AIC", "BIC", "Units"))]
    assert [line.split() for line in numbers] == [
        ["AIC", "25.00", "25.00"],
        ["BIC", "26.12", "26.12"],
        ["Units", "50", "60"],
    ]
    assert "*" not in str(comparison())


def test_stars_and_errors_beside():
    text = str(comparison(stars=True, standard_errors="beside", digits=2))
    for cell in ("1.23* (0.50)", "-1.00** (0.20)", "2.00*** (0.10)", "3.00 (0.40)"):
        assert cell in text
    assert "* p < 0.05, ** p < 0.01, *** p < 0.001" in text


def test_html_escapes_every_name():
    html = comparison().to_html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 2
    assert html.count("<tr>") == html.count("</tr>") == 1 + 4 + 2 * 6 + 6
    assert html == comparison()._repr_html_()


def test_latex():
    rows = rows_of(comparison(stars=True).to_latex())
    evil = r"\textless{}script\textgreater{}\&\_\%\textless{}/script\textgreater{}"
    assert rows[0] == ["", "", r"\multicolumn{1}{c}{one}", rf"\multicolumn{{1}}{{c}}{{{evil}}}"]
    assert ["mean", "x", "$1.235^{*}$", "$-1.000^{**}$"] in rows
    assert ["", "", "(0.500)", "(0.200)"] in rows
    assert ["", evil, "", "0.100"] in rows
    assert ["Log-likelihood", "", "$-10.50$", "$-10.50$"] in rows


@pytest.mark.parametrize("options", [{"standard_errors": "above"}, {"digits": -1}, {"digits": True}, {"digits": 2.0}])
def test_wrong_options(options):
    with pytest.raises(ms.OptionError, match=next(iter(options))):
        comparison(**options)


@pytest.fixture(scope="module")
def models():
    data = frame()
    alone = regression("y ~ x + z").fit(data)
    shared = mixture(regression("y ~ x", family="student_t", shared="sigma", fixed={"df": 5}), gate="~ z").fit(data)
    return {"line": alone, "mixture": shared}


def test_models_of_different_kind(models):
    made = ms.compare(models)
    for name, model in models.items():
        tidy = model.tidy()
        mine = made.frame[name].dropna()
        assert len(mine) == len(tidy)
        for row in tidy.itertuples():
            expert = 0 if pd.isna(row.expert) else row.expert
            assert mine["estimate"].to_dict()[expert, row.parameter, row.term] == row.estimate
        facts = model.glance().iloc[0]
        for key in ("log_likelihood", "n_parameters", "aic", "bic", "n_units"):
            assert made.statistics.loc[key, name] == facts[key]
    assert list(made.statistics.loc["families"]) == ["gaussian", "student_t"]
    assert "Gate, class 2" in str(made)


def test_a_list_is_numbered(models):
    assert ms.compare(list(models.values())).names == ["(1)", "(2)"]


@pytest.mark.parametrize("given", [{}, [], "ab", [1, 2], [ms.Noise()]])
def test_what_cannot_be_compared(given):
    with pytest.raises(ms.OptionError, match="compare"):
        ms.compare(given)
