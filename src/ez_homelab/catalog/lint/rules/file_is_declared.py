"""A mounted file, and every file in files/, is declared under `files`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import covers, mounts
from ez_homelab.catalog.lint.rule import COMPOSE, SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    declared = {file.mounted_as for file in app.manifest.files}
    for path, mount in mounts(app):
        if mount.kind == "file" and mount.source not in declared:
            yield Breach(COMPOSE, path, f"`{mount.source}` is not declared in service.yaml", "add it to `files`")
    for name in app.files:
        if not any(covers(file.source, name) for file in app.manifest.files):
            yield Breach(SERVICE, ("files",), f"files/{name} is not declared", "add it to `files`, or remove it")


RULE = AppRule(
    code="file-is-declared",
    severity="error",
    demands="A mounted file, and every file in files/, is declared under `files`.",
    why="The declaration says what makes a changed file count, and who may read it.",
    fix="Add it to `files` in service.yaml, or remove it.",
    find=_find,
)
