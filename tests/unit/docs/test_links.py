"""Every relative link leads to a file that is there, and to a heading that is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from doc_pages import CHECKOUT, PAGES, named

from ez_homelab.reference.markdown import anchors, links

if TYPE_CHECKING:
    from pathlib import Path


def broken(page: Path, text: str) -> list[str]:
    """The relative links of the text that lead nowhere."""
    found = []
    for link in links(text):
        place, _, anchor = link.partition("#")
        if ":" in place:
            continue
        target = (page.parent / place).resolve() if place else page
        misses_anchor = (
            anchor and target.suffix == ".md" and target.exists() and anchor not in anchors(target.read_text())
        )
        if not target.exists() or misses_anchor:
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links(page: Path) -> None:
    assert not broken(page, page.read_text())


def test_a_broken_link_is_seen() -> None:
    page = CHECKOUT / "README.md"
    assert broken(page, "[a](docs/nothing.md) [b](LICENSE) [c](README.md#nowhere) [d](https://x.org)") == [
        "docs/nothing.md", "README.md#nowhere",
    ]  # fmt: skip


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    docs = CHECKOUT / "docs"
    indexed = {(docs / link).resolve() for link in links((docs / "README.md").read_text())}
    indexed |= {(docs / "adr" / link).resolve() for link in links((docs / "adr" / "README.md").read_text())}
    missing = [named(page) for page in docs.rglob("*.md") if page not in indexed and page != docs / "README.md"]
    assert not missing


def test_every_decision_has_the_same_form() -> None:
    for page in sorted((CHECKOUT / "docs" / "adr").glob("0*.md")):
        text = page.read_text()
        lines = text.splitlines()
        assert lines[0].startswith(f"# {int(page.name[:4])}. "), page.name
        assert lines[2].startswith("Status: "), page.name
        for part in ("Context", "Decision", "Turned down", "Consequences"):
            assert f"## {part}" in lines, f"{page.name} has no part {part!r}"
