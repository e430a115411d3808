"""All lazy apps: keeps them as lazy.json, Docker and the clock say."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from . import activity
from .docker import DockerError
from .holds import Hold
from .keeper import Keeper
from .schedule import is_on
from .states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from .holds import Holds
    from .settings import LazyApp, LazyRoute, Settings
    from .tools import Tools

log = logging.getLogger("waker.apps")

TICK = 1.0
LONGEST_BETWEEN_LOOKS = 5.0
LOOK_AT_DOCKER = 30.0
AFTER_AN_EVENT = 0.05
RECONNECT = (0.2, 10.0)
"""Seconds until the first try to hear Docker's events again, and at most."""


class Apps:
    """Every lazy app, by the name of its wake group, and its keeper."""

    def __init__(
        self, settings: Settings, tools: Tools, holds: Holds, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self._holds = holds
        self.keepers: dict[str, Keeper] = {}
        self._tools = tools
        self._wall_clock = wall_clock
        self._look = asyncio.Event()
        self._looked = 0.0
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._take_over()

    def find(self, route: str) -> tuple[Keeper, LazyRoute] | None:
        """The keeper of a route's app, and the route."""
        found = self.settings.lazy.route(route)
        keeper = self.keepers.get(found[0].name) if found else None
        return (keeper, found[1]) if found and keeper else None

    def scheduled(self, app: LazyApp) -> bool:
        """Whether these are hours in which the app is kept awake."""
        return is_on(app.awake, self._wall_clock(), self.settings.lazy.timezone)

    async def run(self) -> None:
        """Keep them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._look_at_docker())
            group.create_task(self._tick())

    async def stop(self) -> None:
        """Leave all as they are: the next waker finds out how that is."""
        for keeper in self.keepers.values():
            await keeper.stop()

    async def look(self) -> activity.Sight | None:
        """One look at what is in use."""
        return await activity.look(self._tools.traefik)

    async def hold(self, keeper: Keeper, seconds: float) -> bool:
        """Hold an app; whether its names lead to the waker now. Where they do not, it is not held."""
        keeper.hold(seconds)
        self._holds.add(keeper.app.name, Hold(seconds, keeper.life.slept))
        await keeper.idle()
        if keeper.direct is False:
            return True
        await self.release(keeper)
        return False

    async def release(self, keeper: Keeper, *, expired: bool = False) -> None:
        """Hold an app no longer (`expired`: unless it was held anew). It then wakes or falls asleep, as is found."""
        running = None
        try:
            running = await self._tools.docker.running()
        except DockerError as fault:
            log.warning("%s is released, but what runs of it is not known: %s", keeper.app.name, fault)
        if not expired or keeper.now >= keeper.life.held_until:
            keeper.release(running, stay=self.scheduled(keeper.app))
        self._keep_holds()

    async def reaches_traefik(self) -> bool:
        """Whether Traefik's API answers."""
        return await self._tools.traefik.answers()

    def soon(self) -> None:
        """Look at Docker soon."""
        self._look.set()

    def _take_over(self) -> None:
        lazy, routes = self.settings.lazy, self._tools.routes
        routes.monitors, routes.keep_connections = lazy.monitors, lazy.keep_connections
        for name in (*(set(self.keepers) - set(lazy.apps)), *routes.others(lazy.apps)):
            gone = self.keepers.pop(name, None)
            if gone is not None:
                self._leaving[name] = asyncio.create_task(gone.stop())
            routes.remove(name)
        for app in lazy.apps.values():
            if app.name in self.keepers:
                self.keepers[app.name].app = app
                continue
            keeper = self.keepers[app.name] = Keeper(app, self._tools, self.soon)
            if hold := self._holds.of(app.name):
                keeper.hold(hold.seconds, slept=hold.slept)
        self._keep_holds()
        self.soon()

    def _keep_holds(self) -> None:
        self._holds.keep([name for name, keeper in self.keepers.items() if keeper.held])

    async def _tick(self) -> None:
        while True:
            try:
                await self._tick_once()
            except Exception:
                log.exception("a look at the apps has failed; the waker goes on")
            await asyncio.sleep(self._pause())

    async def _tick_once(self) -> None:
        if self.settings.reload():
            log.info("lazy.json has changed")
            self._take_over()
        for keeper in self.keepers.values():
            if keeper.life.state in (State.ASLEEP, State.FAILED) and self.scheduled(keeper.app):
                keeper.ask()
        await self._end_holds()
        awake = [keeper for keeper in self.keepers.values() if keeper.life.state is State.AWAKE]
        now = self._tools.clock()
        if awake and now - self._looked >= self._between(awake):
            self._looked = now
            await self._watch(awake)

    async def _end_holds(self) -> None:
        for keeper in tuple(self.keepers.values()):
            if keeper.held and keeper.now >= keeper.life.held_until:
                log.warning("%s was held until now, and nobody has released it", keeper.app.name)
                await self.release(keeper, expired=True)

    async def _watch(self, awake: list[Keeper]) -> None:
        sight = await self.look()
        for keeper in awake:
            in_use = await keeper.look(sight)
            keeper.observe(in_use)
            quiet = in_use is False and not keeper.in_flight
            if quiet and keeper.life.may_sleep(keeper.now, keeper.app.idle) and not self.scheduled(keeper.app):
                keeper.fall_asleep()

    def _between(self, awake: list[Keeper]) -> float:
        return min(LONGEST_BETWEEN_LOOKS, min(keeper.app.idle for keeper in awake) / 4)

    def _pause(self) -> float:
        awake = [keeper for keeper in self.keepers.values() if keeper.life.state is State.AWAKE]
        return min(TICK, self._between(awake)) if awake else TICK

    async def _listen(self) -> None:
        pause = RECONNECT[0]
        while True:
            try:
                async for name, action in self._tools.docker.events():
                    pause = RECONNECT[0]
                    self._heard(name, action)
            except DockerError as fault:
                log.warning("%s; once more in %.1f s", fault, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, RECONNECT[1])

    def _heard(self, name: str, action: str) -> None:
        if not name:
            self.soon()
        for keeper in self.keepers.values():
            if any(container.name == name for container in keeper.app.containers):
                keeper.heard(started=action == "start")

    async def _look_at_docker(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_AT_DOCKER):
                    await self._look.wait()
                await asyncio.sleep(AFTER_AN_EVENT)
            except TimeoutError:
                pass
            self._look.clear()
            try:
                asked = self._tools.clock()
                running = await self._tools.docker.running()
                for keeper in self.keepers.values():
                    keeper.found(running, asked)
            except DockerError as fault:
                log.warning("%s", fault)
            except Exception:
                log.exception("a look at Docker has failed; the waker goes on")
