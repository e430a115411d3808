"""An app's id is its folder's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    if app.id != app.folder.name:
        message = f"the id `{app.id}` is not the folder's name `{app.folder.name}`"
        yield Breach(SERVICE, ("id",), message, "make them the same")


RULE = AppRule(
    code="id-is-folder",
    severity="error",
    demands="An app's id is its folder's name.",
    why="The id names containers, volumes and data; two names for one app would be two apps.",
    fix="Make them the same.",
    find=_find,
)
