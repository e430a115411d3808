"""A folder in images/ is called like a service that does not run the main one's image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, Breach, EditionRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    others = [name for name in app.own_images if name != app.main_service]
    folder = app.folder / "images"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in others:
            message = f"images/{path.name} belongs to no service of compose.yaml that has an image of its own"
            fix = "the main service's is image/" if path.name in app.compose.services else "rename or remove it"
            yield Breach(SERVICE, ("edition",), message, fix)


RULE = EditionRule(
    code="edition-has-service",
    severity="error",
    demands="A folder in images/ is called like a service that does not run the main one's image.",
    why="A recipe that belongs to no service is never built, and nobody notices.",
    fix="Rename or remove the folder; the main service's recipe is in image/.",
    find=_find,
)
