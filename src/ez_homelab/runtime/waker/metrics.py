"""What Prometheus learns of the wake groups: a text, in a file that a program beside Prometheus reads.

No network leads to the waker, so nobody can ask it. What does not count any more is no longer there: the file goes when
the waker ends, and before it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, TypeAlias

from .states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .apps import Apps
    from .keeper import Keeper
    from .statistics import Statistics, Wakes

log = logging.getLogger("waker.metrics")

EVERY = 15.0
"""Seconds between two writes: half of what Prometheus usually leaves between two looks."""
PREFIX = "ez_homelab"
FILE = "waker.prom"

Sample: TypeAlias = tuple[dict[str, str], float]


def text(apps: Apps, statistics: Statistics, memory_saved: int) -> str:
    """Every wake group, in Prometheus's text format 0.0.4; `memory_saved` in bytes.

    The label is not called `app`: that is the program whom Prometheus asks.
    """
    saved = _about("memory_saved_bytes", "gauge", "What the groups that sleep would take.")
    lines = [*_lines(apps, statistics), *saved, _line("memory_saved_bytes", memory_saved)]
    return "".join(f"{line}\n" for line in lines)


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


def _states(keeper: Keeper, _wakes: Wakes) -> Iterator[Sample]:
    for state in State:
        yield {"state": state.value}, int(keeper.life.state is state)


def _seconds(_keeper: Keeper, wakes: Wakes) -> Iterator[Sample]:
    for quantile, seconds in (("0.5", wakes.p50), ("0.95", wakes.p95)):
        if seconds is not None:
            yield {"quantile": quantile}, seconds


FIGURES: tuple[tuple[str, str, str, Callable[[Keeper, Wakes], Iterable[Sample]]], ...] = (
    ("group_state", "gauge", "Whether the wake group is in this state.", _states),
    (
        "group_wakes_total", "counter", "How often it woke, for a visitor, by its hours or by an order.",
        lambda _, wakes: [({}, wakes.count)],
    ),
    ("group_wake_seconds", "gauge", "Time to wake, of the last hundred.", _seconds),
    (
        "group_failed_starts", "gauge", "Failed starts in a row.",
        lambda keeper, _: [({}, keeper.life.failures)],
    ),
    (
        "group_trouble", "gauge", "Whether its names cannot be led where they should lead.",
        lambda keeper, _: [({}, int(bool(keeper.trouble)))],
    ),
    (
        "group_memory_bytes", "gauge", "What it takes while awake: measured at rest, or kept free for it.",
        lambda keeper, _: [({}, keeper.app.memory)],
    ),
)  # fmt: skip
"""What is told of each group: name, type, words, and the values with their labels."""


def _lines(apps: Apps, statistics: Statistics) -> Iterator[str]:
    for figure, kind, words, samples in FIGURES:
        yield from _about(figure, kind, words)
        for name, keeper in sorted(apps.keepers.items()):
            for labels, value in samples(keeper, statistics.of(name)):
                yield _line(figure, value, group=name, **labels)


def _about(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}_{name} {words}"
    yield f"# TYPE {PREFIX}_{name} {kind}"


def _line(name: str, value: float, **labels: str) -> str:
    # Names of groups and of states hold nothing that would have to be quoted.
    told = ",".join(f'{label}="{word}"' for label, word in labels.items())
    return f"{PREFIX}_{name}{f'{{{told}}}' if told else ''} {value}"
