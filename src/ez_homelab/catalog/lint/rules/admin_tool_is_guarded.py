"""A tool for administrators asks for a second factor and answers in the home network alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.parts import permissions
from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

ADMINS = "admins"
POWERFUL = frozenset({"docker_socket", "host_pid", "privileged"})
"""Permissions by which whoever uses the app may do to the server what its administrator may, or look at all of it."""


def _find(app: App) -> Iterator[Breach]:
    web, auth = app.manifest.web, app.manifest.auth
    if web is None or web.exposure == "none" or not _is_admin_tool(app):
        return
    if auth.policy not in ("two_factor", "deny"):
        message = "a tool for administrators asks for a second factor"
        yield Breach(SERVICE, ("auth", "policy"), message, "write `policy: two_factor`")
    if web.exposure != "lan":
        message = "a tool for administrators answers in the home network alone"
        yield Breach(SERVICE, ("web", "exposure"), message, "write `exposure: lan`")
    if auth.groups != (ADMINS,) and auth.policy != "deny":
        message = "a tool for administrators is for their group"
        yield Breach(SERVICE, ("auth", "groups"), message, f"write `groups: [{ADMINS}]`")


def _is_admin_tool(app: App) -> bool:
    return app.manifest.auth.groups == (ADMINS,) or bool(permissions(app) & POWERFUL)


RULE = AppRule(
    code="admin-tool-is-guarded",
    severity="error",
    demands="A tool for administrators asks for a second factor and answers in the home network alone.",
    why="Whoever gets into it has the server: one stolen password must not be enough, and the internet need not try.",
    fix="Write `policy: two_factor`, `groups: [admins]` and `web.exposure: lan`. A lab may say otherwise for itself.",
    find=_find,
)
