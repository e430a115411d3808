"""The body of a request that waits: in memory at first, then on disk, and past the limit left with the sender."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from .wire import PIECE

if TYPE_CHECKING:
    from pathlib import Path

    from .wire import Body

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
            self._file.seek(self._sent)
            piece = self._file.read(PIECE)
            self._sent += len(piece)
            if piece:
                return piece
        return await self.body.read()

    def close(self) -> None:
        """Let go of what is held."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._room.disk.give_back(self._on_disk)
        self._room.memory.give_back(self._in_memory)
        self._on_disk = self._sent = self._in_memory = 0
        self._memory.clear()

    @property
    def _fits_memory(self) -> bool:
        """Whether the next piece may go there. Once something is on disk, all that follows is too."""
        fits = self._in_memory + PIECE <= IN_MEMORY and self._room.memory.has(PIECE)
        return self._file is None and fits

    def _makes_room(self) -> bool:
        return self._fits_memory or (self._on_disk + PIECE <= self._most and self._room.disk.has(PIECE))

    def _keep(self, piece: bytes) -> None:
        if self._fits_memory:
            self._room.memory.take(len(piece))
            self._in_memory += len(piece)
            self._memory += piece
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._room.folder)  # noqa: SIM115 - closed by `close`
        self._room.disk.take(len(piece))
        self._file.seek(self._on_disk)
        self._file.write(piece)
        self._on_disk += len(piece)
