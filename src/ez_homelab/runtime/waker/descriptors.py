"""File descriptors: as many as the door needs, where the engine allows them."""

from __future__ import annotations

import resource

EACH = 3
"""What one connection needs at most: itself, its body on disk, the app."""
OWN = 400
"""What the waker needs besides: for Docker, Traefik, health pages, and for those who are turned away."""


def enough_for(most: int) -> int:
    """Raise this program's limit as far as so many connections need; how many it is enough for.

    Newer engines start every program with 1024, and allow it to have far more.
    """
    wanted = most * EACH + OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, (allowed - OWN) // EACH)
