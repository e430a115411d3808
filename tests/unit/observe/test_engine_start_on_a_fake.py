"""What a person stopped, and what an engine stopped that came back after a crash: told apart by when it ended.

The times are those of a Docker 20.10.24 that was killed and started again: process number written, containers ended,
network made, and only then an answer to anybody.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ez_homelab.observe.engine_start import ASK_START, THE_ENGINE, with_engine_stops
from ez_homelab.observe.observed import ObservedContainer, ObservedNetwork
from ez_homelab.plan import make_plan
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

STARTED = "1795387356"  # 2026-11-22T22:42:36Z
MADE = "2026-11-22T23:42:42.863188697+01:00"
CONTAINER = ObservedContainer(
    "1", "wiki", "wiki:1", "sha256:1", "exited", "none", 143, False, "", 0, "2026-11-22T22:40:00Z", {}, (), {}
)


def seen(finished_at: str, *, started: str = STARTED, made: str = MADE) -> ObservedContainer:
    host = FakeHost("core")
    host.answer(ASK_START.argv, stdout=f"{started}\n" if started else "", status=0 if started else 1)
    network = ObservedNetwork("2", "bridge", (), internal=False, managed=False, created=made)
    container = replace(CONTAINER, finished_at=finished_at)
    return asyncio.run(with_engine_stops(host, (container,), (network,)))[0]


def test_what_ended_while_the_engine_started_was_not_stopped_by_a_person() -> None:
    assert seen("2026-11-22T22:42:40.610066846Z").held == ""


@pytest.mark.parametrize(
    "finished_at", ["2026-11-22T22:41:00.1Z", "2026-11-22T22:43:10.5Z", "", "0001-01-01T00:00:00Z"]
)
def test_what_ended_before_or_after_was(finished_at: str) -> None:
    assert seen(finished_at).held == "stopped by a person"


@pytest.mark.parametrize("unknown", [{"started": ""}, {"made": ""}, {"made": "yesterday"}])
def test_where_the_start_is_not_known_it_is_left_alone(unknown: dict[str, str]) -> None:
    assert seen("2026-11-22T22:42:40Z", **unknown).held == "stopped by a person"


def test_it_is_started_again_without_being_asked_to() -> None:
    desired = desired_of(make_lab())
    found = observed_as(desired, containers={"dokuwiki": {"state": "exited", "stopped_by": THE_ENGINE}})
    plan = make_plan(desired, found)
    assert [(action.name.partition("/")[2], action.verb) for action in plan.actions] == [("dokuwiki", "start")]
    assert plan.held == ()


async def test_what_sleeps_is_nobodys_doing() -> None:
    host = FakeHost("core")
    network = ObservedNetwork("2", "bridge", (), internal=False, managed=False, created=MADE)
    container = replace(CONTAINER, finished_at="2026-11-22T22:42:40.610066846Z", restart_policy="no")
    assert await with_engine_stops(host, (container,), (network,)) == (container,)
    assert host.commands == []
