"""Authelia as an OpenID Connect provider: the apps of the lab that are its clients, and who may sign in to each.

Keys as of Authelia 4.39 (https://www.authelia.com/configuration/identity-providers/openid-connect/clients/).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from ez_homelab.sso.authelia.rules import LAN, subjects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.route import Route
    from ez_homelab.secrets.value import Secret
    from ez_homelab.sso.engine import Client

# The value is not a password that somebody thought of but one of the lab's own secrets (some 190 bits), which nobody
# finds by trying; the number of rounds only makes each request for a token slower.
_ROUNDS = 1000


def provider(clients: Iterable[Client]) -> dict[str, Any]:
    """`identity_providers`, without its keys, which are made where Authelia runs; empty where there is no client."""
    open_ones = [client for client in clients if client.route.sign_on.policy != "deny"]
    if not open_ones:
        return {}
    policies = {client.route.name: _policy(client.route) for client in open_ones if _limited(client.route)}
    oidc: dict[str, Any] = {"authorization_policies": policies} if policies else {}
    return {"oidc": oidc | {"clients": [_client(client) for client in open_ones]}}


def secret_hash(client_id: str, secret: Secret) -> str:
    """What Authelia compares a client's secret with (PBKDF2 with SHA-512, in the form of passlib).

    The salt follows from the secret and the client, so that the same lab is always the same text.
    """
    value = secret.reveal().encode()
    salt = hmac.digest(value, f"ez-homelab oidc client {client_id}".encode(), "sha256")[:16]
    key = hashlib.pbkdf2_hmac("sha512", value, salt, _ROUNDS)
    return f"$pbkdf2-sha512${_ROUNDS}${_adapted(salt)}${_adapted(key)}"


def _client(client: Client) -> dict[str, Any]:
    route = client.route
    return {
        "client_id": route.name,
        "client_name": route.title,
        "client_secret": secret_hash(route.name, client.secret),
        "authorization_policy": route.name if _limited(route) else _level(route),
        # Every client is the lab's own app: nobody has to be asked whether it may know who they are.
        "consent_mode": "implicit",
        "redirect_uris": [uri.replace("{host}", route.host) for uri in client.redirect_uris],
        "scopes": [*client.scopes],
    }


def _limited(route: Route) -> bool:
    return bool(route.sign_on.groups) or route.sign_on.access == "lan"


def _policy(route: Route) -> dict[str, Any]:
    sign_on = route.sign_on
    rule = {
        "policy": _level(route),
        "subject": subjects(sign_on.groups),
        "networks": [LAN] if sign_on.access == "lan" else [],
    }
    return {"default_policy": "deny", "rules": [{key: value for key, value in rule.items() if value}]}


def _level(route: Route) -> str:
    """An app whose pages are open to everybody still knows only people who signed in."""
    return "two_factor" if route.sign_on.policy == "two_factor" else "one_factor"


def _adapted(data: bytes) -> str:
    """Base64 as passlib writes it: `.` for `+`, no padding."""
    return base64.b64encode(data, altchars=b"./").decode().rstrip("=")
