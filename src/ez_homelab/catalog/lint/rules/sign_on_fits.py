"""An open app has a reason, a bypass one reading, OpenID Connect its addresses, native clients a way past sign-on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import SERVICE, AppRule, Breach
from ez_homelab.route import bypass_path_complaint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.catalog.access import Auth
    from ez_homelab.catalog.app import App


def _find(app: App) -> Iterator[Breach]:
    auth = app.manifest.auth
    if auth.mode == "none" and not auth.reason:
        yield Breach(SERVICE, ("auth", "mode"), "an app without sign-on needs a reason", "add `reason`")
    elif auth.policy == "bypass" and not auth.reason:
        yield Breach(SERVICE, ("auth", "policy"), "an app that is open to everybody needs a reason", "add `reason`")
    if auth.mode == "oidc" and not auth.oidc:
        yield Breach(SERVICE, ("auth", "mode"), "`mode: oidc` needs `oidc`", "add the redirect addresses")
    if auth.oidc and "oidc_client_secret" not in {secret.id for secret in app.manifest.secrets}:
        message = "a client of OpenID Connect needs the secret `oidc_client_secret`"
        yield Breach(SERVICE, ("auth", "oidc"), message, "add it to `secrets`, 32 characters or longer")
    if auth.native_clients and auth.policy != "bypass" and not auth.bypass:
        message = "native clients cannot pass sign-on"
        yield Breach(SERVICE, ("auth", "native_clients"), message, "add `bypass` paths")
    yield from _meaningless(auth)
    for number, bypass in enumerate(auth.bypass):
        if complaint := bypass_path_complaint(bypass.path):
            yield Breach(SERVICE, ("auth", "bypass", number, "path"), *complaint)


def _meaningless(auth: Auth) -> Iterator[Breach]:
    if auth.policy in ("bypass", "deny"):
        whom = "everybody" if auth.policy == "bypass" else "nobody"
        for key in ("groups", "bypass"):
            if getattr(auth, key):
                message = f"`policy: {auth.policy}` stands for {whom}, so `{key}` means nothing"
                yield Breach(SERVICE, ("auth", key), message, "keep one of the two")


RULE = AppRule(
    code="sign-on-fits",
    severity="error",
    demands=(
        "An open app has a reason, a bypass path one reading, OpenID Connect its addresses, and native clients a way "
        "past sign-on."
    ),
    why=(
        "An app that is open to all has to be meant so; a path that two programs read differently opens more than it "
        "says; an app for phones that cannot sign in is no use."
    ),
    fix="Add or correct what is named below `auth`.",
    find=_find,
)
