"""The list of generations, in the journal's SQLite file, so that one file tells what was done and what came of it.

Numbers count up over all labs that the file knows and none is used twice: copies of data are named after them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ez_homelab.errors import UsageError
from ez_homelab.generations.errors import GenerationError
from ez_homelab.redaction import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

StackOutcome = Literal["done", "went-back", "failed"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS generations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, lab TEXT NOT NULL, made TEXT NOT NULL, who TEXT NOT NULL,
    command TEXT NOT NULL, why TEXT NOT NULL, plan TEXT NOT NULL, outcome TEXT NOT NULL, tree TEXT NOT NULL,
    outcomes TEXT NOT NULL, contents TEXT NOT NULL, run INTEGER REFERENCES runs (id)
);
CREATE INDEX IF NOT EXISTS generations_of_lab ON generations (lab, number);
"""
BUSY = 30.0
"""Seconds to wait for another process that writes to the file."""

_COLUMNS = "number, made, who, command, why, plan, outcome, tree, outcomes, contents, run"
_SWITCH_PAUSE = 0.05


@dataclass(frozen=True)
class Generation:
    """One apply as it is kept. `made` is in UTC, ISO 8601; `tree` is the name of its document.

    `outcomes` says by stack what became of it, `contents` has a short hash by stack of all that makes it up.
    `run` is the journal's number of the run that made it, where there was one.
    """

    number: int
    made: str
    who: str
    command: str
    why: str
    plan: str
    outcome: StackOutcome
    tree: str
    outcomes: Mapping[str, StackOutcome] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    run: int | None = None

    def changes_since(self, before: Generation | None) -> tuple[str, ...]:
        """The stacks that are otherwise than in the one before: `+name`, `~name`, `-name`, sorted by name."""
        earlier = before.contents if before else {}
        names = sorted(earlier.keys() | self.contents.keys())
        signs = {name: _sign(earlier.get(name), self.contents.get(name)) for name in names}
        return tuple(f"{sign}{name}" for name, sign in signs.items() if sign)


def running(generations: Iterable[Generation]) -> dict[str, int]:
    """By stack the number of the generation that runs, out of all generations, newest first.

    A stack that failed or went back in the newest one still is what an earlier one made of it. Stacks that the newest
    one no longer has are left out, and so are stacks that never came up.
    """
    found: dict[str, int] = {}
    waiting: set[str] | None = None
    for generation in generations:
        waiting = {*generation.contents, *generation.outcomes} if waiting is None else waiting
        done = {stack for stack in waiting if generation.outcomes.get(stack, generation.outcome) == "done"}
        reached = done & {*generation.contents, *generation.outcomes}
        found |= dict.fromkeys(reached, generation.number)
        waiting -= reached
    return found


class Generations:
    """The generations of one lab, named by its folder, in the index at `path`.

    Every method raises `GenerationError` where the file cannot be read or written.
    """

    def __init__(self, path: str, lab: str) -> None:
        self.lab = lab
        with _told(path):
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._database = sqlite3.connect(path, isolation_level=None, timeout=BUSY)
            _switch_to_wal(self._database)
            self._database.executescript(SCHEMA)
        self._path = path

    def record(
        self, *, who: str, command: str, why: str, plan: str, outcome: StackOutcome, tree: str,
        outcomes: Mapping[str, StackOutcome] | None = None, contents: Mapping[str, str] | None = None,
        run: int | None = None,
    ) -> Generation:  # fmt: skip
        """Write a row, without the secrets that a command line may hold; returns it with its number and time."""
        made = datetime.now(UTC).isoformat(timespec="milliseconds")
        command, why = clean(command), clean(why)
        outcomes, contents = dict(outcomes or {}), dict(contents or {})
        values = (made, who, command, why, plan, outcome, tree, json.dumps(outcomes), json.dumps(contents), run)
        row = self._do(
            "INSERT INTO generations (lab, made, who, command, why, plan, outcome, tree, outcomes, contents, run)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (self.lab, *values),
        )  # fmt: skip
        assert row.lastrowid is not None  # noqa: S101 - an INSERT has one
        return Generation(row.lastrowid, made, who, command, why, plan, outcome, tree, outcomes, contents, run)

    def all(self, limit: int | None = None) -> tuple[Generation, ...]:
        """The latest generations, newest first."""
        most = -1 if limit is None else limit
        return self._rows("WHERE lab = ? ORDER BY number DESC LIMIT ?", self.lab, most)

    def get(self, number: int) -> Generation:
        """The generation of this number. Raises `UsageError` with the nearest ones where there is none."""
        found = self._rows("WHERE lab = ? AND number = ?", self.lab, number)
        if found:
            return found[0]
        raise UsageError(
            f"there is no generation {number}", evidence=self._nearest(number), fix="ez-homelab history shows all"
        )

    def current(self) -> Generation | None:
        """The newest generation of which something runs; None where nothing came up yet."""
        kept = self.all()
        numbers = running(kept).values()
        return next((one for one in kept if one.number in numbers), None)

    def base_of(self, stack: str) -> Generation | None:
        """The generation of which the stack runs now; None where it never came up."""
        kept = self.all()
        number = running(kept).get(stack)
        return next((one for one in kept if one.number == number), None)

    def prune(self, keep: int, pinned: Collection[int] = ()) -> tuple[Generation, ...]:
        """Drop all but the latest `keep`; returns what was dropped.

        Never the newest, never one of which something runs, never one that is pinned.
        """
        kept = self.all()
        stay = {*pinned, *running(kept).values(), *(one.number for one in kept[: max(keep, 1)])}
        gone = tuple(one for one in kept if one.number not in stay)
        with self._together():
            for one in gone:
                self._do("DELETE FROM generations WHERE number = ?", (one.number,))
        return gone

    def trees(self) -> frozenset[str]:
        """The documents of all generations of all labs: what must not be removed from a server."""
        return frozenset(tree for (tree,) in self._do("SELECT DISTINCT tree FROM generations").fetchall())

    def take_over(self, lab: str) -> None:
        """The generations of the lab in that folder are this lab's from now on: it was moved, or is replaced."""
        self._do("UPDATE generations SET lab = ? WHERE lab = ?", (self.lab, lab))

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def _nearest(self, number: int) -> str:
        near = sorted((one.number for one in self.all()), key=lambda other: (abs(other - number), other))[:2]
        return f"nearest: {', '.join(map(str, sorted(near)))}" if near else "nothing was applied yet"

    def _rows(self, condition: str, *values: object) -> tuple[Generation, ...]:
        rows = self._do(f"SELECT {_COLUMNS} FROM generations {condition}", values).fetchall()  # noqa: S608 - only text of this module
        return tuple(_generation(*row) for row in rows)

    @contextmanager
    def _together(self) -> Iterator[None]:
        self._do("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.rollback()
            raise
        self._do("COMMIT")

    def _do(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        with _told(self._path):
            return self._database.execute(statement, tuple(values))


def _generation(*row: Any) -> Generation:
    number, made, who, command, why, plan, outcome, tree, outcomes, contents, run = row
    return Generation(
        number, made, who, command, why, plan, outcome, tree, json.loads(outcomes), json.loads(contents), run
    )


def _switch_to_wal(database: sqlite3.Connection) -> None:
    """SQLite does not wait for others while it changes the kind of journal, so this does (sqlite.org/wal.html, 5)."""
    until = time.monotonic() + BUSY
    while database.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_SWITCH_PAUSE)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise GenerationError(
            f"the list of generations in {path} cannot be used",
            evidence=str(error),
            cause="the disk is full, the file is damaged, or this user may not write there",
            fix=f"look at it as root: ls -la {path}; df -h {path}",
        ) from error


def _sign(before: str | None, after: str | None) -> str:
    if before == after:
        return ""
    if before is None:
        return "+"
    return "-" if after is None else "~"
