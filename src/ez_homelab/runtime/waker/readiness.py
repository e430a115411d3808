"""Whether a container is ready, asked of the app itself: Docker's health check is an interval late."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .client import connect
from .wire import WireError, head_bytes, parse_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .docker import Docker
    from .settings import Container, Ready

PROBE_SECONDS = 5.0
PROBE_PAUSES = (0.02, 1.0)
"""The shortest and the longest pause between two questions whether a container is ready."""
PROBE_SHARE = 0.05
"""A pause is this share of the time that the start takes already, so that a start is noticed about that much late."""
LOOK_WHETHER_IT_LIVES = 1.0


class StartError(Exception):
    """An app that does not start; the text says why."""


async def until_ready(
    container: Container, docker: Docker, own_ports: set[int], died: asyncio.Event, clock: Callable[[], float]
) -> None:
    """Return when it is ready. `died` is set when Docker says that a container of the app's has ended.

    Raises `StartError` where this one has, `DockerError` where Docker does not say so.
    """
    began = looked = clock()
    while not await is_ready(container, docker, own_ports):
        if died.is_set() or clock() - looked >= LOOK_WHETHER_IT_LIVES:
            died.clear()
            looked = clock()
            await ends(container, docker)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(died.wait(), _pause(clock() - began))


def _pause(passed: float) -> float:
    shortest, longest = PROBE_PAUSES
    return min(max(shortest, passed * PROBE_SHARE), longest)


async def is_ready(container: Container, docker: Docker, own_ports: set[int]) -> bool:
    """Whether it is ready now. Raises `DockerError` where only Docker can tell and does not."""
    ready = container.ready
    if ready.kind in ("running", "health"):
        found = await docker.find(container.name)
        return found.running and (ready.kind == "running" or found.health in ("healthy", ""))
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _answers(ready, own_ports)
    except (OSError, WireError):
        return False


async def ends(container: Container, docker: Docker) -> None:
    """Raise `StartError` where it has ended, or where Docker starts it again and again."""
    found = await docker.find(container.name)
    if found.over or found.status == "restarting":
        raise StartError(f"the container {container.name} has ended with exit code {found.exit_code}")


async def _answers(ready: Ready, own_ports: set[int]) -> bool:
    stream = await connect(ready.address.host, ready.address.port)
    port = stream.port
    own_ports.add(port)
    try:
        if ready.kind == "tcp":
            return True
        fields = [("Host", f"{ready.address.host}:{ready.address.port}"), ("Connection", "close"), ("Accept", "*/*")]
        fields += [("User-Agent", "ez-homelab-waker")]
        await stream.send(head_bytes(f"GET {ready.path} HTTP/1.1", fields))
        return ready.counts(parse_answer(await stream.head()).status)
    finally:
        stream.abort()
        own_ports.discard(port)
