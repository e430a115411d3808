"""The apps that an app requires, or wants to be near, are in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.faults import did_you_mean
from ez_homelab.catalog.lint.rule import SERVICE, Breach, CatalogRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.catalog.app import App


def _find(app: App, apps: Mapping[str, App]) -> Iterator[Breach]:
    named = [(("requires", "services", n), name) for n, name in enumerate(app.manifest.requires.services)]
    named += [(("placement", "colocate_with", n), name) for n, name in enumerate(app.manifest.placement.colocate_with)]
    for path, name in named:
        if name == app.id:
            yield Breach(SERVICE, path, "an app cannot require itself", "remove it")
        elif name not in apps:
            fix = did_you_mean(name, tuple(apps))
            yield Breach(SERVICE, path, f"the catalog has no app `{name}`", fix)


RULE = CatalogRule(
    code="required-app-exists",
    severity="error",
    demands="The apps that an app requires, or wants to be near, are in the catalog.",
    why="An app that cannot be added with what it needs cannot be added.",
    fix="Write the app's id, or remove it.",
    find=_find,
)
