"""No two apps publish the same port of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, Breach, CatalogRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.catalog.app import App


def _find(app: App, apps: Mapping[str, App]) -> Iterator[Breach]:
    others = [other for other in apps.values() if other.id != app.id]
    taken = {(item.port, item.protocol): other.id for other in others for item in other.manifest.network.publish}
    own: set[tuple[int, str]] = set()
    for number, item in enumerate(app.manifest.network.publish):
        port = (item.port, item.protocol)
        if port in taken or port in own:
            owner = f"`{taken[port]}`" if port in taken else "this app itself"
            message = f"port {item.port}/{item.protocol} of the server is published by {owner} too"
            yield Breach(SERVICE, ("network", "publish", number), message, "one of the two can run on a server")
        own.add(port)


RULE = CatalogRule(
    code="port-is-published-once",
    severity="warning",
    demands="No two apps publish the same port of the server.",
    why="Only one of the two can run on a server.",
    fix="Use another port, or say in `notes` that the two exclude each other.",
    find=_find,
)
