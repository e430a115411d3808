"""What a run had stopped that was cut off is not what a person stopped: by the journal, and by when it ended."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ez_homelab.apply.cut_off import with_cut_off
from ez_homelab.apply.journal import Attempt, Journal, not_done
from ez_homelab.errors import CommandError
from ez_homelab.plan import make_plan
from ez_homelab.render.desired import FINGERPRINT_LABEL
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.observe.observed import ObservedServer

DESIRED = desired_of(make_lab())
WIKI = next(service for service in DESIRED.servers["core"].services if service.name == "dokuwiki")
NAME = f"core:service:{WIKI.key}"
AT = "2026-11-22T22:00:00.000+00:00"
BEGUN = {NAME: [Attempt(AT)]}
FAILED = {NAME: [Attempt(AT, "2026-11-22T22:00:05.000+00:00")]}
BEFORE, AFTER, LATER = "2026-11-22T21:00:00.5Z", "2026-11-22T22:00:01.123456789Z", "2026-11-22T23:00:00Z"


def stopped(*, started: str = BEFORE, finished: str = AFTER) -> ObservedServer:
    fields = {"state": "exited", "started_at": started, "finished_at": finished}
    return observed_as(DESIRED, containers={"dokuwiki": fields})["core"]


def test_what_a_run_had_stopped_is_started_again() -> None:
    plan = make_plan(DESIRED, {"core": with_cut_off(stopped(), BEGUN)})
    assert [(action.name, action.verb, action.cause) for action in plan.actions] == [
        (WIKI.key, "start", "stopped by a run that was cut off")
    ]
    assert plan.held == ()


def test_so_is_what_a_run_had_stopped_that_failed_and_what_an_earlier_of_two_had() -> None:
    attempts = {NAME: [*FAILED[NAME], Attempt(LATER, LATER)]}
    plan = make_plan(DESIRED, {"core": with_cut_off(stopped(), attempts)})
    assert [(action.verb, action.cause) for action in plan.actions] == [("start", "stopped by a run that failed")]


def test_where_it_was_to_be_made_anew_that_is_done() -> None:
    found = with_cut_off(stopped(), BEGUN)
    wiki = found.container("dokuwiki")
    assert wiki
    old = replace(wiki, labels={**wiki.labels, FINGERPRINT_LABEL: "before"})
    others = (one for one in found.containers if one is not wiki)
    plan = make_plan(DESIRED, {"core": replace(found, containers=(*others, old))})
    assert [action.verb for action in plan.actions if action.name == WIKI.key] == ["recreate"]


@pytest.mark.parametrize(
    ("found", "begun"),
    [
        (stopped(finished=BEFORE), BEGUN),
        (stopped(started=AFTER, finished=LATER), BEGUN),
        (stopped(finished=""), BEGUN),
        (stopped(), {}),
        (stopped(), {"core:service:monitoring/glances": BEGUN[NAME]}),
        (stopped(), {"other:service:wiki/dokuwiki": BEGUN[NAME]}),
        (stopped(finished=LATER), FAILED),
        (stopped(started=AFTER, finished=AFTER), FAILED),
    ],
    ids=["before", "started-since", "unknown", "nothing-begun", "another-container", "another-server",
         "after-a-run-that-failed", "started-since-by-one-that-failed"],
)  # fmt: skip
def test_what_a_person_stopped_stays(found: ObservedServer, begun: dict[str, list[Attempt]]) -> None:
    plan = make_plan(DESIRED, {"core": with_cut_off(found, begun)})
    assert plan.actions == ()
    assert [held.name for held in plan.held] == [WIKI.key]


def test_the_journal_tells_what_was_begun_and_not_ended_since_the_last_run_that_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    assert not_done(path) == {}
    journal = Journal(path)

    def begin(*actions: str) -> int:
        run = journal.begin(who="ann", command="ez apply", plan="a")
        for action in actions:
            with pytest.raises(asyncio.CancelledError), journal.step(run, action, "recreate"):
                raise asyncio.CancelledError
        with journal.step(run, "done", "recreate"):
            pass
        return run

    begin("long-ago")
    journal.end(begin("ended"), "failed")
    begin("first", "both")
    begin("second", "both")
    assert {name: len(some) for name, some in not_done(path).items()} == {"first": 1, "both": 2, "second": 1}
    journal.end(begin(), "done")
    assert not_done(path) == {}
    journal.close()


def test_the_journal_tells_what_failed_since_the_last_run_that_was_done(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal(path)

    def run(action: str, outcome: str) -> None:
        number = journal.begin(who="ann", command="ez apply", plan="a")
        with contextlib.suppress(CommandError), journal.step(number, action, "restart"):
            if outcome == "failed":
                raise CommandError("the engine is gone")
        journal.end(number, outcome)

    run("first", "failed")
    run("second", "failed")
    assert not_done(path).keys() == {"first", "second"}
    assert all(attempt.ended for some in not_done(path).values() for attempt in some)
    run("third", "done")
    assert not_done(path) == {}
    journal.close()
