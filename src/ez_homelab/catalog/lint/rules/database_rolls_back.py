"""An app with a database that takes updates goes back with its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    update = app.manifest.update
    if update.policy == "none" or "data" in update.rollback:
        return
    for number, volume in enumerate(app.manifest.volumes):
        if volume.volume_class == "database":
            message = f"an update that fails goes back without the database in `{volume.name}`"
            yield Breach(SERVICE, ("volumes", number), message, "write `update: {rollback: [image, data]}`")


RULE = AppRule(
    code="database-rolls-back",
    severity="warning",
    demands="An app with a database that takes updates goes back with its data.",
    why="A newer version changes the database's files; the older program cannot read them any more.",
    fix="Write `rollback: [image, data]`, or `policy: none`.",
    find=_find,
)
