"""The licence is an expression of SPDX identifiers."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_REFERENCE = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_JOINS = {"AND", "OR", "WITH"}


def _find(app: App) -> Iterator[Breach]:
    licence = app.manifest.upstream.license
    for number, word in enumerate(re.sub("[()]", " ", licence).split()):
        wants_join = number % 2 == 1
        if wants_join != (word in _JOINS):
            message = f"`{licence}` is no SPDX expression"
            yield Breach(SERVICE, ("upstream", "license"), message, "join identifiers by AND, OR or WITH")
            return
        if not wants_join and not _is_known(word):
            yield Breach(SERVICE, ("upstream", "license"), f"`{word}` is no SPDX identifier", _suggestion(word))


def _suggestion(word: str) -> str:
    # GPL-2.0 is an identifier no more: GPL-2.0-only and GPL-2.0-or-later say which is meant.
    known = sorted(_identifiers())
    near = [item for item in known if item.startswith(f"{word}-")][:2] or get_close_matches(word, known, n=1)
    return f"did you mean {' or '.join(f'`{item}`' for item in near)}?" if near else "see https://spdx.org/licenses/"


def _is_known(word: str) -> bool:
    return word.removesuffix("+") in _identifiers() or bool(_REFERENCE.fullmatch(word))


@cache
def _identifiers() -> frozenset[str]:
    text = (files("ez_homelab.catalog.lint") / "spdx.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


RULE = AppRule(
    code="licence-is-spdx",
    severity="warning",
    demands="The licence is an expression of SPDX identifiers.",
    why="Programs and people compare licences by these names.",
    fix="Write the identifier from https://spdx.org/licenses/, or `LicenseRef-NAME`.",
    find=_find,
)
