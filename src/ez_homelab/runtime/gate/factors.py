"""All second factors of everybody: authenticator, passkeys, recovery codes, and what holds between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kinds import PasskeyInfo, SecondFactors
from .passkeys import Passkeys
from .recovery import RecoveryCodes
from .totp import Totp

if TYPE_CHECKING:
    from .clock import Clock
    from .seal import Seal
    from .store import Store


class Factors:
    """The three kinds, and in memory who has any: the forward-auth server asks that about every request."""

    def __init__(self, store: Store, seal: Seal, clock: Clock) -> None:
        self._store = store
        self.totp = Totp(store, seal, clock)
        self.recovery = RecoveryCodes(store, seal)
        self.passkeys = Passkeys(store, clock)
        self._having: set[str] = set()
        self._remember()
        store.taken_back.append(self._remember)

    def any(self, user: str) -> bool:
        """Whether the person has a second factor. Recovery codes alone are none."""
        return user in self._having

    def of(self, user: str) -> SecondFactors:
        """What the person has."""
        listed = tuple(PasskeyInfo(key.id, key.name, key.added, key.used) for key in self.passkeys.of(user))
        return SecondFactors(self.totp.has(user), listed, self.recovery.left(user))

    def settle(self, user: str) -> None:
        """To be called after every change. Recovery codes are a way round a second factor, not one of their own: they
        go with the last."""
        if self.totp.has(user) or self.passkeys.of(user):
            self._having.add(user)
            return
        self.recovery.remove(user)
        self._having.discard(user)

    def forget(self, user: str) -> None:
        """The person has none any more."""
        with self._store.transaction(durable=True):
            self.totp.remove(user)
            self.passkeys.remove_all(user)
            self.settle(user)

    def _remember(self) -> None:
        rows = self._store.rows("SELECT user FROM credentials WHERE totp IS NOT NULL UNION SELECT user FROM passkeys")
        self._having = {user for (user,) in rows}
