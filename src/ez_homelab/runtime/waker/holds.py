"""Which apps are held and until when, in one small file: a waker that is restarted must not start what is changed."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

log = logging.getLogger("waker.holds")

LONGEST = 3600.0
"""Seconds that an app is held at most. Ends are kept by the wall clock, and a jump of that must not hold for ever."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Seconds that are left of it, and whether the app slept when it was held."""

    seconds: float
    slept: bool


class Holds:
    """The file. `wall_clock` says seconds since 1970."""

    def __init__(self, path: Path, wall_clock: Callable[[], float] = time.time) -> None:
        """Read the file. One that cannot be read costs the holds, not the start."""
        self._path = path
        self._wall_clock = wall_clock
        self._until: dict[str, tuple[float, bool]] = {}
        try:
            for app, entry in json.loads(path.read_text("utf-8")).items():
                self._until[app] = float(entry["until"]), bool(entry["slept"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as fault:
            log.warning("%s cannot be read, nothing is held: %s", path, fault)

    def of(self, app: str) -> Hold | None:
        """What is left of an app's hold; None where there is none or it is over."""
        until, slept = self._until.get(app, (0.0, False))
        seconds = min(until - self._wall_clock(), LONGEST)
        return Hold(seconds, slept) if seconds > 0 else None

    def add(self, app: str, hold: Hold) -> None:
        """An app is held from now on. A file that cannot be written costs the hold after a restart."""
        self._until[app] = self._wall_clock() + hold.seconds, hold.slept
        self._write()

    def keep(self, apps: Collection[str]) -> None:
        """Only these are held still."""
        if self._until.keys() - set(apps):
            self._until = {app: entry for app, entry in self._until.items() if app in apps}
            self._write()

    def _write(self) -> None:
        document = {app: {"until": until, "slept": slept} for app, (until, slept) in self._until.items()}
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(document), "utf-8")
            beside.replace(self._path)
        except OSError as fault:
            log.warning("%s cannot be written: %s", self._path, fault)
            with contextlib.suppress(OSError):
                beside.unlink()
