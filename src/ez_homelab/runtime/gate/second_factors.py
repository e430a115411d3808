"""What people do with their second factors: set them up, prove them, take them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .guarded import Guarded
from .kinds import Passkey, PasskeyInfo, Refused, SecondFactors, Session, TotpOffer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .throttle import Try


class OwnSecondFactors(Guarded):
    """Every change is for a session that has proved what there is already, shortly before."""

    def second_factors(self, user: str) -> SecondFactors:
        """What `user` has enrolled."""
        return self._factors.of(user)

    def may_enrol(self, session: Session, address: str) -> bool:
        """Whether a second factor may be added: the first one only from the LAN or in a session from a one-time link;
        a further one only in a session with two factors."""
        if self.has_second_factor(session.user):
            return session.factors > 1
        return session.from_link or self._settings.policy.in_lan(address)

    # --- authenticator and recovery codes

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
        finger. Raises `Refused` (wrong: the counter did not grow, so the key was copied; disabled, gone)."""
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

    # --- what these have in common

    def _check_may_change_factors(self, session: Session) -> None:
        session = self._check_live(session)
        self._check_level(session)
        if not self._sessions.is_fresh(session):
            raise Refused("stale")

    def _begin_code(self, session: Session, address: str) -> Try:
        return self._throttle.code_try(session.user, address)

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
