"""A declared file is in files/, or the platform renders it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import covers
from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for number, file in enumerate(app.manifest.files):
        held = any(covers(file.source, name) for name in app.files)
        if held == file.rendered:
            words = "is in files/ and declared as rendered" if held else "is not in files/"
            fix = "" if held else "add it, or say `rendered: true`"
            yield Breach(SERVICE, ("files", number, "source"), f"`{file.source}` {words}", fix)


RULE = AppRule(
    code="file-is-there",
    severity="error",
    demands="A declared file is in files/, or the platform renders it.",
    why="Docker makes an empty folder in place of a file that is not there.",
    fix="Add the file, or say `rendered: true`.",
    find=_find,
)
