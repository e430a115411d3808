"""An image's tag names a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

_MOVING = {"latest", "stable", "edge", "main", "master", "nightly", "develop", "dev", "release", "rolling", "lts"}


def _find(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        if service.tag.lower() in _MOVING:
            message = f"the tag `{service.tag}` moves from version to version"
            yield Breach(COMPOSE, ("services", name, "image"), message, "write the version's tag")


RULE = AppRule(
    code="image-names-version",
    severity="error",
    demands="An image's tag names a version.",
    why="`latest` is another program tomorrow, and nobody can go back to yesterday's.",
    fix="Write the version's tag.",
    find=_find,
)
