"""LaTeX: every special character printed as it stands, numbers set as numbers, tables that are well formed."""

import re

import pandas as pd
import pytest

from mixstat.results import latex
from mixstat.results.summary import Section, Summary

EVIL = "a%b_c&d#e$f\\g~h^i{j}k<l>m|n[o]p*q"
COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
}


def printed(source: str) -> str:
    """What LaTeX prints of escaped text, read off token by token; fails on an active character left bare."""
    out, rest = "", source
    while rest:
        command = next((c for c in COMMANDS if rest.startswith(c)), None)
        if command:
            out, rest = out + COMMANDS[command], rest[len(command) :]
        elif rest[0] == "\\":
            assert rest[1] in "%_&#${}", rest
            out, rest = out + rest[1], rest[2:]
        elif group := re.match(r"\{([^{}\\])\}", rest):
            out, rest = out + group[1], rest[3:]
        else:
            assert rest[0] not in "%_&#$~^{}[]*", rest
            out, rest = out + rest[0], rest[1:]
    return out


@pytest.mark.parametrize("text", [EVIL, *EVIL[1::2], "", "plain", "\\\\newline", "${\\input{x}}", "Größe ≥ 3"])
def test_escaped_text_is_printed_as_it_stands(text):
    assert printed(latex.escape(text)) == text


def test_control_characters_and_line_ends_become_spaces():
    assert latex.escape("a\n\nb\tc\x00d") == "a b c d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1.2345", "1.2345"),
        ("-0.5", "$-0.5$"),
        ("<0.001", "$<0.001$"),
        ("1.500e-05", r"$1.500 \times 10^{-5}$"),
        ("-2.000e+07", r"$-2.000 \times 10^{7}$"),
        ("", ""),
        ("nan_", r"nan\_"),
        ("inf", "inf"),
    ],
)
def test_numbers(text, shown):
    assert latex.number(text) == shown


def test_stars_are_a_superscript_of_the_number():
    assert latex.starred("-1.50", "**") == "$-1.50^{**}$"
    assert latex.starred("(0.10)", "") == "(0.10)"


def rows_of(source: str) -> list[list[str]]:
    """Rows of every table as lists of cells, told by unescaped ampersands; a row's width must be its table's."""
    rows = []
    for alignment, body in re.findall(r"\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}", source, re.DOTALL):
        columns = len(re.sub(r"p\{.*", "p", alignment))
        for line in body.splitlines():
            if not line.endswith(r"\\"):
                assert line in (r"\toprule", r"\midrule", r"\bottomrule", r"\addlinespace"), line
                continue
            cells = re.split(r"(?<!\\) & ", line.removesuffix(r"\\"))
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(cells) + spans == columns, line
            assert not re.match(r"\s*[\[*]", line)
            rows.append([cell.strip() for cell in cells])
    return rows


def test_summary():
    table = pd.DataFrame(
        {"parameter": ["mean", EVIL], "term": ["x", "[T.a]"], "estimate": [1.0, -2e-5], "p_value": 0.0}
    )
    summary = Summary(EVIL, [("Formula", EVIL)], [Section(EVIL, table)], [EVIL])
    source = summary.to_latex()
    rows = rows_of(source)
    assert rows[0] == ["Formula", latex.escape(EVIL)]
    assert rows[1] == ["Parameter", "Term", "Estimate", "$p$"]
    assert rows[2] == ["mean", "x", "1.0000", "$<0.001$"]
    assert rows[3] == [latex.escape(EVIL), "{[}T.a{]}", r"$-2.000 \times 10^{-5}$", "$<0.001$"]
    assert source.count(latex.escape(EVIL)) == 5
    assert source.count(r"\toprule") == source.count(r"\bottomrule") == 2


def test_summary_of_a_table_with_no_rows():
    assert r"\midrule" in Summary("t", [("a", "b")], [Section("s", pd.DataFrame({"term": []}))], []).to_latex()
