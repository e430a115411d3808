"""An app sleeps only where it is known to be suitable; one that is not says why."""

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


RULE = AppRule(
    code="sleep-is-suitable",
    severity="error",
    demands="An app sleeps only where it is known to be suitable; one that is not says why.",
    why="An app with work in the background loses it while it sleeps.",
    fix="Write `mode: off`, or `suitable: true`; add `reason` to `suitable: false`.",
    find=_find,
)
