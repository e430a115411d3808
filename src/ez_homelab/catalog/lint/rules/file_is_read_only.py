"""A file of the app is mounted read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import mounts
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    declared = {file.mounted_as for file in app.manifest.files}
    for path, mount in mounts(app):
        if mount.kind == "file" and mount.source in declared and not mount.read_only:
            message = f"`{mount.source}` is mounted for writing"
            yield Breach(COMPOSE, path, message, "add `:ro`; what an app writes is a volume")


RULE = AppRule(
    code="file-is-read-only",
    severity="error",
    demands="A file of the app is mounted read-only.",
    why="What a container writes into a rendered file is gone with the next apply, or counts as a change by hand.",
    fix="Add `:ro`; what an app writes is a volume.",
    find=_find,
)
