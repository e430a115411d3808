"""One-time links: an invitation, a new password, or a way in. Looking at one does not use it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import CLOCK_STEP
from .kinds import LinkInfo, Purpose, Refused
from .tokens import new_token, token_hash

if TYPE_CHECKING:
    from .clock import Clock
    from .store import Store

LONGEST = 60 * 24 * 30
"""Minutes."""


class Links:
    """The links that are out, by the hash of their token."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def make(self, user: str, purpose: Purpose, minutes: int) -> tuple[str, float]:
        """A link's token and when it expires. One of the same purpose from before is void."""
        token, now = new_token(), self._clock()
        expires = now + 60 * minutes
        with self._store.transaction(durable=True):
            self._store.change("DELETE FROM links WHERE expires <= ? OR (user = ? AND purpose = ?)", now, user, purpose)
            self._store.change(
                "INSERT INTO links (token, user, purpose, made, expires) VALUES (?, ?, ?, ?, ?)",
                *(token_hash(token), user, purpose, now, expires),
            )
        return token, expires

    def look(self, token: str) -> LinkInfo | None:
        """What a link is for; None for one that is unknown, used, expired, or from a future that is none any more."""
        now = self._clock()
        row = self._store.row(
            "SELECT user, purpose, expires FROM links WHERE token = ? AND expires > ? AND made <= ?",
            *(token_hash(token), now, now + CLOCK_STEP),
        )
        return None if row is None else LinkInfo(*row)

    def use(self, token: str) -> None:
        """Use it up. Raises `Refused` (gone) for whoever comes second."""
        with self._store.transaction(durable=True):
            if self._store.change("DELETE FROM links WHERE token = ?", token_hash(token)) != 1:
                raise Refused("gone")

    def expires(self, user: str, purpose: Purpose) -> float | None:
        """Until when the person has a link of this purpose; None: there is none."""
        row = self._store.row(
            "SELECT expires FROM links WHERE user = ? AND purpose = ? AND expires > ?", user, purpose, self._clock()
        )
        return None if row is None else float(row[0])

    def remove(self, user: str) -> None:
        """None of the person's links is good any more."""
        with self._store.transaction(durable=True):
            self._store.change("DELETE FROM links WHERE user = ?", user)
