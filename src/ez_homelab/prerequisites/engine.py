"""Start Docker's engine: with systemd, with its init script, or directly; then wait until it answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError
from ez_homelab.hosts.protocol import Command
from ez_homelab.prerequisites.survey import SYSTEM_PATH, looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Completed, Host

INIT_SCRIPT = "/etc/init.d/docker"
ENGINE_PID = "/run/docker.pid"
CONTAINERD_PID = "/run/docker/containerd/containerd.pid"
ENGINE_LOG = "/var/log/docker.log"
ENGINE_WAIT = 60
SCRIPT_WAIT = 20
"""Seconds."""
PAUSE = 0.5
ENVIRONMENT = {"PATH": SYSTEM_PATH}


async def start_engine(host: Host, say: Callable[[str], None], *, systemd: bool) -> None:
    """Start the engine and return once it answers. Does nothing where it answers already.

    Raises `PrerequisiteError` with the last lines of the engine's log where it does not answer in a minute.
    """
    if await _answers(host):
        return
    if systemd:
        await _run(host, "systemctl", "enable", "--now", "docker")
        await _wait(
            host, say, ENGINE_WAIT, looking("journalctl", "--unit=docker", "--lines=3", "--no-pager", "--output=cat")
        )
        return
    await _share_mounts(host)
    if not await _started_by_script(host, say):
        await _start_directly(host)
        await _wait(host, say, ENGINE_WAIT, looking("tail", "--lines=3", ENGINE_LOG))
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
    if started.ok and await _answers_within(host, say, SCRIPT_WAIT):
        return True
    say(f"the init script did not bring the engine up ({started.last_line}); starting it directly")
    await _run(host, "service", "docker", "stop")
    return False


async def _start_directly(host: Host) -> None:
    await _forget_dead_engine(host)
    await _run(
        host,
        *("start-stop-daemon", "--start", "--background", "--oknodo", "--output", ENGINE_LOG),
        *("--pidfile", ENGINE_PID, "--startas", "/usr/bin/env"),
        *("--", "dockerd"),
    )


async def _forget_dead_engine(host: Host) -> None:
    """Remove pid files whose process is gone, another one, or dead and not yet reaped: dockerd would wait for it.

    Seen in containers, where /run outlives a restart and the first process reaps nothing.
    """
    for path, program in ((ENGINE_PID, b"dockerd"), (CONTAINERD_PID, b"containerd")):
        pid = (await host.read(path) or b"").decode("ascii", "replace").strip()
        running = await host.read(f"/proc/{pid}/cmdline") if pid.isdecimal() else None
        if not running or program not in running:
            await host.remove(path)


async def _run(host: Host, *argv: str) -> Completed:
    """How it ended. What counts is whether the engine answers, so a no is not yet an error."""
    return await host.run(Command(argv, environment=ENVIRONMENT, timeout=120))


async def _answers(host: Host) -> bool:
    completed = await host.run(looking("docker", "info", "--format", "{{.ServerVersion}}"))
    return completed.ok and bool(completed.stdout.strip())


async def _answers_within(host: Host, say: Callable[[str], None], seconds: int) -> bool:
    for waited in range(int(seconds / 0.5)):
        if await _answers(host):
            return True
        if waited and waited % 20 == 0:
            say(f"waiting for Docker's engine to answer ({waited // 2} s)")
        await asyncio.sleep(PAUSE)
    return await _answers(host)


async def _wait(host: Host, say: Callable[[str], None], seconds: int, log: Command) -> None:
    if await _answers_within(host, say, seconds):
        return
    said = await host.run(log)
    where = ENGINE_LOG if log.argv[0] == "tail" else "journalctl -u docker"
    raise PrerequisiteError(
        f"Docker's engine on {host.name} does not answer, {seconds} s after it was started",
        evidence=said.stdout.strip() or said.last_line,
        cause="its log says why; often a kernel without a needed module, or a container that may not run Docker",
        fix=f"read the whole log on {host.name} ({where}), mend what it names, then run this again",
    )
