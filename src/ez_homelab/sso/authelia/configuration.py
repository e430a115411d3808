"""configuration.yml: everything that Authelia is told at its start. It notices no change while it runs.

Keys as of Authelia 4.39 (https://www.authelia.com/schemas/v4.39/json-schema/configuration.json). No secret is in it:
those are files that the environment names (`AUTHELIA_..._FILE`, in the app's compose.yaml and start.sh).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ez_homelab.sso.authelia.clients import provider
from ez_homelab.sso.authelia.people import ARGON2, FILE
from ez_homelab.sso.authelia.rules import access_control, networks
from ez_homelab.sso.authelia.text import yaml_bytes
from ez_homelab.sso.builtin import SESSION_SECONDS, TITLE
from ez_homelab.sso.engine import PORTAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.config.model import Lab, Smtp
    from ez_homelab.route import Route
    from ez_homelab.sso.engine import Client

DATA = "/config"
"""The volume in which Authelia keeps what it writes itself: people, second factors, messages."""

USERS_FILE = f"{DATA}/{FILE}"
"""Who there is, with their passwords."""

MESSAGES = f"{DATA}/notification.txt"
"""Where messages to people go in a lab that sends no mail."""

COOKIE = "authelia_session"

SESSIONS_HOST = "sessions"
"""The container that holds sessions, as Authelia knows it on the network that only the two share."""


def configuration(lab: Lab, routes: Iterable[Route], clients: Iterable[Client] = ()) -> bytes:
    """The whole file."""
    identity_providers = provider(clients)
    return yaml_bytes(
        {
            "theme": "auto",
            "server": _server(),
            "log": {"level": "info"},
            "telemetry": {"metrics": {"enabled": False}},
            # Its start would fail wherever the internet's time servers cannot be asked; Docker's host has the clock.
            "ntp": {"disable_startup_check": True},
            "definitions": {"network": networks(lab)},
            "access_control": access_control(lab, routes),
            "authentication_backend": _authentication(),
            "password_policy": {"zxcvbn": {"enabled": True, "min_score": 3}},
            "session": _session(lab.domain),
            # By address: nobody can lock somebody else out by guessing his password.
            "regulation": {"modes": ["ip"], "max_retries": 3, "find_time": "2m", "ban_time": "5m"},
            "totp": {"issuer": TITLE},
            "webauthn": {"enable_passkey_login": True, "display_name": TITLE},
            "duo_api": {"disable": True},
            "storage": {"local": {"path": f"{DATA}/db.sqlite3"}},
            "notifier": _notifier(lab.sign_on.smtp),
        }
        | ({"identity_providers": identity_providers} if identity_providers else {}),
        "What Authelia is told at its start.",
        "Written by EZ-Homelab from homelab.yaml. A change made here is replaced by `ez-homelab apply`.",
    )


def _notifier(smtp: Smtp | None) -> dict[str, Any]:
    if smtp is None:
        return {"filesystem": {"filename": MESSAGES}}
    user = {"username": smtp.username} if smtp.username else {}
    # A mail server that does not answer must not keep sign-on from starting.
    return {"disable_startup_check": True, "smtp": {"address": smtp.address, "sender": smtp.sender, **user}}


def _server() -> dict[str, Any]:
    forward_auth = {"implementation": "ForwardAuth", "authn_strategies": [{"name": "CookieSession"}]}
    return {
        "address": "tcp://:9091/",
        # It would write into a file system that nobody may write to; compose.yaml has a health check of its own.
        "disable_healthcheck": True,
        # The cookies of all apps come along, and 4096 bytes would be no room for them.
        "buffers": {"read": 16384, "write": 16384},
        # The cookie alone: a header `Authorization` is the app's own, and no door for guessing passwords.
        "endpoints": {"authz": {"forward-auth": forward_auth}},
    }


def _authentication() -> dict[str, Any]:
    return {
        # With each request: whoever is disabled is out at once.
        "refresh_interval": "always",
        "file": {
            "path": USERS_FILE,
            "watch": True,
            "password": {"algorithm": "argon2", "argon2": {"variant": "argon2id", **ARGON2}},
        },
    }


def _session(domain: str) -> dict[str, Any]:
    portal = f"https://{PORTAL}.{domain}/"
    return {
        "name": COOKIE,
        "same_site": "lax",
        "inactivity": SESSION_SECONDS["idle"],
        "expiration": SESSION_SECONDS["lifetime"],
        "remember_me": SESSION_SECONDS["remembered"],
        "cookies": [{"domain": domain, "authelia_url": portal}],
        # Outside Authelia's memory: a restart signs nobody out.
        "redis": {"host": SESSIONS_HOST, "port": 6379},
    }
