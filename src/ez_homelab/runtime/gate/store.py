"""The gate's database: one SQLite file, one connection, short transactions. What lies in it means nothing here."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MIGRATIONS = (
    """
    CREATE TABLE credentials (
        user TEXT PRIMARY KEY, password TEXT, password_set REAL, totp BLOB, totp_added REAL, handle BLOB
    ) WITHOUT ROWID;
    CREATE TABLE totp_used (user TEXT, step INTEGER, UNIQUE (user, step));
    CREATE TABLE recovery_codes (user TEXT, mac BLOB, PRIMARY KEY (user, mac)) WITHOUT ROWID;
    CREATE TABLE passkeys (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, credential_id BLOB NOT NULL UNIQUE, public_key BLOB NOT NULL,
        sign_count INTEGER NOT NULL, name TEXT NOT NULL, transports TEXT NOT NULL, added REAL NOT NULL,
        used REAL NOT NULL
    );
    CREATE INDEX passkeys_of_a_user ON passkeys (user);
    CREATE TABLE sessions (
        token BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, factors INTEGER NOT NULL,
        started REAL NOT NULL, seen REAL NOT NULL, expires REAL NOT NULL, remembered INTEGER NOT NULL,
        address TEXT NOT NULL, agent TEXT NOT NULL, from_link INTEGER NOT NULL, fresh_until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE links (
        token BLOB PRIMARY KEY, user TEXT NOT NULL, purpose TEXT NOT NULL, made REAL NOT NULL, expires REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE tries (
        name TEXT PRIMARY KEY, failures INTEGER NOT NULL, last REAL NOT NULL, until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE known_addresses (user TEXT, address TEXT, seen REAL, PRIMARY KEY (user, address)) WITHOUT ROWID;
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, user TEXT NOT NULL, address TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    """,
)
"""Each turns the schema before it into the next; the file's `user_version` counts those that were made."""


class StoreError(Exception):
    """The database cannot be used; the text says why."""


class Store:
    """One open database. Not for use by more than one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises `StoreError`."""
        self.taken_back: list[Callable[[], None]] = []
        """Called after changes that were not kept, for whoever has in memory what the tables say."""
        before = os.umask(0o077)
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)
            self._prepare()
        except sqlite3.Error as fault:
            raise StoreError(f"the gate's database {path} cannot be used: {fault}") from fault
        finally:
            os.umask(before)

    def _prepare(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(f"the gate's database is of version {version}; this gate knows {len(MIGRATIONS)} at most")
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            self._connection.executescript(f"BEGIN; {migration} PRAGMA user_version = {number}; COMMIT;")

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """All or nothing, also at a SIGKILL. `durable`: on the disk before it returns, so that a power cut does not
        bring back what was revoked; without it the last seconds before a power cut may be lost. Nested ones join."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A COMMIT that fails may leave the transaction open, which all later ones would then join; on a full disk
            # SQLite may have rolled back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for remember in self.taken_back:
                remember()
            raise

    def change(self, statement: str, *values: object) -> int:
        """Run one statement; how many rows it touched."""
        return self._connection.execute(statement, values).rowcount

    def change_many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement for each row of values."""
        self._connection.executemany(statement, rows)

    def rows(self, question: str, *values: object) -> list[Any]:
        """All rows of an answer."""
        return self._connection.execute(question, values).fetchall()

    def row(self, question: str, *values: object) -> Any | None:
        """The first row of an answer, or None."""
        return self._connection.execute(question, values).fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
