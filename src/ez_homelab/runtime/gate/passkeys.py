"""What is kept of passkeys. The signatures themselves are the portal's to check."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from .kinds import Passkey, PasskeyInfo, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .clock import Clock
    from .store import Store

COLUMNS = "id, user, credential_id, public_key, sign_count, name, transports, added, used"
AT_MOST = 20
LONGEST_NAME = 60


class Passkeys:
    """Everybody's passkeys."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handle(self, user: str) -> bytes:
        """The person's WebAuthn user handle; made at the first question."""
        with self._store.transaction():
            self._store.change("INSERT OR IGNORE INTO credentials (user) VALUES (?)", user)
            statement = "UPDATE credentials SET handle = ? WHERE user = ? AND handle IS NULL"
            self._store.change(statement, secrets.token_bytes(32), user)
            found = self._store.row("SELECT handle FROM credentials WHERE user = ?", user)
        return bytes(found[0]) if found else b""

    def of(self, user: str) -> tuple[Passkey, ...]:
        """The person's passkeys, oldest first."""
        question = f"SELECT {COLUMNS} FROM passkeys WHERE user = ? ORDER BY added, id"  # noqa: S608 - our own names
        return tuple(_passkey(row) for row in self._store.rows(question, user))

    def find(self, credential_id: bytes) -> Passkey | None:
        """The one with this credential id."""
        question = f"SELECT {COLUMNS} FROM passkeys WHERE credential_id = ?"  # noqa: S608 - our own names
        row = self._store.row(question, credential_id)
        return None if row is None else _passkey(row)

    def add(
        self, user: str, credential_id: bytes, public_key: bytes, sign_count: int, name: str, transports: Iterable[str]
    ) -> PasskeyInfo:
        """Keep a new one. Raises `Refused` (wrong) where somebody has it already, or the person has too many."""
        made = PasskeyInfo(secrets.token_hex(8), name[:LONGEST_NAME], self._clock(), 0.0)
        with self._store.transaction(durable=True):
            if self.find(credential_id) is not None or len(self.of(user)) >= AT_MOST:
                raise Refused("wrong")
            self._store.change(
                f"INSERT INTO passkeys ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
                *(made.id, user, credential_id, public_key, sign_count),
                *(made.name, json.dumps(list(transports)), made.added, made.used),
            )
        return made

    def used(self, credential_id: bytes, sign_count: int) -> Passkey:
        """Write down a use. Raises `Refused`: gone, or wrong where a counter that counts did not grow, which tells a
        copied key (WebAuthn L3, 6.1.1)."""
        with self._store.transaction():
            passkey = self.find(credential_id)
            if passkey is None:
                raise Refused("gone")
            if (sign_count or passkey.sign_count) and sign_count <= passkey.sign_count:
                raise Refused("wrong")
            statement = "UPDATE passkeys SET sign_count = ?, used = ? WHERE credential_id = ?"
            self._store.change(statement, sign_count, self._clock(), credential_id)
        return passkey

    def rename(self, user: str, passkey_id: str, name: str) -> bool:
        """Whether the person has it."""
        statement = "UPDATE passkeys SET name = ? WHERE user = ? AND id = ?"
        with self._store.transaction(durable=True):
            return self._store.change(statement, name[:LONGEST_NAME], user, passkey_id) == 1

    def remove(self, user: str, passkey_id: str) -> bool:
        """Whether the person had it."""
        with self._store.transaction(durable=True):
            return self._store.change("DELETE FROM passkeys WHERE user = ? AND id = ?", user, passkey_id) == 1

    def remove_all(self, user: str) -> None:
        """The person has none any more."""
        with self._store.transaction(durable=True):
            self._store.change("DELETE FROM passkeys WHERE user = ?", user)


def _passkey(row: tuple[str, str, bytes, bytes, int, str, str, float, float]) -> Passkey:
    id_, user, credential_id, public_key, sign_count, name, transports, added, used = row
    return Passkey(
        *(id_, user, credential_id, public_key, sign_count, name),
        *(tuple(json.loads(transports)), added, used),
    )
