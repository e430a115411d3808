"""Apps that are held while somebody else changes their containers. A real Traefik; Docker alone is a fake."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from waker_world import BROWSER, World

from ez_homelab.runtime.waker import admin

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("held"), subfolder=True)
    try:
        for name in ("asleep", "used", "kept", "lost", "page", "short", "early"):
            made.add(name)
        made.add("slow", "2")
        made.start()
        yield made
    finally:
        made.stop()


def changed(world: World, name: str) -> None:
    """What an apply does to an app: another container, and it is up."""
    world.docker.stop(name)
    world.docker.start(name)


def test_what_slept_is_changed_asleep_and_sleeps_again(world: World) -> None:
    assert world.order("POST", "/apps/asleep/hold/60") == {"app": "asleep", "state": "held", "seconds": 60.0}
    assert 50 < world.app("asleep")["held"] <= 60
    world.docker.start("asleep")
    world.until(lambda: world.docker.running("asleep"))
    assert world.order("POST", "/apps/asleep/release") == {"app": "asleep", "state": "asleep", "reason": ""}
    assert not world.docker.running("asleep")
    assert world.app("asleep")["held"] is None
    assert world.docker.containers["asleep"].starts == 1


def test_whoever_comes_meanwhile_waits_and_is_served_by_the_new_one(world: World) -> None:
    world.order("POST", "/apps/used/wake")
    world.until_app("used", leads_to="app")
    before = json.loads(world.ask("used")[2])["pid"]
    assert world.order("POST", "/apps/used/hold/60")["state"] == "held"
    assert world.app("used")["leads_to"] == "waker"
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(world.ask, "used", "POST", f"/{number}", b"x" * 2_000_000) for number in range(5)]
        changed(world, "used")
        assert "being changed" in world.order("POST", "/apps/used/sleep")["error"]
        assert not any(one.done() for one in asked)
        assert world.order("POST", "/apps/used/release")["state"] == "awake"
        answers = [json.loads(one.result()[2]) for one in asked]
    assert {one["size"] for one in answers} == {2_000_000}
    assert before not in {one["pid"] for one in answers}
    world.until_app("used", leads_to="app")
    assert world.docker.containers["used"].starts == 2


def test_nothing_of_it_is_started_or_stopped(world: World) -> None:
    world.order("POST", "/apps/kept/hold/60")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(world.ask, "kept")
        for _ in range(3):
            world.docker.start("kept")
            world.docker.stop("kept")
        requests = [line for line in world.docker.requests if "/kept/" in line and line.startswith("POST")]
        assert requests == []
        assert world.order("POST", "/apps/kept/release")["state"] == "awake"
        assert asked.result()[0] == 200
    assert world.docker.containers["kept"].starts == 4


def test_a_browser_sees_that_it_is_being_changed(world: World) -> None:
    world.order("POST", "/apps/page/hold/60")
    status, _, content = world.ask("page", **BROWSER)
    assert status == 503
    assert b"is being changed, and is back in a moment." in content
    assert world.ask("page", User_Agent="Uptime-Kuma/2")[2] == b"held\n"
    events = world.open("page", target="/.waker/events")
    told: list[dict[str, Any]] = []
    reading = threading.Thread(target=lambda: told.extend(json.loads(x[6:]) for x in events.read().split(b"\n\n") if x))
    reading.start()
    world.docker.start("page")
    world.order("POST", "/apps/page/release")
    reading.join()
    assert (told[0]["state"], told[-1]["state"]) == ("held", "awake")


def test_a_waker_that_is_killed_holds_still(world: World) -> None:
    world.order("POST", "/apps/lost/wake")
    world.order("POST", "/apps/lost/hold/60")
    world.docker.stop("lost")
    world.restart()
    assert world.app("lost")["state"] == "held"
    assert 0 < world.app("lost")["held"] <= 60
    world.docker.start("lost")
    assert world.order("POST", "/apps/lost/release")["state"] == "awake"


def test_a_hold_that_nobody_ends_ends(world: World) -> None:
    world.order("POST", "/apps/short/hold/1")
    assert world.ask("short")[0] == 200
    assert world.app("short")["state"] == "awake"


def test_a_start_is_broken_off(world: World) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(world.ask, "slow")
        world.until(lambda: world.docker.running("slow"))
        assert world.order("POST", "/apps/slow/hold/60")["state"] == "held"
        assert world.docker.running("slow")
        assert world.order("POST", "/apps/slow/release")["state"] == "awake"
        assert asked.result()[0] == 200
    assert world.docker.containers["slow"].starts == 1


def test_an_app_whose_names_cannot_be_led_to_the_waker_is_not_held(world: World) -> None:
    world.order("POST", "/apps/early/wake")
    world.until_app("early", leads_to="app")
    in_the_way = world.routes / ".app-early.yml.new"
    in_the_way.mkdir()
    refused = world.order("POST", "/apps/early/hold/60")
    assert (refused["kind"], "cannot be written" in refused["error"]) == ("route", True)
    in_the_way.rmdir()
    world.until_app("early", state="awake", leads_to="app")


def test_orders_that_make_no_sense(world: World) -> None:
    world.order("POST", "/apps/kept/wake")
    assert world.order("POST", "/apps/kept/hold/0")["kind"] == "request"
    assert world.order("POST", "/apps/kept/hold/3601")["kind"] == "request"
    assert world.order("POST", "/apps/kept/hold/soon")["kind"] == "request"
    assert world.order("POST", "/apps/nothing/hold/60")["kind"] == "unknown"
    assert world.order("POST", "/apps/kept/release")["state"] == "awake"


def test_the_client_holds_and_releases(
    world: World, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("WAKER_SOCKET", str(world.folder / "run/admin.sock"))
    assert admin.main(["hold", "asleep", "60"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["state"] == "held"
    assert admin.main(["release", "asleep"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["state"] == "asleep"
    assert admin.main(["release", "a/../b c"]) == 1
    assert json.loads(capfdbinary.readouterr().out)["kind"] == "unknown"
