"""An app with data in its backup says what must answer after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    backup = app.manifest.backup
    kept = {item.name for item in app.manifest.volumes if item.volume_class not in ("cache", "media_shared")}
    if app.manifest.web and (kept if backup.include is None else backup.include) and not backup.restore_check:
        message = "nothing is asked after a restore"
        yield Breach(SERVICE, ("backup",), message, "add `restore_check: {path: /...}`")


RULE = AppRule(
    code="restore-is-checked",
    severity="warning",
    demands="An app with data in its backup says what must answer after a restore.",
    why="A backup counts when something was read back from it.",
    fix="Add `backup.restore_check`.",
    find=_find,
)
