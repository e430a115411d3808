"""The Docker socket and every path of the server need a permission with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import DOCKER_SOCKET, granted, mounts, permissions
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for path, mount in mounts(app):
        if mount.kind != "host":
            continue
        if mount.source == DOCKER_SOCKET:
            if "docker_socket" not in permissions(app):
                message = "the Docker socket needs a permission"
                yield Breach(COMPOSE, path, message, "add `docker_socket` with its reason")
        elif ("host_path", mount.source) not in granted(app):
            message = f"{mount.source} of the server needs a permission"
            yield Breach(COMPOSE, path, message, "add `host_path` with its reason")


RULE = AppRule(
    code="server-path-has-reason",
    severity="error",
    demands="The Docker socket and every path of the server need a permission with its reason.",
    why="Whoever reads the socket owns the server; whoever reads a path sees what is in it.",
    fix="Add `docker_socket` or `host_path` to `permissions`, with its reason.",
    find=_find,
)
