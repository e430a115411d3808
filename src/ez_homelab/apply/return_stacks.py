"""After a run: which stacks failed, and taking those back that were well before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.apply.pending import make_pending
from ez_homelab.apply.way_back import go_back
from ez_homelab.observe.observed import ObservedServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.apply.executor import Outcome
    from ez_homelab.apply.work import ServerWork
    from ez_homelab.errors import EzError
    from ez_homelab.generations.document import Recorded
    from ez_homelab.observe.observed import Unknown
    from ez_homelab.progress import Progress


async def return_stacks(
    works: Mapping[str, ServerWork],
    bases: Mapping[str, tuple[int, Recorded]],
    observed: Mapping[str, ObservedServer | Unknown],
    outcomes: Sequence[Outcome],
    progress: Progress,
) -> dict[tuple[str, str], EzError]:
    """Take back every stack of which an action failed after something of it was changed.

    Returns the errors to report, by server and stack. A stack that was never up stays as it is: there is nothing to go
    back to.
    """
    returned: dict[tuple[str, str], EzError] = {}
    for name, work in works.items():
        found = observed[name]
        if not isinstance(found, ObservedServer):
            continue
        for stack, failure in _failures(work, outcomes).items():
            number, recorded = bases.get(stack, (0, None))
            before = recorded.desired.servers.get(name) if recorded else None
            if before is None:
                continue
            own = [one for one in outcomes if one.action.server == name]
            pending = await make_pending(work.host, stack, number, before, work.server, found, own)
            if pending is not None:
                with progress.step(f"take {stack} back to generation {number}") as say:
                    returned[name, stack] = await go_back(work.host, pending, before, failure, say)
    return returned


def _failures(work: ServerWork, outcomes: Sequence[Outcome]) -> dict[str, EzError]:
    """By stack the first failure of an action on it."""
    failures: dict[str, EzError] = {}
    for outcome in outcomes:
        if outcome.error and outcome.action.server == work.server.name:
            for stack in work.stacks_of(outcome.action):
                failures.setdefault(stack, outcome.error)
    return failures
