"""The proof of apps that sleep, by true HTTPS: who wakes one, what is put to sleep again, and what is said of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from lazy_site import BrokenOffError, made, proven, proving, sleeper

from ez_homelab.verify.lazy import NOT_WOKEN
from ez_homelab.verify.waking import Waking
from ez_homelab.waker_admin import AppInUseError, WakerError

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.verify.proof import Check

ALL = Waking(None)
USUAL = ["name", "anonymous is not let in", "forged names are no sign-on", "signed-in gets the app"]
REDIRECT = "plain HTTP redirects"


@pytest.fixture(autouse=True)
def again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.verify.lazy.AGAIN", 0.0)


def failures(rows: list[Check]) -> list[str]:
    return [f"{row.subject}: {row.claim}" for row in rows if row.state == "failed"]


def the(rows: list[Check], claim: str) -> Check:
    (row,) = (row for row in rows if row.claim == claim)
    return row


# --- left asleep -----------------------------------------------------------------------------------------------


async def test_an_app_that_sleeps_is_left_asleep_and_who_may_pass_is_proven(tmp_path: Path) -> None:
    apps = made(sleeper("wiki", "two_factor"))
    rows = await proven(tmp_path, apps, Waking())
    assert [row.claim for row in rows] == ["asleep", *USUAL[:3], "asks for a second factor", REDIRECT]
    assert failures(rows) == []
    assert rows[0].evidence == f"asleep; {NOT_WOKEN}"
    assert apps.engine.events == []


@pytest.mark.parametrize("policy", ["one_factor", "bypass", "deny"])
async def test_a_door_that_stands_open_is_a_failure_and_wakes_nothing(tmp_path: Path, policy: str) -> None:
    apps = made(sleeper("wiki", policy, *(["/open"] if policy == "one_factor" else [])))  # type: ignore[arg-type]
    apps.door_is_open = True
    rows = await proven(tmp_path, apps, Waking())
    assert bool(failures(rows)) is (policy != "bypass")
    assert apps.engine.events == []


@pytest.mark.parametrize(("group", "path"), [
    (sleeper("wiki", "one_factor", "/open"), "/open"), (sleeper("wiki", "bypass"), "/well"),
])  # fmt: skip
async def test_monitors_are_answered_and_wake_nothing(tmp_path: Path, group: object, path: str) -> None:
    apps = made(group)  # type: ignore[arg-type]
    rows = await proven(tmp_path, apps, Waking())
    assert failures(rows) == []
    assert the(rows, "monitors see it asleep").evidence == f"200 at {path}, and it is asleep"
    assert apps.engine.events == []


async def test_a_monitor_that_wakes_an_app_is_a_failure(tmp_path: Path) -> None:
    apps = made(sleeper("wiki", "bypass"))
    apps.engine.knows_monitors = False
    assert failures(await proven(tmp_path, apps, Waking())) == ["wiki: monitors see it asleep"]


async def test_an_app_that_is_awake_is_proven_as_ever_and_stays_awake(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"))
    apps.engine.awake.add("wiki")
    for waking in (Waking(), ALL):
        rows = await proven(tmp_path, apps, waking)
        assert [row.claim for row in rows] == ["awake", *USUAL, REDIRECT]
        assert failures(rows) == []
    assert apps.engine.events == []


# --- woken -----------------------------------------------------------------------------------------------------


async def test_an_app_is_woken_by_somebody_who_is_signed_in_proven_and_put_to_sleep(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"))
    rows = await proven(tmp_path, apps, Waking(None))
    assert [row.claim for row in rows] == ["asleep", "wakes", *USUAL, REDIRECT]
    assert failures(rows) == []
    assert the(rows, "wakes").evidence.startswith("first byte after 0.")
    assert the(rows, "wakes").evidence.endswith(" s: 200 at /well")
    assert apps.engine.events == ["asked wiki", "to sleep wiki"]
    assert apps.engine.awake == set()


async def test_only_the_apps_that_are_meant_are_woken(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"), sleeper("books", apps=("shelf",)), sleeper("notes"))
    rows = await proven(tmp_path, apps, Waking({"shelf"}))
    assert failures(rows) == []
    assert apps.engine.events == ["asked books", "to sleep books"]


async def test_what_sleeps_together_is_woken_once(tmp_path: Path) -> None:
    apps = made(sleeper("wiki", "one_factor", apps=("talk", "wiki-db")))
    rows = await proven(tmp_path, apps, Waking(None))
    woken = {row.subject: row.evidence for row in rows if row.claim == "wakes"}
    assert woken.keys() == {"wiki", "talk", "wiki-db"}
    assert woken["talk"] == woken["wiki-db"] == "with wiki"
    assert [row.subject for row in rows if row.claim == "signed-in gets the app"] == ["wiki", "talk"]
    assert apps.engine.events == ["asked wiki", "to sleep wiki"]


async def test_where_no_request_is_let_through_it_is_woken_by_order(tmp_path: Path) -> None:
    apps = made(sleeper("shut", "deny"), sleeper("only-db"))
    rows = await proven(tmp_path, apps, Waking(None))
    assert failures(rows) == []
    assert {row.subject: row.evidence[:18] for row in rows if row.claim == "wakes"} == {
        "shut": "ready after 1.50 s", "only-db": "ready after 1.50 s",
    }  # fmt: skip
    assert sorted(apps.engine.events) == ["ordered only-db", "ordered shut", "to sleep only-db", "to sleep shut"]


async def test_without_people_it_is_woken_by_order_and_the_proof_fails_all_the_same(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"))
    rows = await proven(tmp_path, apps, Waking(None), "the gate did not answer")
    assert failures(rows) == ["wiki: signed-in gets the app"]
    assert apps.engine.events == ["ordered wiki", "to sleep wiki"]


async def test_an_app_that_does_not_start_is_put_to_sleep_too(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"))
    apps.answer = 503
    rows = await proven(tmp_path, apps, Waking(None))
    assert failures(rows) == ["wiki: wakes"]
    assert the(rows, "wakes").evidence.endswith(" s: 503 at /well, expected 200; awake")
    assert "signed-in gets the app" not in [row.claim for row in rows]
    assert apps.engine.events == ["asked wiki", "to sleep wiki"]


async def test_a_start_that_is_refused_says_why(tmp_path: Path) -> None:
    apps = made(sleeper("shut", "deny"))
    apps.engine.refuses["wake"] = WakerError("shut has not started: the database is of another time")
    rows = await proven(tmp_path, apps, Waking(None))
    assert the(rows, "wakes").evidence == "shut has not started: the database is of another time"
    assert failures(rows) == ["shut: wakes"]


@pytest.mark.parametrize(("kind", "state"), [(AppInUseError, "note"), (WakerError, "failed")])
async def test_an_app_that_stays_awake_is_told(tmp_path: Path, kind: type[WakerError], state: str) -> None:
    apps = made(sleeper("wiki"))
    apps.engine.refuses["sleep"] = kind("wiki stays awake")
    row = the(await proven(tmp_path, apps, Waking(None)), "sleeps again")
    assert (row.state, row.evidence) == (state, "wiki stays awake")


async def test_programs_that_are_told_to_come_again_do(tmp_path: Path) -> None:
    apps = made(sleeper("wiki", clients="503"))
    apps.soon = [503, 503, 503]
    rows = await proven(tmp_path, apps, Waking(None))
    assert failures(rows) == []
    assert apps.soon == []


async def test_what_held_is_not_woken_for_the_next_look_and_what_did_not_is(tmp_path: Path) -> None:
    apps, waking = made(sleeper("wiki"), sleeper("slow")), Waking(None)
    apps.engine.awake.add("wiki")
    apps.answer = 503
    assert len(failures(await proven(tmp_path, apps, waking))) == 2
    apps.engine.awake.clear()
    apps.answer = 200
    first = await proven(tmp_path, apps, waking)
    assert failures(first) == []
    apps.engine.events.clear()
    assert await proven(tmp_path, apps, waking) == first
    assert apps.engine.events == []


async def test_what_somebody_else_has_woken_before_its_turn_stays_awake(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"))
    apps.engine.woken_after_a_look = {"wiki"}
    rows = await proven(tmp_path, apps, Waking(None))
    assert [row.claim for row in rows] == ["awake", *USUAL, REDIRECT]
    assert failures(rows) == []
    assert apps.engine.events == []


async def test_what_nobody_knows_about_is_not_woken(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"))
    apps.engine.blind = True
    rows = await proven(tmp_path, apps, Waking(None))
    assert failures(rows) == ["wiki: asleep"]
    assert rows[0].evidence == "nobody could say"
    assert apps.engine.events == []


# --- whatever happens ------------------------------------------------------------------------------------------


async def test_whoever_breaks_off_leaves_nothing_awake_that_slept(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"), sleeper("books"), sleeper("used"))
    apps.engine.awake.add("used")
    apps.hold.clear()
    async with proving(tmp_path, apps, Waking(None)) as proof:
        task = asyncio.create_task(proof.rows())
        await apps.engine.until_awake(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        apps.hold.set()
    assert apps.engine.awake == {"used"}


async def test_an_error_in_one_leaves_no_other_awake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = made(sleeper("shut", "deny"), sleeper("wiki"), sleeper("books"))

    async def breaks(*_: object) -> float:
        await apps.engine.until_awake(2)
        raise BrokenOffError

    monkeypatch.setattr(apps.engine, "wake", breaks)
    apps.hold.clear()
    async with proving(tmp_path, apps, Waking(None)) as proof:
        with pytest.raises(ExceptionGroup) as raised:
            await proof.rows()
        apps.hold.set()
    assert raised.group_contains(BrokenOffError)
    assert apps.engine.awake == set()


@pytest.mark.parametrize(("free", "most"), [(8_000_000, 4), (250_000, 2), (1000, 1)])
async def test_no_more_are_awake_at_once_than_memory_allows(tmp_path: Path, free: int, most: int) -> None:
    apps = made(*(sleeper(f"app{number}") for number in range(7)))
    rows = await proven(tmp_path, apps, Waking(None), memory=b"MemAvailable: %d kB\n" % free)
    assert failures(rows) == []
    assert len([row for row in rows if row.claim == "wakes"]) == 7
    assert apps.engine.most <= most
    assert apps.engine.awake == set()


# --- an engine that takes no orders ----------------------------------------------------------------------------


async def test_an_engine_without_orders_puts_to_sleep_by_itself(tmp_path: Path) -> None:
    apps = made(sleeper("wiki"), sleeper("shut", "deny"))
    apps.engine.orders = None
    rows = await proven(tmp_path, apps, Waking(None))
    assert failures(rows) == []
    assert the([row for row in rows if row.subject == "wiki"], "wakes").evidence.endswith("200 at /well")
    assert [row.claim for row in rows if row.state == "note"] == ["sleeps again", "wakes", "sleeps again"]
    assert apps.engine.events == ["asked wiki"]


async def test_what_does_not_fall_asleep_again_leaves_no_memory_for_the_next(tmp_path: Path) -> None:
    apps = made(*(sleeper(f"app{number}") for number in range(4)))
    apps.engine.orders = None
    rows = await proven(tmp_path, apps, Waking(None), memory=b"MemAvailable: 210000 kB\n")
    assert len(apps.engine.awake) == 2
    assert len([row for row in rows if row.evidence.startswith("not woken: what was woken before")]) == 2
    assert failures(rows) == []
