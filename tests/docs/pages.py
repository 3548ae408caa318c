"""What the tests of this folder read from a page of Markdown."""

import re
from pathlib import Path


def fenced(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def dead_links(page: Path) -> list[str]:
    """Links to files that are not there."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    return [link for link in links if not (page.parent / link).exists()]
