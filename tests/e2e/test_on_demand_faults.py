"""What people notice of apps that sleep while something is wrong: real Docker, real Traefik, the product's own files.

Twenty apps asked at once on a small machine, an engine that is killed, a Traefik that restarts in the middle of a
change, a folder that cannot be written, a clock that jumps. Each app tells its name: no other may answer for it.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from on_demand_lab import PACKAGES, SABLIER, SHORT_PATIENCE, LazyLab, make_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from conftest import NewServer

    from ez_homelab.config.model import OnDemandEngine
    from ez_homelab.testing.fleet import Server

CROWD = [f"crowd{number:02}" for number in range(20)]
SHORT = ["asleep", "awake", "used", "ended", "taken"]
"""Apps that fall asleep when nobody was there for four seconds; Traefik keeps a connection to them for ten more."""
HELD = 12.0
"""Seconds."""

CLOCK = "/opt/stacks/core/config/waker/config/clock"
CORE = "/opt/stacks/core/compose.yaml"
# libfaketime as Debian has it; the loader knows where libraries of this machine's kind lie. Idle times go by the clock
# that only goes forward, which nobody can set.
PRELOADED = {
    "LD_PRELOAD": "/usr/$$LIB/faketime/libfaketimeMT.so.1",
    "FAKETIME_TIMESTAMP_FILE": "/etc/waker/clock",
    "FAKETIME_NO_CACHE": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
}


@pytest.fixture(scope="module")
def server(new_server: NewServer) -> Iterator[Server]:
    made = new_server("faults", packages=(*PACKAGES, "faketime"))
    make_images(made)
    yield made
    made.remove()


@pytest.fixture(scope="module", params=["builtin", "sablier"])
def lab(request: pytest.FixtureRequest, server: Server) -> Iterator[LazyLab]:
    engine: OnDemandEngine = request.param
    if engine == "sablier" and not os.environ.get(SABLIER):
        pytest.skip(f"{SABLIER} names no executable")
    made = LazyLab(server, engine, _lab_file(engine))
    yield made
    made.remove()


def _lab_file(engine: OnDemandEngine) -> str:
    apps: dict[str, dict[str, Any]] = {name: {} for name in (*CROWD, *SHORT, "slow", "later", "waking", "falling")}
    for name in ("slow", "later", "waking"):
        apps[name]["environment"] = {"DELAY": "6"}
    for name in (*SHORT, "waking"):
        apps[name]["lazy"] = {"idle": "4s"}
    for name in CROWD:
        # With Sablier, waiting for others' starts is a part of it.
        apps[name]["lazy"] = {"timeout": "2m"}
    apps["falling"]["lazy"] = {"idle": "8s"}
    # On one day of the week, so that a day later or earlier these are not the hours. Not within an hour of their ends.
    began = datetime.now(UTC) - timedelta(hours=1)
    hours = f"{began:%a %H}:00-{began + timedelta(hours=4):%H}:00"
    apps["day"] = {"lazy": {"idle": "4s", "awake": [hours]}}
    stack = {"apps": {name: {"app": "napper"} | settings for name, settings in apps.items()}}
    lab = {"version": 1, "domain": "lab.localhost", "on_demand": {"engine": engine}, "stacks": {"naps": stack}}
    return yaml.safe_dump(lab, sort_keys=False)


def whose(lab: LazyLab, name: str) -> str:
    """The app that answers a request to this one; "" where none does."""
    try:
        return lab.ask(name, seconds=SHORT_PATIENCE).whose
    except (OSError, HTTPException):
        return ""


def status(lab: LazyLab) -> dict[str, Any]:
    """What the waker says of each app."""
    shown = lab.server.docker(["exec", "waker", "python3", "-m", "waker.admin", "status"], check=False)
    return dict(json.loads(shown.stdout).get("apps", {})) if shown.returncode == 0 else {}


def order(lab: LazyLab, *words: str) -> dict[str, Any]:
    """What the waker answers to an order."""
    shown = lab.server.docker(["exec", "waker", "python3", "-m", "waker.admin", *words], check=False)
    return dict(json.loads(shown.stdout))


@contextmanager
def in_use(lab: LazyLab, name: str) -> Iterator[list[str]]:
    """All the time somebody asks for it, and somebody else has a connection to it open. Whose the answers were."""
    answers: list[str] = []
    over = Event()

    def ask() -> None:
        while not over.wait(0.25):
            answers.append(whose(lab, name))

    with ThreadPoolExecutor(1) as pool, lab.upgrade(name) as connection:
        asking = pool.submit(ask)
        try:
            yield answers
        finally:
            over.set()
        asking.result()
        connection.sendall(b"still here")
        assert connection.recv(100) == b"still here"


def test_twenty_apps_at_once_each_answer_for_themselves_after_one_start(lab: LazyLab) -> None:
    assert not any(lab.runs(name) for name in CROWD)

    def ask(number: int) -> tuple[str, int, str]:
        name = CROWD[number % len(CROWD)]
        answer = lab.ask(name, "POST", f"/{number}", name.encode())
        return name, answer.status, answer.whose

    with ThreadPoolExecutor(3 * len(CROWD)) as pool:
        answers = list(pool.map(ask, range(3 * len(CROWD))))
    # Docker looks at each every second, which is more than a small machine has for the other tests.
    lab.compose("naps", "stop", *CROWD)
    assert answers == [(name, 200, name) for name in CROWD] * 3
    assert {name: lab.starts(name) for name in CROWD} == dict.fromkeys(CROWD, 1)


def test_who_waits_while_the_engine_is_killed_gets_no_other_answer_and_comes_again(lab: LazyLab) -> None:
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(whose, lab, "slow") for _ in range(10)]
        lab.until("the app is being started", lambda: lab.runs("slow"))
        assert not any(one.done() for one in asked)
        lab.kill(lab.name)
        assert {one.result() for one in asked} <= {"slow", ""}
    lab.until_there("slow")
    assert whose(lab, "slow") == "slow"
    assert lab.starts("slow") == 1


def test_traefik_restarts_while_an_app_wakes(lab: LazyLab) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(whose, lab, "later")
        lab.until("the app is being started", lambda: lab.runs("later"))
        lab.server.docker(["restart", "traefik"])
        assert asked.result() in ("later", "")
    lab.until_there("later")
    assert whose(lab, "later") == "later"
    assert lab.starts("later") == 1


def test_traefik_restarts_while_an_app_falls_asleep(lab: LazyLab) -> None:
    lab.until_there("falling")
    # What is frozen takes as long to end as Docker gives it: five seconds.
    freeze = "kill -STOP $(pidof python3)"
    since = time.time()
    lab.server.docker(["exec", "falling", "sh", "-c", freeze])
    lab.until("the app is being stopped", lambda: _is_being_stopped(lab, "falling", since))
    assert lab.runs("falling")
    lab.server.docker(["restart", "traefik"])
    assert whose(lab, "falling") in ("falling", "")
    lab.until_there("falling")
    assert whose(lab, "falling") == "falling"
    assert lab.starts("falling") == 2


def _is_being_stopped(lab: LazyLab, name: str, since: float) -> bool:
    span = [f"--since={since}", f"--until={time.time()}"]
    seen = lab.server.docker(["events", *span, "--filter=event=kill", f"--filter=container={name}"])
    return bool(seen.stdout)


def test_routes_that_cannot_be_written_mislead_nobody_and_are_made_up_for(lab: LazyLab) -> None:
    if lab.cannot("routes-of-its-own"):
        pytest.skip("Sablier writes no routes")
    with in_use(lab, "used") as answers:
        with _routes_read_only(lab, awake={"awake", "ended", "taken"}):
            assert whose(lab, "asleep") == "asleep"
            assert order(lab, "hold", "taken", "60")["kind"] == "route"
            assert whose(lab, "taken") == "taken"
            lab.server.docker(["stop", "ended"])
            assert whose(lab, "ended") == ""
            # To these the waker leads, and nobody is with them.
            lab.until_asleep("asleep")
            lab.until_asleep("waking")
            # These cannot be led back to the waker, so that they can be stopped.
            lab.until("it is said of all", lambda: _trouble(lab) >= {"awake", "ended", "taken"})
            assert [lab.runs(name) for name in ("awake", "taken")] == [True, True]
            assert [whose(lab, name) for name in ("awake", "waking")] == ["awake", "waking"]
        lab.until("all is as it should be", lambda: not _trouble(lab))
        assert whose(lab, "ended") == "ended"
        for name in ("awake", "asleep", "waking", "taken", "ended"):
            lab.until_asleep(name)
    assert set(answers) == {"used"}
    assert [lab.starts(name) for name in ("used", "awake", "taken")] == [1, 1, 1]
    lab.until_asleep("used")


@contextmanager
def _routes_read_only(lab: LazyLab, awake: Set[str]) -> Iterator[None]:
    """Meanwhile the waker cannot write its routes. When that begins these are awake, and `waking` is waking."""
    process = lab.server.docker(["inspect", "--format", "{{.State.Pid}}", "waker"]).stdout.strip()
    remount = ["nsenter", f"--target={process}", "--mount", "mount", "/routes", "-o"]
    with ThreadPoolExecutor(1) as pool, ExitStack() as users:
        for name in awake:
            users.enter_context(lab.upgrade(name))
        lab.until("they are led to", lambda: awake <= {name for name, app in status(lab).items() if _is_led_to(app)})
        waking = pool.submit(whose, lab, "waking")
        lab.until("an app is being started", lambda: lab.runs("waking"))
        lab.server.run([*remount, "remount,bind,ro"])
        assert not waking.done()
        assert waking.result() == "waking"
    yield
    lab.server.run([*remount, "remount,bind,rw"])


def _is_led_to(app: dict[str, Any]) -> bool:
    return bool(app["leads_to"] == "app")


def _trouble(lab: LazyLab) -> set[str]:
    """The apps of which the waker says that their routes cannot be written, and no other trouble."""
    told = {name: app["trouble"] for name, app in status(lab).items() if app["trouble"]}
    assert all("Read-only file system" in trouble for trouble in told.values()), told
    return set(told)


@pytest.fixture
def clock(lab: LazyLab) -> Clock:
    if lab.cannot("clock-of-its-own"):
        pytest.skip("nothing stands between Sablier and the machine's clock")
    return Clock(lab)


class Clock:
    """The waker's wall clock; that of Docker and Traefik stays the machine's."""

    def __init__(self, lab: LazyLab) -> None:
        """Make the waker anew, with a clock that can be set."""
        self._lab = lab
        self.set(0)
        project = yaml.safe_load(lab.server.read(CORE))
        project["services"]["waker"]["environment"] |= PRELOADED
        lab.server.write(CORE, yaml.safe_dump(project, sort_keys=False))
        lab.compose("core", "up", "--detach", "--wait", "waker")

    def set(self, days: int) -> None:
        """Let it be so many days later than it is."""
        self._lab.server.write(CLOCK, f"{days:+d}d\n")


def test_a_clock_that_jumps_a_day_changes_nothing_but_what_hour_it_is(lab: LazyLab, clock: Clock) -> None:
    lab.until("the app of the day is awake", lambda: lab.runs("day"))
    with in_use(lab, "used") as answers:
        before = lab.starts("used"), lab.starts("asleep")
        for days in (1, -1):
            lab.until_there("awake")
            assert order(lab, "hold", "taken", f"{HELD:.0f}")["state"] == "held"
            clock.set(days)
            lab.until_asleep("day", SHORT_PATIENCE)
            lab.until_asleep("awake", SHORT_PATIENCE)
            lab.until("nothing is held", lambda: status(lab)["taken"]["state"] == "asleep", HELD)
            assert not status(lab)["day"]["scheduled"]
            clock.set(0)
            lab.until("the app of the day is awake", lambda: lab.runs("day"), SHORT_PATIENCE)
    assert set(answers) == {"used"}
    assert (lab.starts("used"), lab.starts("asleep")) == before
    assert not lab.runs("asleep")
    lab.until_asleep("used")


def test_a_clock_that_was_set_back_holds_nothing_for_ever(lab: LazyLab, clock: Clock) -> None:
    order(lab, "hold", "taken", "60")
    clock.set(-1)
    lab.kill("waker")
    lab.until("the waker is back", lambda: status(lab).get("taken", {}).get("state") == "held")
    assert status(lab)["taken"]["held"] <= 3600
    order(lab, "release", "taken")
    assert whose(lab, "taken") == "taken"
