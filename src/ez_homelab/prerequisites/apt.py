"""apt-get on a server: asks nothing, waits for another one at work, mends what an interrupted run left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError
from ez_homelab.hosts.protocol import Command
from ez_homelab.prerequisites.survey import SYSTEM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ez_homelab.hosts.protocol import Completed, Host

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "a",  # Ubuntu's needrestart would ask which services to restart
    "PATH": SYSTEM_PATH,
    "LC_ALL": "C.UTF-8",
}
OPTIONS = (
    "--yes",
    "--option=DPkg::Lock::Timeout=600",
    "--option=Acquire::Retries=3",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
    "--no-install-recommends",
)
PAUSE = 5.0
LOCK_TRIES = 120
"""Ten minutes for another apt-get. Unattended upgrades after the first boot of a cloud machine take minutes."""

ANOTHER = "another apt-get is at work on this machine; waiting for it"
NETWORK_SIGNS = ("Temporary failure resolving", "Could not connect", "Failed to fetch", "Unable to connect")
LOCK_SIGNS = ("Could not get lock", "Unable to lock directory", "Unable to acquire the dpkg frontend lock")


async def install_packages(host: Host, packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Install packages, with fresh package lists. Raises `PrerequisiteError` with apt-get's own words."""
    await host.run(Command(("dpkg", "--configure", "-a"), environment=ENVIRONMENT, timeout=900))
    updated = await _waiting(host, apt_get("update"), say, _nothing)
    installed = await _waiting(host, apt_get("install", *packages), say, _progress(packages, say))
    if not installed.ok:
        raise _failure(host, packages, installed, updated)


def apt_get(*arguments: str) -> Command:
    """An apt-get command that never asks anything."""
    return Command(("apt-get", *OPTIONS, *arguments), environment=ENVIRONMENT, timeout=1800)


def _nothing(line: str) -> None:
    pass


def _progress(packages: Sequence[str], say: Callable[[str], None]) -> Callable[[str], None]:
    """Of apt-get's many lines, the ones that tell a person how far it is; each once."""
    said = set()

    def hear(line: str) -> None:
        text = line.removesuffix(" ...")
        if line.startswith("Waiting for cache lock"):
            text = ANOTHER
        elif not line.startswith("Need to get ") and not line.startswith(
            tuple(f"Setting up {name} " for name in packages)
        ):
            return
        if text not in said:
            said.add(text)
            say(text[0].lower() + text[1:])

    return hear


async def _waiting(host: Host, command: Command, say: Callable[[str], None], hear: Callable[[str], None]) -> Completed:
    """Run it; while another apt-get holds a lock that apt-get itself does not wait for, run it again."""
    completed = await host.run(command, on_line=hear)
    for waited in range(LOCK_TRIES):
        if completed.ok or not _says(completed, LOCK_SIGNS):
            break
        if waited % 12 == 0:
            say(ANOTHER)
        await asyncio.sleep(PAUSE)
        completed = await host.run(command, on_line=hear)
    return completed


def _says(completed: Completed, signs: tuple[str, ...]) -> bool:
    return any(sign in stream for sign in signs for stream in (completed.stderr, completed.stdout))


def _failure(host: Host, packages: Sequence[str], installed: Completed, updated: Completed) -> PrerequisiteError:
    lines = [line for line in f"{updated.stderr}\n{installed.stderr}".splitlines() if line.startswith(("E:", "Err:"))]
    cause, fix = "apt-get could not do it", f"on {host.name}: apt-get update && apt-get install {' '.join(packages)}"
    if _says(updated, NETWORK_SIGNS) or _says(installed, NETWORK_SIGNS):
        cause = f"{host.name} does not reach the package archive"
        fix = f"see that {host.name} reaches the archives in /etc/apt/sources.list*, then run this again"
    elif _says(installed, LOCK_SIGNS):
        cause = "another apt-get has been at work for ten minutes"
        fix = "wait until it is done, then run this again"
    return PrerequisiteError(
        f"{', '.join(packages)} could not be installed on {host.name}",
        evidence="\n".join(dict.fromkeys(lines)) or installed.last_line,
        cause=cause,
        fix=fix,
    )
