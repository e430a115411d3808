"""The pages that the tests of the documentation read."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
GENERATED = CHECKOUT / "docs" / "reference"
PAGES = sorted(
    [
        *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(CHECKOUT / "docs").rglob("*.md"),
        *(CHECKOUT / "changelog.d").glob("*.md"),
    ]
)
WRITTEN = [page for page in PAGES if GENERATED not in page.parents]


def named(page: Path) -> str:
    """A page's name in test ids."""
    return str(page.relative_to(CHECKOUT))
