"""Files and locks that exist only in memory: what dry-run and fake hosts have in common."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.errors import LockedError
from ez_homelab.hosts.protocol import FileState, checked_path

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file with content, mode and owner, as `Host.write` takes them."""

    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    @property
    def state(self) -> FileState:
        """What `Host.states` says of it."""
        return FileState.of(self.content, mode=self.mode, uid=self.uid, gid=self.gid)


class MemoryLocks:
    """Locks by path, each with its holder's text in `held`; nobody outside this object sees them.

    `left` has the texts of holders that ended without giving their lock back.
    """

    def __init__(self, host_name: str) -> None:
        self.held: dict[str, str] = {}
        self.left: dict[str, str] = {}
        self._host_name = host_name

    @contextlib.contextmanager
    def hold(self, path: str, holder: str) -> Iterator[str]:
        """Hold the lock while the context lives, which has what was left; raises `LockedError` where it is held."""
        checked_path(path)
        if path in self.held:
            raise LockedError(
                f"another run holds the lock {path} on {self._host_name}",
                evidence=self.held[path],
                cause="another run has not ended",
                fix="wait until it has ended, then run this again",
            )
        self.held[path] = holder
        try:
            yield self.left.pop(path, "")
        finally:
            self.held.pop(path, None)
