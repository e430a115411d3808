"""Runs a plan: every action as soon as what it waits for is done, and decides nothing.

An action that fails takes with it only what waits for it; everything else is carried through.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ez_homelab.errors import EzError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractContextManager

    from ez_homelab.apply.journal import Journal
    from ez_homelab.plan.action import Action, Plan
    from ez_homelab.progress import Progress

    Perform = Callable[[Action, Callable[[str], None]], Awaitable[None]]

AT_ONCE = 4
"""Actions under way at the same time on one server."""

# A build or a pull keeps disk, network and processor busy by itself.
IMAGES_AT_ONCE = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one action ended. `skipped`: something that it waits for failed."""

    action: Action
    state: Literal["done", "failed", "skipped"]
    error: EzError | None = None


@dataclass
class Execution:
    """One run of one plan. `earlier` are outcomes that are known already: those actions are not tried again."""

    plan: Plan
    perform: Perform
    journal: Journal
    run: int
    progress: Progress
    earlier: Mapping[str, Outcome] = field(default_factory=dict)
    _outcomes: dict[str, Outcome] = field(default_factory=dict)

    @cached_property
    def _ids(self) -> set[str]:
        return {action.id for action in self.plan.actions}

    async def carry_out(self) -> tuple[Outcome, ...]:
        """Every action's outcome, in the plan's order. Raises only what is no `EzError` (a fault in this program)."""
        servers = {action.server for action in self.plan.actions}
        limits = {server: (asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(IMAGES_AT_ONCE)) for server in servers}
        done = {action.id: asyncio.Event() for action in self.plan.actions}
        async with asyncio.TaskGroup() as group:
            for action in self.plan.actions:
                group.create_task(self._when_ready(action, limits[action.server], done))
        return tuple(self._outcomes[action.id] for action in self.plan.actions)

    async def _when_ready(
        self, action: Action, limits: tuple[asyncio.Semaphore, asyncio.Semaphore], done: dict[str, asyncio.Event]
    ) -> None:
        for other in action.waits_for:
            if other in done:
                await done[other].wait()
        try:
            if known := self.earlier.get(action.id):
                self._outcomes[action.id] = known
                return
            if not all(map(self._is_done, action.waits_for)):
                self._outcomes[action.id] = Outcome(action, "skipped")
                return
            async with limits[action.kind == "image"]:
                self._outcomes[action.id] = await self._one(action)
        finally:
            done[action.id].set()

    def _is_done(self, earlier: str) -> bool:
        # An action has no outcome where a fault in this program ended it, and with it the whole run; nor has one that
        # an earlier stage has done.
        known = self._outcomes | {**self.earlier}
        return (known[earlier].state == "done") if earlier in known else earlier not in self._ids

    def _told(self, action: Action) -> AbstractContextManager[Callable[[str], None]]:
        # A file takes a millisecond and there are many: the plan names them, their failure is told as an error.
        return _quiet() if action.kind == "file" else self.progress.step(_title(action))

    async def _one(self, action: Action) -> Outcome:
        try:
            with self.journal.step(self.run, action.id, action.verb), self._told(action) as say:
                await self.perform(action, say)
        except EzError as error:
            return Outcome(action, "failed", error)
        return Outcome(action, "done")


def _quiet() -> AbstractContextManager[Callable[[str], None]]:
    return nullcontext(lambda _line: None)


def _title(action: Action) -> str:
    return f"{action.verb} {action.kind} {action.name}"
