"""What the pages say of commands, codes and lab files is so; and what there is, is on a page."""

from __future__ import annotations

import ast
import shlex
from typing import TYPE_CHECKING

import click
import pytest
from doc_pages import CHECKOUT, GENERATED, PAGES, WRITTEN, named

from ez_homelab.catalog.loader import Catalog
from ez_homelab.cli.app import ENTRIES, cli
from ez_homelab.config.load import load_lab
from ez_homelab.doctor import CHECKS
from ez_homelab.reference.error_codes import error_classes
from ez_homelab.reference.findings import recorded_findings
from ez_homelab.reference.markdown import Block, blocks, commands, inline_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("ez-homelab", "./ez-homelab.sh")


def arguments(line: str) -> list[str]:
    """What the line hands to the program; empty where it calls another one."""
    words = [word for word in shlex.split(line.replace("...", ""), comments=True) if word != "sudo"]
    return words[1:] if words and words[0] in PROGRAMS else []


def complaint(line: str) -> str:
    """Why the program would not understand this line; empty where it would, or where the line is another program's."""
    command: click.Command = cli
    rest = arguments(line)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0]) if rest[0] in _names(command) else None
        if found is None:
            return f"there is no command {rest[0]!r}"
        command, rest = found, rest[1:]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h", "--version"}
    takes_any = bool(command.context_settings.get("ignore_unknown_options"))
    unknown = [word for word in rest if word.startswith("-") and word not in known and not takes_any]
    return f"no option {', '.join(unknown)} of {command.name}" if unknown else ""


def _names(group: click.Group) -> list[str]:
    return group.list_commands(click.Context(group))


def mentioned(page: Path) -> Iterator[str]:
    """Every command line of the page: in backticks and in blocks."""
    text = page.read_text()
    yield from commands(text)
    yield from (code for code in inline_code(text) if code.startswith(tuple(f"{name} " for name in PROGRAMS)))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_options_exist(page: Path) -> None:
    wrong = {line: why for line in mentioned(page) if (why := complaint(line))}
    assert not wrong


def test_what_does_not_exist_is_seen() -> None:
    assert complaint("ez-homelab plann") == "there is no command 'plann'"
    assert complaint("sudo ./ez-homelab.sh fleet upp") == "there is no command 'upp'"
    assert complaint("ez-homelab apply --forse") == "no option --forse of apply"
    assert not complaint("ez-homelab logs APP --tail 3 -f")


def test_every_command_is_in_a_page_that_a_person_wrote() -> None:
    said = {words[0] for page in WRITTEN for line in mentioned(page) if (words := arguments(line))}
    assert not ENTRIES.keys() - said


def codes_in_the_code() -> set[str]:
    """The first argument of every `Finding(...)` in the checks."""
    found = set()
    for path in (CHECKOUT / "src" / "ez_homelab" / "doctor" / "checks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}: a code must be written out"
                found.add(node.args[0].value)
    return found


def test_every_finding_has_a_recorded_case_and_is_documented() -> None:
    page = (GENERATED / "doctor.md").read_text()
    assert codes_in_the_code() == set(recorded_findings())
    assert not [code for code in codes_in_the_code() if f"`{code}`" not in page]
    assert not [check.name for check in CHECKS if f"`{check.name}-unknown`" not in page]


def test_every_error_code_is_documented() -> None:
    page = (GENERATED / "errors.md").read_text()
    assert not [kind.code for kind in error_classes() if f"| `{kind.code}` | {kind.exit_status} |" not in page]


def lab_files() -> list[tuple[str, Block]]:
    """Every block of YAML in the pages that is a whole lab file."""
    return [(named(page), block) for page in WRITTEN for block in blocks(page.read_text())
            if block.language == "yaml" and block.text.startswith("version:")]  # fmt: skip


@pytest.mark.parametrize(("page", "block"), lab_files())
def test_lab_files_load(page: str, block: Block, tmp_path: Path) -> None:
    (tmp_path / "homelab.yaml").write_text(block.text)
    assert load_lab(tmp_path, Catalog.shipped().ids()).instances


def test_there_are_lab_files_to_load() -> None:
    assert lab_files()
