"""Whether an app is in use: what has finished since the last look, and what is open now.

Traefik counts a request when it ends, so a film or a WebSocket is invisible to its figures while it runs; open
connections show those. What cannot be found out is not taken for silence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .sockets import addresses, open_to, read_tables
from .traefik import Traefik, TraefikError

if TYPE_CHECKING:
    from .settings import LazyApp
    from .sockets import Connections, Remote

log = logging.getLogger("waker.activity")


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen in one look, for all apps: finished requests by service, established connections."""

    finished: dict[str, float]
    connections: Connections


async def look(traefik: Traefik) -> Sight | None:
    """One look; None where a part of it failed."""
    try:
        return Sight(await traefik.finished(), read_tables())
    except (TraefikError, OSError, ValueError) as fault:
        log.warning("whether apps are in use cannot be seen: %s", fault)
        return None


class Activity:
    """One app's: knows what the last look saw."""

    def __init__(self) -> None:
        self._finished: float | None = None

    def begin_anew(self) -> None:
        """Forget the last look: the next one counts as use."""
        self._finished = None

    async def in_use(self, app: LazyApp, sight: Sight | None, own_ports: set[int]) -> bool | None:
        """Whether it has been used since the last look or is being used now; None where that cannot be told.

        Connections from `own_ports` are the waker's own, on behalf of those who only look.
        """
        if sight is None:
            return None
        before = self._finished
        self._finished = sum(sight.finished.get(f"{route.name}@file", 0.0) for route in app.routes)
        if before != self._finished:
            return True
        remotes: set[Remote] = set()
        try:
            for route in app.routes:
                remotes |= await addresses(route.target)
        except OSError:
            return None
        return open_to(remotes, sight.connections, but=own_ports) > 0
