"""One app's containers: started in their order, stopped the other way round."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, TypeVar

from .docker import DockerError
from .readiness import until_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .settings import LazyApp
    from .tools import Tools

log = logging.getLogger("waker.containers")

Result = TypeVar("Result")


class Containers:
    """Starts and stops the containers of one app."""

    def __init__(
        self, app: Callable[[], LazyApp], tools: Tools, own_ports: set[int], waited_for: Callable[[], bool]
    ) -> None:
        """`app`: as lazy.json has it now; `waited_for`: whether somebody waits for the end of what is cancelled."""
        self.step = ""
        """The container that is being started."""
        self.started: set[str] = set()
        """Those that did not run before the last start."""
        self.died = asyncio.Event()
        """Set when Docker says that one of them has ended."""
        self._app = app
        self._docker, self._starts, self._clock = tools.docker, tools.starts, tools.clock
        self._own_ports = own_ports
        self._waited_for = waited_for

    async def start(self) -> None:
        """Start each when the one before is ready.

        Raises `TimeoutError` when the app's time is over, `StartError` where one ends, `DockerError`.
        """
        self.started.clear()
        async with asyncio.timeout(self._app().timeout) as limit:
            for container in self._app().containers:
                self.step = container.name
                self.died.clear()
                await self._start(container.name, limit)
                await until_ready(container, self._docker, self._own_ports, self.died, self._clock)

    async def _start(self, name: str, limit: asyncio.Timeout) -> None:
        # Waiting for others to start is no fault of this app's.
        time = asyncio.get_running_loop().time
        left = (limit.when() or 0.0) - time()
        limit.reschedule(None)
        async with self._starts:
            limit.reschedule(time() + left)
            if await self._whole(self._docker.start(name)):
                self.started.add(name)

    async def stop(self) -> None:
        """Stop them all. One that cannot be stopped keeps none of the others."""
        for container in reversed(self._app().containers):
            try:
                await self._whole(self._docker.stop(container.name))
            except DockerError as fault:
                log.warning("%s cannot be stopped: %s", container.name, fault)

    async def up(self) -> set[str] | None:
        """Those that run; None where Docker does not say so."""
        try:
            running = await self._docker.running()
        except DockerError as fault:
            log.warning("what runs of %s is not known: %s", self._app().name, fault)
            return None
        return {container.name for container in self._app().containers if running.get(container.name)}

    async def last_lines(self) -> list[str]:
        """What the one that was started last has said; nothing where Docker does not tell."""
        try:
            found = await self._docker.find(self.step)
            lines = await self._docker.log(self.step, tty=found.tty)
        except DockerError:
            return []
        return [line for line in lines if line]

    async def _whole(self, call: Coroutine[object, object, Result]) -> Result:
        """Wait for what Docker is told. Whoever holds the app waits for the end of it: half done, it would go on."""
        telling = asyncio.create_task(call)
        try:
            return await asyncio.shield(telling)
        except asyncio.CancelledError:
            if not self._waited_for():
                telling.cancel()
            with contextlib.suppress(DockerError, asyncio.CancelledError):
                await telling
            raise
