"""LaTeX: text with every special character escaped, numbers, and tables with booktabs' rules."""

import re
from collections.abc import Iterable, Sequence

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{character: "\\" + character for character in "&%$#_{}"},
}
"""A bracket or an asterisk at the start of a row would be read as an argument of the row before."""
NUMBER = re.compile(r"(<?)(-?)(\d[\d.]*)(?:e([+-]\d+))?")


def escape(text: object) -> str:
    """Text that LaTeX prints as it stands, on one line."""
    flat = re.sub(r"[\s\x00-\x1f\x7f]+", " ", str(text))
    return "".join(SPECIAL.get(character, character) for character in flat)


def number(text: str) -> str:
    """A number as `format_number` writes it, with a true minus and powers of ten; other text is escaped."""
    found = NUMBER.fullmatch(text)
    if found is None:
        return escape(text)
    less, minus, digits, power = found.groups()
    if not (less or minus or power):
        return digits
    times = "" if power is None else rf" \times 10^{{{int(power)}}}"
    return f"${less}{minus}{digits}{times}$"


def starred(text: str, stars: str) -> str:
    """A number with stars as a superscript."""
    plain = number(text)
    return plain if not stars else f"${plain.strip('$')}^{{{stars}}}$"


def note(text: str) -> str:
    """A paragraph in small type."""
    return rf"{{\footnotesize Note: {escape(text)}\par}}"


def row(cells: Iterable[str]) -> str:
    """One row of a table from cells that are LaTeX already."""
    return " & ".join(cells) + r" \\"


def spanning(text: str, columns: int) -> str:
    """A row of one cell over all columns, in italics; `text` is plain."""
    return rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{escape(text)}}}}} \\"


def tabular(alignment: str, head: Sequence[str], body: Sequence[str]) -> str:
    """A table of rows made by `row`, `spanning` or `\\midrule`; the document needs \\usepackage{booktabs}."""
    rules = [r"\toprule", *head, *([r"\midrule"] if head else []), *body, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{alignment}}}", *rules, r"\end{tabular}"])
