"""An app that may not reach the outside joins no shared network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    network = app.manifest.network
    if network.egress == "none" and network.join:
        message = "an app that may not reach the outside cannot join a shared network, which leads there"
        yield Breach(SERVICE, ("network", "egress"), message, "remove one of the two")


RULE = AppRule(
    code="no-way-out-is-none",
    severity="error",
    demands="An app that may not reach the outside joins no shared network.",
    why="Shared networks lead outside, so the promise would not hold.",
    fix="Remove `egress: none` or `join`.",
    find=_find,
)
