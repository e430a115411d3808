"""Which sleeping apps a proof wakes, and how many at a time."""

from __future__ import annotations

import asyncio
import math
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Sequence

    from ez_homelab.hosts import Host
    from ez_homelab.render.desired import WakeGroup
    from ez_homelab.verify.proof import Check

AT_ONCE = 4
"""How many groups a proof has awake at a time, however much memory there is."""
MEMORY = "/proc/meminfo"
FALLING_ASLEEP = 60.0
"""Seconds for proving an app and for putting it to sleep."""


class Waking:
    """The apps whose groups are woken for a proof, over all its looks; `None` means every one.

    What was woken and held is not woken again for the next look.
    """

    def __init__(self, apps: Collection[str] | None = ()) -> None:
        self._apps = apps
        self._held: dict[tuple[str, str], Sequence[Check]] = {}

    def wants(self, group: WakeGroup) -> bool:
        """Whether one of its apps is to be woken."""
        return self._apps is None or not {*group.apps}.isdisjoint(self._apps)

    def minutes(self, groups: Iterable[WakeGroup]) -> int:
        """How long it takes to wake them one after the other, at most."""
        return math.ceil(sum(group.timeout + FALLING_ASLEEP for group in groups if self.wants(group)) / 60)

    def rows(self, server: str, group: str) -> Sequence[Check]:
        """What an earlier look has found of a group that held; empty where none has."""
        return self._held.get((server, group), ())

    def keep(self, server: str, group: str, rows: Sequence[Check]) -> None:
        """Remember what was found of a group where nothing failed."""
        if all(row.state != "failed" for row in rows):
            self._held[server, group] = rows


class Room:
    """Room for what is woken: as much as `free` bytes of memory, `AT_ONCE` groups at most, at least one.

    With `comes_back` a group's memory is free again once its context ends; otherwise it stays taken.
    """

    def __init__(self, free: int, *, comes_back: bool) -> None:
        self._free = free
        self._comes_back = comes_back
        self._taken = 0
        self._inside = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def for_(self, memory: int) -> AsyncIterator[bool]:
        """Wait for that much; False where it will not be there any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(memory) or not self._inside)
            fits = self._fits(memory) or not self._taken
            self._inside += 1
            self._taken += memory * fits
        try:
            yield fits
        finally:
            async with self._changed:
                self._inside -= 1
                self._taken -= memory * (fits and self._comes_back)
                self._changed.notify_all()

    def _fits(self, memory: int) -> bool:
        return self._inside < AT_ONCE and self._taken + memory <= self._free


async def free_memory(host: Host) -> int:
    """Bytes that programs can still have (MemAvailable, proc(5)); 0 where that cannot be read."""
    told = await host.read(MEMORY) or b""
    found = re.search(rb"^MemAvailable:\s+(\d+) kB$", told, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
