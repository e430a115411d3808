"""What several rules ask of an app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.compose_fragment import Command, Mount

Path = tuple[str | int, ...]

DOCKER_SOCKET = "/var/run/docker.sock"
_VARIABLE = re.compile(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def mounts(app: App) -> Iterator[tuple[Path, Mount]]:
    """Every mount of every service with its path in compose.yaml."""
    for name, service in app.compose.services.items():
        for number, mount in enumerate(service.volumes):
            yield ("services", name, "volumes", number), mount


def variables(text: str) -> set[str]:
    """The names that Compose would replace in the text."""
    return set(_VARIABLE.findall(text))


def words(command: Command | None) -> tuple[str, ...]:
    """A command as a list; text is one word."""
    return () if command is None else (command,) if isinstance(command, str) else command


def is_root(user: str | None) -> bool:
    """Whether a container told to run as this user is, or may be, root."""
    return user is None or not user.partition(":")[0].strip("0")


def granted(app: App) -> set[tuple[str, str | None]]:
    """The app's permissions, each with what it is about."""
    return {(item.permission, item.what) for item in app.manifest.permissions}


def permissions(app: App) -> set[str]:
    """The kinds of the app's permissions."""
    return {item.permission for item in app.manifest.permissions}


def may_be_root(app: App, service: str) -> bool:
    """Whether a permission lets the service run as root."""
    return bool({("root", None), ("root", service)} & granted(app))


def variables_in_use(app: App) -> set[str]:
    """The names of variables that `environment` or a mount of some service uses."""
    texts = [text for service in app.compose.services.values() for text in service.environment.values()]
    return {name for text in (*texts, *(mount.source for _, mount in mounts(app))) for name in variables(text)}


def covers(source: str, name: str) -> bool:
    """Whether a declared source is the file of that name, or a folder that it lies in."""
    return name == source or (source.endswith("/") and name.startswith(source))
