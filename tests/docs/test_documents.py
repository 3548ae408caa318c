"""What the documents show is true: code runs, links lead somewhere, the example is the file that is tested."""

import warnings
from pathlib import Path

import pytest

from tests.docs.pages import dead_links, fenced

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN_IN_FULL = {"adding-a-family.md": "examples/logistic.py"}


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if p.name not in SHOWN_IN_FULL], ids=lambda p: p.name)
def test_code_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for block in fenced(path, "python"):
            exec(compile(block, path.name, "exec"), names)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    assert dead_links(path) == []


@pytest.mark.parametrize(("document", "example"), SHOWN_IN_FULL.items())
def test_example_is_shown_as_it_stands(document, example):
    shown = fenced(ROOT / "docs" / document, "python")
    assert (ROOT / "docs" / example).read_text(encoding="utf-8") in shown


def test_readme_opens_with_commands_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = fenced(ROOT / "README.md", "sh")
    assert "mixstat demo --output" in first[0]
    assert "pytest" in first[1]
    assert text.index("```sh") < text.index("\n## ")


def test_ci_runs_the_commands_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "-m pytest" in script
    assert "demo --output" in script
