"""The site: `sphinx-build -W -b html docs OUT`. It needs no network, neither to be built nor to be read.

Vignettes are turned into notebooks and executed; an exception in one fails the build.
"""

import re
import sys
from pathlib import Path

import jupytext
from docutils import nodes
from latex2mathml.converter import convert
from nbformat.v4 import new_code_cell

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import mixstat  # noqa: E402

project = "mixstat"
author = "The mixstat developers"
copyright = author
release = version = mixstat.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
default_role = "py:obj"
add_module_names = False
nitpicky = False

html_theme = "furo"
html_title = f"mixstat {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

nb_execution_mode = "auto"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

FIRST_CELL = """%matplotlib inline
import os, warnings
os.chdir("../../vignettes")
warnings.filterwarnings("ignore", message="IProgress not found")"""
"""Unseen: figures are shown, files are found as from the script's own folder, progress bars are plain."""
FIELD = re.compile(r"^([A-Za-z_][\w, ]*?)(?: : |\s{3,})(.*)$")
HEADER = re.compile(r"^\*{0,2}[A-Za-z_][\w, *]* : ")
CODE = re.compile(r"``?([^`]+)``?")
SPECIAL = re.compile(r"(\\|\*|\||_\b(?=\W|$))")
NAMES = re.compile(r'(?<!`)("[^"\s]*:[^"\s]*")(?!`)')
OPERATOR = re.compile(r"(<mi>(?:log|exp|max|min|var|det)</mi>)(?!<mo)")
SECTIONS = {"Parameters", "Returns", "Attributes", "Notes", "Examples", "Raises", "Methods", "Other Parameters"}


def convert_vignettes(app, config) -> None:
    """`../vignettes/*.py` to notebooks in `vignettes/`, where Sphinx finds them; unchanged ones keep their dates."""
    made, sources = HERE / "vignettes", sorted((HERE.parent / "vignettes").glob("*.py"))
    for stale in {path.stem for path in made.glob("*.ipynb")} - {path.stem for path in sources}:
        (made / f"{stale}.ipynb").unlink()
    for source in sources:
        target = made / f"{source.stem}.ipynb"
        newest = max(source.stat().st_mtime, Path(__file__).stat().st_mtime)
        if not target.exists() or target.stat().st_mtime < newest:
            notebook = jupytext.read(source, fmt="py:percent")
            notebook.cells.insert(0, new_code_cell(FIRST_CELL, metadata={"tags": ["remove-cell"]}))
            jupytext.write(notebook, target)


def plain_docstring(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are written to be read as text: give them the marks that Sphinx wants."""
    head = next((i for i, line in enumerate(lines) if line.strip() in SECTIONS), len(lines))
    lines[:] = [*paragraphs(lines[:head]), *map(escaped, lines[head:])]


def paragraphs(lines: list[str]) -> list[str]:
    """Text before numpydoc sections: "name : meaning" becomes a parameter, an indented block a literal one."""
    out: list[str] = []
    kind = "text"
    for before, line in zip(["", *lines], lines, strict=False):
        field, opens = None if before.startswith("==") else FIELD.match(line), not before.strip()
        start = "field" if field else "list" if line.startswith("- ") else kind if line.startswith(" ") else "text"
        if line.startswith(" ") and opens and kind == "text":
            start = "literal"
            out += ["::", ""]
        elif not opens and start != kind and line.strip():
            out.append("")
        kind = start if line.strip() else kind
        shown = f":param {field[1]}: {escaped(field[2])}" if field else line
        out.append(shown if field or kind == "literal" else escaped(line))
    return out


def escaped(line: str) -> str:
    """Stars, bars and final underscores are text; code in backticks is a link only where it is a name."""
    if CODE.search(line) is None and line.count("`"):
        return line
    line = NAMES.sub(r"`\1`", line)
    name, colon, meaning = line.partition(" : ") if HEADER.match(line) else ("", "", line)
    parts = CODE.split(meaning)
    parts[::2] = [SPECIAL.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"`{code}`" if code.isidentifier() else f"``{code}``" for code in parts[1::2]]
    return name + colon + "".join(parts)


def mathml(tex: str, display: str) -> str:
    """MathML, which browsers draw without a script; with the space after log and its like."""
    return OPERATOR.sub(r'\1<mspace width="0.17em"></mspace>', convert(tex, display=display))


def inline_math(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def display_math(self, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (inline_math, None), (display_math, None))
    app.connect("config-inited", convert_vignettes)
    app.connect("autodoc-process-docstring", plain_docstring, priority=100)
