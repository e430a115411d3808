"""What a proof makes of what the waker and Docker tell of apps that sleep, and the routers that it looks for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.config.load import lab_from_text
from ez_homelab.lazy.monitors import PATTERN
from ez_homelab.runtime.waker.routes import RouteFiles
from ez_homelab.runtime.waker.settings import read_lazy
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import desired_of, observed_as
from ez_homelab.verify.lazy import MONITOR
from ez_homelab.verify.on_demand import ASK_RUNNING, in_words, lazy_groups, on_demand
from ez_homelab.verify.server import judge_routers
from ez_homelab.verify.waking import free_memory
from ez_homelab.waker_admin import ASK_WAKER

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.render.desired import Desired, DesiredServer
    from ez_homelab.verify.on_demand import OnDemand, Seen

TEXT = """
version: 1
domain: lab.localhost
on_demand: {engine: %s}
stacks:
  wiki: [{mediawiki: {lazy: {mode: stop}}}, dokuwiki]
"""
TOLD: dict[str, Any] = {
    "title": "MediaWiki", "state": "asleep", "since": 720.0, "unused": None, "leads_to": "waker", "trouble": "",
    "reason": "", "retry_in": None, "held": None, "failures": 0, "in_flight": 0, "scheduled": False,
    "wakes": {"count": 0, "p50": None, "p95": None}, "memory": 0,
}  # fmt: skip


def lab_with(engine: str) -> Desired:
    return desired_of(lab_from_text(TEXT % engine))


BUILT_IN, SABLIER = lab_with("builtin"), lab_with("sablier")
SERVER = BUILT_IN.servers["core"]
CONTAINERS = SERVER.wake_groups[0].containers
NAMES = ", ".join(CONTAINERS)


def engine_on(host: FakeHost, desired: Desired, **changes: dict[str, Any]) -> OnDemand:
    return on_demand(host, desired.servers["core"], observed_as(desired, containers=changes)["core"])


def asleep(server: DesiredServer) -> dict[str, dict[str, Any]]:
    return {name: {"state": "exited"} for group in server.wake_groups for name in group.containers}


async def seen(*, running: bool, **told: object) -> Seen:
    host = FakeHost("core")
    host.answer((*ASK_WAKER, "status"), stdout=json.dumps({"apps": {"mediawiki": TOLD | told}, "memory_saved": 0}))
    return (await engine_on(host, BUILT_IN, **({} if running else asleep(SERVER))).look())["mediawiki"]


# Whether its containers run, and what the waker tells: whether it is awake and well, and what is said of it.
STATES: dict[str, tuple[bool, dict[str, object], tuple[bool, bool, str]]] = {
    "asleep": (False, {}, (False, True, f"asleep for 12 min: {NAMES}")),
    "just asleep, and Docker was asked before": (True, {"since": 3.0}, (False, True, f"asleep for 3 s: {NAMES}")),
    "asleep, and runs": (True, {}, (False, False, f"asleep for 12 min: {NAMES}, yet Docker runs {NAMES}")),
    "awake": (True, {"state": "awake"}, (True, True, f"awake for 12 min: {NAMES}")),
    "waking": (True, {"state": "waking", "since": 1.0}, (True, True, f"waking for 1 s: {NAMES}")),
    "falling asleep": (True, {"state": "falling_asleep"}, (False, True, f"falling asleep for 12 min: {NAMES}")),
    "held": (True, {"state": "held", "since": 9.0}, (False, True, f"held for 9 s: {NAMES}")),
    "failed": (False, {"state": "failed", "reason": "x"}, (False, False, "it has not started: x")),
    "Traefik does not follow": (
        True, {"state": "awake", "trouble": "Traefik does not confirm the route"},
        (True, False, "Traefik does not confirm the route"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STATES)
async def test_what_the_waker_says(case: str) -> None:
    running, told, expected = STATES[case]
    found = await seen(running=running, **told)
    assert (found.awake, found.well, found.evidence) == expected


async def test_an_app_that_the_waker_does_not_know_is_not_well() -> None:
    host = FakeHost("core")
    host.answer((*ASK_WAKER, "status"), stdout='{"apps": {}, "memory_saved": 0}')
    found = (await engine_on(host, BUILT_IN).look())["mediawiki"]
    assert (found.awake, found.well, found.evidence) == (None, False, "the waker does not know it")


async def test_a_waker_that_does_not_answer_leaves_nothing_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.waker_admin.ASKED_AGAIN", (0.0, 0.0))
    found = (await engine_on(FakeHost("core"), BUILT_IN).look())["mediawiki"]
    assert (found.awake, found.well) == (None, False)
    assert "did not answer" in found.evidence


async def test_orders_go_to_the_waker() -> None:
    host = FakeHost("core")
    host.answer((*ASK_WAKER, "wake", "mediawiki"), stdout='{"app": "mediawiki", "state": "awake", "seconds": 2.5}')
    host.answer((*ASK_WAKER, "sleep", "mediawiki"), stdout='{"app": "mediawiki", "state": "asleep"}')
    (group,) = lazy_groups(SERVER, BUILT_IN.routes)
    orders = engine_on(host, BUILT_IN).orders
    assert orders is not None
    assert await orders.wake(group) == 2.5
    await orders.sleep(group)
    assert [command.argv[-2:] for command in host.commands] == [("wake", "mediawiki"), ("sleep", "mediawiki")]


@pytest.mark.parametrize(("running", "expected"), [
    ((), (False, True, f"asleep: {NAMES}")),
    (CONTAINERS, (True, True, f"awake: {NAMES}")),
    (CONTAINERS[:1], (True, False, f"awake: {CONTAINERS[0]}, but not {', '.join(CONTAINERS[1:])}")),
])  # fmt: skip
async def test_with_sablier_it_is_docker_that_says_what_sleeps(
    running: tuple[str, ...], expected: tuple[bool, bool, str]
) -> None:
    host = FakeHost("core")
    host.answer(ASK_RUNNING.argv, stdout="".join(f"{name}\n" for name in ("traefik", *running)))
    engine = engine_on(host, SABLIER)
    assert engine.orders is None
    found = (await engine.look())["mediawiki"]
    assert (found.awake, found.well, found.evidence) == expected


async def test_with_sablier_and_without_docker_nothing_is_well() -> None:
    found = (await engine_on(FakeHost("core"), SABLIER).look())["mediawiki"]
    assert (found.awake, found.well) == (None, False)


def test_what_a_group_is() -> None:
    (group,) = lazy_groups(SERVER, BUILT_IN.routes)
    assert (group.name, [route.name for route in group.routes]) == ("mediawiki", ["mediawiki"])
    reserved = [service.reserved_memory for service in SERVER.services if service.name in CONTAINERS]
    assert len(reserved) > 1
    assert group.memory == sum(reserved) > 100_000_000


# --- routers ---------------------------------------------------------------------------------------------------


def as_traefik_tells(document: Any) -> list[dict[str, Any]]:
    routers = document["http"]["routers"].items()
    return [{"name": f"{name}@file", "provider": "file", "status": "enabled", **one} for name, one in routers]


def test_the_wakers_routers_are_those_that_it_writes(tmp_path: Path) -> None:
    (text,) = (file.content.decode() for file in SERVER.files if file.path.endswith("/lazy.json"))
    files, lazy = RouteFiles(tmp_path, "http://127.0.0.1:9095"), read_lazy(text)
    files.monitors = lazy.monitors
    there = as_traefik_tells(json.loads(files.text(lazy.apps["mediawiki"], direct=False)))
    declared = engine_on(FakeHost("core"), BUILT_IN).routers(BUILT_IN.routes)
    assert declared == {one["name"]: one["rule"] for one in there}
    assert [row.evidence for row in judge_routers(there, declared)] == ["3 routers, all declared"]


@pytest.mark.parametrize("name", ["mediawiki", "mediawiki-page", "mediawiki-monitor"])
def test_a_router_of_a_sleeping_app_that_is_missing_or_answers_something_else_is_named(name: str) -> None:
    declared = engine_on(FakeHost("core"), BUILT_IN).routers(BUILT_IN.routes)
    there = [{"name": one, "provider": "file", "status": "enabled", "rule": rule} for one, rule in declared.items()]
    without = [one for one in there if one["name"] != f"{name}@file"]
    other = {"name": f"{name}@file", "provider": "file", "status": "enabled", "rule": "Path(`/`)"}
    by_hand = other | {"name": "mine@file"}
    assert [row.evidence for row in judge_routers(without, declared)] == [f"{name}@file is missing"]
    assert [row.evidence for row in judge_routers([*without, other], declared)] == [f"{name}@file answers Path(`/`)"]
    assert [row.state for row in judge_routers([*there, by_hand], declared)] == ["passed", "note"]


def test_sabliers_routers_are_those_of_its_file() -> None:
    (text,) = (file.content for file in SABLIER.servers["core"].files if file.path.endswith("/on-demand.yml"))
    declared = engine_on(FakeHost("core"), SABLIER).routers(SABLIER.routes)
    assert declared == {one["name"]: one["rule"] for one in as_traefik_tells(json.loads(text))}
    assert "mediawiki@file" in declared


def test_a_name_that_may_sleep_and_is_not_in_sabliers_file_is_missed() -> None:
    server = replace(SABLIER.servers["core"], files=())
    engine = on_demand(FakeHost("core"), server, observed_as(SABLIER)["core"])
    assert engine.routers(SABLIER.routes) == {"mediawiki@file": "Host(`mediawiki.lab.localhost`)"}


# --- small things ----------------------------------------------------------------------------------------------


def test_the_proofs_monitor_is_one_that_the_engines_know() -> None:
    assert re.match(PATTERN, MONITOR)


@pytest.mark.parametrize(("content", "free"), [
    (b"MemTotal: 8 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n", 2_097_152), (b"nothing", 0), (None, 0),
])  # fmt: skip
async def test_how_much_memory_is_free(content: bytes | None, free: int) -> None:
    host = FakeHost("core", files={"/proc/meminfo": content} if content else {})
    assert await free_memory(host) == free


@pytest.mark.parametrize(("seconds", "words"), [
    (0.4, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (7200.0, "2 h"), (200_000.0, "2 d"),
])  # fmt: skip
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
