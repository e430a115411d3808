"""No container reserves more than its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    resources = app.manifest.resources
    services = [(("services", name), limits) for name, limits in resources.services.items()]
    for where, limits in ((), resources), *services:
        if limits.memory.reserve > limits.memory.limit:
            message = "more memory is reserved than the limit allows"
            yield Breach(SERVICE, ("resources", *where, "memory"), message)
        if limits.cpu.reserve and limits.cpu.reserve > limits.cpu.limit:
            yield Breach(SERVICE, ("resources", *where, "cpu"), "more processor is reserved than the limit allows")


RULE = AppRule(
    code="limits-are-sane",
    severity="error",
    demands="No container reserves more than its limit.",
    why="Docker refuses such a container when it is created.",
    fix="Raise the limit, or reserve less.",
    find=_find,
)
