"""How long apps took to wake: the last wakes of each, in one small file."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("waker.statistics")

KEPT = 100


@dataclass(frozen=True, slots=True)
class Wakes:
    """One wake group's wakes: how many ever, and seconds by the last hundred; None where there was none."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None


class Statistics:
    """The wakes of every app."""

    def __init__(self, path: Path) -> None:
        """Read the file. One that cannot be read costs the figures, not the start."""
        self._path = path
        self._count: dict[str, int] = {}
        self._seconds: dict[str, list[float]] = {}
        try:
            for app, entry in json.loads(path.read_text("utf-8")).items():
                self._count[app] = int(entry["count"])
                self._seconds[app] = [float(one) for one in entry["seconds"]][-KEPT:]
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as fault:
            log.warning("%s cannot be read, the figures begin anew: %s", path, fault)

    def add(self, app: str, seconds: float) -> None:
        """Another wake. A file that cannot be written costs the figures after a restart."""
        self._count[app] = self._count.get(app, 0) + 1
        self._seconds[app] = [*self._seconds.get(app, []), round(seconds, 3)][-KEPT:]
        document = {app: {"count": self._count[app], "seconds": self._seconds[app]} for app in self._count}
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(document), "utf-8")
            beside.replace(self._path)
        except OSError as fault:
            log.warning("%s cannot be written: %s", self._path, fault)
            with contextlib.suppress(OSError):
                beside.unlink()

    def of(self, app: str) -> Wakes:
        """The wakes of one app."""
        seconds = sorted(self._seconds.get(app, []))
        if not seconds:
            return Wakes(self._count.get(app, 0))
        return Wakes(self._count[app], _rank(seconds, 0.5), _rank(seconds, 0.95))


def _rank(ordered: list[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
