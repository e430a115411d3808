"""One app's keeper: does what its state asks for, one thing at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from . import activity
from .docker import Docker, DockerError
from .readiness import StartError, until_ready
from .states import UNSETTLED, Answer, Life, State
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping

    from .routes import RouteFiles
    from .settings import LazyApp
    from .statistics import Statistics
    from .traefik import Traefik

log = logging.getLogger("waker.keeper")

ROUTE_AGAIN = 30.0
MEND_AGAIN = 10.0
"""Seconds after which what runs in part again is made whole again: a container that ends at once is no storm."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Tools:
    """What keepers share."""

    docker: Docker
    routes: RouteFiles
    traefik: Traefik
    statistics: Statistics
    clock: Callable[[], float]
    starts: asyncio.Semaphore
    second_look: float
    """Seconds between the two looks before a stop."""


class Keeper:
    """Keeps one app."""

    def __init__(self, app: LazyApp, tools: Tools, look_soon: Callable[[], None]) -> None:
        """`look_soon` makes somebody call `found` soon."""
        self.app = app
        self._look_soon = look_soon
        self._look_after = False
        self._done_at = -math.inf
        self.life = Life(since=tools.clock())
        self.in_flight = 0
        """Requests that the waker itself is handing on, those of monitors left out."""
        self.own_ports: set[int] = set()
        """Local ports of connections to the app that do not count as its use."""
        self.direct: bool | None = None
        """Whether Traefik leads to the app itself, as it has confirmed; None where that is not known."""
        self.step = ""
        self.log: list[str] = []
        self.trouble = ""
        """What keeps the route from being as it should be."""
        self._tools = tools
        self._activity = activity.Activity()
        self._turns = Turns(f"keep {app.name}")
        self.gone = False
        """Whether it is kept no longer, so that nobody need wait for it."""
        self._changed = asyncio.Event()
        self._died = asyncio.Event()
        self._routed_at = 0.0
        self._mended_at = -math.inf
        self._started: set[str] = set()
        """Its containers that did not run before the last start."""

    @property
    def now(self) -> float:
        """Seconds of the clock that only goes forward."""
        return self._tools.clock()

    @property
    def at_work(self) -> bool:
        """Whether something is being done with it."""
        return self._turns.busy

    @property
    def held(self) -> bool:
        """Whether somebody else changes its containers."""
        return self.life.state is State.HELD

    def ask(self, *, again: bool = False) -> Answer:
        """Somebody comes (`again`: by the button on the page). What to do with them; a start is on its way then."""
        answer = self.life.retry(self.now) if again else self.life.ask(self.now)
        if answer is Answer.START:
            self._begin(self._wake)
        return answer

    def hold(self, seconds: float, *, slept: bool | None = None) -> None:
        """Hold it: what is being done with it ends, and its names are led to the waker, which `idle` waits for.

        `slept`: whether it did when it was held, where an earlier waker held it.
        """
        self.life.hold(self.now, seconds)
        if slept is not None:
            self.life.slept = slept
        self._turns.cancel()
        self.step, self.log = "", []
        self._activity.begin_anew()
        self._tell()
        self._begin(self._lead_to_waker)
        log.info("%s is held for %.0f s", self.app.name, seconds)

    def release(self, running: Mapping[str, bool] | None, *, stay: bool) -> None:
        """Hold it no longer. `running`: what Docker says, None where it does not; `stay`: it may not sleep now."""
        if not self.held:
            return
        up = [(running or {}).get(container.name, False) for container in self.app.containers]
        answer = self.life.release(self.now, running=all(up), stay=stay)
        log.info("%s is held no longer", self.app.name)
        self._tell()
        if answer is Answer.START:
            self._begin(self._adopt if all(up) else self._wake)
        elif self.life.state is State.FALLING_ASLEEP:
            self._begin(self._sleep_again)
        elif any(up):
            self._begin(self._put_away)
        self._look_soon()

    async def settled(self) -> None:
        """Return when it neither wakes nor falls asleep nor is held."""
        while self.life.state in UNSETTLED and not self.gone:
            await self._changed.wait()

    async def changed(self, seconds: float) -> None:
        """Return at its next change, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def heard(self, *, started: bool) -> None:
        """Docker says that one of its containers has started, or has ended."""
        if not started:
            self._died.set()
        if not self.at_work:
            self._look_soon()
        elif not started:
            self._look_after = True

    def found(self, running: Mapping[str, bool], asked: float) -> None:
        """Docker says which containers run; it was asked at that time. What is being done goes on undisturbed."""
        if self.at_work:
            return
        if asked < self._done_at:
            # What it says may be older than what was done since.
            self._look_soon()
            return
        if self.held:
            self._mind_route()
            return
        up = [running.get(container.name, False) for container in self.app.containers]
        before = self.life.state
        if self.life.found(self.now, running=all(up)) is Answer.START:
            self._begin(self._adopt)
        elif before is not self.life.state:
            log.info("%s is not running any more%s", self.app.name, ", but a part of it" if any(up) else "")
            self._tell()
            self._begin(self._put_away)
        elif before is not State.AWAKE and any(up):
            self._begin(self._put_away)
        else:
            self._mind_route()

    def _mind_route(self) -> None:
        direct = self.life.state is State.AWAKE
        if self._tools.routes.leads(self.app) is not direct or self.direct is None:
            self._begin(self._route_again)

    def observe(self, in_use: bool | None) -> None:
        """It was looked at (see `Activity`)."""
        if in_use or self.in_flight:
            self.life.seen_in_use(self.now)

    async def look(self, sight: activity.Sight | None) -> bool | None:
        """Whether it is in use, by a look at all apps."""
        return await self._activity.in_use(self.app, sight, self.own_ports)

    def fall_asleep(self) -> bool:
        """Begin to fall asleep, which shows in its state; False where it is not awake or is being worked on."""
        if self.life.state is not State.AWAKE or self.at_work:
            return False
        self.life.fall(self.now)
        self._tell()
        self._begin(self._sleep)
        return True

    async def idle(self) -> None:
        """Return when nothing is being done with it."""
        await self._turns.over()

    async def stop(self) -> None:
        """Leave it as it is, for good."""
        self.gone = True
        self._tell()
        self._turns.cancel()
        await self.idle()

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        self._turns.begin(lambda: self._do(work))

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:
            log.exception("%s: what was being done has failed", self.app.name)
            self._give_up("the waker has failed; its log says why")
        self._done_at = self.now
        if self._look_after:
            self._look_after = False
            self._look_soon()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wake(self, *, adopted: bool = False) -> None:
        began = self.now
        self._tell()
        try:
            async with asyncio.timeout(self.app.timeout) as limit:
                await self._start(limit)
        except TimeoutError:
            await self._failed(f"it was not ready within {self.app.timeout:g} seconds", adopted=adopted)
        except (StartError, DockerError) as fault:
            await self._failed(str(fault), adopted=adopted)
        else:
            if not adopted:
                self._tools.statistics.add(self.app.name, self.now - began)
            log.info("%s is awake after %.2f s", self.app.name, self.now - began)
            await self._awake()

    async def _awake(self) -> None:
        self.life.ready(self.now)
        self._activity.begin_anew()
        self.step, self.log = "", []
        self._tell()
        await self._route(direct=True)

    async def _adopt(self) -> None:
        """Somebody else has started it, or a part of it. What Traefik counts from now on is use of what runs now."""
        await self.look(await activity.look(self._tools.traefik))
        await self._wake(adopted=True)

    async def _start(self, limit: asyncio.Timeout) -> None:
        self._started.clear()
        for container in self.app.containers:
            self.step = container.name
            self._died.clear()
            # Waiting for others to start is no fault of this app's.
            time = asyncio.get_running_loop().time
            left = (limit.when() or 0.0) - time()
            limit.reschedule(None)
            async with self._tools.starts:
                limit.reschedule(time() + left)
                if await self._whole(self._tools.docker.start(container.name)):
                    self._started.add(container.name)
            await until_ready(container, self._tools.docker, self.own_ports, self._died, self._tools.clock)

    async def _failed(self, reason: str, *, adopted: bool) -> None:
        """What was started is stopped. What ran before stays where somebody is with it, and is awake if it is whole."""
        self.log = await self._last_lines()
        up = await self._up()
        used = await self._may_be_used(up, adopted=adopted)
        if used and up == {container.name for container in self.app.containers}:
            log.warning("%s is left awake, as it may be in use: %s", self.app.name, reason)
            await self._awake()
            return
        log.warning("%s has not started: %s", self.app.name, reason)
        self._give_up(reason)
        if not used:
            await self._stop_containers()
        await self._route(direct=False)

    async def _may_be_used(self, up: Collection[str] | None, *, adopted: bool) -> bool:
        """Whether somebody may be with what ran before the start that has failed."""
        if up is not None and self._started.issuperset(up):
            return False
        since = await self.look(await activity.look(self._tools.traefik)) if adopted else None
        return bool(since) or await self._is_used(up) is not False

    def _give_up(self, reason: str) -> None:
        if self.life.state is State.WAKING:
            self.life.fail(self.now, reason)
        elif self.life.state is State.FALLING_ASLEEP and self.life.asleep(self.now) is Answer.START:
            self._begin(self._wake)
        self._tell()

    async def _last_lines(self) -> list[str]:
        try:
            found = await self._tools.docker.find(self.step)
            lines = await self._tools.docker.log(self.step, tty=found.tty)
        except DockerError:
            return []
        return [line for line in lines if line]

    async def _sleep(self) -> None:
        if not await self._is_left_alone() or not self.life.stop():
            self.life.stay(self.now)
            self._activity.begin_anew()
            self._tell()
            await self._route(direct=True)
            return
        await self._stop_containers()
        log.info("%s is asleep", self.app.name)
        answer = self.life.asleep(self.now)
        self._activity.begin_anew()
        self._tell()
        if answer is Answer.START:
            await self._wake()

    async def _sleep_again(self) -> None:
        """It slept before it was held. What Traefik counted until now was not at what runs now."""
        await self.look(await activity.look(self._tools.traefik))
        await self._sleep()

    async def _is_left_alone(self) -> bool:
        """Lead its names to the waker, and look twice whether anybody is still with the app."""
        if not await self._route(direct=False):
            return False
        for pause in (0.0, self._tools.second_look):
            await asyncio.sleep(pause)
            in_use = await self.look(await activity.look(self._tools.traefik))
            if in_use is not False or self.in_flight or self.life.wanted:
                return False
        return True

    async def _up(self) -> set[str] | None:
        """Those of its containers that run; None where Docker does not say so."""
        try:
            running = await self._tools.docker.running()
        except DockerError as fault:
            log.warning("what runs of %s is not known: %s", self.app.name, fault)
            return None
        return {container.name for container in self.app.containers if running.get(container.name)}

    async def _is_used(self, up: Collection[str] | None) -> bool | None:
        """Lead its names to the waker, and look whether anybody is with what runs of it; None where that is not seen.

        Whoever comes to the waker meanwhile is seen in its state.
        """
        confirmed = await self._route(direct=False)
        if up is not None and not up:
            return False
        if up is None or not confirmed:
            return None
        # A container that has ended has no address any more, and nobody is with it.
        ended = {container.name for container in self.app.containers} - {*up}
        app = replace(self.app, routes=tuple(route for route in self.app.routes if route.target.host not in ended))
        looks = activity.Activity()
        await looks.in_use(app, await activity.look(self._tools.traefik), self.own_ports)
        for pause in (0.0, self._tools.second_look):
            await asyncio.sleep(pause)
            in_use = await looks.in_use(app, await activity.look(self._tools.traefik), self.own_ports)
            if in_use is not False or self.in_flight:
                return True if self.in_flight else in_use
        return False

    async def _lead_to_waker(self) -> None:
        await self._route(direct=False)

    async def _put_away(self) -> None:
        """Its names lead to the waker, and what still runs of it is stopped. Where somebody is with that, the rest is
        started instead; where that cannot be told, the next look finds out."""
        used = await self._is_used(await self._up())
        if self.life.state is State.WAKING:
            # Somebody came, and the start that they get waits for the end of this.
            return
        if used is False:
            await self._stop_containers()
        elif used and self.now - self._mended_at >= MEND_AGAIN and self.life.ask(self.now) is Answer.START:
            self._mended_at = self.now
            log.info("%s is in use, and what does not run of it is started", self.app.name)
            await self._adopt()

    async def _route_again(self) -> None:
        if self.direct is None and self.now - self._routed_at < ROUTE_AGAIN and self._routed_at:
            return
        await self._route(direct=self.life.state is State.AWAKE)

    async def _stop_containers(self) -> None:
        for container in reversed(self.app.containers):
            try:
                await self._whole(self._tools.docker.stop(container.name))
            except DockerError as fault:
                log.warning("%s cannot be stopped: %s", container.name, fault)

    async def _whole(self, call: Coroutine[object, object, Result]) -> Result:
        """Wait for what Docker is told. Whoever holds the app waits for the end of it: half done, it would go on."""
        telling = asyncio.create_task(call)
        try:
            return await asyncio.shield(telling)
        except asyncio.CancelledError:
            if not self.held or self.gone:
                telling.cancel()
            with contextlib.suppress(DockerError, asyncio.CancelledError):
                await telling
            raise

    async def _route(self, *, direct: bool) -> bool:
        """Lead its names to the app or to the waker; whether Traefik does so now."""
        self._routed_at, self.direct, self.trouble = self.now, None, ""
        try:
            if self._tools.routes.leads(self.app) is not direct:
                self._tools.routes.write(self.app, direct=direct)
            else:
                # Traefik may have missed the touch before.
                self._tools.routes.nudge()
        except OSError as fault:
            self.trouble = f"the route file cannot be written: {fault}"
        else:
            if await self._tools.traefik.confirm(self.app, direct=direct):
                self.direct = direct
                return True
            answers = await self._tools.traefik.answers()
            self.trouble = f"Traefik does not {'confirm the route' if answers else 'answer: it is stopped, or unwell'}"
        log.warning("%s: %s", self.app.name, self.trouble)
        return False
