"""`replaced_by` names another app of the catalog that is not itself at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.faults import did_you_mean
from ez_homelab.catalog.lint.rule import SERVICE, Breach, CatalogRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.catalog.app import App


def _find(app: App, apps: Mapping[str, App]) -> Iterator[Breach]:
    name = app.manifest.replaced_by
    if name is None:
        return
    if name not in apps or name == app.id:
        message = "an app cannot take its own place" if name == app.id else f"the catalog has no app `{name}`"
        fix = "" if name == app.id else did_you_mean(name, tuple(apps))
        yield Breach(SERVICE, ("replaced_by",), message, fix)
    elif apps[name].manifest.status in ("deprecated", "disabled"):
        message = f"`{name}` is {apps[name].manifest.status} itself"
        yield Breach(SERVICE, ("replaced_by",), message, "name the app that people should use now")


RULE = CatalogRule(
    code="replacement-exists",
    severity="error",
    demands="`replaced_by` names another app of the catalog that is not itself at its end.",
    why="People follow it; it has to lead somewhere.",
    fix="Write the id of the app that takes its place.",
    find=_find,
)
