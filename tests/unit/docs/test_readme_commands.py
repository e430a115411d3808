"""The README's own promises. That its commands work is proven on a real server, by tests/e2e/test_readme.py."""

from __future__ import annotations

import shlex

import pytest
from doc_pages import CHECKOUT

from ez_homelab.reference.markdown import blocks, commands

README = (CHECKOUT / "README.md").read_text()


def test_it_opens_with_the_two_commands() -> None:
    assert commands(README)[:2] == ["./ez-homelab.sh up", "./ez-homelab.sh test"]
    before = README.partition("```")[0].strip().splitlines()
    assert len([line for line in before if line]) == 2, "a title and one sentence"


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 95


@pytest.mark.parametrize("command", commands(README))
def test_what_it_calls_is_there(command: str) -> None:
    program = shlex.split(command)[0]
    assert program in ("ez-homelab", "ln") or (CHECKOUT / program).is_file()


def test_commands_stand_only_in_blocks_that_are_run() -> None:
    assert {block.language for block in blocks(README)} == {"sh", ""}
