"""One app's keeper: does what its state asks for, one thing at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING

from .containers import Containers
from .docker import DockerError
from .in_use import InUse
from .leading import Leading
from .readiness import StartError
from .states import UNSETTLED, Answer, Life, State
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from .activity import Sight
    from .settings import LazyApp
    from .tools import Tools

log = logging.getLogger("waker.keeper")

MEND_AGAIN = 10.0
"""Seconds after which what runs in part again is made whole again: a container that ends at once is no storm."""


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
        self.log: list[str] = []
        self.leading = Leading(lambda: self.app, tools)
        self._tools = tools
        self._containers = Containers(lambda: self.app, tools, self.own_ports, lambda: self.held and not self.gone)
        self._in_use = InUse(lambda: self.app, tools, self.leading, self.own_ports, self._knows_somebody)
        self._turns = Turns(f"keep {app.name}")
        self.gone = False
        """Whether it is kept no longer, so that nobody need wait for it."""
        self._changed = asyncio.Event()
        self._mended_at = -math.inf

    @property
    def now(self) -> float:
        """Seconds of the clock that only goes forward."""
        return self._tools.clock()

    @property
    def direct(self) -> bool | None:
        """Whether Traefik leads to the app itself, as it has confirmed; None where that is not known."""
        return self.leading.direct

    @property
    def trouble(self) -> str:
        """What keeps the route from being as it should be."""
        return self.leading.trouble

    @property
    def step(self) -> str:
        """The container that is being started."""
        return self._containers.step

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
        self._containers.step, self.log = "", []
        self._in_use.begin_anew()
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
            self._containers.died.set()
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
        if self.leading.is_amiss(direct=self.life.state is State.AWAKE):
            self._begin(self._lead_again)

    def observe(self, in_use: bool | None) -> None:
        """It was looked at (see `Activity`)."""
        if in_use or self.in_flight:
            self.life.seen_in_use(self.now)

    async def look(self, sight: Sight | None) -> bool | None:
        """Whether it is in use, by a look at all apps."""
        return await self._in_use.seen(sight)

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

    def _knows_somebody(self) -> bool:
        return bool(self.in_flight) or self.life.wanted

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
            await self._containers.start()
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
        self._in_use.begin_anew()
        self._containers.step, self.log = "", []
        self._tell()
        await self.leading.lead(direct=True)

    async def _adopt(self) -> None:
        """Somebody else has started it, or a part of it. What Traefik counts from now on is use of what runs now."""
        await self._in_use.now()
        await self._wake(adopted=True)

    async def _failed(self, reason: str, *, adopted: bool) -> None:
        """What was started is stopped. What ran before stays where somebody is with it, and is awake if it is whole."""
        self.log = await self._containers.last_lines()
        up = await self._containers.up()
        used = await self._may_be_used(up, adopted=adopted)
        if used and up == {container.name for container in self.app.containers}:
            log.warning("%s is left awake, as it may be in use: %s", self.app.name, reason)
            await self._awake()
            return
        log.warning("%s has not started: %s", self.app.name, reason)
        self._give_up(reason)
        if not used:
            await self._containers.stop()
        await self.leading.lead(direct=False)

    async def _may_be_used(self, up: Collection[str] | None, *, adopted: bool) -> bool:
        """Whether somebody may be with what ran before the start that has failed."""
        if up is not None and self._containers.started.issuperset(up):
            return False
        since = await self._in_use.now() if adopted else None
        return bool(since) or await self._in_use.in_part(up) is not False

    def _give_up(self, reason: str) -> None:
        if self.life.state is State.WAKING:
            self.life.fail(self.now, reason)
        elif self.life.state is State.FALLING_ASLEEP and self.life.asleep(self.now) is Answer.START:
            self._begin(self._wake)
        self._tell()

    async def _sleep(self) -> None:
        if await self._in_use.still() is not False or not self.life.stop():
            self.life.stay(self.now)
            self._in_use.begin_anew()
            self._tell()
            # Why it could not be led away is told until it is tried again.
            await self.leading.lead(direct=True, told=self.leading.trouble)
            return
        await self._containers.stop()
        log.info("%s is asleep", self.app.name)
        answer = self.life.asleep(self.now)
        self._in_use.begin_anew()
        self._tell()
        if answer is Answer.START:
            await self._wake()

    async def _sleep_again(self) -> None:
        """It slept before it was held. What Traefik counted until now was not at what runs now."""
        await self._in_use.now()
        await self._sleep()

    async def _lead_to_waker(self) -> None:
        await self.leading.lead(direct=False)

    async def _put_away(self) -> None:
        """Its names lead to the waker, and what still runs of it is stopped. Where somebody is with that, the rest is
        started instead; where that cannot be told, the next look finds out."""
        used = await self._in_use.in_part(await self._containers.up())
        if self.life.state is State.WAKING:
            # Somebody came, and the start that they get waits for the end of this.
            return
        if used is False:
            await self._containers.stop()
        elif used and self.now - self._mended_at >= MEND_AGAIN and self.life.ask(self.now) is Answer.START:
            self._mended_at = self.now
            log.info("%s is in use, and what does not run of it is started", self.app.name)
            await self._adopt()

    async def _lead_again(self) -> None:
        await self.leading.again(direct=self.life.state is State.AWAKE)
