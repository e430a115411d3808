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
    words = re.sub("[()]", " ", app.manifest.upstream.license).split()
    for number, word in enumerate(words):
        if (word in _JOINS) == (number % 2 == 1) and (word in _JOINS or _is_known(word)):
            continue
        near = get_close_matches(word, sorted(_identifiers()), n=1)
        fix = f"did you mean `{near[0]}`?" if near else "see https://spdx.org/licenses/"
        yield Breach(SERVICE, ("upstream", "license"), f"`{word}` is no SPDX identifier", fix)
        return


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
