"""A host on which nothing is changed: what would have been done is written down instead.

Reads go through to the host behind it. What was "written" and "removed" lies over that, so that a later read sees it.
Commands see the true host, and only those that say `changes=False` are run. The lock is held in memory alone: taking
the true one would change the server, and a dry run stops nobody.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ez_homelab.hosts.memory import MemoryFile, MemoryLocks
from ez_homelab.hosts.protocol import Completed, checked_path, parents_below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from ez_homelab.hosts.protocol import Command, FileState, Host


@dataclass(frozen=True, slots=True)
class Recorded:
    """One thing that was not done. `str()` is its one line of text; neither file contents nor stdin are in it."""

    verb: Literal["run", "write", "remove"]
    subject: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}" + (f" ({self.detail})" if self.detail else "")


class DryRunHost:
    """`inner`, looked at and never changed; `recorded` holds, in order, what would have been done to it."""

    def __init__(self, inner: Host) -> None:
        self.name = inner.name
        self.recorded: list[Recorded] = []
        self._inner = inner
        self._locks = MemoryLocks(inner.name)
        self._files: dict[str, MemoryFile | None] = {}
        self._pruned: set[str] = set()

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a command that only looks; record any other and answer that it ended with status 0 and no output."""
        if not command.changes:
            return await self._inner.run(command, on_line=on_line)
        self.recorded.append(Recorded("run", str(command), f"in {command.directory}" if command.directory else ""))
        return Completed(command, 0, "", "")

    async def read(self, path: str) -> bytes | None:
        """See `Host.read`."""
        if path in self._files:
            file = self._files[path]
            return None if file is None else file.content
        return await self._inner.read(path)

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Record it; reads see the file from now on."""
        self._files[checked_path(path)] = MemoryFile(content, mode, uid, gid)
        self._pruned -= {folder for folder in self._pruned if path.startswith(f"{folder}/")}
        self.recorded.append(Recorded("write", path, f"{len(content)} bytes, mode {mode:04o}, owner {uid}:{gid}"))

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """See `Host.states`."""
        wanted = list(paths)
        found = await self._inner.states([path for path in wanted if path not in self._files])
        return {path: self._state(path) if path in self._files else found[path] for path in wanted}

    def _state(self, path: str) -> FileState | None:
        file = self._files[path]
        return None if file is None else file.state

    async def list_files(self, folder: str) -> list[str] | None:
        """See `Host.list_files`."""
        there = await self._inner.list_files(folder)
        below = {path: file for path, file in self._files.items() if path.startswith(f"{folder}/")}
        if folder in self._pruned or (there is None and not below):
            return None
        added = {path for path, file in below.items() if file is not None}
        return sorted({path for path in there or () if path not in below} | added)

    async def remove(self, path: str, *, prune_below: str | None = None) -> None:
        """Record it; reads no longer see the file. A folder counts as empty when no file is below it."""
        if (await self.states([path]))[path] is not None:
            self.recorded.append(Recorded("remove", path))
        self._files[path] = None
        for folder in parents_below(path, prune_below):
            if await self.list_files(folder):
                return
            self._pruned.add(folder)

    @contextlib.asynccontextmanager
    async def lock(self, path: str, holder: str) -> AsyncIterator[str]:
        """Hold it against others who use this object, and against nobody else."""
        with self._locks.hold(path, holder) as left:
            yield left
