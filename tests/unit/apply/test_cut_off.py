"""What a run had stopped that was cut off is not what a person stopped: by the journal, and by when it ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ez_homelab.apply.cut_off import with_cut_off
from ez_homelab.apply.journal import Journal, cut_off
from ez_homelab.plan import make_plan
from ez_homelab.render.desired import FINGERPRINT_LABEL
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.observe.observed import ObservedServer

DESIRED = desired_of(make_lab())
WIKI = next(service for service in DESIRED.servers["core"].services if service.name == "dokuwiki")
BEGUN = {f"core:service:{WIKI.key}": "2026-11-22T22:00:00.000+00:00"}
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
        (stopped(), {"core:service:monitoring/glances": BEGUN[f"core:service:{WIKI.key}"]}),
        (stopped(), {"other:service:wiki/dokuwiki": BEGUN[f"core:service:{WIKI.key}"]}),
    ],
    ids=["before", "started-since", "unknown", "nothing-begun", "another-container", "another-server"],
)
def test_what_a_person_stopped_stays(found: ObservedServer, begun: dict[str, str]) -> None:
    plan = make_plan(DESIRED, {"core": with_cut_off(found, begun)})
    assert plan.actions == ()
    assert [held.name for held in plan.held] == [WIKI.key]


def test_the_journal_tells_what_was_begun_and_not_ended_since_the_last_run_that_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    assert cut_off(path) == {}
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
    assert cut_off(path).keys() == {"first", "second", "both"}
    journal.end(begin(), "done")
    assert cut_off(path) == {}
    journal.close()
