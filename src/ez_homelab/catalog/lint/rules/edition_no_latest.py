"""Nothing in an edition is asked for as `latest`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        for item in dockerfile.instructions:
            if found := re.search(r"(?<!\S)\S*[:@]latest\b", item.rest):
                yield Breach(dockerfile.file, item.line, f"`{found[0]}` is another thing tomorrow", "write the version")


RULE = EditionRule(
    code="edition-no-latest",
    severity="error",
    demands="Nothing in an edition is asked for as `latest`.",
    why="It is another thing tomorrow, under the same name.",
    fix="Write the version.",
    find=_find,
)
