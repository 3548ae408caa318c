"""A fit on one HTML page that stands alone: no script, no style or image from elsewhere, every name escaped."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import pandas as pd

from mixstat.results.summary import Summary, format_number

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #1d1d1f; background: #fff; max-width: 68rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; border-bottom: 1px solid #d8d8dc; padding-bottom: .25rem; }
h3 { display: none; } h4 { font-size: 1rem; margin: 1.5rem 0 .35rem; }
p { max-width: 46rem; } figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #515154; font-size: .9rem; max-width: 58rem; }
pre { background: #f5f5f7; padding: .9rem 1rem; overflow-x: auto; font-size: .85rem; line-height: 1.45; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: right; padding: .3rem .8rem .3rem 0; vertical-align: top; }
td { text-align: right; padding: .3rem .8rem .3rem 0; border-top: 1px solid #ececf0; vertical-align: top; }
thead th { border-bottom: 1.5px solid #86868b; }
.mixstat-summary > table:first-of-type th, .mixstat-summary > table:first-of-type td { text-align: left; }
.coefficients td:nth-child(-n+2), .coefficients th:nth-child(-n+2), td.text, th.text { text-align: left; }
small { color: #515154; }
"""


class Figure(NamedTuple):
    """A PNG with its caption; `alt` says what it shows to those who cannot see it."""

    png: bytes
    caption: str
    alt: str


def render(
    title: str, paragraphs: Sequence[str], figures: Sequence[Figure], summary: Summary, starts: pd.DataFrame, code: str
) -> str:
    """The page as text. All arguments are plain text or data: whatever they hold is escaped."""
    body = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(text)}</p>" for text in paragraphs)]
    body += [_figure(figure) for figure in figures]
    body += ["<h2>Estimates</h2>", f'<div class="wide coefficients">{summary.to_html()}</div>']
    body += ["<h2>Starts</h2>", f'<div class="wide">{_table(starts)}</div>']
    body += ["<h2>Code</h2>", f"<pre><code>{escape(code)}</code></pre>"]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    inner = "\n".join(body)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{inner}\n</body></html>\n'


def _figure(figure: Figure) -> str:
    source = f"data:image/png;base64,{b64encode(figure.png).decode('ascii')}"
    image = f'<img src="{source}" alt="{escape(figure.alt)}">'
    return f"<figure>{image}<figcaption>{escape(figure.caption)}</figcaption></figure>"


def _table(table: pd.DataFrame) -> str:
    kinds = {name: "" if pd.api.types.is_numeric_dtype(table[name]) else ' class="text"' for name in table.columns}
    head = "".join(f"<th{kinds[name]}>{escape(str(name))}</th>" for name in table.columns)
    rows = []
    for row in table.itertuples(index=False):
        cells = zip(table.columns, row, strict=True)
        rows.append("".join(f"<td{kinds[name]}>{escape(format_number(value))}</td>" for name, value in cells))
    body = "".join(f"<tr>{cells}</tr>" for cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
