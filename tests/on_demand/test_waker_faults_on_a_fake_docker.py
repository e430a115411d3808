"""What breaks around the waker, and what comes of it. A real Traefik; Docker alone is a fake."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from waker_world import BROWSER, PATIENCE, World

if TYPE_CHECKING:
    from collections.abc import Iterator

TWENTY = [f"one{number}" for number in range(20)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("faults"), subfolder=True)
    try:
        for name in (*TWENTY, "stuck", "busy"):
            made.add(name)
        made.add("held", "2")
        made.add("hung", "60", timeout=1)
        made.add("pair", extra=("pair-db",))
        made.add("short", idle=1)
        made.add("day", awake=[{"from": "00:00", "until": "24:00"}])
        made.start()
        yield made
    finally:
        made.stop()


def test_twenty_apps_at_once_are_one_start_each(world: World) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda name: world.ask(name, target=f"/{name}"), TWENTY))
    for name, (status, _, content) in zip(TWENTY, answers, strict=True):
        told = json.loads(content)
        assert (status, told["target"], told["fields"]["host"]) == (200, f"/{name}", f"{name}.lab")
    assert [world.docker.containers[name].starts for name in TWENTY] == [1] * 20


def test_a_route_file_that_cannot_be_written(world: World) -> None:
    in_the_way = world.routes / ".app-stuck.yml.new"
    in_the_way.mkdir()
    assert world.ask("stuck")[0] == 200
    world.until(lambda: "cannot be written" in world.app("stuck")["trouble"])
    assert world.ask("stuck")[0] == 200
    assert world.app("stuck")["state"] == "awake"
    in_the_way.rmdir()
    assert world.order("POST", "/apps/stuck/sleep")["state"] == "asleep"
    assert world.app("stuck")["trouble"] == ""
    assert world.ask("stuck")[0] == 200
    world.until_app("stuck", leads_to="app")
    in_the_way.mkdir()
    assert "cannot be written" in world.order("POST", "/apps/stuck/sleep")["error"]
    assert world.docker.running("stuck")
    assert "cannot be written" in world.app("stuck")["trouble"]
    in_the_way.rmdir()
    assert world.order("POST", "/apps/stuck/sleep")["state"] == "asleep"
    assert world.app("stuck")["trouble"] == ""


def test_whoever_comes_while_an_app_is_put_to_sleep_is_served(world: World) -> None:
    world.order("POST", "/apps/busy/wake")
    world.until_app("busy", leads_to="app")
    statuses = []

    def come() -> None:
        for _ in range(30):
            statuses.append(world.ask("busy", "POST", "/", b"x")[0])
            time.sleep(0.02)

    coming = threading.Thread(target=come)
    coming.start()
    for _ in range(3):
        world.order("POST", "/apps/busy/sleep")
    coming.join()
    assert statuses == [200] * 30


def test_a_waker_that_is_killed_while_it_holds_requests(world: World) -> None:
    assert world.waker is not None
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(world.ask, "held", "POST", "/", b"x") for _ in range(3)]
        world.until_app("held", state="waking")
        world.until(lambda: world.docker.running("held"))
        world.restart()
        assert {one.result()[0] for one in asked} == {502}
    assert world.ask("held")[0] == 200
    assert world.docker.containers["held"].starts == 1


def test_a_waker_that_is_told_to_end_says_so_to_those_who_wait(world: World) -> None:
    world.order("POST", "/apps/held/sleep")
    assert world.waker is not None
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(world.ask, "held", "POST", "/", b"x")
        world.until_app("held", state="waking")
        world.until(lambda: world.docker.running("held"))
        world.waker.stop()
        status, fields, _ = asked.result()
    world.start()
    assert (status, fields["Retry-After"]) == (503, "1")


def test_who_goes_while_waiting_leaves_nothing_behind(world: World) -> None:
    world.until_app("held", state="awake")
    world.order("POST", "/apps/held/sleep")
    connection = socket.create_connection(("127.0.0.1", world.web), PATIENCE)
    connection.sendall(b"POST / HTTP/1.1\r\nHost: held.lab\r\nContent-Length: 5\r\n\r\nhello")
    world.until_app("held", state="waking")
    connection.close()
    world.until_app("held", state="awake")
    assert world.app("held")["in_flight"] == 0


def test_an_app_that_never_gets_ready(world: World) -> None:
    status, _, content = world.ask("hung", target="/api")
    assert status == 503
    assert b"not ready within 1 seconds" in content
    world.until(lambda: not world.docker.running("hung"))
    page = world.ask("hung", **BROWSER)[2].decode()
    assert "not ready within 1 seconds" in page


def test_half_an_app_that_runs_is_stopped(world: World) -> None:
    assert world.app("pair")["state"] == "asleep"
    world.docker.start("pair-db")
    world.until(lambda: not world.docker.running("pair-db"))
    assert world.app("pair")["state"] == "asleep"


def test_what_cannot_be_seen_is_not_taken_for_silence(world: World) -> None:
    world.order("POST", "/apps/short/wake")
    world.until_app("short", leads_to="app")
    assert world.health() == 200
    world.traefik.kill()
    world.until(lambda: (world.app("short")["unused"] or 0) > 3)
    assert world.docker.running("short")
    assert world.health() == 503
    world.restart_traefik()
    world.until_app("short", state="asleep", leads_to="waker")


def test_an_app_is_awake_in_its_hours(world: World) -> None:
    world.until_app("day", state="awake", leads_to="app")
    assert "kept awake at this hour" in world.order("POST", "/apps/day/sleep")["error"]
    world.docker.stop("day")
    world.until(lambda: world.docker.containers["day"].starts == 2)
    world.until_app("day", state="awake", leads_to="app")


def test_the_waker_ends_in_order(world: World) -> None:
    assert world.waker is not None
    figures = world.folder / "run/waker.prom"
    assert "ez_homelab_group_state" in figures.read_text()
    world.waker._process.send_signal(signal.SIGTERM)
    assert world.waker._process.wait(PATIENCE) == 0
    assert not figures.exists()
    log = (world.folder / "waker.log").read_text()
    assert "Traceback" not in log
    assert log.rstrip().endswith("ended")
