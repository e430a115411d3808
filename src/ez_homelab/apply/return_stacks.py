"""After a run: which stacks failed, and taking those back that were well before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.apply.pending import make_pending
from ez_homelab.apply.wakers import harms_nobody, left_asleep, told_wakers
from ez_homelab.apply.way_back import WentBackError, go_back
from ez_homelab.config.model import CORE
from ez_homelab.observe.observed import ObservedServer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ez_homelab.apply.executor import Outcome
    from ez_homelab.apply.pending import Pending
    from ez_homelab.apply.work import ServerWork
    from ez_homelab.errors import EzError
    from ez_homelab.generations.document import Recorded
    from ez_homelab.observe.observed import Unknown
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import DesiredServer


async def return_stacks(
    works: Mapping[str, ServerWork],
    bases: Mapping[str, tuple[int, Recorded]],
    observed: Mapping[str, ObservedServer | Unknown],
    outcomes: Sequence[Outcome],
    progress: Progress,
) -> dict[tuple[str, str], EzError]:
    """Take back every stack of which an action failed after something of it was changed.

    Returns the errors to report, by server and stack. A stack that was never up stays as it is: there is nothing to go
    back to. What woke the apps of such a stack goes back after it, with the same error as the stack where that was
    well.
    """
    returned: dict[tuple[str, str], EzError] = {}
    for name, work in works.items():
        found = observed[name]
        if not isinstance(found, ObservedServer):
            continue
        ways = _Ways(work, bases, found, [one for one in outcomes if one.action.server == name])
        for stack, failure in _failures(work, outcomes).items():
            if way := await ways.of(stack):
                returned[name, stack] = await _go(work, way, failure, progress)
        back = {stack: error for (server, stack), error in returned.items() if server == name}
        returned |= {(name, stack): error for stack, error in (await _with_wakers(ways, back, progress)).items()}
    return returned


@dataclass(frozen=True)
class _Way:
    pending: Pending
    before: DesiredServer


@dataclass(frozen=True)
class _Ways:
    """The ways back of one server's stacks."""

    work: ServerWork
    bases: Mapping[str, tuple[int, Recorded]]
    found: ObservedServer
    outcomes: Sequence[Outcome]

    def before(self, stack: str) -> DesiredServer | None:
        """The server in the generation of the stack that ran."""
        _, recorded = self.bases.get(stack, (0, None))
        return recorded.desired.servers.get(self.work.server.name) if recorded else None

    async def of(self, stack: str, unguarded: Collection[str] = ()) -> _Way | None:
        """The stack's own; None where there is nothing to go back to, or from. For `unguarded` see `make_pending`."""
        before = self.before(stack)
        if before is None:
            return None
        number, _ = self.bases[stack]
        host, now = self.work.host, self.work.server
        pending = await make_pending(host, stack, number, before, now, self.found, self.outcomes, unguarded)
        return _Way(pending, before) if pending else None

    def left_asleep(self, stack: str, now: DesiredServer) -> tuple[str, ...]:
        """The apps that sleep in the stack once it is back, and that nothing wakes if the core stack is so."""
        before = self.before(stack)
        return left_asleep(stack, before, now) if before else ()


async def _go(work: ServerWork, way: _Way, failure: EzError, progress: Progress) -> EzError:
    with progress.step(f"take {way.pending.stack} back to generation {way.pending.base}") as say:
        return await go_back(work.host, way.pending, way.before, failure, say)


async def _with_wakers(ways: _Ways, back: Mapping[str, EzError], progress: Progress) -> dict[str, EzError]:
    """Take back what woke the apps of these stacks; where that cannot be, their errors say what cannot be opened.

    It comes last: a waker stops what it finds half made.
    """
    now = ways.work.server
    needing = {stack: (error, apps) for stack, error in back.items()
               if isinstance(error, WentBackError) and (apps := ways.left_asleep(stack, now))}  # fmt: skip
    if not needing or CORE in back:
        return {}
    before = ways.before(CORE)
    way = await ways.of(CORE, told_wakers(before)) if before else None
    knows = way is not None and not any(ways.left_asleep(stack, way.before) for stack in needing)
    if way and knows and harms_nobody(way.pending, back, way.before, now):
        first, _ = next(iter(needing.values()))
        error = await _go(ways.work, way, first.failure, progress)
        return {CORE: first if isinstance(error, WentBackError) else error}
    for error, apps in needing.values():
        error.leave_asleep(apps)
    return {}


def _failures(work: ServerWork, outcomes: Sequence[Outcome]) -> dict[str, EzError]:
    """By stack the first failure of an action on it."""
    failures: dict[str, EzError] = {}
    for outcome in outcomes:
        if outcome.error and outcome.action.server == work.server.name:
            for stack in work.stacks_of(outcome.action):
                failures.setdefault(stack, outcome.error)
    return failures
