"""Summary: a fitted model as text, as HTML and as LaTeX, every name escaped."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import pandas as pd

from mixstat.results import latex

HEADS = {
    "std_error": "Std. error",
    "statistic": "$z$",
    "p_value": "$p$",
    "conf_low": "Lower",
    "conf_high": "Upper",
}
"""What LaTeX tables call their columns; others keep their name with a capital."""


class Section(NamedTuple):
    """A titled table of coefficients."""

    title: str
    table: pd.DataFrame


class Summary:
    """Prints as text; renders as HTML in a notebook."""

    def __init__(self, title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section], notes: Sequence[str]):
        self.title, self.facts, self.sections, self.notes = title, list(facts), list(sections), list(notes)

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.facts)
        lines = [self.title, "=" * len(self.title)]
        lines += [f"{name:<{width}}  {value}" for name, value in self.facts]
        for section in self.sections:
            lines += ["", section.title, "-" * len(section.title), _text(section.table)]
        return "\n".join(lines + ([""] if self.notes else []) + [f"Note: {note}" for note in self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self.facts)
        parts = [f'<div class="mixstat-summary"><h3>{escape(self.title)}</h3><table>{facts}</table>']
        for section in self.sections:
            parts.append(f"<h4>{escape(section.title)}</h4>{_html(section.table)}")
        parts += [f"<p><small>Note: {escape(note)}</small></p>" for note in self.notes]
        return "".join(parts) + "</div>"

    def to_html(self) -> str:
        """The HTML fragment that notebooks show."""
        return self._repr_html_()

    def to_latex(self) -> str:
        """Tables for a document with \\usepackage{booktabs}: facts, a table a section, notes."""
        facts = [latex.row([latex.escape(name), latex.escape(value)]) for name, value in self.facts]
        parts = [rf"\textbf{{{latex.escape(self.title)}}}", latex.tabular(r"lp{0.7\linewidth}", [], facts)]
        for section in self.sections:
            parts += [rf"\textit{{{latex.escape(section.title)}}}", _latex(section.table)]
        parts += [latex.note(note) for note in self.notes]
        return "\n\n".join(parts) + "\n"


def format_number(value: object) -> str:
    """Four decimals in the usual range, scientific outside; names as they are."""
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return ""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3e}"


def format_p(value: float) -> str:
    """A p-value: never a bare zero."""
    return "" if value != value else "<0.001" if value < 0.001 else f"{value:.3f}"


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.copy().astype(object)
    for name in shown.columns:
        shown[name] = [format_p(v) if name == "p_value" else format_number(v) for v in table[name]]
    return shown


def _text(table: pd.DataFrame) -> str:
    cells = _cells(table)
    widths = {c: max([len(str(c)), *(len(v) for v in cells[c])]) for c in cells.columns}
    names = [c for c in cells.columns if c in ("parameter", "term")]

    def line(values: dict) -> str:
        return "  ".join(
            f"{values[c]:<{widths[c]}}" if c in names else f"{values[c]:>{widths[c]}}" for c in cells.columns
        )

    rows = [line({c: c for c in cells.columns})]
    rows += [line(dict(zip(cells.columns, row, strict=True))) for row in cells.itertuples(index=False)]
    return "\n".join(rows)


def _html(table: pd.DataFrame) -> str:
    cells = _cells(table)
    head = "".join(f"<th>{escape(str(c))}</th>" for c in cells.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(v))}</td>" for v in row) + "</tr>" for row in cells.itertuples(index=False)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _latex(table: pd.DataFrame) -> str:
    cells = _cells(table)
    texts = [not pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    heads = [HEADS.get(str(name), latex.escape(str(name).capitalize())) for name in table.columns]
    rows = [
        latex.row([latex.escape(cell) if text else latex.number(cell) for cell, text in zip(line, texts, strict=True)])
        for line in cells.itertuples(index=False)
    ]
    return latex.tabular("".join("l" if text else "r" for text in texts), [latex.row(heads)], rows)
