"""The list of generations, in a real SQLite file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.apply.journal import Journal
from ez_homelab.errors import UsageError
from ez_homelab.generations.errors import GenerationError
from ez_homelab.generations.index import Generation, Generations, running
from ez_homelab.redaction import know

if TYPE_CHECKING:
    from collections.abc import Sequence

BOTH = {"wiki": "w1", "media": "m1"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "journal.db")


@pytest.fixture
def index(path: str) -> Generations:
    return Generations(path, "/opt/homelab")


def add(index: Generations, **facts: Any) -> Generation:
    """A row; what is not said is as after an ordinary apply of two stacks."""
    ordinary = {"who": "ann", "command": "ez", "why": "", "plan": "p", "outcome": "done", "tree": "t", "contents": BOTH}
    return index.record(**{**ordinary, **facts})


def numbers(found: Sequence[Generation]) -> list[int]:
    return [one.number for one in found]


def test_what_was_recorded_is_read_again_newest_first(path: str, index: Generations) -> None:
    first = add(index, why="first")
    second = add(index, outcome="went-back", outcomes={"wiki": "went-back"}, run=4)
    index.close()
    again = Generations(path, "/opt/homelab")
    assert again.all() == (second, first)
    assert again.all(limit=1) == (second,)
    assert again.get(1) == first
    assert first.made.endswith("+00:00")


def test_it_shares_the_file_with_the_journal(path: str, index: Generations) -> None:
    journal = Journal(path)
    run = journal.begin(who="ann", command="ez apply", plan="p")
    assert add(index, run=run).run == run
    journal.end(run, "done")
    assert len(journal.runs()) == len(index.all()) == 1
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_number_that_there_is_not_is_told_with_the_nearest(index: Generations) -> None:
    with pytest.raises(UsageError) as raised:
        index.get(3)
    assert raised.value.evidence == "nothing was applied yet"
    for _ in range(9):
        add(index)
    index.prune(4)
    with pytest.raises(UsageError) as raised:
        index.get(3)
    assert (raised.value.what, raised.value.evidence) == ("there is no generation 3", "nearest: 6, 7")


def test_labs_in_one_file_see_only_their_own_and_share_the_numbers(path: str, index: Generations) -> None:
    other = Generations(path, "/srv/other")
    assert numbers((add(index), add(other, tree="u"), add(index))) == [1, 2, 3]
    assert numbers(index.all()) == [3, 1]
    assert numbers(index.prune(1)) == [1]
    assert numbers(other.all()) == [2]
    with pytest.raises(UsageError):
        index.get(2)
    assert index.trees() == {"t", "u"}
    index.take_over("/srv/other")
    assert numbers(index.all()) == [3, 2]
    assert other.all() == ()


def test_a_number_is_never_used_twice(path: str, index: Generations) -> None:
    add(index)
    sqlite3.connect(path, isolation_level=None).execute("DELETE FROM generations")
    assert add(index).number == 2


RUNNING: list[tuple[str, list[dict[str, Any]], dict[str, int]]] = [
    ("nothing yet", [], {}),
    ("the newest", [{}, {}], {"wiki": 2, "media": 2}),
    (
        "one went back",
        [{}, {"outcome": "went-back", "outcomes": {"wiki": "went-back", "media": "done"}}],
        {"wiki": 1, "media": 2},
    ),
    (
        "one failed twice and another once",
        [
            {},
            {"outcome": "failed", "outcomes": {"wiki": "failed", "media": "done"}},
            {"outcome": "failed", "outcomes": {"wiki": "failed", "media": "failed"}},
        ],
        {"wiki": 1, "media": 2},
    ),
    ("one never came up", [{"outcome": "failed", "outcomes": {"wiki": "done", "media": "failed"}}], {"wiki": 1}),
    ("one is gone", [{}, {"contents": {"wiki": "w2"}}], {"wiki": 2}),
    (
        "one is new and failed",
        [{"contents": {"wiki": "w1"}}, {"outcome": "failed", "outcomes": {"wiki": "done", "media": "failed"}}],
        {"wiki": 2},
    ),
    ("all failed, nothing said of which", [{}, {"outcome": "failed"}], {"wiki": 1, "media": 1}),
]


@pytest.mark.parametrize(("rows", "expected"), [row[1:] for row in RUNNING], ids=[row[0] for row in RUNNING])
def test_what_runs_now(index: Generations, rows: list[dict[str, Any]], expected: dict[str, int]) -> None:
    for row in rows:
        add(index, **row)
    assert running(index.all()) == expected
    bases = {stack: index.base_of(stack) for stack in BOTH}
    assert {stack: one.number for stack, one in bases.items() if one} == expected
    current = index.current()
    assert (current.number if current else None) == max(expected.values(), default=None)


def test_pruning_never_drops_what_runs_nor_what_is_pinned_nor_the_newest(index: Generations) -> None:
    for _ in range(4):
        add(index)
    add(index, outcome="went-back", outcomes={"wiki": "went-back", "media": "done"})
    add(index, outcome="failed", outcomes={"wiki": "failed", "media": "failed"})
    assert numbers(index.prune(1, pinned={2})) == [3, 1]
    assert numbers(index.all()) == [6, 5, 4, 2]
    assert index.prune(0, pinned={2}) == ()
    assert numbers(index.prune(0)) == [2]


def test_what_changed_against_the_one_before(index: Generations) -> None:
    first = add(index)
    second = add(index, contents={"wiki": "w2", "office": "o1"})
    assert second.changes_since(first) == ("-media", "+office", "~wiki")
    assert first.changes_since(None) == ("+media", "+wiki")
    assert first.changes_since(first) == ()


def test_a_secret_on_the_command_line_is_not_written_down(path: str, index: Generations) -> None:
    know(["hunter2-hunter2"])
    assert add(index, command="ez x=hunter2-hunter2", why="hunter2-hunter2").command == "ez x=[secret]"
    index.close()
    assert all(b"hunter2" not in file.read_bytes() for file in Path(path).parent.iterdir())


def test_processes_that_record_at_once_get_numbers_of_their_own(path: str) -> None:
    program = (
        "import sys; from ez_homelab.generations.index import Generations\n"
        "index = Generations(sys.argv[1], '/opt/homelab')\n"
        "for _ in range(25):\n"
        "    print(index.record(who=sys.argv[2], command='', why='', plan='', outcome='done', tree='t').number)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, path, name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two", "three")
    ]
    told = [[int(line) for line in writer.communicate()[0].split()] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(chain(*told)) == [*range(1, 76)]
    whose = {one.number: one.who for one in Generations(path, "/opt/homelab").all()}
    assert [{whose[number] for number in mine} for mine in told] == [{"one"}, {"two"}, {"three"}]


def test_a_file_that_is_no_database_is_told_as_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database" * 100)
    with pytest.raises(GenerationError) as raised:
        Generations(str(tmp_path / "journal.db"), "/opt/homelab")
    assert "not a database" in raised.value.evidence


def test_a_full_disk_is_told_as_an_error_and_leaves_no_row(index: Generations) -> None:
    pages = index._database.execute("PRAGMA page_count").fetchone()[0]
    index._database.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(GenerationError) as raised:
        add(index, why="x" * 100_000)
    assert "full" in raised.value.evidence
    assert index.all() == ()
