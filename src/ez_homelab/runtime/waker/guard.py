"""Keeps the waker in the network namespace of the Traefik that runs.

Docker ties the waker's namespace to Traefik's container. After a restart of Traefik's the waker sits in the old one,
where nobody reaches it; and at a start of the engine it fails where it comes before Traefik. Docker mends neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .docker import DockerError

if TYPE_CHECKING:
    from .docker import Docker, Found

log = logging.getLogger("waker.guard")

TRAEFIK, WAKER = "traefik", "waker"
LOOK_EVERY = 15.0
AFTER_AN_EVENT = 0.1
AFTER_A_FAILURE = 5.0
"""Seconds: a start that fails is an event of its own, and must not lead to the next one at once."""
CANNOT_START = 128
"""The exit code that Docker gives a container which it could not start."""
ENDED = ("exited", "dead", "created")


@dataclass(frozen=True, slots=True)
class Pair:
    """When the two were started, as Docker says it."""

    traefik: tuple[str, str] = ("", "")
    waker: tuple[str, str] = ("", "")


class Memory:
    """What the last look saw: a jump of the wall clock can turn round which of two starts was the later one."""

    def __init__(self) -> None:
        self._last = Pair()
        self._stale = False

    def judge(self, traefik: Found | None, waker: Found | None) -> str:
        """What the waker needs: `start`, `restart`, or "" for nothing. None stands for a container that is not there.

        One that a person has stopped needs nothing, and neither does one that shares the namespace of nobody.
        """
        if traefik is None or waker is None or not traefik.running:
            return ""
        if waker.running:
            return "restart" if self._in_dead_namespace(Pair(traefik.started, waker.started)) else ""
        unable = waker.exit_code == CANNOT_START and waker.started < traefik.started
        return "start" if waker.status in ENDED and (waker.error or unable) else ""

    def _in_dead_namespace(self, now: Pair) -> bool:
        new_traefik, new_waker = now.traefik != self._last.traefik, now.waker != self._last.waker
        if new_traefik:
            # Who was seen before is older; of two that are new, the clock tells.
            self._stale = not new_waker or now.waker < now.traefik
        elif new_waker:
            self._stale = False
        self._last = now
        return self._stale


class Guard:
    """Looks after each event, and now and then."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._memory = Memory()
        self._look = asyncio.Event()
        self._trouble = ""

    def soon(self) -> None:
        """Look soon."""
        self._look.set()

    async def run(self) -> None:
        """Guard, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), LOOK_EVERY)
                await asyncio.sleep(AFTER_AN_EVENT)
            self._look.clear()
            if not await self._guard():
                await asyncio.sleep(AFTER_A_FAILURE)

    async def _guard(self) -> bool:
        """Look once, and do what is needed; whether that was possible."""
        try:
            wanted = self._memory.judge(await self._find(TRAEFIK), await self._find(WAKER))
            if wanted:
                log.warning("the waker is not where Traefik is: %s it", wanted)
                await self._docker.tell(WAKER, wanted)
        except DockerError as fault:
            if str(fault) != self._trouble:
                log.warning("the waker cannot be looked after: %s", fault)
            self._trouble = str(fault)
            return False
        except Exception:
            log.exception("a look at the waker has failed; the guard goes on")
            return False
        self._trouble = ""
        return True

    async def _find(self, name: str) -> Found | None:
        try:
            return await self._docker.find(name)
        except DockerError as fault:
            if fault.status == 404:
                return None
            raise
