"""An edition runs nothing that it has just fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_SEPARATOR = re.compile(r"(\|\||&&|[|;&])")
_FETCHER = re.compile(r"\b(curl|wget)\b")
_INTERPRETER = re.compile(r"\s*(sudo\s+)?(\S*/)?((ba|da|z|k)?sh|python|perl|php|node)")
_WITHIN = re.compile(r"\b((ba|da|z|k)?sh\s+(-c\s+)?|eval\s+|source\s+|\.\s+)[\"']?(<\(|\$\(|`)\s*(curl|wget)\b")
_ADDRESS = re.compile(r"https?://(?!127\.0\.0\.1|localhost)")


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for item in dockerfile.of("RUN"):
            if message := _fault(item.rest):
                yield Breach(dockerfile.file, item.line, message, "take a package, or COPY it from the folder")


def _fault(command: str) -> str:
    if _WITHIN.search(command):
        return "runs what it has just fetched"
    # Taken apart first: one expression over the whole would look at every pair of programs in it.
    parts = _SEPARATOR.split(command)
    fetching = [number for number in range(0, len(parts), 2) if _FETCHER.search(parts[number])]
    if any(parts[n + 1 : n + 2] == ["|"] and _INTERPRETER.match(parts[n + 2]) for n in fetching):
        return "runs what it has just fetched"
    return "fetches what nothing pins" if any(_ADDRESS.search(parts[number]) for number in fetching) else ""


RULE = EditionRule(
    code="edition-no-remote-script",
    severity="error",
    demands="An edition runs nothing that it has just fetched.",
    why="What such an address answers tomorrow, nobody has read.",
    fix="Take it from Debian or, pinned, from PyPI; or put it into the folder and COPY it.",
    find=_find,
)
