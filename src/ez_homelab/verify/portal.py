"""Authelia's portal as a browser speaks to it, through the reverse proxy (API of Authelia 4.39, `/api/openapi.yml`)."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.authelia_people import AutheliaError
from ez_homelab.sso.authelia.configuration import COOKIE

if TYPE_CHECKING:
    from ez_homelab.secrets.value import Secret
    from ez_homelab.verify.dial import Dialer, Reply


class SignInRefusedError(AutheliaError):
    """Authelia itself said no; the same request once more would be refused again, and counted."""


@dataclass(frozen=True, slots=True)
class Portal:
    """The portal at that name; cookies are pairs `name=value`, as a browser would send them."""

    dialer: Dialer
    host: str

    async def sign_in(self, user: str, password: Secret) -> str:
        """The cookie of a new session with one factor.

        Raises `SignInRefusedError`, or `AutheliaError` where it is not Authelia that answers.
        """
        told = {"username": user, "password": password.reveal(), "keepMeLoggedIn": False, "requestMethod": "GET"}
        return _cookie(await self._post("firstfactor", told), "")

    async def second_factor(self, cookie: str, code: str) -> str:
        """The session's cookie once it has two. Raises as `sign_in`."""
        return _cookie(await self._post("secondfactor/totp", {"token": code}, cookie), cookie)

    async def sign_out(self, cookie: str) -> None:
        """End the session. Raises `AutheliaError`."""
        await self._post("logout", {}, cookie)

    async def start_reset(self, user: str) -> None:
        """Have it send the person a link for a new password; for whom it knows no address it sends none.

        Raises `AutheliaError`, also where too many were asked for: five in ten minutes from one address.
        """
        await self._post("reset-password/identity/start", {"username": user})

    async def _post(self, path: str, document: object, cookie: str = "") -> Reply:
        headers = {"Cookie": cookie} if cookie else {}
        reply = await self.dialer.post(f"https://{self.host}/api/{path}", document, headers=headers)
        if reply.status != 200 or not _is_ok(reply.text):
            raise _refused(path, reply)
        return reply


def totp_code(secret: Secret, at: float | None = None) -> str:
    """The one-time code of that moment (RFC 6238 as authenticator apps do it: SHA-1, six digits, 30 seconds)."""
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    text = secret.reveal()
    key = base64.b32decode(text + "=" * (-len(text) % 8))
    return TOTP(key, 6, SHA1(), 30).generate(int(time.time() if at is None else at)).decode()  # noqa: S303


def _cookie(reply: Reply, before: str) -> str:
    given = reply.cookies.get(COOKIE)
    if given is None and not before:
        raise _refused("firstfactor", reply)
    return before if given is None else f"{COOKIE}={given}"


def _is_ok(text: str) -> bool:
    try:
        return bool(json.loads(text).get("status") == "OK")
    except (ValueError, AttributeError):
        return False


def _refused(path: str, reply: Reply) -> AutheliaError:
    if reply.status == 429:
        return SignInRefusedError(
            "Authelia takes no more of these requests for now",
            evidence=f"/api/{path}: 429",
            cause="too many came from this address within the last minutes",
            fix="wait ten minutes",
        )
    kind = SignInRefusedError if reply.status in (401, 403) else AutheliaError
    return kind(
        f"Authelia's portal refused /api/{path}",
        evidence=f"{reply.status or 'no answer'}: {reply.text[:200]}",
        cause="it has just been started, or this address failed to sign in three times and waits five minutes",
        fix="ez-homelab logs authelia",
    )
