"""An edition runs nothing that it has just fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_PIPED = re.compile(r"\b(curl|wget)\b[^|;&]*\|\s*(sudo\s+)?(\S*/)?((ba|da|z|k)?sh|python|perl|php|node)")
_WITHIN = re.compile(r"\b((ba|da|z|k)?sh\s+(-c\s+)?|eval\s+|source\s+|\.\s+)[\"']?(<\(|\$\(|`)\s*(curl|wget)\b")
_FETCHED = re.compile(r"\b(curl|wget)\b[^;&|]*https?://(?!127\.0\.0\.1|localhost)")


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for item in dockerfile.of("RUN"):
            if _PIPED.search(item.rest) or _WITHIN.search(item.rest):
                message = "runs what it has just fetched"
            elif _FETCHED.search(item.rest):
                message = "fetches what nothing pins"
            else:
                continue
            yield Breach(dockerfile.file, item.line, message, "take a package, or COPY it from the folder")


RULE = EditionRule(
    code="edition-no-remote-script",
    severity="error",
    demands="An edition runs nothing that it has just fetched.",
    why="What such an address answers tomorrow, nobody has read.",
    fix="Take it from Debian or, pinned, from PyPI; or put it into the folder and COPY it.",
    find=_find,
)
