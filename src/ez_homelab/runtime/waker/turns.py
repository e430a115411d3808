"""One thing at a time: what is begun while another thing is being done waits for its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection


class Turns:
    """What is being done, and what waits for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return bool(self._tasks)

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it once everything begun before has ended."""
        task = asyncio.create_task(_after(tuple(self._tasks), work), name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Have all end; what is begun next waits until they have."""
        for task in self._tasks:
            task.cancel()

    async def over(self) -> None:
        """Return when nothing is being done."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _after(before: Collection[asyncio.Task[None]], work: Callable[[], Awaitable[None]]) -> None:
    if before:
        await asyncio.wait(before)
    await work()
