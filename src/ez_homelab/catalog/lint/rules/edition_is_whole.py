"""An app with a package edition has one for every image, and names the version of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    edition = app.manifest.edition
    if edition is None:
        return
    others = [name for name in app.own_images if name != app.main_service]
    for name in others:
        if name not in app.image_folders:
            yield Breach(SERVICE, ("edition",), f"there is no images/{name}/Dockerfile", "add it, or remove `edition`")
        if name not in edition.services:
            message = f"`edition.services` does not name the version of `{name}`"
            yield Breach(SERVICE, ("edition",), message, f"add `services: {{{name}: {{image_version: ...}}}}`")
    for name in edition.services:
        if name not in others:
            known = name in app.compose.services
            message = (
                f"`{name}` runs the main service's image" if known else f"compose.yaml has no further service `{name}`"
            )
            yield Breach(SERVICE, ("edition", "services", name), message, "remove it")


RULE = AppRule(
    code="edition-is-whole",
    severity="error",
    demands="An app with a package edition has one for every image, and names the version of each.",
    why="Where no registry answers, one missing image keeps the whole app from starting.",
    fix="Add images/SERVICE/Dockerfile and `edition.services.SERVICE.image_version`.",
    find=_find,
)
