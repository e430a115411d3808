"""The machine this runs on, as a `Host`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, TypeVar

from ez_homelab.errors import LockedError
from ez_homelab.hosts import local_files
from ez_homelab.hosts.local_process import run_program
from ez_homelab.hosts.protocol import checked_path, parents_below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from ez_homelab.hosts.protocol import Command, Completed, FileState

T = TypeVar("T")

LONGEST_HOLDER = 4096
"""Bytes of a lock's text that are read."""


class LocalHost:
    """This machine: programs as child processes, files by system calls in a thread, so that a slow disk stops nobody.

    It acts with the rights of the user who runs it.
    """

    def __init__(self, name: str = "core") -> None:
        self.name = name

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """See `Host.run`; 126 where the program is there and cannot be executed."""
        return await run_program(command, on_line, self.name)

    async def read(self, path: str) -> bytes | None:
        """See `Host.read`."""
        return await self._in_thread("was not read", path, lambda: local_files.read_file(path))

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """See `Host.write`. A link among the parent folders is followed if root or the caller owns it, else refused."""
        await self._in_thread(
            "was not written", path, lambda: local_files.write_file(path, content, mode=mode, uid=uid, gid=gid)
        )

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """See `Host.states`."""
        wanted = [checked_path(path) for path in paths]
        return await asyncio.to_thread(self._states, wanted)

    def _states(self, paths: list[str]) -> dict[str, FileState | None]:
        found: dict[str, FileState | None] = {}
        for path in paths:
            with local_files.told_as_command_error("was not read", path, self.name):
                found[path] = local_files.state_of(path)
        return found

    async def list_files(self, folder: str) -> list[str] | None:
        """See `Host.list_files`."""
        return await self._in_thread("was not listed", folder, lambda: local_files.files_below(folder))

    async def remove(self, path: str, *, prune_below: str | None = None) -> None:
        """See `Host.remove`."""
        prunable = parents_below(path, prune_below)
        await self._in_thread("was not removed", path, lambda: local_files.remove_file(path, prunable))

    @contextlib.asynccontextmanager
    async def lock(self, path: str, holder: str) -> AsyncIterator[str]:
        """See `Host.lock`: a kernel lock on the file, which stays and holds the holder's text."""
        with local_files.told_as_command_error("was not locked", checked_path(path), self.name):
            descriptor = _locked(path, self.name)
        left = ""
        try:
            with contextlib.suppress(OSError):  # on a full disk the lock still counts, and its text is a courtesy
                left = _text_in(descriptor)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, holder.encode(), 0)
            yield left
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    async def _in_thread(self, failed: str, path: str, work: Callable[[], T]) -> T:
        """Do the work in a thread. Cancelled meanwhile, wait for its end: it must not go on after the lock is freed."""
        checked_path(path)
        with local_files.told_as_command_error(failed, path, self.name):
            task = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait([task])
                raise


def _locked(path: str, host_name: str) -> int:
    """A descriptor that holds the lock; not inherited by programs, or a daemon would keep it."""
    parent, _, name = path.rpartition("/")
    with local_files.entered(parent, make=True) as folder:
        while True:
            # For nobody else to open: whoever can open the file can lock it, and so stop every run.
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(descriptor, name, folder):
                    return descriptor
            except BlockingIOError as error:
                raise _already_locked(descriptor, path, host_name) from error
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _is_still(descriptor: int, name: str, folder: int) -> bool:
    """Whether the file was not removed or replaced between opening and locking it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _text_in(descriptor: int) -> str:
    return os.pread(descriptor, LONGEST_HOLDER, 0).decode(errors="replace").strip("\0 \n")


def _already_locked(descriptor: int, path: str, host_name: str) -> LockedError:
    try:
        holder = _text_in(descriptor)
    finally:
        os.close(descriptor)
    return LockedError(
        f"another run holds the lock {path} on {host_name}",
        evidence=holder or "it has not yet said who it is",
        cause="another run has not ended",
        fix="wait until it has ended, then run this again",
    )
