"""An app that has accounts of its own says whether people can make them, and how that is closed where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App

WITH_ACCOUNTS = ("app", "ldap", "oidc")
"""Modes of an app that knows people itself."""


def _find(app: App) -> Iterator[Breach]:
    auth = app.manifest.auth
    if auth.registration is None:
        if mode := _betrays_accounts(app):
            message = "nothing says whether people can make accounts for themselves there"
            yield Breach(SERVICE, mode, message, "add `registration: open`, `closed` or `none` to `auth`")
    elif auth.registration == "open" and not auth.registration_note:
        message = "nothing says how its registration is closed"
        yield Breach(SERVICE, ("auth", "registration"), message, "add `registration_note`")
    if auth.registration_note and auth.registration != "open":
        message = "`registration_note` says how to close what is not open"
        yield Breach(SERVICE, ("auth", "registration_note"), message, "remove it, or write `registration: open`")


def _betrays_accounts(app: App) -> tuple[str, str] | None:
    """Where the manifest says that there are accounts."""
    if app.manifest.auth.mode in WITH_ACCOUNTS:
        return "auth", "mode"
    return None if app.manifest.credentials.mode == "none" else ("credentials", "mode")


RULE = AppRule(
    code="registration-is-said",
    severity="error",
    demands=(
        "An app with accounts of its own says whether people can make them for themselves, and how that is closed "
        "where they can."
    ),
    why="Behind a sign-on that lets everybody through, an open registration makes strangers users of the app.",
    fix="Add `auth.registration`, by what the app's configuration here does; to `open` add `registration_note`.",
    find=_find,
)
