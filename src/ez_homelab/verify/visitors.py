"""People who exist for one proof: made at the gate before it, forgotten after it, and by themselves after a crash."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ez_homelab.errors import EzError
from ez_homelab.gate_admin import ask_gate
from ez_homelab.verify.sign_on import Visitors, groups_and_factors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from ez_homelab.hosts import Host
    from ez_homelab.route import Route

COOKIE = "ez_session"
MINUTES = 5
"""How long they are known at most, should this program die before it has them forgotten. Waking apps adds to it."""


@asynccontextmanager
async def visitors(host: Host, routes: Iterable[Route], minutes: int = MINUTES) -> AsyncIterator[Visitors]:
    """The cookies of the proof's people. Raises `GateError` where there can be none."""
    made = await asyncio.gather(
        *(
            ask_gate(host, "identity", groups=groups, factors=factors, minutes=minutes)
            for groups, factors in groups_and_factors(routes)
        )
    )
    try:
        yield Visitors(*(f"{COOKIE}={one['token']}" for one in made))
    finally:
        await asyncio.gather(*(_forget(host, str(one["user"])) for one in made))


async def _forget(host: Host, user: str) -> None:
    # A gate that died during the proof has forgotten them with that.
    try:
        await ask_gate(host, "forget", user=user)
    except EzError:
        return
