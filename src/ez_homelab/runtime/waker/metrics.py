"""What Prometheus learns of the wake groups: a text, in a file that a program beside Prometheus reads.

No network leads to the waker, so nobody can ask it. What does not count any more is no longer there: the file goes when
the waker ends, and before it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from .states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .apps import Apps
    from .statistics import Statistics

log = logging.getLogger("waker.metrics")

EVERY = 15.0
"""Seconds between two writes: half of what Prometheus usually leaves between two looks."""
PREFIX = "ez_homelab"
FILE = "waker.prom"


def text(apps: Apps, statistics: Statistics, memory_saved: int) -> str:
    """Every wake group, in Prometheus's text format 0.0.4; `memory_saved` in bytes.

    The label is not called `app`: that is the program whom Prometheus asks.
    """
    lines = [*_lines(apps, statistics), *_about("memory_saved_bytes", "gauge", "What the groups that sleep would take.")]
    return "".join(f"{line}\n" for line in (*lines, _line("memory_saved_bytes", memory_saved)))


class MetricsFile:
    """The file. It is written whole and renamed, so that nobody reads half of it."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` None: nobody reads it, and none is written."""
        self._path = folder / FILE if folder else None
        self._failed = False

    def remove(self) -> None:
        """Take away what an earlier waker has told, or this one."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def keep(self, told: Callable[[], str], seconds: float = EVERY) -> None:
        """Write what is told again and again, until cancelled; then it is gone."""
        try:
            while True:
                self.write(told())
                await asyncio.sleep(seconds)
        finally:
            self.remove()

    def write(self, content: str) -> None:
        """Replace it. What cannot be written costs the figures, and those that were there, not the waker."""
        if self._path is None:
            return
        # The reader takes *.prom only.
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(content, "utf-8")
            beside.replace(self._path)
            self._failed = False
        except OSError as fault:
            if not self._failed:
                log.warning("%s cannot be written: %s", self._path, fault)
            self._failed = True
            self.remove()
            with contextlib.suppress(OSError):
                beside.unlink()


def _lines(apps: Apps, statistics: Statistics) -> Iterator[str]:
    keepers = sorted(apps.keepers.items())
    yield from _about("group_state", "gauge", "Whether the wake group is in this state.")
    for name, keeper in keepers:
        for state in State:
            yield _line("group_state", int(keeper.life.state is state), group=name, state=state.value)
    yield from _about("group_wakes_total", "counter", "How often it woke, for a visitor, by its hours or by an order.")
    for name, _ in keepers:
        yield _line("group_wakes_total", statistics.of(name).count, group=name)
    yield from _about("group_wake_seconds", "gauge", "Time to wake, of the last hundred.")
    for name, _ in keepers:
        wakes = statistics.of(name)
        for quantile, seconds in (("0.5", wakes.p50), ("0.95", wakes.p95)):
            if seconds is not None:
                yield _line("group_wake_seconds", seconds, group=name, quantile=quantile)
    yield from _about("group_failed_starts", "gauge", "Failed starts in a row.")
    for name, keeper in keepers:
        yield _line("group_failed_starts", keeper.life.failures, group=name)
    yield from _about("group_trouble", "gauge", "Whether its names cannot be led where they should lead.")
    for name, keeper in keepers:
        yield _line("group_trouble", int(bool(keeper.trouble)), group=name)
    yield from _about("group_memory_bytes", "gauge", "What it takes while awake: measured at rest, or kept free for it.")
    for name, keeper in keepers:
        yield _line("group_memory_bytes", keeper.app.memory, group=name)


def _about(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}_{name} {words}"
    yield f"# TYPE {PREFIX}_{name} {kind}"


def _line(name: str, value: float, **labels: str) -> str:
    # Names of groups and of states hold nothing that would have to be quoted.
    told = ",".join(f'{label}="{word}"' for label, word in labels.items())
    return f"{PREFIX}_{name}{f'{{{told}}}' if told else ''} {value}"
