"""The lab's lock, waited for: several runs at once come one after the other, and each says whom it waits for.

The kernel frees the lock of a run that is gone, so none is ever broken. Whoever has waited longest asks most often.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING

from ez_homelab.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AsyncExitStack

    from ez_homelab.hosts import Host
    from ez_homelab.progress import Progress

ASK_EVERY = (0.5, 0.1)
"""Seconds between two tries: of a run that has just come, and of one whose patience is at its end."""


@contextlib.asynccontextmanager
async def waiting_lock(
    host: Host, path: str, holder: Callable[[], str], *, patience: float, progress: Progress
) -> AsyncIterator[str]:
    """Hold the lock `path`, waiting up to `patience` seconds where another run holds it.

    `holder` is asked for the text that says who holds it since when, at the moment of each try. The context's value is
    the text of a run that ended without giving the lock back; empty where none did. Raises `LockedError` with the
    holder's own text as evidence.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            left = await stack.enter_async_context(host.lock(path, holder()))
        except LockedError as error:
            left = await _wait(stack, host, path, holder, _Waiting(error, patience), progress)
        if left:
            with progress.step(f"take over the lock of a run that ended without saying so: {left}"):
                pass
        yield left


class _Waiting:
    """How long somebody has waited, and for whom."""

    def __init__(self, first: LockedError, patience: float) -> None:
        self.last = first
        self._patience = patience
        self._begun = time.monotonic()

    @property
    def over(self) -> bool:
        return time.monotonic() - self._begun >= self._patience

    @property
    def pause(self) -> float:
        """Seconds until the next try. By chance, so that runs that came together do not go on asking together."""
        young, old = ASK_EVERY
        waited = time.monotonic() - self._begun
        usual = young + (old - young) * min(1.0, waited / self._patience)
        return max(0.0, min(random.uniform(old, max(old, usual)), self._patience - waited))  # noqa: S311 - no secret

    def given_up(self) -> LockedError:
        waited = time.monotonic() - self._begun
        return LockedError(
            f"{self.last.what}, and did not end within {waited:.0f} s" if self._patience else self.last.what,
            evidence=self.last.evidence,
            cause=self.last.cause,
            fix=self.last.fix,
        )


async def _wait(
    stack: AsyncExitStack, host: Host, path: str, holder: Callable[[], str], waiting: _Waiting, progress: Progress
) -> str:
    if waiting.over:
        raise waiting.given_up()
    with progress.step(f"wait for another run: {waiting.last.evidence}") as say:
        while not waiting.over:
            await asyncio.sleep(waiting.pause)
            try:
                return await stack.enter_async_context(host.lock(path, holder()))
            except LockedError as error:
                if error.evidence != waiting.last.evidence:
                    say(error.evidence)
                waiting.last = error
        raise waiting.given_up()
