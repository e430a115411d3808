"""What the gate's parts hand to each other: sessions, second factors, links, and the one way to say no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["invite", "login", "reset"]

# wrong: password, code or key do not fit     locked: too many tries, come back after `retry_after`
# busy: no room for another password check    disabled: the right password of a person who may not sign in
# weak: a new password that is refused, `detail` says why
# stale: the password has to be given again first (`Accounts.verify_password`)
# second-factor: this needs the second factor first
# forbidden: never from here (enrolling a first second factor from outside the LAN)
# gone: the session, link or key is no longer there
Reason = Literal["wrong", "locked", "busy", "disabled", "weak", "stale", "second-factor", "forbidden", "gone"]


class Refused(Exception):  # noqa: N818 - an answer to a person, not a fault of the program
    """Not done, for `reason`. `retry_after` is in seconds (0: no need to wait); the text for people is the portal's."""

    def __init__(self, reason: Reason, retry_after: int = 0, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.retry_after = retry_after
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. Times are seconds since 1970; `id` may be shown, the token never is."""

    id: str
    user: str
    factors: int
    started: float
    seen: float
    expires: float
    remembered: bool
    address: str
    agent: str
    from_link: bool
    fresh_until: float
    """Until then the person may change second factors without giving the password again."""


@dataclass(frozen=True, slots=True)
class PasskeyInfo:
    """A passkey as its owner sees it in a list. `used` is 0 before the first use."""

    id: str
    name: str
    added: float
    used: float


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey with what is needed to check its signature."""

    id: str
    user: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    transports: tuple[str, ...]
    added: float
    used: float


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What a person has beside the password."""

    totp: bool
    passkeys: tuple[PasskeyInfo, ...]
    recovery_left: int

    @property
    def any(self) -> bool:
        """Whether there is one at all. Recovery codes alone are none: they come with one."""
        return self.totp or bool(self.passkeys)


@dataclass(frozen=True, slots=True)
class TotpOffer:
    """A new TOTP secret (base32) and the `otpauth://` address for the QR code. Nothing is stored as valid yet."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """What a one-time link is for. `invite` and `reset` ask for a new password, `login` does not."""

    user: str
    purpose: Purpose
    expires: float
