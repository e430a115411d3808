"""A container runs as a numeric user that is not root, or a permission says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import is_root, may_be_root
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        if is_root(service.user) and not may_be_root(app, name):
            message = f"`{name}` runs as root"
            yield Breach(COMPOSE, ("services", name), message, "set `user`, or add permission `root` with its reason")


RULE = AppRule(
    code="root-has-reason",
    severity="error",
    demands="A container runs as a numeric user that is not root, or a permission says why not.",
    why="Root in a container is root on the server as soon as one wall falls.",
    fix="Set `user`, or add permission `root` with its reason.",
    find=_find,
)
