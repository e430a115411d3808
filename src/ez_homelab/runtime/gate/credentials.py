"""The password hash of each person. Nothing here knows a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import Clock
    from .store import Store


class Credentials:
    """Who has which password hash (a PHC string)."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of(self, user: str) -> str | None:
        """The person's hash; None before the first password."""
        found = self._store.row("SELECT password FROM credentials WHERE user = ?", user)
        return found[0] if found else None

    def keep(self, user: str, stored: str) -> None:
        """The person's hash from now on."""
        with self._store.transaction(durable=True):
            self._store.change("INSERT OR IGNORE INTO credentials (user) VALUES (?)", user)
            statement = "UPDATE credentials SET password = ?, password_set = ? WHERE user = ?"
            self._store.change(statement, stored, self._clock(), user)

    def remove(self, user: str) -> None:
        """All that the table has of a person, the user handle of passkeys included."""
        with self._store.transaction(durable=True):
            self._store.change("DELETE FROM credentials WHERE user = ?", user)
