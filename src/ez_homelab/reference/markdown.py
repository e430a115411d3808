"""Takes apart Markdown: fenced blocks, the commands in them, links. For the tests of the documentation."""

from __future__ import annotations

import re
from typing import NamedTuple

COMMAND_LANGUAGES = ("sh", "console")

_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block: what stands after its fence, and its text."""

    language: str
    text: str


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks that begin at the left margin."""
    return [Block(*found) for found in _FENCE.findall(markdown)]


def commands(markdown: str) -> list[str]:
    """The command lines of its `sh` blocks (every line but comments) and `console` blocks (what follows `$ `).

    In a `console` block `> ` begins a line that belongs to the command before.
    """
    found: list[str] = []
    for language, text in blocks(markdown):
        lines = text.replace("\n> ", " ").splitlines()
        if language == "sh":
            found += [line.partition("  #")[0].strip() for line in lines if line.strip() and line[0] != "#"]
        elif language == "console":
            found += [line.removeprefix("$ ").strip() for line in lines if line.startswith("$ ")]
    return found


def links(markdown: str) -> list[str]:
    """Where its links lead; what stands in fenced blocks is no link."""
    return _LINK.findall(_FENCE.sub("", markdown))


def inline_code(markdown: str) -> list[str]:
    """What stands in single backticks outside fenced blocks."""
    return _CODE.findall(_FENCE.sub("", markdown))


def anchors(markdown: str) -> set[str]:
    """The names that links may lead to within the page, one per heading, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
