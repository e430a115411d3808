"""`Accounts`: the one object that the portal, the forward-auth server and the admin socket call."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .audit import Audit
from .credentials import Credentials
from .factors import Factors
from .identities import Identities
from .kinds import LinkInfo, Passkey, PasskeyInfo, Purpose, Refused, SecondFactors, Session, TotpOffer
from .links import LONGEST as LONGEST_LINK
from .links import Links
from .passwords import OWASP, Effort, Passwords, weakness
from .seal import Seal
from .sessions import Sessions
from .settings import PROOF_PREFIX, Person
from .store import Store
from .throttle import Lock, Throttle

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .clock import Clock
    from .settings import Settings
    from .throttle import Try

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


class Accounts:
    """People, what proves who they are, and their sessions. Used from one event loop only."""

    def __init__(self, settings: Settings, store: Store, seal: Seal, passwords: Passwords, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._sessions = Sessions(store, settings, clock)
        self._throttle = Throttle(store, clock)
        self._credentials = Credentials(store, clock)
        self._factors = Factors(store, seal, clock)
        self._links = Links(store, clock)
        self._identities = Identities(clock)
        self._audit = Audit(store, clock)
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

    def person(self, user: str) -> Person | None:
        """Who `user` is by people.json as it is now; None where nobody has that name."""
        if user.startswith(PROOF_PREFIX):
            return self._identities.find(user)
        return self._settings.people.users.get(user)

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

    def session_of(self, token: str) -> Session | None:
        """The live session of a token; None for an unknown, ended or expired one. Counts as activity."""
        session = self._sessions.find(token)
        return None if session is None or self._is_void(session) else session

    def is_fresh(self, session: Session) -> bool:
        """Whether the password (or a second factor) was given shortly before in this session."""
        return self._sessions.is_fresh(session)

    # --- second factors

    def second_factors(self, user: str) -> SecondFactors:
        """What `user` has enrolled."""
        return self._factors.of(user)

    def has_second_factor(self, user: str) -> bool:
        """Whether there is any; from memory, for the forward-auth server."""
        return self._factors.any(user)

    def may_enrol(self, session: Session, address: str) -> bool:
        """Whether a second factor may be added: the first one only from the LAN or in a session from a one-time link;
        a further one only in a session with two factors."""
        if self.has_second_factor(session.user):
            return session.factors > 1
        return session.from_link or self._settings.policy.in_lan(address)

    async def check_totp(self, session_token: str, code: str, address: str) -> tuple[str, Session]:
        """Two factors and a new token for the right code. Raises `Refused` (wrong, locked, gone)."""
        session = self._session_or_gone(session_token)
        tried = self._begin_code(session, address)
        if not self._factors.totp.check(session.user, "".join(code.split())):
            raise self._wrong("totp", session.user, address)
        return self._raise_level(session, "totp", address, tried)

    async def check_recovery(self, session_token: str, code: str, address: str) -> tuple[str, Session]:
        """As `check_totp`, for a recovery code, which is used up. Raises `Refused` (wrong, locked, gone)."""
        session = self._session_or_gone(session_token)
        tried = self._begin_code(session, address)
        if not self._factors.recovery.use(session.user, code):
            raise self._wrong("recovery-code", session.user, address)
        return self._raise_level(session, "recovery-code", address, tried)

    def begin_totp(self, session: Session) -> TotpOffer:
        """A new secret to be put into an authenticator; the same one for ten minutes. Raises `Refused` (stale, gone,
        second-factor)."""
        self._check_may_change_factors(session)
        return self._factors.totp.offer(session.id, session.user, self._settings.policy.title)

    async def finish_totp(self, session_token: str, code: str) -> tuple[str, Session, tuple[str, ...]]:
        """Keep the offered secret if the code fits: new token with two factors, and recovery codes where there were
        none before (else empty). Raises `Refused` (wrong, stale, gone, second-factor)."""
        session = self._session_or_gone(session_token)
        self._check_may_change_factors(session)
        with self._store.transaction(durable=True):
            self._factors.totp.accept(session.id, session.user, "".join(code.split()))
            self._factors.settle(session.user)
            codes = () if self._factors.recovery.left(session.user) else self._factors.recovery.make(session.user)
            self._audit.note("totp-added", session.user, session.address)
        return *self._raise_level(session, "totp", session.address), codes

    def remove_totp(self, session: Session) -> None:
        """Raises `Refused` (stale, second-factor, gone)."""
        self._check_may_change_factors(session)
        with self._store.transaction(durable=True):
            self._factors.totp.remove(session.user)
            self._audit.note("totp-removed", session.user, session.address)
            self._factors.settle(session.user)

    def new_recovery_codes(self, session: Session) -> tuple[str, ...]:
        """Ten new codes; those before are void. Raises `Refused` (stale, second-factor, gone)."""
        self._check_may_change_factors(session)
        if not self.has_second_factor(session.user):
            raise Refused("second-factor")
        self._audit.note("recovery-codes-made", session.user, session.address)
        return self._factors.recovery.make(session.user)

    # --- passkeys

    def user_handle(self, user: str) -> bytes:
        """The WebAuthn user handle: random, stable, says nothing about the person (WebAuthn L3, 14.6.1)."""
        return self._factors.passkeys.handle(user)

    def passkeys(self, user: str) -> tuple[Passkey, ...]:
        """The person's passkeys, oldest first."""
        return self._factors.passkeys.of(user)

    def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id, whoever has it."""
        return self._factors.passkeys.find(credential_id)

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
        self._check_may_change_factors(session)
        with self._store.transaction(durable=True):
            added = self._factors.passkeys.add(session.user, credential_id, public_key, sign_count, name, transports)
            self._factors.settle(session.user)
            self._audit.note("passkey-added", session.user, session.address, added.id)
        return added

    def used_passkey(self, credential_id: bytes, sign_count: int) -> None:
        """Write down a use. Raises `Refused` (gone; wrong: the counter did not grow, so the key was copied)."""
        self._use_passkey(credential_id, sign_count, "")

    def remove_passkey(self, session: Session, id: str) -> None:  # noqa: A002 - the word of the contract
        """Raises `Refused` (stale, second-factor, gone)."""
        self._check_may_change_factors(session)
        with self._store.transaction(durable=True):
            if not self._factors.passkeys.remove(session.user, id):
                raise Refused("gone")
            self._audit.note("passkey-removed", session.user, session.address, id)
            self._factors.settle(session.user)

    def rename_passkey(self, session: Session, id: str, name: str) -> None:  # noqa: A002 - the word of the contract
        """Raises `Refused` (stale, second-factor, gone)."""
        self._check_may_change_factors(session)
        with self._store.transaction(durable=True):
            if not self._factors.passkeys.rename(session.user, id, name):
                raise Refused("gone")
            self._audit.note("passkey-renamed", session.user, session.address, id)

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
        user = self._use_passkey(credential_id, new_sign_count, address).user
        self._check_may_sign_in(user, address)
        factors = 2 if user_verified else 1
        if factors > 1:
            self._throttle.remember_address(user, address)
        return self._start(user, factors, "passkey", address=address, agent=agent, remembered=remember)

    async def raise_with_passkey(
        self, session_token: str, credential_id: bytes, new_sign_count: int
    ) -> tuple[str, Session]:
        """Two factors and a new token, for a passkey of the session's own person. Raises `Refused` (wrong, gone)."""
        session = self._session_or_gone(session_token)
        passkey = self._factors.passkeys.find(credential_id)
        if passkey is None or passkey.user != session.user:
            raise self._wrong("passkey", session.user, session.address)
        self._use_passkey(credential_id, new_sign_count, session.address)
        return self._raise_level(session, "passkey", session.address)

    # --- passwords and links

    async def change_password(self, session_token: str, old: str, new: str, address: str) -> tuple[str, Session]:
        """A new password and a new token; every other session of the person ends. Raises `Refused` (wrong, locked,
        busy, weak, second-factor, gone)."""
        session = self._session_or_gone(session_token)
        self._check_level(session)
        self._check_strength(new, session.user)
        await self._check_password(session.user, old, address, "change-password")
        stored = await self._passwords.hash(new)
        self._check_live(session)
        with self._store.transaction(durable=True):
            self._credentials.keep(session.user, stored)
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

    def end_all(self, user: str, except_id: str | None = None) -> int:
        """Sign the person out everywhere (but there); how many sessions ended."""
        ended = self._sessions.end(*(one.id for one in self._sessions.of(user) if one.id != except_id))
        if ended:
            self._audit.note("signed-out-everywhere", user, detail=f"{ended} sessions")
        return ended

    # --- what the admin socket asks for

    def make_link(self, user: str, purpose: Purpose, minutes: int) -> tuple[str, float]:
        """A one-time link's token and when it expires; one of the same purpose from before is void. Raises
        `LookupError` for a person who is not in people.json or is disabled, `ValueError` for odd `minutes`."""
        if self._known(user).disabled:
            raise LookupError(f"{user} is disabled")
        if not 0 < minutes <= LONGEST_LINK:
            raise ValueError(f"a link is good for 1 to {LONGEST_LINK} minutes, not {minutes}")
        with self._store.transaction(durable=True):
            self._audit.note("link-made", user, detail=purpose)
            return self._links.make(user, purpose, minutes)

    async def set_password(self, user: str, password: str) -> None:
        """Set it from outside; every session of the person ends. Raises `Refused` (weak, busy), `LookupError`."""
        self._known(user)
        self._check_strength(password, user)
        stored = await self._passwords.hash(password)
        with self._store.transaction(durable=True):
            self._credentials.keep(user, stored)
            self.end_all(user)
            self._audit.note("password-set", user)

    def reset_second_factors(self, user: str) -> None:
        """Forget TOTP, passkeys and recovery codes; every session ends. Raises `LookupError`."""
        self._known(user)
        with self._store.transaction(durable=True):
            self._factors.forget(user)
            self.end_all(user)
            self._audit.note("second-factors-reset", user)

    def make_identity(self, groups: Iterable[str], factors: int, minutes: int) -> tuple[str, str]:
        """A temporary person of the proof and the token of its session; in memory only."""
        person = self._identities.make(groups, 60 * minutes)
        token, _ = self._sessions.start(person.user, factors, address="", agent="proof", seconds=60 * minutes)
        self._audit.note("identity-made", person.user, detail=",".join(person.groups))
        return person.user, token

    def forget(self, user: str) -> None:
        """Forget a temporary identity, or all that is kept of somebody who is no longer in people.json. Raises
        `LookupError` for somebody who still is."""
        if user in self._settings.people.users:
            raise LookupError(f"{user} is still one of the lab's people")
        self._sessions.end(*(one.id for one in self._sessions.of(user)))
        self._identities.forget(user)
        if user.startswith(PROOF_PREFIX):
            return
        with self._store.transaction(durable=True):
            self._factors.forget(user)
            self._links.remove(user)
            self._throttle.forget(user)
            self._credentials.remove(user)
            self._audit.note("forgotten", user)

    def people(self) -> tuple[str, ...]:
        """Every name in people.json."""
        return tuple(self._settings.people.users)

    def has_password(self, user: str) -> bool:
        """Whether the person has chosen one."""
        return self._credentials.of(user) is not None

    def invited_until(self, user: str) -> float | None:
        """When the person's invitation expires; None: there is none."""
        return self._links.expires(user, "invite")

    def locks(self) -> list[Lock]:
        """Who has to wait because of too many wrong tries."""
        return self._throttle.locks()

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

    def _check_may_sign_in(self, user: str, address: str) -> None:
        person = self.person(user)
        if person is None:
            raise self._wrong("sign-in", user, address)
        if person.disabled:
            self._audit.note("disabled-refused", user, address)
            raise Refused("disabled")

    def _check_live(self, session: Session) -> Session:
        found = self._sessions.with_id(session.id)
        if found is None or self._is_void(found):
            raise Refused("gone")
        return found

    def _is_void(self, session: Session) -> bool:
        person = self.person(session.user)
        return person is None or person.disabled

    def _session_or_gone(self, token: str) -> Session:
        session = self.session_of(token)
        if session is None:
            raise Refused("gone")
        return session

    def _check_level(self, session: Session) -> None:
        if session.factors < 2 and self.has_second_factor(session.user):
            raise Refused("second-factor")

    def _check_may_change_factors(self, session: Session) -> None:
        session = self._check_live(session)
        self._check_level(session)
        if not self._sessions.is_fresh(session):
            raise Refused("stale")

    def _begin_code(self, session: Session, address: str) -> Try:
        return self._throttle.code_try(session.user, address)

    def _wrong(self, event: str, user: str, address: str) -> Refused:
        self._audit.note(f"{event}-wrong", user, address)
        return Refused("wrong")

    def _start(
        self,
        user: str,
        factors: int,
        event: str,
        *,
        address: str,
        agent: str,
        remembered: bool = False,
        from_link: bool = False,
    ) -> tuple[str, Session]:
        self._audit.note(event, user, address)
        return self._sessions.start(
            user, factors, address=address, agent=agent, remembered=remembered, from_link=from_link
        )

    def _raise_level(self, session: Session, event: str, address: str, tried: Try | None = None) -> tuple[str, Session]:
        with self._store.transaction():
            if tried is not None:
                tried.was_right()
            self._throttle.remember_address(session.user, address)
            self._audit.note(event, session.user, address)
            return self._sessions.renew(session, 2)

    def _use_passkey(self, credential_id: bytes, sign_count: int, address: str) -> Passkey:
        try:
            return self._factors.passkeys.used(credential_id, sign_count)
        except Refused as refused:
            owner = self._factors.passkeys.find(credential_id)
            if refused.reason == "wrong" and owner is not None:
                self._audit.note("passkey-copied", owner.user, address, owner.id)
            raise

    def _check_strength(self, password: str, user: str) -> None:
        if fault := weakness(password, user):
            raise Refused("weak", detail=fault)

    def _known(self, user: str) -> Person:
        person = self._settings.people.users.get(user)
        if person is None:
            raise LookupError(f"{user!r} is none of the lab's people")
        return person

    def _end_sessions_of_the_gone(self) -> None:
        for user in self._sessions.users():
            if any(self._is_void(session) for session in self._sessions.of(user)):
                self.end_all(user)
