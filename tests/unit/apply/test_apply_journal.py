"""The journal says what was done, and what was begun and never ended."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ez_homelab.apply.journal import Journal
from ez_homelab.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "journal.db")


def steps(path: str) -> list[tuple[str, str | None, str]]:
    database = sqlite3.connect(path)
    rows = database.execute("SELECT action, outcome, detail FROM steps ORDER BY rowid").fetchall()
    database.close()
    return rows


def test_runs_newest_first_with_who_and_what() -> None:
    journal = Journal(":memory:")
    first = journal.begin(who="ann", command="ez apply", plan="aaa")
    journal.end(first, "done")
    journal.begin(who="ben", command="ez up", plan="bbb")
    newest, oldest = journal.runs()
    assert (newest.who, newest.command, newest.plan, newest.outcome, newest.finished) == (
        "ben",
        "ez up",
        "bbb",
        None,
        None,
    )
    assert (oldest.id, oldest.who, oldest.outcome) == (first, "ann", "done")
    assert oldest.finished is not None
    assert oldest.finished >= oldest.started
    assert len(journal.runs(limit=1)) == 1


def test_it_stays_on_disk_and_a_run_that_was_never_ended_has_no_outcome(path: str) -> None:
    journal = Journal(path)
    run = journal.begin(who="ann", command="ez apply", plan="aaa")
    with journal.step(run, "core:service:a", "create"):
        pass
    with pytest.raises(CommandError), journal.step(run, "core:service:b", "create"):
        raise CommandError("no such image")
    journal.close()
    (found,) = Journal(path).runs()
    assert found.outcome is None
    assert steps(path) == [
        ("core:service:a", "done", ""),
        ("core:service:b", "failed", "no such image"),
    ]


def test_a_full_disk_stops_nothing_that_is_under_way_and_is_told_at_the_end(path: str) -> None:
    journal = Journal(path)
    run = journal.begin(who="ann", command="ez apply", plan="aaa")
    journal._database.execute("PRAGMA max_page_count = 1")
    done = []
    for action in (f"core:service:{'a' * 5000}", f"core:service:{'b' * 5000}"):
        with journal.step(run, action, "create"):
            done.append(action)
    assert len(done) == 2
    with pytest.raises(CommandError, match="journal") as told:
        journal.end(run, "o" * 5000)
    assert told.value.evidence == "database or disk is full"
    assert steps(path) == []


def test_a_process_that_was_killed_leaves_its_begun_run_to_read(path: str) -> None:
    program = (
        "import os, signal, sys; from ez_homelab.apply.journal import Journal; journal = Journal(sys.argv[1]);"
        "run = journal.begin(who='x', command='y', plan='z');"
        "step = journal.step(run, 'a', 'create'); step.__enter__();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, path])
    assert ended.returncode == -9
    (found,) = Journal(path).runs()
    assert (found.who, found.outcome) == ("x", None)
    assert steps(path) == [("a", None, "")]


def test_two_processes_write_and_read_at_the_same_time(path: str) -> None:
    program = (
        "import sys; from ez_homelab.apply.journal import Journal; journal = Journal(sys.argv[1])\n"
        "for number in range(30): journal.end(journal.begin(who=sys.argv[2], command='y', plan='z'), 'done')"
    )
    Journal(path).close()
    writers = [subprocess.Popen([sys.executable, "-c", program, path, name]) for name in ("one", "two")]
    journal = Journal(path)
    for _ in range(30):
        journal.runs()
    assert [writer.wait() for writer in writers] == [0, 0]
    found = journal.runs(limit=100)
    assert sorted(run.who for run in found) == ["one"] * 30 + ["two"] * 30
    assert {run.outcome for run in found} == {"done"}
    assert len({run.id for run in found}) == 60
