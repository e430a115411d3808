"""`Accounts`: the one object that the portal, the forward-auth server and the admin socket call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .kinds import LinkInfo, Passkey, PasskeyInfo, Purpose, Refused, SecondFactors, Session, TotpOffer
from .passwords import OWASP, Effort

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import Person, Settings

__all__ = [
    "Accounts",
    "LinkInfo",
    "Passkey",
    "PasskeyInfo",
    "Purpose",
    "Refused",
    "SecondFactors",
    "Session",
    "TotpOffer",
]


Clock = Callable[[], float]


class Accounts:
    """People, what proves who they are, and their sessions. Used from one event loop only."""

    @classmethod
    def open(
        cls, settings: Settings, database: Path, key: bytes, *, clock: Clock = time.time, effort: Effort = OWASP
    ) -> Accounts:
        """Open (or make) the gate's database. `key`: 32 bytes that second factors are sealed with; `clock`: seconds
        since 1970; `effort`: what a password hash costs (tests take less)."""
        raise NotImplementedError

    def close(self) -> None:
        """Write down what is only in memory, and let go of the database and the hashing threads."""
        raise NotImplementedError

    def look(self) -> None:
        """Read changed settings, end the sessions of people who are gone, save when sessions were last seen. Called
        each second."""
        raise NotImplementedError

    def person(self, user: str) -> Person | None:
        """Who `user` is by people.json as it is now; None where nobody has that name."""
        raise NotImplementedError

    # --- signing in

    async def sign_in(
        self, user: str, password: str, *, address: str, agent: str, remember: bool
    ) -> tuple[str, Session]:
        """A new session's token and the session. Raises `Refused` (wrong, locked, busy, disabled)."""
        raise NotImplementedError

    async def verify_password(self, session: Session, password: str, address: str) -> None:
        """Check the password again; the session is fresh from then on. Raises `Refused` (wrong, locked, busy, gone)."""
        raise NotImplementedError

    def session_of(self, token: str) -> Session | None:
        """The live session of a token; None for an unknown, ended or expired one. Counts as activity."""
        raise NotImplementedError

    def is_fresh(self, session: Session) -> bool:
        """Whether the password (or a second factor) was given shortly before in this session."""
        raise NotImplementedError

    # --- second factors

    def second_factors(self, user: str) -> SecondFactors:
        """What `user` has enrolled."""
        raise NotImplementedError

    def may_enrol(self, session: Session, address: str) -> bool:
        """Whether a second factor may be added: the first one only from the LAN or in a session from a one-time link;
        a further one only in a session with two factors."""
        raise NotImplementedError

    async def check_totp(self, session_token: str, code: str, address: str) -> tuple[str, Session]:
        """Two factors and a new token for the right code. Raises `Refused` (wrong, locked, gone)."""
        raise NotImplementedError

    async def check_recovery(self, session_token: str, code: str, address: str) -> tuple[str, Session]:
        """As `check_totp`, for a recovery code, which is used up. Raises `Refused` (wrong, locked, gone)."""
        raise NotImplementedError

    def begin_totp(self, session: Session) -> TotpOffer:
        """A new secret to be put into an authenticator; the same one for ten minutes. Raises `Refused` (stale, gone,
        second-factor)."""
        raise NotImplementedError

    async def finish_totp(self, session_token: str, code: str) -> tuple[str, Session, tuple[str, ...]]:
        """Keep the offered secret if the code fits: new token with two factors, and recovery codes where there were
        none before (else empty). Raises `Refused` (wrong, locked, stale, gone, second-factor)."""
        raise NotImplementedError

    def remove_totp(self, session: Session) -> None:
        """Raises `Refused` (stale, second-factor, gone)."""
        raise NotImplementedError

    def new_recovery_codes(self, session: Session) -> tuple[str, ...]:
        """Ten new codes; those before are void. Raises `Refused` (stale, second-factor, gone)."""
        raise NotImplementedError

    # --- passkeys

    def user_handle(self, user: str) -> bytes:
        """The WebAuthn user handle: random, stable, says nothing about the person (WebAuthn L3, 14.6.1)."""
        raise NotImplementedError

    def passkeys(self, user: str) -> tuple[Passkey, ...]:
        """The person's passkeys, oldest first."""
        raise NotImplementedError

    def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id, whoever has it."""
        raise NotImplementedError

    def add_passkey(
        self,
        session: Session,
        credential_id: bytes,
        public_key: bytes,
        sign_count: int,
        name: str,
        transports: Iterable[str],
    ) -> PasskeyInfo:
        """Keep a passkey that the portal has verified. Raises `Refused` (stale, second-factor, gone; wrong: it is
        somebody's already)."""
        raise NotImplementedError

    def used_passkey(self, credential_id: bytes, sign_count: int) -> None:
        """Write down a use. Raises `Refused` (gone; wrong: the counter did not grow, so the key was copied)."""
        raise NotImplementedError

    def remove_passkey(self, session: Session, id: str) -> None:  # noqa: A002 - the word of the contract
        """Raises `Refused` (stale, second-factor, gone)."""
        raise NotImplementedError

    async def sign_in_with_passkey(
        self,
        credential_id: bytes,
        new_sign_count: int,
        *,
        user_verified: bool,
        address: str,
        agent: str,
        remember: bool,
    ) -> tuple[str, Session]:
        """A session for a signature that the portal has verified; two factors where the device asked for PIN or
        finger. Raises `Refused` (wrong, disabled, gone)."""
        raise NotImplementedError

    async def raise_with_passkey(
        self, session_token: str, credential_id: bytes, new_sign_count: int
    ) -> tuple[str, Session]:
        """Two factors and a new token, for a passkey of the session's own person. Raises `Refused` (wrong, gone)."""
        raise NotImplementedError

    # --- passwords and links

    async def change_password(self, session_token: str, old: str, new: str, address: str) -> tuple[str, Session]:
        """A new password and a new token; every other session of the person ends. Raises `Refused` (wrong, locked,
        busy, weak, second-factor, gone)."""
        raise NotImplementedError

    async def open_link(self, link_token: str) -> LinkInfo | None:
        """Look at a one-time link without using it (mail scanners follow links); None: unknown, used or expired."""
        raise NotImplementedError

    async def use_link(
        self, link_token: str, new_password: str | None, *, address: str, agent: str
    ) -> tuple[str, Session]:
        """Use it up: a session from the link, with the new password where the link asks for one. Raises `Refused`
        (gone, weak, busy, disabled); after `weak` and `busy` the link is still good."""
        raise NotImplementedError

    # --- sessions

    def sessions(self, user: str) -> tuple[Session, ...]:
        """The person's live sessions, the most recently seen first."""
        raise NotImplementedError

    def end_session(self, user: str, id: str) -> None:  # noqa: A002 - the word of the contract
        """Sign one browser out. Nothing happens where the session is not that person's."""
        raise NotImplementedError

    def end_all(self, user: str, except_id: str | None = None) -> int:
        """Sign the person out everywhere (but there); how many sessions ended."""
        raise NotImplementedError

    # --- what the admin socket asks for

    def make_link(self, user: str, purpose: Purpose, minutes: int) -> tuple[str, float]:
        """A one-time link's token and when it expires; one of the same purpose from before is void. Raises
        `LookupError` for a person who is not in people.json."""
        raise NotImplementedError

    async def set_password(self, user: str, password: str) -> None:
        """Set it from outside; every session of the person ends. Raises `Refused` (weak, busy), `LookupError`."""
        raise NotImplementedError

    def reset_second_factors(self, user: str) -> None:
        """Forget TOTP, passkeys and recovery codes; every session ends. Raises `LookupError`."""
        raise NotImplementedError

    def make_identity(self, groups: Iterable[str], factors: int, minutes: int) -> tuple[str, str]:
        """A temporary person of the proof and the token of its session; in memory only."""
        raise NotImplementedError

    def forget(self, user: str) -> None:
        """Forget a temporary identity, or all that is kept of somebody who is no longer in people.json. Raises
        `LookupError` for somebody who still is."""
        raise NotImplementedError
