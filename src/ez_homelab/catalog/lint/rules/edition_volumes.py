"""A `VOLUME` of an edition is where compose.yaml mounts something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.lint.rule import Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for dockerfile in dockerfiles(app):
        paths = [
            (item.line, path) for item in dockerfile.last_stage() if item.name == "VOLUME" for path in item.arguments()
        ]
        for name in app.services_of(dockerfile.service):
            service = app.compose.services[name]
            mounted = {mount.target for mount in service.volumes} | set(service.memory_folders)
            for line, path in paths:
                if path.rstrip("/") not in mounted:
                    message = f"`VOLUME {path}` is mounted nowhere in `{name}`"
                    there = ", ".join(sorted(mounted)) or "nothing"
                    yield Breach(dockerfile.file, line, message, f"mounted: {there}")


RULE = EditionRule(
    code="edition-volumes",
    severity="error",
    demands="A `VOLUME` of an edition is where compose.yaml mounts something.",
    why="Docker makes a nameless volume for each other one, which is in no backup and lost with the container.",
    fix="Use upstream's path in both, or remove the `VOLUME`.",
    find=_find,
)
