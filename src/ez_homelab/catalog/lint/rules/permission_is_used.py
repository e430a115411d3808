"""A permission is needed by something in compose.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import DOCKER_SOCKET, is_root
from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.compose_fragment import ComposeService
    from ez_homelab.catalog.supplies import Permission


def _find(app: App) -> Iterator[Breach]:
    for number, permission in enumerate(app.manifest.permissions):
        used = USES.get(permission.permission)
        if used and not any(used(service, permission.what) for service in _services(app, permission)):
            what = f" for `{permission.what}`" if permission.what else ""
            message = f"nothing in compose.yaml needs permission `{permission.permission}`{what}"
            yield Breach(SERVICE, ("permissions", number), message, "remove it")


def _services(app: App, permission: Permission) -> Iterator[ComposeService]:
    for name, service in app.compose.services.items():
        if permission.permission != "root" or permission.what in (None, name):
            yield service


def _mounts(service: ComposeService, source: str | None) -> bool:
    return any(mount.kind == "host" and mount.source == source for mount in service.volumes)


# Those that rendering acts on (host_network, privileged, docker_socket_proxy) cannot be seen in compose.yaml.
USES: dict[str, Callable[[ComposeService, str | None], bool]] = {
    "root": lambda service, _: is_root(service.user),
    "docker_socket": lambda service, _: _mounts(service, DOCKER_SOCKET),
    "host_path": _mounts,
    "host_pid": lambda service, _: service.pid == "host",
    "devices": lambda service, _: bool(service.devices),
    "net_admin": lambda service, _: "NET_ADMIN" in service.cap_add,
    "capability": lambda service, what: what in service.cap_add or (what is None and bool(service.cap_add)),
}


RULE = AppRule(
    code="permission-is-used",
    severity="warning",
    demands="A permission is needed by something in compose.yaml.",
    why="People decide by this list whether they trust an app; it names nothing that the app does not have.",
    fix="Remove the permission, or correct what it is about.",
    find=_find,
)
