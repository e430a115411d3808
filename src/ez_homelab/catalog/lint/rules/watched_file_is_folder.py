"""Only a folder is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for number, file in enumerate(app.manifest.files):
        if file.on_change == "watch" and not file.is_folder:
            message = f"`{file.source}` cannot be watched: only folders can"
            yield Breach(SERVICE, ("files", number, "source"), message, "mount its folder instead")


RULE = AppRule(
    code="watched-file-is-folder",
    severity="error",
    demands="Only a folder is watched.",
    why="A single mounted file that is replaced by renaming stays the old one inside the container.",
    fix="Mount its folder, or write another `on_change`.",
    find=_find,
)
