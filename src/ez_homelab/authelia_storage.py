"""Second factors as a running Authelia keeps them: its own program is asked, in its container, as root on core.

Commands as of Authelia 4.39 (https://www.authelia.com/reference/cli/authelia/authelia_storage_user/). No secret stands
in an argument; the key of its database comes from the container's environment.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from ez_homelab import redaction
from ez_homelab.authelia_people import AUTHELIA, AutheliaError
from ez_homelab.hosts import Command
from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from ez_homelab.hosts import Completed, Host

CONFIGURATION = "/etc/authelia/config/configuration.yml"


def _storage_command(*words: str) -> tuple[str, ...]:
    return ("docker", "exec", AUTHELIA, "authelia", "storage", "user", *words, "--config", CONFIGURATION)


# Only user names leave the container, never what codes are made of. Argument: the configuration.
_TOTP_USERS = (
    'told=$(authelia storage user totp export uri --config "$1") || exit 1; '
    "printf '%s\\n' \"$told\" | sed -n 's|^otpauth://totp/[^:]*:\\([^?]*\\)?.*|\\1|p'"
)

ASK_TOTP_USERS = ("docker", "exec", AUTHELIA, "sh", "-c", _TOTP_USERS, "sh", CONFIGURATION)
"""The command that prints who has one-time codes; `told_totp_users` reads the answer."""

ASK_PASSKEYS = _storage_command("webauthn", "list")
"""The command that lists every passkey; `told_passkeys` reads the answer."""

_NONE = ("no TOTP configuration for user", "no WebAuthn credentials in database")
_CREDENTIAL = re.compile(r"^\d+ .* (?P<user>\S+)$", re.MULTILINE)
_OTPAUTH = re.compile(r"otpauth://[^\s']+")


async def new_totp(core: Host, user: str) -> Secret:
    """Give the user one-time codes in place of any before; returns the shared secret (base32).

    Raises `AutheliaError` where it cannot be asked, `UnreachableError` as the host does.
    """
    made = await _storage(core, "totp", "generate", user, "--force")
    found = _OTPAUTH.search(made.stdout)
    secret = parse_qs(urlsplit(found[0]).query).get("secret") if found else None
    if not made.ok or not secret:
        # Without its output, which may hold the secret.
        raise _error("gave no one-time codes", _why(made) or "no secret in its answer")
    redaction.know(secret)
    return Secret(secret[0])


async def forget_totp(core: Host, user: str) -> None:
    """Take the user's one-time codes away, if there are any. Raises as `new_totp`."""
    _require_done(await _storage(core, "totp", "delete", user))


async def forget_passkeys(core: Host, user: str) -> None:
    """Take every passkey of the user away, if there are any. Raises as `new_totp`."""
    _require_done(await _storage(core, "webauthn", "delete", user, "--all"))


async def totp_users(core: Host) -> frozenset[str]:
    """Who has one-time codes. Raises as `new_totp`."""
    return told_totp_users(await core.run(Command(ASK_TOTP_USERS, changes=False)))


def told_totp_users(answer: Completed) -> frozenset[str]:
    """Who has one-time codes, by the answer to `ASK_TOTP_USERS`. Raises `AutheliaError` where it is none."""
    _require_done(answer)
    return frozenset(answer.stdout.split())


async def passkeys(core: Host) -> Counter[str]:
    """How many passkeys each user has. Raises as `new_totp`."""
    return told_passkeys(await core.run(Command(ASK_PASSKEYS, changes=False)))


def told_passkeys(answer: Completed) -> Counter[str]:
    """How many passkeys each user has, by the answer to `ASK_PASSKEYS`. Raises `AutheliaError` where it is none."""
    _require_done(answer)
    return Counter(found["user"] for found in _CREDENTIAL.finditer(answer.stdout))


async def _storage(core: Host, *words: str) -> Completed:
    return await core.run(Command(_storage_command(*words)))


def _require_done(told: Completed) -> None:
    if not told.ok and not any(text in told.stderr for text in _NONE):
        raise _error("could not be asked about second factors", _why(told) or told.last_line)


def _why(told: Completed) -> str:
    """The line that says it; an explanation of all options comes after it."""
    return next((line for line in told.stderr.splitlines() if line.startswith("Error")), "")


def _error(what: str, evidence: str) -> AutheliaError:
    return AutheliaError(
        f"Authelia {what}",
        evidence=evidence,
        cause="its container does not run, or has just been started",
        fix="ez-homelab status, then ez-homelab logs authelia",
    )
