"""Whether somebody is with an app, and before it is stopped: whether anybody is still with it, or with what runs of it.

Before a stop its names lead to the waker first, so that whoever comes from then on is known there; then it is looked at
twice, as the second look sees those who were let in just before.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from . import activity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from .leading import Leading
    from .settings import LazyApp
    from .tools import Tools


class InUse:
    """Looks at one app."""

    def __init__(
        self,
        app: Callable[[], LazyApp],
        tools: Tools,
        leading: Leading,
        own_ports: set[int],
        known: Callable[[], bool],
    ) -> None:
        """`app`: as lazy.json has it now; `known`: whether the waker itself knows of somebody."""
        self._app = app
        self._leading = leading
        self._traefik, self._second_look = tools.traefik, tools.second_look
        self._own_ports = own_ports
        self._known = known
        self._activity = activity.Activity()

    def begin_anew(self) -> None:
        """Forget the last look: the next one counts as use."""
        self._activity.begin_anew()

    async def seen(self, sight: activity.Sight | None) -> bool | None:
        """Whether somebody is with it, by a look at all apps; None where that is not seen."""
        return await self._activity.in_use(self._app(), sight, self._own_ports)

    async def now(self) -> bool | None:
        """Whether somebody is with it, by a look of its own; None where that is not seen."""
        return await self.seen(await activity.look(self._traefik))

    async def still(self) -> bool | None:
        """Whether anybody is still with it while its names lead to the waker; None where that is not seen."""
        return await self._twice(self.now) if await self._leading.lead(direct=False) else None

    async def in_part(self, up: Collection[str] | None) -> bool | None:
        """As `still`, of those containers that run, which Docker may not have said (None). Those who have finished
        before are not with it."""
        confirmed = await self._leading.lead(direct=False)
        if up is not None and not up:
            return False
        return await self._in_part(up) if up and confirmed else None

    async def _in_part(self, up: Collection[str]) -> bool | None:
        # A container that has ended has no address any more, and nobody is with it.
        ended = {container.name for container in self._app().containers} - {*up}
        routes = tuple(route for route in self._app().routes if route.target.host not in ended)
        app, looks = replace(self._app(), routes=routes), activity.Activity()

        async def look() -> bool | None:
            return await looks.in_use(app, await activity.look(self._traefik), self._own_ports)

        await look()
        return await self._twice(look)

    async def _twice(self, look: Callable[[], Awaitable[bool | None]]) -> bool | None:
        for pause in (0.0, self._second_look):
            await asyncio.sleep(pause)
            in_use = await look()
            if in_use is not False or self._known():
                return self._known() or in_use
        return False
