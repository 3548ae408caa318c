"""Summaries: numbers as people read them; text that lines up; HTML that escapes every name."""

import numpy as np
import pandas as pd
import pytest

from mixstat.results.labels import Label
from mixstat.results.summary import Section, Summary, format_number, format_p
from mixstat.results.tables import tidy

EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0000"), (1.23456, "1.2346"), (1e-5, "1.000e-05"), (2e7, "2.000e+07"), (np.nan, ""), ("a", "a"), (3, "3")],
)
def test_numbers(value, shown):
    assert format_number(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.0, "<0.001"), (0.0412, "0.041"), (1.0, "1.000"), (np.nan, "")])
def test_p_values(value, shown):
    assert format_p(value) == shown


@pytest.fixture
def summary():
    table = pd.DataFrame({"parameter": ["mean", EVIL], "estimate": [1.0, -123.456], "p_value": [0.0, 0.5]})
    return Summary(EVIL, [(EVIL, EVIL)], [Section(EVIL, table)], [EVIL])


def test_html_escapes_every_name(summary):
    html = summary.to_html()
    assert "<img" not in html
    assert html.count("&lt;img") == 6
    assert html == summary._repr_html_()


def test_text_lines_up(summary):
    lines = str(summary).splitlines()
    rows = [line for line in lines if "1.0000" in line or "-123.4560" in line]
    assert len(rows) == 2
    assert len({len(row) for row in rows}) == 1


def test_table_without_parameters():
    table = tidy([], np.zeros(0), np.zeros((0, 0)), 0.95)
    assert len(table) == 0
    assert table["expert"].dtype == "Int64"


def test_shared_parameters_have_no_expert():
    table = tidy([Label(0, "sigma", "Intercept", "log")], np.ones(1), np.eye(1), 0.95)
    assert table["expert"].isna().all()
    assert table["conf_high"][0] == pytest.approx(1 + 1.959964)
