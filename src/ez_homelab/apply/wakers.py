"""What sleeps in a stack that is taken back was woken by the core stack as it was before, and that may have gone on.

Its containers have no other way to them, so what wakes them goes back with it, where that harms nobody else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.config.rules import ON_DEMAND_APPS
from ez_homelab.lazy.builtin import LAZY_FILE
from ez_homelab.plan.quiet import is_wakers_file, waker_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from ez_homelab.apply.pending import Pending
    from ez_homelab.render.desired import DesiredServer

WAKERS = frozenset(app for apps in ON_DEMAND_APPS.values() for app in apps)
"""The apps of the core stack that wake others, whichever engine the lab has."""


def left_asleep(stack: str, before: DesiredServer, now: DesiredServer) -> tuple[str, ...]:
    """The apps that sleep in the stack as it was before, and that nothing wakes as the core stack is now."""
    builtin, groups = waker_of(before) is not None, _sleepers(now)
    same_engine = builtin == (waker_of(now) is not None)
    # The waker knows containers by their names, Sablier by the group on their labels.
    known = {name for name, group in _sleepers(before).items()
             if same_engine and name in groups and (builtin or groups[name] == group)}  # fmt: skip
    left = (one for one in before.services if one.stack == stack and one.wake_group and one.name not in known)
    return tuple(dict.fromkeys(one.app for one in left))


def harms_nobody(pending: Pending, stacks: Collection[str], before: DesiredServer, now: DesiredServer) -> bool:
    """Whether the core stack, whose way back this is, can go back with the stacks.

    That is so where nothing of it was made anew but what wakes apps, and what sleeps in other stacks does so as before,
    under the same names and as containers that the engine of before knows.
    """
    wakers = {service.name for server in (before, now) for service in server.services if service.app in WAKERS}
    if not wakers.issuperset((*pending.containers, *pending.added)) or pending.copies or pending.restored:
        return False
    if _others_told(now, stacks) != _others_told(before, stacks) and waker_of(now) is not None:
        return False
    others = _sleepers(now, stacks)
    known = waker_of(before) is not None or waker_of(now) is None
    return others == _sleepers(before, stacks) and (known or not others)


def told_wakers(server: DesiredServer) -> tuple[str, ...]:
    """The files that the waker reads."""
    waker = waker_of(server)
    return tuple(file.path for file in server.files if waker and is_wakers_file(file.path, waker))


def _others_told(server: DesiredServer, without: Collection[str]) -> list[Any]:
    """What the waker is told of what sleeps in other stacks."""
    others = {*_sleepers(server, without).values()}
    texts = [
        file.content for file in server.files if file.path in told_wakers(server) and file.path.endswith(LAZY_FILE)
    ]
    return [app for text in texts for app in json.loads(text)["apps"] if app["name"] in others]


def _sleepers(server: DesiredServer, without: Collection[str] = ()) -> dict[str, str]:
    """The containers that sleep, each with its wake group, but for those of some stacks."""
    return {one.name: one.wake_group for one in server.services if one.wake_group and one.stack not in without}
