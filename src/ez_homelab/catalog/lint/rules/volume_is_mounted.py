"""A volume that is declared, backed up or read by monitoring is mounted by some service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import mounts
from ez_homelab.catalog.lint.rule import COMPOSE, SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    mounted = {mount.source for _, mount in mounts(app) if mount.kind == "volume"}
    for number, volume in enumerate(app.manifest.volumes):
        if volume.name not in mounted:
            yield Breach(SERVICE, ("volumes", number), f"no service of compose.yaml mounts volume `{volume.name}`")
    for name in app.compose.volumes:
        if name not in mounted:
            yield Breach(COMPOSE, ("volumes", name), f"no service mounts volume `{name}`", "remove it")
    declared = {volume.name for volume in app.manifest.volumes}
    for number, name in enumerate(app.manifest.backup.include or ()):
        if name not in declared:
            yield Breach(SERVICE, ("backup", "include", number), f"there is no volume `{name}`")
    written = app.manifest.monitoring.textfiles
    if written and written.volume not in declared:
        yield Breach(SERVICE, ("monitoring", "textfiles", "volume"), f"there is no volume `{written.volume}`")


RULE = AppRule(
    code="volume-is-mounted",
    severity="error",
    demands="A volume that is declared, backed up or read by monitoring is mounted by some service.",
    why="A backup of a volume that nothing writes to holds nothing, and nothing could be read from it.",
    fix="Mount it, or remove it.",
    find=_find,
)
