"""The journal: every run and every action of it, with times and outcome, in SQLite (WAL) under the state folder.

A run that has no end in the journal was interrupted; the next one finds that out by reading it here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.redaction import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = 30.0
"""Seconds to wait for another process that writes to the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, who TEXT NOT NULL, command TEXT NOT NULL,
    plan TEXT NOT NULL, outcome TEXT
);
CREATE TABLE IF NOT EXISTS steps (
    run INTEGER NOT NULL REFERENCES runs, action TEXT NOT NULL, verb TEXT NOT NULL, started TEXT NOT NULL,
    finished TEXT, outcome TEXT, detail TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, action)
);
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, command TEXT NOT NULL, what TEXT NOT NULL
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


@dataclass(frozen=True, slots=True)
class Attempt:
    """When an action was begun (ISO 8601, UTC), and when it failed; None where its run was cut off."""

    begun: str
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was asked for and is no run, such as a link to sign in; `at` in UTC, ISO 8601."""

    at: str
    who: str
    command: str
    what: str


class Journal:
    """Writes down what is done, before and after it is done."""

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._path = path
        with self._told():
            self._database = sqlite3.connect(path, isolation_level=None, timeout=BUSY)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.executescript(SCHEMA)

    def begin(self, *, who: str, command: str, plan: str) -> int:
        """A new run's number."""
        row = self._do(
            "INSERT INTO runs (started, who, command, plan) VALUES (?, ?, ?, ?)", (_now(), who, clean(command), plan)
        )
        assert row.lastrowid is not None  # noqa: S101 - an INSERT has one
        return row.lastrowid

    def end(self, run: int, outcome: str) -> None:
        """The run is over: `done` or `failed`."""
        self._do("UPDATE runs SET finished = ?, outcome = ? WHERE id = ?", (_now(), outcome, run))

    @contextmanager
    def step(self, run: int, action: str, verb: str) -> Iterator[None]:
        """An action that lasts as long as the context; an error is its outcome and goes on, an interruption is none.

        Where it cannot be written down, because the disk became full, the action is done all the same: half a run is
        worse than one that is half written down. `end` then tells it.
        """
        with suppress(CommandError):
            self._do(
                "INSERT OR REPLACE INTO steps (run, action, verb, started) VALUES (?, ?, ?, ?)",
                (run, action, verb, _now()),
            )
        try:
            yield
        except Exception as error:
            with suppress(CommandError):
                self._finish(run, action, "failed", str(error))
            raise
        with suppress(CommandError):
            self._finish(run, action, "done", "")

    def runs(self, limit: int = 50) -> list[Run]:
        """The latest runs, newest first."""
        rows = self._do(
            "SELECT id, started, finished, who, command, plan, outcome FROM runs ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [Run(*row) for row in rows]

    def note(self, *, who: str, command: str, what: str) -> None:
        """Write down who asked for what. No run begins or ends with it."""
        self._do(
            "INSERT INTO notes (at, who, command, what) VALUES (?, ?, ?, ?)",
            (_now(), who, clean(command), clean(what)),
        )

    def notes(self, limit: int = 50) -> list[Note]:
        """The latest notes, newest first."""
        rows = self._do("SELECT at, who, command, what FROM notes ORDER BY id DESC LIMIT ?", (limit,))
        return [Note(*row) for row in rows]

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def _finish(self, run: int, action: str, outcome: str, detail: str) -> None:
        self._do(
            "UPDATE steps SET finished = ?, outcome = ?, detail = ? WHERE run = ? AND action = ?",
            (_now(), outcome, clean(detail), run, action),
        )

    def _do(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        with self._told():
            return self._database.execute(statement, values)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CommandError(
                f"the journal {self._path} cannot be used",
                evidence=str(error),
                cause="the disk is full, the file is damaged, or this user may not write there",
                fix=f"df -h {self._path}; ls -la {self._path}",
            ) from error


def not_done(path: str) -> dict[str, list[Attempt]]:
    """Actions that were begun and not done: cut off since the last run that came to an end, failed since the last one
    that was done.

    Empty where there is no journal, or none that this user may read.
    """
    wanted = (
        "SELECT action, started, finished FROM steps WHERE"
        " outcome IS NULL AND run > (SELECT coalesce(max(id), 0) FROM runs WHERE finished IS NOT NULL) OR"
        " outcome = 'failed' AND run > (SELECT coalesce(max(id), 0) FROM runs WHERE outcome = 'done') ORDER BY run"
    )
    attempts: dict[str, list[Attempt]] = {}
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)) as database:
            for action, begun, ended in database.execute(wanted):
                attempts.setdefault(action, []).append(Attempt(begun, ended))
    except sqlite3.Error:
        return {}
    return attempts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
