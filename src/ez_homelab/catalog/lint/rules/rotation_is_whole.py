"""`rotate: command` names a service and a command, `rotate: never` a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    for number, secret in enumerate(app.manifest.secrets):
        at = ("secrets", number, "rotate")
        rotate = secret.rotate
        if rotate.how == "never" and not rotate.reason:
            yield Breach(SERVICE, at, f"`{secret.id}` can never be rotated, without a reason", "add `reason`")
        if rotate.how == "command" and not (rotate.service and rotate.command):
            message = f"the rotation of `{secret.id}` names no command, or not where it runs"
            yield Breach(SERVICE, at, message, "add `service` and `command`")
        if rotate.service and rotate.service not in app.compose.services:
            yield Breach(SERVICE, (*at, "service"), f"compose.yaml has no service `{rotate.service}`")


RULE = AppRule(
    code="rotation-is-whole",
    severity="error",
    demands="`rotate: command` names a service and a command, `rotate: never` a reason.",
    why="A rotation that stops half-way locks the app out of its own database.",
    fix="Add what is missing.",
    find=_find,
)
