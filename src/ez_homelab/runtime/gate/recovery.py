"""Recovery codes: ten ways back in for whoever loses the second factor, each good once."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .seal import Seal
    from .store import Store

CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what looks alike on paper: i, l, o, 0, 1."""
GROUPS, LETTERS = 3, 4
"""Three groups of four of 31 letters: 59 random bits, kept as a keyed hash."""


class RecoveryCodes:
    """Everybody's recovery codes, of which only keyed hashes are kept."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store = store
        self._seal = seal

    def left(self, user: str) -> int:
        """How many a person still has."""
        found = self._store.row("SELECT count(*) FROM recovery_codes WHERE user = ?", user)
        return int(found[0]) if found else 0

    def make(self, user: str) -> tuple[str, ...]:
        """New ones; those before are void."""
        codes = tuple(_code() for _ in range(CODES))
        with self._store.transaction(durable=True):
            self.remove(user)
            rows = [(user, self._mac(user, code)) for code in codes]
            self._store.change_many("INSERT INTO recovery_codes VALUES (?, ?)", rows)
        return codes

    def use(self, user: str, code: str) -> bool:
        """Whether it is one of the person's; it is used up then. Spaces, dashes and capitals do not matter."""
        with self._store.transaction(durable=True):
            statement = "DELETE FROM recovery_codes WHERE user = ? AND mac = ?"
            return self._store.change(statement, user, self._mac(user, code)) == 1

    def remove(self, user: str) -> None:
        """None of them is good any more."""
        with self._store.transaction(durable=True):
            self._store.change("DELETE FROM recovery_codes WHERE user = ?", user)

    def _mac(self, user: str, code: str) -> bytes:
        plain = "".join(letter for letter in code.lower() if letter in ALPHABET)
        return self._seal.mac(f"{user} {plain}")


def _code() -> str:
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS))
    return "-".join(groups)
