"""The body of a request that waits: in memory at first, then on disk, and past the limit left with the sender."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import tempfile
from typing import IO, TYPE_CHECKING

from .wire import PIECE

if TYPE_CHECKING:
    from pathlib import Path

    from .wire import Body

log = logging.getLogger("waker.held")

IN_MEMORY = 1_048_576
"""Bytes of one body that are held without the disk."""


class Budget:
    """How many bytes may be held for all requests together."""

    def __init__(self, total: int) -> None:
        self._left = total

    def has(self, size: int) -> bool:
        """Whether so much of it is left."""
        return size <= self._left

    def take(self, size: int) -> None:
        """Take so much of it."""
        self._left -= size

    def give_back(self, size: int) -> None:
        """What was taken is free again."""
        self._left += size


class Room:
    """Where bodies are held: a folder, and what may be held in memory and on disk."""

    def __init__(self, folder: Path, disk: int = 1_073_741_824, memory: int = 33_554_432) -> None:
        self.folder = folder
        self.disk = Budget(disk)
        self.memory = Budget(memory)


class HeldBody:
    """A body that is read ahead while its request waits. Where the limit is reached, the sender waits too."""

    def __init__(self, body: Body, most: int, room: Room) -> None:
        self.body = body
        self._most = most
        self._room = room
        self._memory = bytearray()
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._on_disk = 0
        self._sent = 0
        self._rest = b""
        self._disk_failed = False

    async def fill(self) -> None:
        """Read ahead, to the end or to the limit. May be cancelled at any time. Raises `WireError`."""
        while not self.body.complete and self._makes_room():
            self._keep(await self.body.read())

    async def read(self) -> bytes:
        """The next piece, b"" at the end: what is held first, then what comes. Raises `WireError`."""
        if self._memory:
            piece = bytes(self._memory[:PIECE])
            del self._memory[:PIECE]
            return piece
        if self._file is not None and self._sent < self._on_disk:
            piece = os.pread(self._file.fileno(), min(PIECE, self._on_disk - self._sent), self._sent)
            if not piece:
                raise OSError(errno.EIO, "what was held on disk is gone")
            self._sent += len(piece)
            return piece
        if self._rest:
            piece, self._rest = self._rest, b""
            return piece
        return await self.body.read()

    def close(self) -> None:
        """Let go of what is held."""
        # The room is free again whatever becomes of the file.
        self._room.disk.give_back(self._on_disk)
        self._room.memory.give_back(self._in_memory)
        self._on_disk = self._sent = self._in_memory = 0
        self._memory.clear()
        self._rest = b""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    @property
    def _fits_memory(self) -> bool:
        """Whether the next piece may go there. Once something is on disk, all that follows is too."""
        fits = self._in_memory + PIECE <= IN_MEMORY and self._room.memory.has(PIECE)
        return self._file is None and fits

    def _makes_room(self) -> bool:
        if self._disk_failed:
            return False
        return self._fits_memory or (self._on_disk + PIECE <= self._most and self._room.disk.has(PIECE))

    def _keep(self, piece: bytes) -> None:
        if self._fits_memory:
            self._memory += piece
            self._take_memory(len(piece))
            return
        try:
            while piece:
                piece = piece[self._written(piece) :]
        except OSError as fault:
            # As past the limit: the sender waits. What the disk has not taken was read already, so it stays here.
            log.warning("a body that waits cannot be held on disk: %s", fault)
            self._disk_failed = True
            self._rest = piece
            self._take_memory(len(piece))

    def _take_memory(self, size: int) -> None:
        self._room.memory.take(size)
        self._in_memory += size

    def _written(self, piece: bytes) -> int:
        """How much of it the disk has taken."""
        if self._file is None:
            # Without a buffer, which would fail as late as at the end.
            self._file = tempfile.TemporaryFile(dir=self._room.folder, buffering=0)  # noqa: SIM115 - closed by `close`
        size = os.pwrite(self._file.fileno(), piece, self._on_disk)
        self._room.disk.take(size)
        self._on_disk += size
        return size
