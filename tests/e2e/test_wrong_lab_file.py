"""A lab file with mistakes: all of them are told with their positions, and nothing is touched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

WRONG = """\
version: 2
domain: example.com
time_zone: Europe/Berlin
timezone: Europe/Berlinn
servers:
  core: {address: 0.0.0.0}
stacks:
  wiki:
    - dokuwikki
    - glances: {limits: {memory: lots}, environment: {ADMIN_PASSWORD: hunter2}}
"""
MISTAKES = (
    ("1:1", "version 2 of this file is not known"),
    ("2:1", "`example.com` is a public name"),
    ("3:1", "did you mean `timezone`?"),
    ("4:1", "did you mean `Europe/Berlin`?"),
    ("6:10", "`0.0.0.0` is refused"),
    ("9:7", "did you mean `dokuwiki`?"),
    ("10:26", "`lots` is no size"),
    ("10:55", "`ADMIN_PASSWORD` looks like a secret"),
)


@pytest.fixture(scope="module")
def wrong(home: RealLab) -> Iterator[RealLab]:
    """The lab with that file."""
    before = home.text
    home.write(WRONG)
    yield home
    home.write(before)


@pytest.mark.parametrize("command", [("check",), ("plan",), ("apply", "--yes"), ("up", "--yes"), ("down",)])
def test_eight_mistakes_are_eight_messages_and_nothing_is_touched(wrong: RealLab, command: tuple[str, ...]) -> None:
    before = wrong.everything()
    told = wrong.ez(*command, status=2)
    assert told.stdout == ""
    messages = [line.strip() for line in told.stderr.splitlines() if line.startswith("  homelab.yaml:")]
    assert len(messages) == len(MISTAKES), told.stderr
    for message, (position, words) in zip(messages, MISTAKES, strict=True):
        assert message.startswith(f"homelab.yaml:{position}: ")
        assert words in message
    assert "hunter2" not in told.stderr
    assert wrong.everything() == before


def test_the_same_as_one_json_document(wrong: RealLab) -> None:
    error = wrong.document("check", status=2)["error"]
    assert error["code"] == "lab-file"
    assert [f"{fault['line']}:{fault['column']}" for fault in error["faults"]] == [at for at, _ in MISTAKES]


@pytest.mark.parametrize("text", ["stacks: [", "a: &a [*a]", "version: 1\0", "version: 1\xe9"])
def test_what_is_no_yaml_is_told_with_its_position(wrong: RealLab, text: str) -> None:
    wrong.server.write("/root/other/homelab.yaml", text.encode("latin-1"))
    argv = [*wrong.argv("apply", "--yes")[:-1], "/root/other"]
    ended = wrong.server.run(argv, check=False)
    wrong.server.run(["rm", "-r", "/root/other"])
    assert ended.returncode == 2
    assert re.search(r"homelab\.yaml:[12]:\d+: ", ended.stderr)
    assert "Traceback" not in ended.stderr
