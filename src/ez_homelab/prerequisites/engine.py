"""Start Docker's engine: with systemd, with its init script, or directly; then wait until it answers."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Literal

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.hosts.protocol import Command
from ez_homelab.prerequisites.survey import SYSTEM_PATH, looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ez_homelab.hosts.protocol import Completed, Host

INIT_SCRIPT = "/etc/init.d/docker"
ENGINE_PID = "/run/docker.pid"
STARTED_PID = "/run/docker-ssd.pid"
"""The number of the process that was started: Debian's init script keeps it here, and can stop it by that."""
CONTAINERD_PID = "/run/docker/containerd/containerd.pid"
ENGINE_LOG = "/var/log/docker.log"
ENGINE_WAIT = 180
"""Seconds. After a crash the engine first ends every container it left, up to ten seconds each."""
ANSWER_WAIT = 10
"""Seconds for one answer."""
STARTS = 3
"""An engine that ends while it starts is started again: it gives up where its containerd takes 15 s to answer."""
PAUSE = 0.5
TELL_EVERY = 10
"""Seconds."""
ENVIRONMENT = {"PATH": SYSTEM_PATH}

Coming = Literal["answers", "ended", "silent"]


async def start_engine(host: Host, say: Callable[[str], None], *, systemd: bool) -> None:
    """Start the engine and return once it answers. Does nothing where it answers already.

    An engine that still starts is waited for, never ended. Raises `PrerequisiteError` with the last lines of its log
    where it does not answer in three minutes, or ends by itself again and again.
    """
    if await _answers(host):
        return
    if systemd:
        await _run(host, "systemctl", "enable", "--now", "docker")
        if not await _answers_in_time(host, say):
            raise await _no_answer(
                host, looking("journalctl", "--unit=docker", "--lines=3", "--no-pager", "--output=cat")
            )
        return
    await _share_mounts(host)
    if not await _started_by_script(host, say):
        await _start_directly(host, say)
    say("no systemd here: if nothing on this machine starts Docker after a reboot, `./ez-homelab.sh up` does")


async def _share_mounts(host: Host) -> None:
    """Let containers see what is mounted later, as systemd does at every boot (mount_namespaces(7)).

    Without it Docker refuses every bind mount with `rslave` or `rshared`, such as a monitor's view of the disks.
    """
    await _run(host, "mount", "--make-rshared", "/")


async def _started_by_script(host: Host, say: Callable[[str], None]) -> bool:
    if (await host.states([INIT_SCRIPT]))[INIT_SCRIPT] is None:
        return False
    started = await _run(host, "service", "docker", "start")
    if started.ok and await _come_up(host, say) == "answers":
        return True
    say(f"the init script did not bring the engine up ({started.last_line}); starting it directly")
    await _run(host, "service", "docker", "stop")
    return False


async def _start_directly(host: Host, say: Callable[[str], None]) -> None:
    for start in range(STARTS):
        if start:
            say("Docker's engine ended while it started; starting it again")
        if not await _lives(host):
            await _run(
                host,
                *("start-stop-daemon", "--start", "--background", "--oknodo", "--output", ENGINE_LOG),
                *("--make-pidfile", "--pidfile", STARTED_PID, "--startas", "/usr/bin/env"),
                *("--", "dockerd"),
            )
        coming = await _come_up(host, say)
        if coming == "answers":
            return
        if coming == "silent":
            break
    raise await _no_answer(host, looking("tail", "--lines=3", ENGINE_LOG))


async def _come_up(host: Host, say: Callable[[str], None]) -> Coming:
    """Wait until it answers, or has ended, or the time is over."""
    for look in _looks(say):
        if await _answers(host):
            return "answers"
        # Its process may take a moment to be there at all.
        if look >= 2 and not await _lives(host):
            return "ended"
        await asyncio.sleep(PAUSE)
    return "silent"


async def _lives(host: Host) -> bool:
    """Whether an engine's process runs. Removes the pid files of dead ones, for which the next would wait.

    Seen in containers, where /run outlives a restart and the first process reaps nothing: the process is gone, another
    one, or dead and not yet reaped.
    """
    found = False
    for path, program in ((ENGINE_PID, b"dockerd"), (STARTED_PID, b"dockerd"), (CONTAINERD_PID, b"containerd")):
        pid = (await host.read(path) or b"").decode("ascii", "replace").strip()
        running = await host.read(f"/proc/{pid}/cmdline") if pid.isdecimal() else None
        if not running or program not in running:
            await host.remove(path)
        elif program == b"dockerd":
            found = True
    return found


async def _run(host: Host, *argv: str) -> Completed:
    """How it ended. What counts is whether the engine answers, so a no is not yet an error."""
    return await host.run(Command(argv, environment=ENVIRONMENT, timeout=120))


async def _answers(host: Host) -> bool:
    try:
        completed = await host.run(looking("docker", "info", "--format", "{{.ServerVersion}}", timeout=ANSWER_WAIT))
    except CommandError:
        return False  # an engine takes a question long before it can answer, and lets whoever asked wait
    return completed.ok and bool(completed.stdout.strip())


async def _answers_in_time(host: Host, say: Callable[[str], None]) -> bool:
    for _ in _looks(say):
        if await _answers(host):
            return True
        await asyncio.sleep(PAUSE)
    return False


def _looks(say: Callable[[str], None]) -> Iterator[int]:
    """The number of each look, from 0, until the time is over; now and then it is said that this waits."""
    began = told = time.monotonic()
    for look in itertools.count():
        now = time.monotonic()
        if now - began >= ENGINE_WAIT:
            return
        if now - told >= TELL_EVERY:
            say(f"waiting for Docker's engine to answer ({now - began:.0f} s)")
            told = now
        yield look


async def _no_answer(host: Host, log: Command) -> PrerequisiteError:
    said = await host.run(log)
    where = ENGINE_LOG if log.argv[0] == "tail" else "journalctl -u docker"
    return PrerequisiteError(
        f"Docker's engine on {host.name} was started and does not answer",
        evidence=said.stdout.strip() or said.last_line,
        cause="its log says why; often a kernel without a needed module, or a container that may not run Docker",
        fix=f"read the whole log on {host.name} ({where}), mend what it names, then run this again",
    )
