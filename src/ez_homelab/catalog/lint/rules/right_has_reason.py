"""Capabilities, devices and the server's processes need a permission with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import granted, permissions
from ez_homelab.catalog.lint.rule import COMPOSE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    kinds = permissions(app)
    for name, service in app.compose.services.items():
        at = ("services", name)
        if service.pid and "host_pid" not in kinds:
            message = "`pid: host` needs a permission"
            yield Breach(COMPOSE, (*at, "pid"), message, "add `host_pid` with its reason")
        if service.devices and "devices" not in kinds:
            yield Breach(COMPOSE, (*at, "devices"), "devices need a permission", "add `devices` with its reason")
        for number, capability in enumerate(service.cap_add):
            wanted = "net_admin" if capability == "NET_ADMIN" else "capability"
            if not {(wanted, capability), (wanted, None)} & granted(app):
                message, fix = f"{capability} needs a permission", f"add `{wanted}` with its reason"
                yield Breach(COMPOSE, (*at, "cap_add", number), message, fix)


RULE = AppRule(
    code="right-has-reason",
    severity="error",
    demands="Capabilities, devices and the server's processes need a permission with its reason.",
    why="Each of them is a way out of the container, so each has to be worth it.",
    fix="Add the permission with its reason, or do without the right.",
    find=_find,
)
