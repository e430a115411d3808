"""A database is dumped or stopped for its backup, and a dump knows how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    backup = app.manifest.backup
    for number, volume in enumerate(app.manifest.volumes):
        if volume.volume_class == "database" and backup.consistency == "live":
            message = "a database cannot be copied while it runs"
            yield Breach(SERVICE, ("volumes", number), message, "use `dump` or `stop`")
    if backup.consistency == "dump" and not backup.dumps:
        message = "`dump` needs `dumps`"
        yield Breach(SERVICE, ("backup", "consistency"), message, "name the database, or use `stop`")
    secrets = {secret.id for secret in app.manifest.secrets}
    for number, dump in enumerate(backup.dumps):
        if dump.secret and dump.secret not in secrets:
            yield Breach(SERVICE, ("backup", "dumps", number, "secret"), f"there is no secret `{dump.secret}`")


RULE = AppRule(
    code="database-is-kept-whole",
    severity="error",
    demands="A database is dumped or stopped for its backup, and a dump knows how.",
    why="Files of a running database are copied in the middle of a write.",
    fix="Write `consistency: stop`, or `dump` with `dumps`.",
    find=_find,
)
