"""Inputs, secrets, volumes and files each have a name of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    manifest = app.manifest
    lists: dict[str, list[str]] = {
        "inputs": [item.id for item in manifest.inputs],
        "secrets": [item.id for item in manifest.secrets],
        "volumes": [item.name for item in manifest.volumes],
        "files": [item.mounted_as for item in manifest.files],
    }
    for key, names in lists.items():
        for number, name in enumerate(names):
            if name in names[:number]:
                yield Breach(SERVICE, (key, number), f"`{name}` is there twice in `{key}`", "remove one")


RULE = AppRule(
    code="name-stands-once",
    severity="error",
    demands="Inputs, secrets, volumes and files each have a name of their own.",
    why="Of two with one name, one would silently win.",
    fix="Rename or remove one.",
    find=_find,
)
