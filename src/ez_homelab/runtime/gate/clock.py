"""Time as the gate sees it: one function, so that a test can be another day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Returns seconds since 1970."""

CLOCK_STEP = 60
"""Seconds that the clock may go back without any notice being taken."""


def as_text(moment: float) -> str:
    """A moment as people and programs read it: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
