"""Passkeys: challenges, and what a browser answers to them (Web Authentication Level 3, sections 7.1 and 7.2).

A challenge is sealed rather than stored: it carries its time, and a MAC ties it to the browser's form cookie and to
what it is for. A flood of questions thus fills no memory and pushes nobody else's challenge out. What has been answered
once is remembered until it would have expired.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import webauthn
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..accounts import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..accounts import Passkey
    from ..policy import Person

GOOD_FOR = 300
"""Seconds that a challenge can be answered."""

Purpose = Literal["add", "sign-in", "second-factor"]

_NONCE, _TIME, _SEAL = 16, 8, 32
_TRANSPORTS = {transport.value for transport in AuthenticatorTransport}


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A credential that a browser made and that fits its challenge."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A signature that fits its challenge and the passkey's key."""

    sign_count: int
    user_verified: bool


class Challenges:
    """Makes challenges and takes each back once. `clock`: seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._answered: dict[bytes, float] = {}

    def issue(self, purpose: Purpose, browser: str) -> bytes:
        """Return a challenge for one browser and one purpose."""
        head = secrets.token_bytes(_NONCE) + int(self._clock()).to_bytes(_TIME, "big")
        return head + self._seal(head, purpose, browser)

    def spend(self, challenge: bytes, purpose: Purpose, browser: str) -> None:
        """Take a challenge back. Raises `Refused` ("wrong"): not ours, another browser's, expired, used before."""
        now = self._clock()
        head, seal = challenge[: _NONCE + _TIME], challenge[_NONCE + _TIME :]
        if not hmac.compare_digest(seal, self._seal(head, purpose, browser)):
            raise Refused("wrong")
        if now - int.from_bytes(head[_NONCE:], "big") > GOOD_FOR or head in self._answered:
            raise Refused("wrong")
        self._answered = {spent: until for spent, until in self._answered.items() if until > now}
        self._answered[head] = now + GOOD_FOR + 1

    def _seal(self, head: bytes, purpose: Purpose, browser: str) -> bytes:
        return hmac.new(self._key, f"{purpose}\0{browser}\0".encode() + head, hashlib.sha256).digest()


class Ceremonies:
    """Asks browsers for passkeys and checks their answers. `domain` is what passkeys are bound to (the RP ID), so that
    they stay good when the portal moves to another host of the lab; only the portal's own page may use them."""

    def __init__(self, challenges: Challenges) -> None:
        self._challenges = challenges

    def ask_to_make(
        self, browser: str, domain: str, lab: str, person: Person, handle: bytes, have: tuple[Passkey, ...]
    ) -> dict[str, Any]:
        """Return the options for `navigator.credentials.create()`."""
        options = webauthn.generate_registration_options(
            rp_id=domain,
            rp_name=lab,
            user_id=handle,
            user_name=person.user,
            user_display_name=person.name or person.user,
            challenge=self._challenges.issue("add", browser),
            timeout=GOOD_FOR * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
            ),
            exclude_credentials=_descriptors(have),
        )
        return _as_json(options)

    def ask_to_show(
        self, purpose: Purpose, browser: str, domain: str, have: tuple[Passkey, ...] = ()
    ) -> dict[str, Any]:
        """Return the options for `navigator.credentials.get()`. To sign in, the device has to know its owner."""
        wish = UserVerificationRequirement.REQUIRED if purpose == "sign-in" else UserVerificationRequirement.PREFERRED
        options = webauthn.generate_authentication_options(
            rp_id=domain,
            challenge=self._challenges.issue(purpose, browser),
            timeout=GOOD_FOR * 1000,
            allow_credentials=_descriptors(have),
            user_verification=wish,
        )
        return _as_json(options)

    def made(self, credential: Mapping[str, Any], browser: str, domain: str, origin: str) -> NewPasskey:
        """Check what `create()` gave. Raises `Refused` ("wrong")."""
        challenge = self._spent(credential, "add", browser)
        try:
            found = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=domain,
                expected_origin=origin,
            )
        except (WebAuthnException, ValueError) as fault:
            raise Refused("wrong") from fault
        said = _part(credential, "response").get("transports")
        transports = tuple(t for t in said if t in _TRANSPORTS) if isinstance(said, list) else ()
        return NewPasskey(found.credential_id, found.credential_public_key, found.sign_count, transports)

    def shown(
        self, credential: Mapping[str, Any], purpose: Purpose, browser: str, domain: str, origin: str, passkey: Passkey
    ) -> Shown:
        """Check what `get()` gave against a passkey, all but the counter. Raises `Refused` ("wrong")."""
        challenge = self._spent(credential, purpose, browser)
        try:
            found = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=domain,
                expected_origin=origin,
                credential_public_key=passkey.public_key,
                # The counter is looked at when the use is written down, which also notes a copied key.
                credential_current_sign_count=0,
                require_user_verification=purpose == "sign-in",
            )
        except (WebAuthnException, ValueError) as fault:
            raise Refused("wrong") from fault
        return Shown(found.new_sign_count, found.user_verified)

    def _spent(self, credential: Mapping[str, Any], purpose: Purpose, browser: str) -> bytes:
        said = _bytes(_part(credential, "response"), "clientDataJSON")
        try:
            challenge = parse_client_data_json(said).challenge
        except (WebAuthnException, ValueError) as fault:
            raise Refused("wrong") from fault
        self._challenges.spend(challenge, purpose, browser)
        return challenge


def credential_id(credential: Mapping[str, Any]) -> bytes:
    """Return which passkey an answer says it is. Raises `Refused` ("wrong")."""
    return _bytes(credential, "rawId")


def user_handle(credential: Mapping[str, Any]) -> bytes | None:
    """Return whose passkey the device says it is; None where it does not say. Raises `Refused` ("wrong")."""
    response = _part(credential, "response")
    return _bytes(response, "userHandle") if response.get("userHandle") else None


def _part(credential: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = credential.get(name)
    if not isinstance(found, dict):
        raise Refused("wrong")
    return found


def _bytes(part: Mapping[str, Any], name: str) -> bytes:
    found = part.get(name)
    if not isinstance(found, str):
        raise Refused("wrong")
    try:
        return base64url_to_bytes(found)
    except ValueError as fault:
        raise Refused("wrong") from fault


def _descriptors(passkeys: tuple[Passkey, ...]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id,
            transports=[AuthenticatorTransport(one) for one in passkey.transports if one in _TRANSPORTS] or None,
        )
        for passkey in passkeys
    ]


def _as_json(options: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return document
