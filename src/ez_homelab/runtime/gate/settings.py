"""policy.json and people.json as they are now: watched, and kept as they were where one is broken."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from .policy import People, Policy, SettingsError, read_people, read_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("gate.settings")

Kind = TypeVar("Kind")


class Settings:
    """Policy and people as they are now. `reload` looks at the files; a broken one leaves what was there before."""

    def __init__(self, policy: Policy, people: People) -> None:
        self.policy = policy
        self.people = people
        self._folder: Path | None = None
        self._stamps: dict[str, tuple[int, int, int]] = {}

    @classmethod
    def load(cls, folder: Path) -> Settings:
        """Read both files of a folder. Raises `SettingsError`: without them the gate cannot start."""
        stamps = {name: _stamp(folder / name) for name in ("policy.json", "people.json")}
        settings = cls(_read(folder / "policy.json", read_policy), _read(folder / "people.json", read_people))
        settings._folder, settings._stamps = folder, stamps
        return settings

    def reload(self) -> bool:
        """Read what has changed since the last look; whether anything did. Never raises: what is broken is logged."""
        if self._folder is None:
            return False
        changed_policy = self._changed(self._folder / "policy.json")
        changed_people = self._changed(self._folder / "people.json")
        if changed_policy:
            self.policy = _kept(self._folder / "policy.json", read_policy, self.policy)
        if changed_people:
            self.people = _kept(self._folder / "people.json", read_people, self.people)
        return changed_policy or changed_people

    def _changed(self, path: Path) -> bool:
        stamp = _stamp(path)
        changed = stamp != self._stamps.get(path.name)
        self._stamps[path.name] = stamp
        return changed


def _kept(path: Path, reader: Callable[[str], Kind], before: Kind) -> Kind:
    try:
        return _read(path, reader)
    except SettingsError as fault:
        log.error("%s; the gate goes on with what it read before", fault)
        return before


def _stamp(path: Path) -> tuple[int, int, int]:
    """What tells a changed file: a rename gives another inode, a write another time or size."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: Path, reader: Callable[[str], Kind]) -> Kind:
    try:
        return reader(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise SettingsError(f"{path} cannot be read: {fault}") from fault
    except SettingsError as fault:
        raise SettingsError(f"{path}: {fault}") from fault
