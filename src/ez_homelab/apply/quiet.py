"""Holds what sleeps while it is changed, and lets go of it whatever becomes of the run.

    /var/lib/ez-homelab/held/<wake group>    it is held: until when it would be if nobody released it, and the seconds
                                             that its start may take

The waker lets go by itself when the time is over, so a note that is older means nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.apply.containers import find, wait_until_well
from ez_homelab.errors import EzError
from ez_homelab.hosts import Command, run_checked
from ez_homelab.plan.quiet import LEASE, is_wakers_file, needed_by, waker_of
from ez_homelab.render.desired import STATE_FOLDER
from ez_homelab.waker_admin import order, waker_status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ez_homelab.hosts import Host
    from ez_homelab.plan.action import Action
    from ez_homelab.render.desired import DesiredServer, DesiredService

HELD = f"{STATE_FOLDER}/held"

TAKEN_OVER = (0.3, 10.0)
"""Seconds between two looks whether the waker has read what was written for it, and until nobody waits any longer."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A note of one: until when it lasts (seconds since 1970), and how long a start of the group may take."""

    until: float
    start: float


async def perform(host: Host, server: DesiredServer, action: Action) -> None:
    """Hold or release the wake group that the action names. Raises what `waker_admin.order` does."""
    start = next((group.timeout for group in server.wake_groups if group.name == action.name), 0.0)
    if action.verb == "hold":
        await hold(host, action.name, float(action.settings["seconds"]), start=start)
    else:
        await release(host, action.name, start=start)


async def hold(host: Host, group: str, seconds: float, *, start: float) -> None:
    """Whoever comes to it waits from now on, and nobody but us starts or stops it."""
    # Before it is held: a run that is killed in between leaves a note too many, never one too few.
    await host.write(f"{HELD}/{group}", f"{time.time() + seconds:.0f} {start:.0f}\n".encode(), mode=0o600)
    await order(host, "hold", group, seconds)


async def release(host: Host, group: str, *, start: float) -> None:
    """The waker looks at what runs, and goes on with that: it answers when what is to be awake is ready."""
    await order(host, "release", group, start=start)
    await host.remove(f"{HELD}/{group}")


async def release_all(host: Host) -> tuple[str, ...]:
    """Release what a run has held that failed or was cut off; returns what was released.

    Where the waker does not answer, the next run tries again: it may be what failed.
    """
    released = []
    for group, held in (await _held(host)).items():
        if held.until < time.time():
            await host.remove(f"{HELD}/{group}")
            continue
        with contextlib.suppress(EzError):
            await release(host, group, start=held.start)
            released.append(group)
    return tuple(released)


async def hold_longer(host: Host) -> None:
    """Before a stack is taken back: what is held stays so for as long as that may take."""
    for group, held in (await _held(host)).items():
        if held.until >= time.time():
            # Taking it back matters more than that nobody comes meanwhile.
            with contextlib.suppress(EzError):
                await hold(host, group, LEASE[1], start=held.start)


async def _held(host: Host) -> dict[str, Hold]:
    paths = await host.list_files(HELD) or []
    texts = {path.rpartition("/")[2]: (await host.read(path) or b"").decode() for path in paths}
    return {group: _noted(text.split()) for group, text in texts.items()}


def _noted(words: list[str]) -> Hold:
    if not words or not all(word.isdecimal() for word in words):
        return Hold(0.0, 0.0)
    return Hold(float(words[0]), float(words[1]) if len(words) > 1 else 0.0)


async def start_needed(
    host: Host, server: DesiredServer, containers: Collection[str], say: Callable[[str], None]
) -> None:
    """Start what sleeps and has to run before these containers can get well; return when it is.

    Raises `CommandError`, `HealthError`.
    """
    for service in needed_by(server, containers):
        await start(host, service, say)


async def start_with_needed(host: Host, server: DesiredServer, name: str, say: Callable[[str], None]) -> None:
    """Start what sleeps of all that has to run for this container, and the container itself where it sleeps too."""
    service = next((one for one in server.services if one.name == name and one.wake_group), None)
    if service is not None:
        await start_needed(host, server, [name], say)
        await start(host, service, say)


async def start(host: Host, service: DesiredService, say: Callable[[str], None]) -> None:
    """Start the service's container where it sleeps, and return when it is well.

    Raises `CommandError`, `HealthError`.
    """
    found = await find(host, service.name)
    if found and found.state in ("created", "exited"):
        say(f"start {service.name}")
        what = f"cannot start {service.name}"
        await run_checked(host, Command(("docker", "container", "start", service.name), timeout=60), what=what)
    await wait_until_well(host, service, say)


async def taken_over(host: Host, server: DesiredServer, path: str) -> None:
    """Return when the waker has read the file, where it is one of its own: until then it keeps what it knew.

    One that does not answer, or does not read it in time, is not waited for.
    """
    waker = waker_of(server)
    if waker is None or not is_wakers_file(path, waker):
        return
    pause, patience = TAKEN_OVER
    wanted = {group.name for group in server.wake_groups}
    deadline = time.monotonic() + patience
    with contextlib.suppress(EzError):
        while {*(await waker_status(host))["apps"]} != wanted:
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(pause)
