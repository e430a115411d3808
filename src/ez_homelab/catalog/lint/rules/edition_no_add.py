"""An edition copies by `COPY`, never by `ADD`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for item in dockerfile.of("ADD"):
            fetches = any("://" in word or word.startswith("git@") for word in item.arguments()[:-1])
            message = "`ADD` fetches an address that nothing pins" if fetches else "`ADD` does more than copy"
            yield Breach(dockerfile.file, item.line, message, "put the file into the folder and write `COPY`")


RULE = EditionRule(
    code="edition-no-add",
    severity="error",
    demands="An edition copies by `COPY`, never by `ADD`.",
    why="ADD fetches addresses that nothing pins, and unpacks archives without saying so.",
    fix="Write `COPY`.",
    find=_find,
)
