"""No two apps have the same default name on the web, unless they stand in for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, Breach, CatalogRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.lint.parts import Path


def _find(app: App, apps: Mapping[str, App]) -> Iterator[Breach]:
    beside = [other for other in apps.values() if other.id != app.id and not _either_or(app, other)]
    others = {name: other.id for other in beside for _, name in _names(other)}
    own: set[str] = set()
    for path, name in _names(app):
        if name in others or name in own:
            taken = f"`{others[name]}`" if name in others else "this app itself"
            message = f"the name `{name}` belongs to {taken} already"
            yield Breach(SERVICE, path, message, "choose another one")
        own.add(name)


def _either_or(app: App, other: App) -> bool:
    """Whether both offer the same contract: a lab has the one or the other."""
    return bool({*app.manifest.requires.provides} & {*other.manifest.requires.provides})


def _names(app: App) -> Iterator[tuple[Path, str]]:
    web = app.manifest.web
    if web is None or web.exposure == "none":
        return
    yield ("web", "subdomain"), web.subdomain or app.id
    for number, route in enumerate(web.extra_routes):
        if route.path == "/":
            yield ("web", "extra_routes", number, "subdomain"), route.subdomain


RULE = CatalogRule(
    code="subdomain-is-unique",
    severity="error",
    demands="No two apps have the same default name on the web, unless they provide the same contract.",
    why="A lab with both would have to rename one before it can start.",
    fix="Choose another `web.subdomain`.",
    find=_find,
)
