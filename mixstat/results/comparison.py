"""Comparison: several fits side by side, coefficients by expert, parameter and term over their fit statistics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd

from mixstat.exceptions import OptionError
from mixstat.results import latex

GATE = "gate"
PLACES = ("below", "beside")
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
FOOTER = {
    "log_likelihood": "Log-likelihood",
    "n_parameters": "Parameters",
    "aic": "AIC",
    "bic": "BIC",
    "n_units": "Units",
    "families": "Family",
}
"""Statistics at the foot of the table."""
Key = tuple[int, str, str]
"""(expert, parameter, term) of a coefficient; expert 0 is shared by all."""


class Cell(NamedTuple):
    """One coefficient of one model."""

    estimate: float
    std_error: float
    p_value: float


class Fit(NamedTuple):
    """One column: its name, `tidy()`, and its statistics by the keys of `FOOTER`."""

    name: str
    coefficients: pd.DataFrame
    statistics: Mapping[str, object]


class Line(NamedTuple):
    """A line of the table: (parameter, term) or a title, and a cell a model; `kind` is title, row, error or foot."""

    kind: str
    labels: tuple[str, str]
    cells: tuple[str, ...] = ()


class Comparison:
    """Fits side by side: prints as text, renders as HTML in a notebook, `to_latex()` for a paper, `frame` as data.

    stars : whether estimates carry * (p < 0.05), ** (0.01), *** (0.001). standard_errors : "below" the estimate, or
    "beside" it, in brackets. digits : decimals of both.
    """

    def __init__(self, fits: Sequence[Fit], *, stars: bool = False, standard_errors: str = "below", digits: int = 3):
        if standard_errors not in PLACES:
            raise OptionError(f"standard_errors must be 'below' or 'beside', got {standard_errors!r}")
        if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 15:
            raise OptionError(f"digits must be a whole number from 0 to 15, got {digits!r}")
        self.fits, self.stars, self.standard_errors, self.digits = tuple(fits), bool(stars), standard_errors, digits
        self._tables = [_by_key(fit.coefficients) for fit in self.fits]
        self.keys = _ordered(self._tables)

    @property
    def names(self) -> list[str]:
        """Of the models, in order."""
        return [fit.name for fit in self.fits]

    @property
    def frame(self) -> pd.DataFrame:
        """Rows (expert, parameter, term), expert 0 for shared ones; columns (model, estimate | std_error | p_value)."""
        index = pd.MultiIndex.from_tuples(self.keys, names=["expert", "parameter", "term"])
        empty = Cell(np.nan, np.nan, np.nan)
        parts = [pd.DataFrame([t.get(key, empty) for key in self.keys], index, Cell._fields) for t in self._tables]
        return pd.concat(parts, axis=1, keys=self.names, names=["model", "value"])

    @property
    def statistics(self) -> pd.DataFrame:
        """The footer's numbers, a row a statistic and a column a model."""
        return pd.DataFrame({fit.name: [fit.statistics.get(key) for key in FOOTER] for fit in self.fits}, index=FOOTER)

    def __str__(self) -> str:
        return _text(self._lines(), self.names, self._notes())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _html(self._lines(), self.names, self._notes())

    def to_html(self) -> str:
        """The HTML fragment that notebooks show, every name escaped."""
        return self._repr_html_()

    def to_latex(self) -> str:
        """One table for a document with \\\\usepackage{booktabs}, every name escaped."""
        return _latex(self._lines(), self.names, self._notes())

    def _lines(self) -> list[Line]:
        """Everything but the head, in order."""
        lines: list[Line] = []
        section, parameter = "", ""
        for key in self.keys:
            if (title := _title(key)) != section:
                lines.append(Line("title", (title, "")))
                section, parameter = title, ""
            shown = "" if key[1] in (parameter, GATE) else key[1]
            lines += self._coefficient(key, (shown, key[2]))
            parameter = key[1]
        return lines + [
            Line("foot", (label, ""), tuple(_statistic(fit.statistics.get(key)) for fit in self.fits))
            for key, label in FOOTER.items()
        ]

    def _coefficient(self, key: Key, labels: tuple[str, str]) -> Iterator[Line]:
        cells = [table.get(key) for table in self._tables]
        estimates = [self._estimate(cell) for cell in cells]
        errors = ["" if cell is None else f"({cell.std_error:.{self.digits}f})" for cell in cells]
        if self.standard_errors == "beside":
            yield Line("row", labels, tuple(f"{a} {b}".strip() for a, b in zip(estimates, errors, strict=True)))
            return
        yield Line("row", labels, tuple(estimates))
        yield Line("error", ("", ""), tuple(errors))

    def _estimate(self, cell: Cell | None) -> str:
        if cell is None:
            return ""
        mark = next((mark for bound, mark in STARS if cell.p_value < bound), "") if self.stars else ""
        return f"{cell.estimate:.{self.digits}f}{mark}"

    def _notes(self) -> list[str]:
        notes = ["standard errors in brackets"]
        marks = ", ".join(f"{mark} p < {bound:g}" for bound, mark in reversed(STARS))
        return [*notes, marks] if self.stars else notes


def _by_key(table: pd.DataFrame) -> dict[Key, Cell]:
    experts = table["expert"].fillna(0).astype(int)
    keys = zip(experts, table["parameter"], table["term"], strict=True)
    cells = zip(table["estimate"], table["std_error"], table["p_value"], strict=True)
    return {key: Cell(*cell) for key, cell in zip(keys, cells, strict=True)}


def _ordered(tables: Sequence[Mapping[Key, Cell]]) -> list[Key]:
    """Coefficients of all models: the gate last, experts in order, parameters and terms as they first appear."""
    keys = list(dict.fromkeys(key for table in tables for key in table))
    parameters = {name: place for place, name in enumerate(dict.fromkeys(key[1] for key in keys))}
    terms = {name: place for place, name in enumerate(dict.fromkeys(key[1:] for key in keys))}
    return sorted(keys, key=lambda key: (key[1] == GATE, key[0], parameters[key[1]], terms[key[1:]]))


def _title(key: Key) -> str:
    if key[1] == GATE:
        return f"Gate, class {key[0]}"
    return f"Expert {key[0]}" if key[0] else "Shared by all experts"


def _statistic(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else str(value)


def _text(lines: Sequence[Line], names: Sequence[str], notes: Sequence[str]) -> str:
    rows = [line for line in lines if line.kind != "title"]
    first, second = (
        max([len(line.labels[i]) for line in rows if i == 0 or line.kind == "row"], default=0) for i in (0, 1)
    )
    width = max(first + 2 + second, max((len(line.labels[0]) for line in lines), default=0))
    sizes = [max([len(name), *(len(line.cells[i]) for line in rows)]) for i, name in enumerate(names)]

    def out(label: str, cells: Sequence[str]) -> str:
        return "  ".join([f"{label:<{width}}", *(f"{c:>{n}}" for c, n in zip(cells, sizes, strict=True))]).rstrip()

    rule = "-" * (width + sum(size + 2 for size in sizes))
    shown, feet = [out("", names), rule], False
    for line in lines:
        if line.kind == "title":
            shown += [line.labels[0]]
            continue
        shown += [rule] if line.kind == "foot" and not feet else []
        feet = feet or line.kind == "foot"
        label = line.labels[0] if line.kind == "foot" else f"{line.labels[0]:<{first}}  {line.labels[1]}"
        shown.append(out(label, line.cells))
    return "\n".join([*shown, rule, *(f"Note: {note}" for note in notes)])


def _html(lines: Sequence[Line], names: Sequence[str], notes: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for line in lines:
        if line.kind == "title":
            rows.append(f'<tr><th colspan="{len(names) + 2}">{escape(line.labels[0])}</th></tr>')
            continue
        labels = "".join(f"<td>{escape(label)}</td>" for label in line.labels)
        rows.append(f"<tr>{labels}{''.join(f'<td>{escape(cell)}</td>' for cell in line.cells)}</tr>")
    foot = "".join(f"<p><small>Note: {escape(note)}</small></p>" for note in notes)
    table = f"<table><thead><tr><th></th><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="mixstat-comparison">{table}{foot}</div>'


def _latex(lines: Sequence[Line], names: Sequence[str], notes: Sequence[str]) -> str:
    columns = len(names) + 2
    body: list[str] = []
    for index, line in enumerate(lines):
        if line.kind == "title":
            body += [r"\addlinespace"] if index else []
            body.append(latex.spanning(line.labels[0], columns))
            continue
        body += [r"\midrule"] if line.kind == "foot" and lines[index - 1].kind != "foot" else []
        write: Callable[[str], str] = latex.number if line.kind == "foot" else _latex_cell
        body.append(latex.row([*map(latex.escape, line.labels), *map(write, line.cells)]))
    head = latex.row(["", "", *(rf"\multicolumn{{1}}{{c}}{{{latex.escape(name)}}}" for name in names)])
    table = latex.tabular("ll" + "r" * len(names), [head], body)
    return "\n\n".join([table, *map(latex.note, notes)]) + "\n"


def _latex_cell(cell: str) -> str:
    """Estimate with stars, error in brackets, or both."""
    return " ".join(latex.starred(part.rstrip("*"), part[len(part.rstrip("*")) :]) for part in cell.split())
