"""What the keepers of all apps share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .docker import Docker
    from .routes import RouteFiles
    from .statistics import Statistics
    from .traefik import Traefik


@dataclass(frozen=True)
class Tools:
    """Docker and Traefik, the route files, the figures, the clock."""

    docker: Docker
    routes: RouteFiles
    traefik: Traefik
    statistics: Statistics
    clock: Callable[[], float]
    starts: asyncio.Semaphore
    """Lets a few apps start at a time."""
    second_look: float
    """Seconds between the two looks before a stop."""
