"""Every service has a health check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        if not service.healthcheck:
            yield Breach(COMPOSE, ("services", name), f"`{name}` has no health check", "add `healthcheck`")


RULE = AppRule(
    code="health-check",
    severity="error",
    demands="Every service has a health check.",
    why="Without one, `apply` cannot tell a started container from one that works, and nothing waits for it.",
    fix="Add `healthcheck`, with a program that is in the image.",
    find=_find,
)
