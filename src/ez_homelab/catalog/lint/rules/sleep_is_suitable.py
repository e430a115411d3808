"""An app sleeps only where it is known to be suitable and can be woken; one that is not says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    lazy = app.manifest.lazy
    if lazy.suitable is False and not lazy.reason:
        message = "an app that is not suitable for sleeping needs a reason"
        yield Breach(SERVICE, ("lazy", "suitable"), message, "add `reason`")
    if lazy.mode != "off" and lazy.suitable is not True:
        message = "the app is not known to be suitable for sleeping"
        yield Breach(SERVICE, ("lazy", "mode"), message, "write `mode: off`")
    yield from _out_of_reach(app)


def _out_of_reach(app: App) -> Iterator[Breach]:
    """What the lab would refuse, because whatever wakes apps could not do it for this one."""
    manifest = app.manifest
    if manifest.lazy.mode != "off" and manifest.network.publish:
        port = manifest.network.publish[0].port
        message = f"port {port} of the server leads to the app past Traefik, where nobody wakes it"
        yield Breach(SERVICE, ("lazy", "mode"), message, "write `mode: off`")
    if manifest.lazy.suitable is True and manifest.web and manifest.web.scheme != "http":
        message = f"the app answers by {manifest.web.scheme}, and what wakes apps speaks plain HTTP/1.1 to them"
        yield Breach(SERVICE, ("lazy", "suitable"), message, "write `suitable: false`, with this as the reason")


RULE = AppRule(
    code="sleep-is-suitable",
    severity="error",
    demands="An app sleeps only where it is known to be suitable and can be woken; one that is not says why.",
    why="An app with work in the background loses it while it sleeps; one that is reached past Traefik stays asleep.",
    fix="Write `mode: off`, or `suitable: true`; add `reason` to `suitable: false`.",
    find=_find,
)
