"""A mounted volume stands in service.yaml with its path and class, and under compose.yaml's `volumes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import mounts
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    declared = {volume.name: volume for volume in app.manifest.volumes}
    for path, mount in mounts(app):
        if mount.kind != "volume":
            continue
        if mount.source not in declared:
            message = f"volume `{mount.source}` is not declared in service.yaml"
            yield Breach(COMPOSE, path, message, "add it to `volumes`")
        elif declared[mount.source].path != mount.target:
            yield Breach(COMPOSE, path, f"service.yaml says `{mount.source}` is at {declared[mount.source].path}")
        if mount.source not in app.compose.volumes:
            message = f"volume `{mount.source}` is not among compose.yaml's `volumes`"
            yield Breach(COMPOSE, path, message, "add it there")


RULE = AppRule(
    code="volume-is-declared",
    severity="error",
    demands="A mounted volume stands in service.yaml with its path and class, and under compose.yaml's `volumes`.",
    why="The class says what is backed up and copied before an update; an undeclared volume would be lost unnoticed.",
    fix="Add it to `volumes` of both files, with the same path.",
    find=_find,
)
