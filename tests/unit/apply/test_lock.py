"""The lab's lock: waited for, told, given up, taken from a run that is gone; and twenty real processes at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ez_homelab.apply import lock as lock_module
from ez_homelab.apply.lock import waiting_lock
from ez_homelab.errors import LockedError
from ez_homelab.hosts.local import LocalHost
from ez_homelab.progress import Silent
from ez_homelab.testing.fake_host import FakeHost, Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATH = "/var/lib/ez-homelab/lock"


class Told:
    """A `Progress` that writes down what it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.details: list[str] = []
        self.told = asyncio.Event()

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        self.steps.append(name)
        self.told.set()
        yield self.details.append


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "ASK_EVERY", (0.0, 0.0))


def held_as(text: str) -> Callable[[], str]:
    return lambda: text


async def test_a_free_lock_is_taken_without_a_word() -> None:
    host, told = FakeHost(), Told()
    async with waiting_lock(host, PATH, held_as("ann"), patience=60, progress=told) as left:
        with pytest.raises(LockedError) as raised:
            async with host.lock(PATH, "ben"):
                pytest.fail("two hold the lock")
    assert (raised.value.evidence, left, told.steps) == ("ann", "", [])


async def test_a_lock_that_is_held_is_waited_for_and_the_holder_told_once() -> None:
    host, told, order = FakeHost(), Told(), list[str]()
    held = asyncio.Event()

    async def first() -> None:
        async with host.lock(PATH, "ann runs `ez up` since 12:00"):
            held.set()
            await told.told.wait()
            order.append("ann")

    async def second() -> None:
        await held.wait()
        async with waiting_lock(host, PATH, held_as("ben"), patience=60, progress=told):
            order.append("ben")

    await asyncio.gather(first(), second())
    assert order == ["ann", "ben"]
    assert told.steps == ["wait for another run: ann runs `ez up` since 12:00"]
    assert told.details == []


async def test_another_holder_meanwhile_is_a_detail_of_the_same_step() -> None:
    host, told = FakeHost(), Told()
    calls: list[int] = []

    def holder() -> str:
        calls.append(1)
        if len(calls) == 2:
            host._locks.held[PATH] = "carol"
        if len(calls) == 4:
            del host._locks.held[PATH]
        return "ben"

    host._locks.held[PATH] = "ann"
    async with waiting_lock(host, PATH, holder, patience=60, progress=told):
        assert host._locks.held[PATH] == "ben"
    assert told.steps == ["wait for another run: ann"]
    assert told.details == ["carol"]


@pytest.mark.parametrize(
    ("patience", "what", "steps"),
    [
        (0.0, f"another run holds the lock {PATH} on fake", []),
        (0.02, f"another run holds the lock {PATH} on fake, and did not end within 0 s", ["wait for another run: ann"]),
    ],
)
async def test_patience_ends(patience: float, what: str, steps: list[str]) -> None:
    host, told = FakeHost(), Told()
    async with host.lock(PATH, "ann"):
        with pytest.raises(LockedError) as raised:
            async with waiting_lock(host, PATH, held_as("ben"), patience=patience, progress=told):
                pytest.fail("two hold the lock")
    assert (raised.value.what, raised.value.evidence, told.steps) == (what, "ann", steps)
    assert raised.value.fix


async def test_an_error_of_the_work_itself_is_not_taken_for_a_lock_that_is_held() -> None:
    host = FakeHost()
    with pytest.raises(LockedError, match="of the work"):
        async with waiting_lock(host, PATH, held_as("ann"), patience=60, progress=Silent()):
            raise LockedError("of the work")
    assert len(host.operations) == 1


async def test_the_lock_of_a_killed_run_is_taken_and_that_is_told() -> None:
    host, told = FakeHost(), Told()
    host.fail_at(2, Killed())
    with pytest.raises(Killed):
        async with waiting_lock(host, PATH, held_as("ann since 12:00"), patience=60, progress=told):
            await host.read("/a")
    host.revive()
    async with waiting_lock(host, PATH, held_as("ben"), patience=60, progress=told) as left:
        assert left == "ann since 12:00"
    assert told.steps == ["take over the lock of a run that ended without saying so: ann since 12:00"]


ONE_OF_MANY = """
import asyncio, sys
from ez_homelab.apply.lock import waiting_lock
from ez_homelab.hosts.local import LocalHost
from ez_homelab.progress import Silent

async def add_one_line(lock, path, name):
    host = LocalHost()
    sys.stdin.readline()
    async with waiting_lock(host, lock, lambda: name, patience=120, progress=Silent()) as left:
        assert left == "", left
        before = await host.read(path) or b""
        await asyncio.sleep(0)
        await host.write(path, before + name.encode() + b"\\n")

asyncio.run(add_one_line(*sys.argv[1:]))
"""


def test_twenty_processes_that_each_add_a_line_lose_none(tmp_path: Path) -> None:
    lock, path = str(tmp_path / "lock"), tmp_path / "lines"
    names = {f"run {number}" for number in range(20)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_MANY, lock, str(path), name], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in sorted(names)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write(b"go\n")
        run.stdin.flush()
    ends = [(run.communicate()[1], run.returncode) for run in runs]
    assert ends == [(b"", 0)] * 20
    assert sorted(path.read_text().splitlines()) == sorted(names)


async def test_a_run_that_gives_up_leaves_no_lock_behind(tmp_path: Path) -> None:
    host, path = LocalHost(), str(tmp_path / "lock")
    async with host.lock(path, "ann"):
        with pytest.raises(LockedError):
            async with waiting_lock(host, path, held_as("ben"), patience=0.02, progress=Silent()):
                pytest.fail("two hold the lock")
    async with waiting_lock(host, path, held_as("carol"), patience=0, progress=Silent()) as left:
        assert left == ""
