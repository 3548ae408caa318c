"""The guide's examples print what the pages show, and the reference has a place for every public name."""

import doctest
import inspect
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

import mixstat as ms
from mixstat import policies, studies
from mixstat.families import FAMILIES
from tests.docs.pages import dead_links, fenced

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "guide").glob("*.md"))
SHOWN = [page for page in PAGES if "```pycon" in page.read_text(encoding="utf-8")]
DIRECTIVE = re.compile(r"(?:\.\. (?:auto|py:)\w+::|^ +)\s*mixstat\.([\w.]+)", re.MULTILINE)
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
DESCRIBED = set(DIRECTIVE.findall(REFERENCE))


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.stem)
def test_examples_print_what_is_shown(page):
    blocks = [re.sub(r"^$", "<BLANKLINE>", block.rstrip("\n"), flags=re.MULTILINE) for block in fenced(page, "pycon")]
    examples = doctest.DocTestParser().get_doctest("\n".join([*blocks, ""]), {}, page.name, str(page), 0)
    report: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=report.append)
    assert outcome.attempted > 3
    assert outcome.failed == 0, "".join(report)


@pytest.mark.parametrize("page", [page for page in PAGES if fenced(page, "python")], ids=lambda page: page.stem)
def test_plain_blocks_run(page):
    names: dict = {}
    for block in fenced(page, "python"):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    assert dead_links(page) == []


def test_every_public_name_has_a_place():
    assert set(ms.__all__) - DESCRIBED == set()
    assert {f"studies.{name}" for name in studies.__all__ if name != "Study"} - DESCRIBED == set()
    assert {f"policies.{name}" for name in policies.__all__} - DESCRIBED == set()
    assert {f"families.{family.__name__}" for family in FAMILIES.values()} - DESCRIBED == set()


@pytest.mark.parametrize("estimator", [ms.MixtureOfExperts, ms.Regression])
def test_every_method_has_a_place(estimator):
    """Both estimators share their methods, which are described once; what only one has stands with its class."""
    names = {name for name in dir(estimator) if not name.startswith("_") and _is_described(estimator, name)}
    assert len(names) > 50
    both = {name.rpartition(".")[2] for name in DESCRIBED if name.startswith("MixtureOfExperts.")}
    assert names - both - {"experts"} == set()
    assert re.search(r"autoclass:: mixstat.Regression\n   :members: experts", REFERENCE)


def _is_described(estimator: type, name: str) -> bool:
    static = inspect.getattr_static(estimator, name)
    return callable(static) or isinstance(static, property) or hasattr(static, "__get__")


@pytest.mark.parametrize("name", sorted(DESCRIBED))
def test_described_names_exist(name):
    pkgutil.resolve_name(f"mixstat.{name}")


def test_every_page_of_the_reference_is_listed():
    listed = re.search(r"```{toctree}\n.*?\n\n(.*?)```", (DOCS / "api" / "index.md").read_text(encoding="utf-8"), re.S)
    assert listed is not None
    assert set(listed[1].split()) == {page.stem for page in (DOCS / "api").glob("*.md")} - {"index"}
