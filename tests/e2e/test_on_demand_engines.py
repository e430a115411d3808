"""What people notice of apps that sleep, with either engine: real Docker, real Traefik, the product's own files.

Where Sablier cannot what the waker can, a test asks for that by its name in `on_demand/cannot.yaml` and says what
Sablier does instead.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest
from on_demand_lab import BROWSER, PACKAGES, SABLIER, LazyLab, make_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import NewServer

    from ez_homelab.config.model import OnDemandEngine
    from ez_homelab.testing.fleet import Server

IDLE = 4.0
"""Seconds after which `short` falls asleep; Traefik keeps a connection to it for ten more."""
LONGER = 25.0


@pytest.fixture(scope="module")
def server(new_server: NewServer) -> Iterator[Server]:
    made = new_server("naps", packages=PACKAGES)
    make_images(made)
    yield made
    made.remove()


@pytest.fixture(scope="module", params=["builtin", "sablier"])
def lab(request: pytest.FixtureRequest, server: Server) -> Iterator[LazyLab]:
    engine: OnDemandEngine = request.param
    if engine == "sablier" and not os.environ.get(SABLIER):
        pytest.skip(f"{SABLIER} names no executable")
    made = LazyLab(server, engine)
    yield made
    made.remove()


def together(count: int, work: Callable[[int], object]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_container_that_never_ran_is_asleep_and_the_first_who_comes_gets_the_apps_answer(lab: LazyLab) -> None:
    assert not lab.runs("quick")
    answer = lab.ask("quick", target="/a%2Fb?q=1")
    assert (answer.status, answer.told["target"]) == (200, "/a%2Fb?q=1")
    assert lab.ask("quick").told["pid"] == answer.told["pid"]
    assert lab.starts("quick") == 1


def test_a_browser_sees_a_page_and_then_what_it_asked_for(lab: LazyLab) -> None:
    page = lab.ask("slow", target="/deep?q=1", **BROWSER)
    assert page.status == 503
    assert b"Napper" in page.content
    assert b'http-equiv="refresh"' in page.content
    lab.until("the app answers the browser", lambda: lab.ask("slow", target="/deep?q=1", **BROWSER).is_the_apps)
    assert lab.ask("slow", target="/deep?q=1", **BROWSER).told["target"] == "/deep?q=1"
    assert lab.starts("slow") == 1


def test_what_is_sent_to_it_arrives_whole(lab: LazyLab) -> None:
    body = os.urandom(5_000_000)
    answer = lab.ask("sent", "POST", "/upload", body, Content_Type="application/x-anything")
    assert (answer.status, answer.told["method"], answer.told["size"]) == (200, "POST", len(body))
    assert answer.told["sum"] == hashlib.sha256(body).hexdigest()
    assert lab.starts("sent") == 1


def test_two_hundred_requests_at_once_are_one_start(lab: LazyLab) -> None:
    answers: list[tuple[int, bool]] = []

    def one(number: int) -> None:
        body = b"%06d" % number
        answer = lab.ask("many", "POST", f"/{number}", body)
        whole = answer.is_the_apps and answer.told["sum"] == hashlib.sha256(body).hexdigest()
        answers.append((answer.status, whole and answer.told["target"] == f"/{number}"))

    together(200, one)
    assert answers == [(200, True)] * 200
    assert lab.starts("many") == 1


def test_what_belongs_together_wakes_together(lab: LazyLab) -> None:
    assert lab.ask("other").is_the_apps
    lab.until_there("one")
    assert (lab.starts("one"), lab.starts("other")) == (1, 1)


@pytest.mark.parametrize(("version", "name"), [("HTTP/1.0", "elder"), ("HTTP/1.1", "younger")])
def test_whoever_asks_for_the_head_alone_wakes_it_too(lab: LazyLab, version: str, name: str) -> None:
    assert not lab.runs(name)
    with lab.dial(name) as connection:
        lines = (f"HEAD / {version}", f"Host: {name}.lab.localhost", "Connection: close", "", "")
        connection.sendall("\r\n".join(lines).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " in answer.split(b"\r\n")[0]
    assert b"X-App: yes" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_an_upgrade_wakes_it_and_keeps_its_connection(lab: LazyLab) -> None:
    with lab.upgrade("talk") as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"


@pytest.mark.parametrize("status", [404, 502, 503])
def test_an_apps_own_errors_are_its_own(lab: LazyLab, status: int) -> None:
    for who in ({}, BROWSER):
        lab.until_there("own")
        answer = lab.ask("own", target=f"/status/{status}", **who)
        if who and status == 502 and lab.cannot("own-errors-to-browsers"):
            assert (answer.status, answer.is_the_apps) == (503, False)
        else:
            assert (answer.status, answer.is_the_apps) == (status, True)


def test_a_program_that_does_not_want_to_wait_is_told_to_come_again(lab: LazyLab) -> None:
    answer = lab.ask("told", target="/api")
    assert (answer.status, answer.is_the_apps) == (503, False)
    assert lab.cannot("when-to-come-again") is not ("retry-after" in answer.fields)
    lab.until_there("told")


def test_a_monitor_wakes_nothing_and_finds_it_well(lab: LazyLab) -> None:
    for accept in ("*/*", "text/html"):
        answer = lab.ask("looked", User_Agent="Uptime-Kuma/2.0", Accept=accept)
        assert (answer.status, answer.is_the_apps) == (200, False)
    assert (lab.runs("looked"), lab.starts("looked")) == (False, 0)
    lab.until_there("looked")
    assert lab.ask("looked", User_Agent="Uptime-Kuma/2.0").is_the_apps


def test_it_is_kept_awake_in_its_hours(lab: LazyLab) -> None:
    lab.until("the app of the day is awake", lambda: lab.runs("day"), 150)


def test_an_app_that_crashes_is_said_so_and_not_started_again_and_again(lab: LazyLab) -> None:
    lab.ask("crash", **BROWSER)
    lab.until("the page has the exit code", lambda: b"3" in _failure(lab.ask("crash", **BROWSER).content))
    time.sleep(2)
    before = lab.starts("crash")
    page = lab.ask("crash", **BROWSER)
    assert (page.status, page.is_the_apps) == (503, False)
    assert lab.cannot("last-words") is not (b"the database is of another time" in page.content)
    together(10, lambda number: lab.ask("crash", target=f"/{number}"))
    answer = lab.ask("crash", "POST", "/", b"x")
    assert not answer.is_the_apps
    if lab.cannot("reason-to-programs"):
        assert (answer.status, answer.content) == (502, b"Bad Gateway")
    else:
        assert answer.status == 503
        assert b"exit code 3" in answer.content
    if lab.cannot("failed-once"):
        assert before < lab.starts("crash") <= before + 12
        assert b'content="30"' in page.content
    else:
        assert lab.starts("crash") <= before + 1


def _failure(page: bytes) -> bytes:
    """What a page says after `exit`."""
    return page.partition(b"exit")[2][:40]


def test_it_falls_asleep_when_nobody_is_there_and_wakes_again(lab: LazyLab) -> None:
    assert lab.ask("short").is_the_apps
    lab.until_asleep("short")
    assert lab.ask("short").is_the_apps


def test_nothing_falls_asleep_under_load(lab: LazyLab) -> None:
    stretches = (_started_under_load(lab) for _ in range(10))
    assert next((started for started in stretches if started is not None), None) == 0


def _started_under_load(lab: LazyLab) -> int | None:
    """How often it was started in three idle times; None where a busy machine kept this from asking often enough."""
    lab.until_there("short")
    asked, longest, over = time.monotonic(), 0.0, time.monotonic() + 3 * IDLE
    starts = lab.starts("short")
    while time.monotonic() < over:
        assert lab.ask("short").is_the_apps
        longest, asked = max(longest, time.monotonic() - asked), time.monotonic()
        time.sleep(IDLE / 4)
    return None if longest >= IDLE else lab.starts("short") - starts


def test_what_is_in_use_is_not_cut_however_long_it_takes(lab: LazyLab) -> None:
    lab.until_there("short")
    pieces = round(LONGER * 10)
    read: list[int] = []

    def download() -> None:
        answer = lab.open("short", target=f"/stream/{pieces}")
        try:
            while piece := answer.read(8):
                read.append(len(piece))
        except (OSError, HTTPException):
            pass

    fetching = threading.Thread(target=download)
    fetching.start()
    with lab.upgrade("short") as connection:
        fetching.join()
        try:
            connection.sendall(b"still here")
            echoed = connection.recv(100)
        except OSError:
            echoed = b""
    if lab.cannot("use-while-it-runs"):
        assert sum(read) < pieces * 8
        assert echoed == b""
    else:
        assert sum(read) == pieces * 8
        assert echoed == b"still here"
    lab.until_asleep("short")


def test_a_crash_of_the_engine_disturbs_nobody_for_long(lab: LazyLab) -> None:
    # `short` may be asleep again before a busy machine has killed anything; `left` is awake for long.
    lab.until_there("left")
    lab.until_there("short")
    starts = lab.starts("left")
    lab.kill(lab.name)
    if lab.cannot("without-it"):
        lab.until_there("left")
    else:
        assert lab.answers("left")
    assert lab.starts("left") == starts
    lab.until_asleep("short")
    lab.until_there("short")


@pytest.mark.parametrize("asleep", [True, False])
def test_traefik_restarts(lab: LazyLab, asleep: bool) -> None:
    lab.until_there("left")
    if asleep:
        lab.server.docker(["stop", "left"])
    lab.server.docker(["restart", "traefik"])
    lab.until_there("left")
    assert lab.answers("quick")
    lab.until_asleep("short")
    lab.until_there("short")


def test_a_container_that_is_gone_is_said_so_and_found_when_it_is_back(lab: LazyLab) -> None:
    lab.server.docker(["rm", "--force", "gone"])
    status = 502 if lab.cannot("reason-to-programs") else 503
    lab.until("it is said that nothing is there", lambda: lab.ask("gone").status == status)
    assert not lab.answers("gone")
    lab.compose("naps", "up", "--no-start", "gone")
    lab.until_there("gone")


def test_docker_restarts(lab: LazyLab) -> None:
    lab.until_there("quick")
    lab.restart_docker()
    assert not lab.runs("quick")
    lab.until("core is well", lambda: _well(lab, "traefik") and _well(lab, lab.name), 180)
    lab.until_there("quick")
    lab.until_there("short")
    lab.until_asleep("short")


def _well(lab: LazyLab, name: str) -> bool:
    shown = lab.server.docker(["inspect", "--format", "{{.State.Health.Status}}", name], check=False)
    return shown.stdout.strip() == "healthy"


def test_an_app_that_stops_unheard_wakes_again(lab: LazyLab) -> None:
    """While the engine hears nothing of Docker, a person stops it."""
    for _ in range(2):
        lab.until_there("short")
    hears = "waker-control" if lab.engine == "builtin" else "docker-control-proxy"
    lab.server.docker(["stop", hears])
    lab.server.docker(["stop", "short"])
    lab.server.docker(["start", hears])
    if lab.cannot("stopped-unheard"):
        over = time.monotonic() + 3 * IDLE
        while time.monotonic() < over:
            assert lab.ask("short", **BROWSER).status == 503
        time.sleep(2 * IDLE)
    lab.until_there("short")
