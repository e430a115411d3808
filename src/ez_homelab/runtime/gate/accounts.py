"""`Accounts`: the one object that the portal, the forward-auth server and the admin socket call."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .administration import Administration
from .kinds import LinkInfo, Passkey, PasskeyInfo, Purpose, Refused, SecondFactors, Session, TotpOffer
from .passwords import OWASP, Effort, Passwords
from .seal import Seal
from .second_factors import OwnSecondFactors
from .store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from .clock import Clock
    from .settings import Settings

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

SAVE_EVERY = 30
"""Seconds between two writings of when sessions were last seen, and of dropping those that have ended."""
LONGEST_NAME = 64


class Accounts(OwnSecondFactors, Administration):
    """People, what proves who they are, and their sessions. Used from one event loop only."""

    def __init__(self, settings: Settings, store: Store, seal: Seal, passwords: Passwords, clock: Clock) -> None:
        super().__init__(settings, store, seal, passwords, clock)
        self._saved = clock()
        self._end_sessions_of_the_gone()

    @classmethod
    def open(
        cls, settings: Settings, database: Path, key: bytes, *, clock: Clock = time.time, effort: Effort = OWASP
    ) -> Accounts:
        """Open (or make) the gate's database. `key`: 32 bytes that second factors are sealed with; `clock`: seconds
        since 1970; `effort`: what a password hash costs (tests take less). Raises `StoreError`."""
        return cls(settings, Store(database), Seal(key), Passwords(effort), clock)

    def close(self) -> None:
        """Write down what is only in memory, and let go of the database and the hashing threads."""
        self._passwords.close()
        self._sessions.save()
        self._store.close()

    def look(self) -> None:
        """Read changed settings, end the sessions of people who are gone, save when sessions were last seen. Called
        each second."""
        if self._settings.reload():
            self._end_sessions_of_the_gone()
        for user in self._identities.ended():
            self.forget(user)
        if not 0 <= self._clock() - self._saved < SAVE_EVERY:
            self._saved = self._clock()
            self._sessions.sweep()
            self._sessions.save()

    # --- signing in

    async def sign_in(
        self, user: str, password: str, *, address: str, agent: str, remember: bool
    ) -> tuple[str, Session]:
        """A new session's token and the session. Raises `Refused` (wrong, locked, busy, disabled)."""
        user = user.strip().lower()[:LONGEST_NAME]
        await self._check_password(user, password, address, "sign-in")
        self._check_may_sign_in(user, address)
        return self._start(user, 1, "sign-in", address=address, agent=agent, remembered=remember)

    async def verify_password(self, session: Session, password: str, address: str) -> None:
        """Check the password again; the session is fresh from then on. Raises `Refused` (wrong, locked, busy, gone)."""
        self._check_live(session)
        await self._check_password(session.user, password, address, "password-again")
        self._sessions.freshen(session.id)

    def is_fresh(self, session: Session) -> bool:
        """Whether the password (or a second factor) was given shortly before in this session."""
        return self._sessions.is_fresh(session)

    # --- passwords and links

    async def change_password(self, session_token: str, old: str, new: str, address: str) -> tuple[str, Session]:
        """A new password and a new token; every other session of the person ends, and every link. Raises `Refused`
        (wrong, locked, busy, weak, second-factor, gone)."""
        session = self._session_or_gone(session_token)
        self._check_level(session)
        self._check_strength(new, session.user)
        await self._check_password(session.user, old, address, "change-password")
        stored = await self._passwords.hash(new)
        self._check_live(session)
        with self._store.transaction(durable=True):
            self._credentials.keep(session.user, stored)
            self._links.remove(session.user)
            self.end_all(session.user, except_id=session.id)
            self._audit.note("password-changed", session.user, address)
            return self._sessions.renew(session, session.factors)

    async def open_link(self, link_token: str) -> LinkInfo | None:
        """Look at a one-time link without using it (mail scanners follow links); None: unknown, used or expired."""
        found = self._links.look(link_token)
        person = None if found is None else self.person(found.user)
        return None if person is None or person.disabled else found

    async def use_link(
        self, link_token: str, new_password: str | None, *, address: str, agent: str
    ) -> tuple[str, Session]:
        """Use it up: a session from the link, with the new password where the link asks for one. Raises `Refused`
        (gone, weak, busy); after `weak` and `busy` the link is still good."""
        found = await self.open_link(link_token)
        if found is None:
            raise Refused("gone")
        stored = None
        if found.purpose != "login":
            self._check_strength(new_password or "", found.user)
            stored = await self._passwords.hash(new_password or "")
        with self._store.transaction(durable=True):
            self._links.use(link_token)
            if stored is not None:
                self._credentials.keep(found.user, stored)
                self._links.remove(found.user)
                self.end_all(found.user)
            event = f"{found.purpose}-link"
            return self._start(found.user, 1, event, address=address, agent=agent, from_link=True)

    # --- sessions

    def sessions(self, user: str) -> tuple[Session, ...]:
        """The person's live sessions, the most recently seen first."""
        return self._sessions.of(user)

    def end_session(self, user: str, id: str) -> None:  # noqa: A002 - the word of the contract
        """Sign one browser out. Nothing happens where the session is not that person's."""
        session = self._sessions.with_id(id)
        if session is not None and session.user == user:
            self._sessions.end(id)
            self._audit.note("signed-out", user, session.address)

    # --- what these have in common

    async def _check_password(self, user: str, password: str, address: str, event: str) -> None:
        tried = self._throttle.password_try(user, address)
        stored = None if self.person(user) is None else self._credentials.of(user)
        try:
            fits = await self._passwords.fits(stored, password)
        except Refused:
            tried.did_not_happen()
            raise
        anew = await self._hash_anew(stored, password) if stored is not None and fits else None
        # Whoever changes a password signs everybody out; a check that began before must not outlive that.
        if not fits or self._credentials.of(user) != stored:
            raise self._wrong(event, user, address)
        tried.was_right()
        if anew is not None:
            self._credentials.keep(user, anew)

    async def _hash_anew(self, stored: str, password: str) -> str | None:
        """The hash to keep from now on; None where the stored one is as good, or where there is no room now."""
        with suppress(Refused):
            return await self._passwords.hash(password) if self._passwords.is_outdated(stored) else None
        return None

    def _end_sessions_of_the_gone(self) -> None:
        for user in self._sessions.users():
            if any(self._is_void(session) for session in self._sessions.of(user)):
                self.end_all(user)
