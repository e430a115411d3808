"""No sign-on has a reason, OpenID Connect its addresses, and native clients a way past forward_auth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    auth = app.manifest.auth
    if auth.mode == "none" and not auth.reason:
        yield Breach(SERVICE, ("auth", "mode"), "an app without sign-on needs a reason", "add `reason`")
    if auth.mode == "oidc" and not auth.oidc:
        yield Breach(SERVICE, ("auth", "mode"), "`mode: oidc` needs `oidc`", "add the redirect addresses")
    if auth.mode == "forward_auth" and auth.native_clients and not auth.bypass:
        message = "native clients cannot pass forward_auth"
        yield Breach(SERVICE, ("auth", "native_clients"), message, "add `bypass` paths")


RULE = AppRule(
    code="sign-on-fits",
    severity="error",
    demands="No sign-on has a reason, OpenID Connect its addresses, and native clients a way past forward_auth.",
    why="An app that is open to all has to be meant so; an app for phones that cannot sign in is no use.",
    fix="Add what is missing below `auth`.",
    find=_find,
)
