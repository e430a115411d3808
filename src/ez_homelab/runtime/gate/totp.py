"""Time-based codes (RFC 6238: SHA-1, six digits, 30 seconds). Each time-step of a person is good for one code, once."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

import pyotp

from .kinds import Refused, TotpOffer
from .seal import SealBrokenError

if TYPE_CHECKING:
    from .clock import Clock
    from .seal import Seal
    from .store import Store

log = logging.getLogger("gate.totp")

STEP = 30
NEIGHBOURS = (-1, 0, 1)
"""Time-steps that count: a clock may be off by half a minute (RFC 6238, 5.2)."""
OFFERED = 600
"""Seconds for which an offered secret waits for its first code."""
STEPS_KEPT = 200
"""Used time-steps kept of one person, whatever the clock says: after a jump back none of them is good again."""


class Totp:
    """Everybody's TOTP secrets, sealed, and the offers that are not secrets yet."""

    def __init__(self, store: Store, seal: Seal, clock: Clock) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._offers: dict[str, tuple[str, float]] = {}

    def has(self, user: str) -> bool:
        """Whether the person has enrolled an authenticator."""
        return self._sealed(user) is not None

    def offer(self, session_id: str, user: str, title: str) -> TotpOffer:
        """A secret for this session; the same one for ten minutes, so that a page may be loaded twice."""
        now = self._clock()
        self._offers = {one: offer for one, offer in self._offers.items() if 0 <= now - offer[1] < OFFERED}
        secret, _ = self._offers.setdefault(session_id, (pyotp.random_base32(), now))
        return TotpOffer(secret, pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=title))

    def accept(self, session_id: str, user: str, code: str) -> None:
        """Keep the offered secret, which the code proves to have arrived. Raises `Refused` (wrong, gone)."""
        secret, made = self._offers.get(session_id, ("", 0.0))
        if not secret or not 0 <= self._clock() - made < OFFERED:
            raise Refused("gone")
        step = self._fitting(secret, code)
        if step is None:
            raise Refused("wrong")
        del self._offers[session_id]
        with self._store.transaction(durable=True):
            self._store.change("INSERT OR IGNORE INTO credentials (user) VALUES (?)", user)
            self._store.change(
                "UPDATE credentials SET totp = ?, totp_added = ? WHERE user = ?",
                *(self._seal.close(secret, user), self._clock(), user),
            )
            self._store.change("DELETE FROM totp_used WHERE user = ?", user)
            self._use(user, step)

    def check(self, user: str, code: str) -> bool:
        """Whether the code is right and was not used before. Right ones are used up."""
        sealed = self._sealed(user)
        if sealed is None:
            return False
        try:
            step = self._fitting(self._seal.open(sealed, user), code)
        except SealBrokenError as fault:
            log.error("%s: no code of theirs can be right", fault)
            return False
        if step is None:
            return False
        with self._store.transaction():
            return self._use(user, step)

    def remove(self, user: str) -> None:
        """The authenticator is no longer good."""
        with self._store.transaction(durable=True):
            self._store.change("UPDATE credentials SET totp = NULL, totp_added = NULL WHERE user = ?", user)
            self._store.change("DELETE FROM totp_used WHERE user = ?", user)

    def _sealed(self, user: str) -> bytes | None:
        found = self._store.row("SELECT totp FROM credentials WHERE user = ?", user)
        return found[0] if found else None

    def _fitting(self, secret: str, code: str) -> int | None:
        """The time-step whose code this is. Looks at all of them, however soon one fits."""
        now, machine = int(self._clock()) // STEP, pyotp.TOTP(secret)
        given = code.encode("utf-8", "replace")
        fitting = [
            now + near for near in NEIGHBOURS if hmac.compare_digest(machine.generate_otp(now + near).encode(), given)
        ]
        return fitting[0] if fitting else None

    def _use(self, user: str, step: int) -> bool:
        used = self._store.change("INSERT OR IGNORE INTO totp_used VALUES (?, ?)", user, step)
        self._store.change(
            "DELETE FROM totp_used WHERE user = ?1 AND rowid NOT IN "
            "(SELECT rowid FROM totp_used WHERE user = ?1 ORDER BY rowid DESC LIMIT ?2)",
            *(user, STEPS_KEPT),
        )
        return used == 1
