"""What sleeps is held while it is changed and let go again, whatever becomes of the run."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.apply import quiet
from ez_homelab.apply.images import ImageWork
from ez_homelab.apply.work import ServerWork
from ez_homelab.errors import HealthError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.images.lock import ImageLock
from ez_homelab.plan import Action
from ez_homelab.render.desired import (
    FINGERPRINT_LABEL,
    DesiredFile,
    DesiredServer,
    DesiredService,
    DesiredStack,
    WakeGroup,
)
from ez_homelab.render.secrets import DueRotation
from ez_homelab.secrets.value import Secret
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import desired_of, make_lab
from ez_homelab.waker_admin import ASK_WAKER, WakerError

if TYPE_CHECKING:
    from ez_homelab.hosts import Command

LAZY = "/opt/stacks/core/config/waker/lazy.json"
GROUP = WakeGroup("wiki", ("wiki",), ("wiki-db", "wiki"), 60.0)


def service(name: str, stack: str = "wiki", **fields: Any) -> DesiredService:
    return DesiredService(
        stack, name, fields.pop("app", "wiki"), "wiki:1", "wiki:1", "f", (), ready_within=5.0, **fields
    )


SERVER = replace(
    desired_of(make_lab(stacks=())).servers["core"],
    files=(DesiredFile(LAZY, b"{}"),),
    stacks=(
        DesiredStack("core", (service("waker", "core", app="waker"),)),
        DesiredStack("wiki", (service("wiki", wake_group="wiki"), service("wiki-db", wake_group="wiki"))),
    ),
    wake_groups=(GROUP,),
)
HOLD = Action("core", "on-demand", "wiki", "hold", "", settings={"seconds": "420"})
RELEASE = Action("core", "on-demand", "wiki", "release", "")


SLOW = replace(SERVER, wake_groups=(replace(GROUP, timeout=3600.0),))


class Sleepers(FakeHost):
    """A server with a waker and two containers that sleep. `knows` is what the waker has read."""

    def __init__(self) -> None:
        super().__init__("core")
        self.running: set[str] = set()
        self.told: list[str] = []
        self.patience: list[float] = []
        self.knows = {"wiki"}
        self.silent = False
        self.ill: set[str] = set()
        self.answer(lambda command: command.argv[:2] == ("docker", "container"), does=self._container)
        self.answer(lambda command: command.argv[:2] == ("docker", "compose"), does=self._compose)
        self.answer(lambda command: command.argv[:2] in (("docker", "exec"), ("docker", "logs")))
        self.answer(lambda command: command.argv[: len(ASK_WAKER)] == ASK_WAKER, does=self._waker)

    def _waker(self, command: Command) -> Completed:
        if self.silent:
            return Completed(command, 1, "", "No such container: waker")
        words = command.argv[len(ASK_WAKER) :]
        if words == ("status",):
            return Completed(command, 0, json.dumps({"apps": dict.fromkeys(self.knows), "memory_saved": 0}), "")
        self.told.append(" ".join(words))
        self.patience.append(command.timeout)
        return Completed(command, 0, json.dumps({"app": words[1], "state": "held"}), "")

    def _container(self, command: Command) -> Completed:
        words = command.argv[2:]
        if words[0] == "start":
            self.told.append(f"start {words[1]}")
            self.running.add(words[1])
        if words[0] != "inspect":
            return Completed(command, 0, "", "")
        return Completed(command, 0, json.dumps([self._document(name) for name in words[1:]]), "")

    def _document(self, name: str) -> dict[str, Any]:
        status = "exited" if name in self.ill or name not in self.running else "running"
        return {
            "Id": name, "Name": f"/{name}", "Image": "i", "RestartCount": 0, "NetworkSettings": {"Networks": {}},
            "HostConfig": {"RestartPolicy": {"Name": "no"}},
            "Config": {"Image": "i", "Labels": {FINGERPRINT_LABEL: "f"}},
            "State": {"Status": status, "ExitCode": 0, "OOMKilled": False, "StartedAt": ""},
        }  # fmt: skip

    def _compose(self, command: Command) -> Completed:
        self.told.append(f"make {command.argv[-1]}")
        self.running.add(command.argv[-1])
        return Completed(command, 0, "", "")


@pytest.fixture
def host() -> Sleepers:
    return Sleepers()


def work(host: Sleepers, server: DesiredServer = SERVER) -> ServerWork:
    rotation = DueRotation("core", "wiki", "wiki", "admin", "wiki", ("set",), Secret("x"))
    return ServerWork(host, server, "x", ImageWork(host, {}, ImageLock(), None), {"wiki/admin": rotation})


def ignore(_line: str) -> None:
    """Nobody looks on."""


async def test_it_is_noted_down_before_it_is_held_and_until_it_is_released(host: Sleepers) -> None:
    await work(host).perform(HOLD, ignore)
    assert host.operations[0] == f"write {quiet.HELD}/wiki"
    assert await host.list_files(quiet.HELD) == [f"{quiet.HELD}/wiki"]
    await work(host).perform(RELEASE, ignore)
    assert await host.list_files(quiet.HELD) == []
    assert host.told == ["hold wiki 420", "release wiki"]


async def test_what_a_run_has_held_is_released_by_the_next(host: Sleepers) -> None:
    await work(host).perform(HOLD, ignore)
    assert await quiet.release_all(host) == ("wiki",)
    assert await quiet.release_all(host) == ()
    assert host.told == ["hold wiki 420", "release wiki"]


@pytest.mark.parametrize("by", ["the run", "the next run", "the next run after it was held longer"])
async def test_a_release_is_given_the_time_that_the_groups_start_may_take(host: Sleepers, by: str) -> None:
    there = work(host, SLOW)
    await there.perform(HOLD, ignore)
    if by.endswith("longer"):
        await quiet.hold_longer(host)
    if by == "the run":
        await there.perform(RELEASE, ignore)
    else:
        assert await quiet.release_all(host) == ("wiki",)
    assert host.told[-1] == "release wiki"
    # What runs is made ready before the waker answers.
    assert host.patience[-1] > 3600


async def test_a_note_of_an_older_version_is_read(host: Sleepers) -> None:
    await host.write(f"{quiet.HELD}/wiki", f"{time.time() + 100:.0f}\n".encode())
    assert await quiet.release_all(host) == ("wiki",)


async def test_a_hold_that_is_over_anyhow_is_forgotten(host: Sleepers) -> None:
    await host.write(f"{quiet.HELD}/wiki", f"{time.time() - 1:.0f}\n".encode())
    await host.write(f"{quiet.HELD}/notes", b"no time\n")
    assert await quiet.release_all(host) == ()
    assert await host.list_files(quiet.HELD) == []
    assert host.told == []


async def test_a_waker_that_does_not_answer_hinders_no_run_and_is_asked_again_by_the_next(
    host: Sleepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ez_homelab.waker_admin.ASKED_AGAIN", (0.0, 0.0))
    await work(host).perform(HOLD, ignore)
    host.silent = True
    assert await quiet.release_all(host) == ()
    with pytest.raises(WakerError):
        await work(host).perform(RELEASE, ignore)
    host.silent = False
    assert await quiet.release_all(host) == ("wiki",)


async def test_what_is_held_stays_so_while_a_stack_is_taken_back(host: Sleepers) -> None:
    await quiet.hold_longer(host)
    assert host.told == []
    await work(host).perform(HOLD, ignore)
    await quiet.hold_longer(host)
    assert host.told == ["hold wiki 420", "hold wiki 3600"]


async def test_what_it_needs_is_started_before_it_is_made(host: Sleepers) -> None:
    await work(host).perform(Action("core", "service", "wiki/wiki", "recreate", ""), ignore)
    assert host.told == ["start wiki-db", "make wiki"]


async def test_what_runs_is_left_alone_and_what_starts_first_needs_nothing(host: Sleepers) -> None:
    host.running = {"wiki-db"}
    await work(host).perform(Action("core", "service", "wiki/wiki", "recreate", ""), ignore)
    await work(host).perform(Action("core", "service", "wiki/wiki-db", "recreate", ""), ignore)
    await work(host).perform(Action("core", "service", "core/waker", "recreate", ""), ignore)
    assert host.told == ["make wiki", "make wiki-db", "make waker"]


async def test_nothing_is_made_where_what_it_needs_does_not_start(host: Sleepers) -> None:
    host.ill = {"wiki-db"}
    with pytest.raises(HealthError, match="wiki/wiki-db"):
        await work(host).perform(Action("core", "service", "wiki/wiki", "recreate", ""), ignore)
    assert host.told == ["start wiki-db"]


async def test_one_that_sleeps_is_started_to_be_told_a_secret(host: Sleepers) -> None:
    action = Action("core", "secret", "wiki/admin", "rotate", "", settings={"stack": "wiki"})
    await work(host).perform(action, ignore)
    assert host.told == ["start wiki-db", "start wiki"]
    assert host.commands[-1].argv == ("docker", "exec", "--interactive", "wiki", "set")


async def test_lazy_json_counts_once_the_waker_has_read_it(host: Sleepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "TAKEN_OVER", (0.0, 60.0))
    host.knows = {"notes"}
    looks: list[int] = []
    plain = host._waker

    def after_a_while(command: Command) -> Completed:
        looks.append(1)
        host.knows = {"notes"} if len(looks) < 3 else {"wiki"}
        return plain(command)

    host.answer(lambda command: command.argv[: len(ASK_WAKER)] == ASK_WAKER, does=after_a_while)
    await work(host).perform(Action("core", "file", LAZY, "replace", ""), ignore)
    assert len(looks) == 3


@pytest.mark.parametrize("silent", [True, False])
async def test_a_waker_that_does_not_read_it_is_not_waited_for(
    host: Sleepers, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr(quiet, "TAKEN_OVER", (0.0, -1.0))
    host.knows, host.silent = set(), silent
    await work(host).perform(Action("core", "file", LAZY, "replace", ""), ignore)
    assert len(host.commands) == 1


def test_a_stack_is_not_taken_back_because_it_could_not_be_released(host: Sleepers) -> None:
    assert work(host).stacks_of(HOLD) == {"wiki"}
    assert work(host).stacks_of(RELEASE) == set()
