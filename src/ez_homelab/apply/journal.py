"""The journal: every run and every action of it, with times and outcome, in SQLite (WAL) under the state folder.

A run that has no end in the journal was interrupted; the next one finds that out by reading it here.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, who TEXT NOT NULL, command TEXT NOT NULL,
    plan TEXT NOT NULL, outcome TEXT
);
CREATE TABLE IF NOT EXISTS steps (
    run INTEGER NOT NULL REFERENCES runs, action TEXT NOT NULL, verb TEXT NOT NULL, started TEXT NOT NULL,
    finished TEXT, outcome TEXT, detail TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, action)
);
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the journal knows it; times in UTC, ISO 8601; `outcome` is None where it was interrupted."""

    id: int
    started: str
    finished: str | None
    who: str
    command: str
    plan: str
    outcome: str | None


class Journal:
    """Writes down what is done, before and after it is done."""

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.executescript(SCHEMA)

    def begin(self, *, who: str, command: str, plan: str) -> int:
        """A new run's number."""
        row = self._database.execute(
            "INSERT INTO runs (started, who, command, plan) VALUES (?, ?, ?, ?)", (_now(), who, command, plan)
        )
        assert row.lastrowid is not None  # noqa: S101 - an INSERT has one
        return row.lastrowid

    def end(self, run: int, outcome: str) -> None:
        """The run is over: `done` or `failed`."""
        self._database.execute("UPDATE runs SET finished = ?, outcome = ? WHERE id = ?", (_now(), outcome, run))

    @contextmanager
    def step(self, run: int, action: str, verb: str) -> Iterator[None]:
        """An action that lasts as long as the context; an exception is its outcome and goes on."""
        self._database.execute(
            "INSERT INTO steps (run, action, verb, started) VALUES (?, ?, ?, ?)", (run, action, verb, _now())
        )
        try:
            yield
        except BaseException as error:
            self._finish(run, action, "failed", str(error))
            raise
        self._finish(run, action, "done", "")

    def runs(self, limit: int = 50) -> list[Run]:
        """The latest runs, newest first."""
        rows = self._database.execute(
            "SELECT id, started, finished, who, command, plan, outcome FROM runs ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [Run(*row) for row in rows]

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def _finish(self, run: int, action: str, outcome: str, detail: str) -> None:
        self._database.execute(
            "UPDATE steps SET finished = ?, outcome = ?, detail = ? WHERE run = ? AND action = ?",
            (_now(), outcome, detail, run, action),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
