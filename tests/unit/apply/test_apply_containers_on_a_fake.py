"""The exact commands for a container, and how long its health is waited for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.apply import containers
from ez_homelab.errors import CommandError, HealthError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.observe import docker
from ez_homelab.plan import Action
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from ez_homelab.hosts import Command
    from ez_homelab.plan.action import Verb

SERVER = desired_of(make_lab()).servers["core"]
UP = "docker compose --progress plain up --detach --no-deps --no-build --pull never"
LOOK = docker.inspect_containers(["dokuwiki"]).argv


def state(status: str = "running", health: str = "healthy", *, exit_code: int = 0, restarts: int = 0,
          out_of_memory: bool = False) -> dict[str, Any]:  # fmt: skip
    return {
        "Id": "1", "Name": "/dokuwiki", "Image": "sha256:1", "RestartCount": restarts,
        "Config": {"Image": "dokuwiki:1", "Labels": {}},
        "State": {"Status": status, "Health": {"Status": health}, "ExitCode": exit_code, "OOMKilled": out_of_memory,
                  "Error": "", "StartedAt": ""},
        "NetworkSettings": {"Networks": {}}, "HostConfig": {"PortBindings": {}},
    }  # fmt: skip


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(containers.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(containers.asyncio, "sleep", clock.sleep)
    return clock


def server_that_shows(*states: dict[str, Any]) -> FakeHost:
    """A host on which everything works, and the container is seen in these states, one after the other."""
    host, left = FakeHost("core"), list(states)
    host.answer(lambda command: command.argv[0] == "docker")
    host.answer(("docker", "logs", "--tail", "15", "dokuwiki"), stdout="starting\n", stderr="cannot open database\n")

    def looked(command: Command) -> Completed:
        shown = left.pop(0) if len(left) > 1 else left[0]
        return Completed(command, 0, json.dumps([shown]), "")

    host.answer(LOOK, does=looked)
    return host


async def perform(host: FakeHost, verb: Verb, name: str = "wiki/dokuwiki", **settings: str) -> list[str]:
    lines: list[str] = []
    action = Action("core", "service", name, verb, "missing", settings=settings)
    await containers.perform(host, SERVER, action, lines.append)
    return lines


def orders(host: FakeHost) -> list[tuple[str | None, str]]:
    return [(command.directory, str(command)) for command in host.commands if command.changes]


COMMANDS: list[tuple[Verb, dict[str, str], list[str]]] = [
    ("create", {}, [f"{UP} --no-recreate dokuwiki"]),
    ("start", {}, [f"{UP} --no-recreate dokuwiki"]),
    ("recreate", {}, [f"{UP} --force-recreate dokuwiki"]),
    ("restart", {}, ["docker compose --progress plain restart --no-deps dokuwiki"]),
    ("recreate", {"replaces": "notes"}, ["docker container stop dokuwiki", "docker container rm dokuwiki",
                                         f"{UP} --force-recreate dokuwiki"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "expected"), [("paused", ["docker container unpause dokuwiki"]), ("exited", []), ("running", [])]
)
async def test_what_was_paused_goes_on_first_unless_a_copy_has_stopped_it_meanwhile(
    now: str, expected: list[str], clock: Clock
) -> None:
    host = server_that_shows(state(now), state())
    await perform(host, "start", paused="yes")
    assert [order for _, order in orders(host)] == [*expected, f"{UP} --no-recreate dokuwiki"]


@pytest.mark.parametrize(("verb", "settings", "expected"), COMMANDS)
async def test_compose_runs_in_the_stacks_folder_as_a_person_would_run_it(
    verb: Verb, settings: dict[str, str], expected: list[str], clock: Clock
) -> None:
    host = server_that_shows(state())
    await perform(host, verb, **settings)
    assert [order for _, order in orders(host)] == expected
    assert orders(host)[-1][0] == "/opt/stacks/wiki"
    assert clock.now == 1000.0


async def test_a_container_that_goes_is_stopped_first_and_its_volumes_stay() -> None:
    host = server_that_shows(state())
    await perform(host, "remove", "gone/dokuwiki")
    assert orders(host) == [(None, "docker container stop dokuwiki"), (None, "docker container rm dokuwiki")]
    assert LOOK not in [command.argv for command in host.commands]


async def test_networks_are_joined_under_the_name_that_is_known_there() -> None:
    host = server_that_shows(state())
    settings = {"container": "blog", "network": "private-blog"}
    join = Action("core", "attachment", "s/blog on private-blog", "connect", "", settings={**settings, "alias": "web"})
    leave = Action("core", "attachment", "s/blog on private-blog", "disconnect", "", settings=settings)
    await containers.attach(host, join)
    await containers.attach(host, leave)
    assert [order for _, order in orders(host)] == [
        "docker network connect --alias web private-blog blog",
        "docker network disconnect private-blog blog",
    ]


async def test_it_waits_until_healthy_and_says_each_state_once(clock: Clock) -> None:
    starting = state(health="starting")
    host = server_that_shows(starting, starting, starting, state())
    assert await perform(host, "create") == ["running, health check starting"]
    assert clock.now == 1000.0 + 3 * containers.LOOK_EVERY


async def test_without_a_health_check_running_is_enough(clock: Clock) -> None:
    await perform(server_that_shows(state(health="none")), "create")
    assert clock.now == 1000.0


async def failure(host: FakeHost) -> HealthError:
    with pytest.raises(HealthError) as error:
        await perform(host, "create")
    return error.value


async def test_one_that_is_not_healthy_in_its_time_has_failed_with_its_own_words(clock: Clock) -> None:
    service = next(service for service in SERVER.services if service.name == "dokuwiki")
    error = await failure(server_that_shows(state(health="starting")))
    assert clock.now - 1000.0 == pytest.approx(service.ready_within, abs=2 * containers.LOOK_EVERY)
    assert error.what == (
        f"wiki/dokuwiki did not become healthy within {service.ready_within:.0f} s on core: "
        "running, health check starting"
    )
    assert error.evidence == "starting\ncannot open database"
    assert error.fix == "ez-homelab logs dokuwiki"


ENDED = [
    (state("exited", "unhealthy", exit_code=3), "exited, exit status 3", "the app itself"),
    (state("dead", "unhealthy", exit_code=1), "dead, exit status 1", "the app itself"),
    (state("restarting", "unhealthy", exit_code=1, restarts=3), "restarting, exit status 1", "the app itself"),
    (state("restarting", "unhealthy", restarts=3, out_of_memory=True), "ended: out of memory", "memory limit"),
    (state("running", "starting", restarts=5), "running, health check starting", "the app itself"),
]  # fmt: skip


@pytest.mark.parametrize(("shown", "words", "cause"), ENDED)
async def test_one_that_ends_is_not_waited_for(shown: dict[str, Any], words: str, cause: str, clock: Clock) -> None:
    error = await failure(server_that_shows(state(health="starting"), shown))
    assert error.what == f"wiki/dokuwiki did not become healthy on core: {words}"
    assert cause in error.cause
    assert clock.now == 1000.0 + containers.LOOK_EVERY


async def test_one_that_restarts_once_may_still_become_healthy(clock: Clock) -> None:
    host = server_that_shows(state("restarting", "starting", exit_code=1, restarts=1), state())
    assert await perform(host, "create") == ["restarting, exit status 1"]
    assert clock.now > 1000.0


async def test_one_that_is_gone_has_failed(clock: Clock) -> None:
    host = server_that_shows(state())
    host.answer(LOOK, status=1, stdout="[]", stderr="Error: No such container: dokuwiki")
    host.answer(("docker", "logs", "--tail", "15", "dokuwiki"), status=1)
    error = await failure(host)
    assert error.what.endswith(": not there")
    assert error.evidence == "the container said nothing"
    assert clock.now == 1000.0


async def test_what_compose_says_on_its_way_out_is_the_evidence(clock: Clock) -> None:
    host = FakeHost("core")
    host.answer(lambda _command: True, status=17, stderr="network edge-dokuwiki not found\n")
    with pytest.raises(CommandError) as error:
        await perform(host, "create")
    assert error.value.evidence == "network edge-dokuwiki not found"
    assert error.value.what.startswith("cannot create wiki/dokuwiki")
    assert clock.now == 1000.0
