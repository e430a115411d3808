"""The committed reference pages are what the program says now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner
from doc_pages import GENERATED

from ez_homelab.cli.app import ENTRIES
from ez_homelab.reference.__main__ import main
from ez_homelab.reference.pages import pages, stale_pages

if TYPE_CHECKING:
    import pytest


def test_up_to_date() -> None:
    assert not stale_pages(), "run: python -m ez_homelab.reference"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in GENERATED.iterdir()} == set(pages())


def test_check_names_a_page_that_is_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.reference.__main__.stale_pages", lambda: ["cli.md"])
    ended = CliRunner().invoke(main, ["--check"])
    assert ended.exit_code == 1
    assert "docs/reference/cli.md is out of date" in ended.output


def test_every_command_has_its_section() -> None:
    text = (GENERATED / "cli.md").read_text()
    assert not [name for name in ENTRIES if f"### `ez-homelab {name}`" not in text]
