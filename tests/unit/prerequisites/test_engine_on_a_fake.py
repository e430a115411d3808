"""Starting the engine, by every way there is, on a scripted machine."""

from __future__ import annotations

import pytest

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.hosts.memory import MemoryFile
from ez_homelab.hosts.protocol import Command, Completed
from ez_homelab.prerequisites import engine
from ez_homelab.prerequisites.engine import start_engine
from ez_homelab.testing.fake_host import FakeHost

PROGRAMS = {"systemctl", "service", "start-stop-daemon"}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PAUSE", 0)


class Machine(FakeHost):
    """A machine whose engine comes up when the program named by `starts` is run, or ends while it starts.

    It answers at the look with the number `answers_at`; until then, where it `takes` the question, it lets one wait.
    Of the starts, the first `ending` end at once.
    """

    def __init__(
        self,
        starts: str,
        *,
        files: dict[str, bytes] | None = None,
        ending: int = 0,
        answers_at: int = 0,
        takes: bool = False,
    ) -> None:
        super().__init__(files=files)
        self.running = starts == "already"
        self.starts = starts
        self.ending = ending
        self.answers_at = answers_at
        self.takes = takes
        self.looks = 0
        self.answer(lambda command: command.argv[0] in PROGRAMS, does=self._start)
        self.answer(lambda command: command.argv[:2] == ("docker", "info"), does=self._info)

    @property
    def started_with(self) -> list[tuple[str, ...]]:
        """The first words of each command that could start an engine."""
        return [command.argv[:3] for command in self.commands if command.argv[0] in PROGRAMS]

    def _start(self, command: Command) -> Completed:
        if command.argv[0] == self.starts and "stop" not in command.argv:
            self.running = not self.ending
            self.ending = max(0, self.ending - 1)
            self.files[engine.STARTED_PID] = MemoryFile(b"78\n")
            if self.running:
                self.files["/proc/78/cmdline"] = MemoryFile(b"dockerd\0")
        return Completed(command, 0 if self.running else 1, "", "" if self.running else "ulimit: not permitted\n")

    def _info(self, command: Command) -> Completed:
        self.looks += 1
        answers = self.running and self.looks >= self.answers_at
        if self.takes and self.running and not answers:
            raise CommandError("`docker` did not end within 10 s")
        return Completed(command, 0, "20.10.24\n", "") if answers else Completed(command, 1, "", "no daemon")


async def test_one_that_answers_is_left_alone() -> None:
    machine = Machine("already")
    await start_engine(machine, print, systemd=True)
    assert machine.started_with == []


async def test_systemd() -> None:
    machine = Machine("systemctl")
    await start_engine(machine, print, systemd=True)
    assert machine.started_with == [("systemctl", "enable", "--now")]


async def test_init_script() -> None:
    machine, said = Machine("service", files={engine.INIT_SCRIPT: b"#!/bin/sh\n"}), list[str]()
    await start_engine(machine, said.append, systemd=False)
    assert machine.started_with == [("service", "docker", "start")]
    assert "after a reboot" in said[-1]


async def test_directly_where_the_init_script_fails() -> None:
    machine, said = Machine("start-stop-daemon", files={engine.INIT_SCRIPT: b"#!/bin/sh\n"}), list[str]()
    await start_engine(machine, said.append, systemd=False)
    assert [argv[0] for argv in machine.started_with] == ["service", "service", "start-stop-daemon"]
    assert "ulimit: not permitted" in said[0]


@pytest.mark.parametrize(
    ("pid", "process", "kept"),
    [
        (b"77\n", b"/usr/sbin/dockerd\0-p\0/run/docker.pid\0", True),
        (b"77\n", b"", False),
        (b"77\n", b"/usr/bin/nginx\0", False),
        (b"../../etc/passwd", b"dockerd", False),
    ],
    ids=["alive", "dead, not reaped", "another program", "not a number"],
)
async def test_a_dead_engine_s_pid_file_is_removed(pid: bytes, process: bytes, kept: bool) -> None:
    machine = Machine("start-stop-daemon", files={engine.ENGINE_PID: pid, "/proc/77/cmdline": process}, answers_at=4)
    machine.running = kept
    await start_engine(machine, print, systemd=False)
    assert bool(machine.started_with) != kept
    assert (await machine.read(engine.ENGINE_PID) is not None) == kept


@pytest.mark.parametrize("takes", [False, True], ids=["refuses", "takes the question"])
@pytest.mark.parametrize("starts", ["service", "start-stop-daemon"])
async def test_a_slow_engine_is_waited_for_and_never_ended(starts: str, takes: bool) -> None:
    files = {engine.INIT_SCRIPT: b""} if starts == "service" else {}
    machine = Machine(starts, files=files, answers_at=300, takes=takes)
    await start_engine(machine, print, systemd=False)
    assert [argv[0] for argv in machine.started_with] == [starts]


async def test_an_engine_that_ends_while_it_starts_is_started_again() -> None:
    machine, said = Machine("start-stop-daemon", ending=2), list[str]()
    await start_engine(machine, said.append, systemd=False)
    assert [argv[0] for argv in machine.started_with] == ["start-stop-daemon"] * 3
    assert len([line for line in said if "starting it again" in line]) == 2


async def test_one_that_ends_again_and_again_is_an_error_with_its_own_last_words() -> None:
    machine = Machine("start-stop-daemon", ending=99)
    machine.answer(("tail", "--lines=3", engine.ENGINE_LOG), stdout="timeout waiting for containerd to start\n")
    with pytest.raises(PrerequisiteError) as raised:
        await start_engine(machine, print, systemd=False)
    assert raised.value.evidence == "timeout waiting for containerd to start"
    assert len(machine.started_with) == engine.STARTS


@pytest.mark.parametrize("takes", [False, True], ids=["refuses", "takes the question"])
async def test_an_engine_that_never_answers_is_an_error_with_its_own_last_words(
    takes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ENGINE_WAIT", 0.3)
    monkeypatch.setattr(engine, "TELL_EVERY", 0)
    machine, said = Machine("start-stop-daemon", answers_at=1_000_000, takes=takes), list[str]()
    machine.answer(("tail", "--lines=3", engine.ENGINE_LOG), stdout="Devices cgroup isn't mounted\n")
    with pytest.raises(PrerequisiteError) as raised:
        await start_engine(machine, said.append, systemd=False)
    assert raised.value.evidence == "Devices cgroup isn't mounted"
    assert engine.ENGINE_LOG in raised.value.fix
    assert any("waiting" in line for line in said)
