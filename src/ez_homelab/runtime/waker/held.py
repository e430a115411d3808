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


class Room:
    """How many bytes may be held on disk for all requests together."""

    def __init__(self, folder: Path, total: int = 1_073_741_824) -> None:
        self.folder = folder
        self._left = total

    def take(self, size: int) -> bool:
        """Take so much of it, where there is so much."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """What was taken is free again."""
        self._left += size


class HeldBody:
    """A body that is read ahead while its request waits. Where the limit is reached, the sender waits too."""

    def __init__(self, body: Body, most: int, room: Room) -> None:
        self.body = body
        self._most = most
        self._room = room
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._taken = 0
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
        if self._file is not None and self._sent < self._taken:
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
        self._room.give_back(self._taken)
        self._taken = self._sent = 0
        self._memory.clear()

    def _makes_room(self) -> bool:
        if len(self._memory) + PIECE <= IN_MEMORY and self._file is None:
            return True
        if self._taken + PIECE > self._most or not self._room.take(PIECE):
            return False
        self._room.give_back(PIECE)
        return True

    def _keep(self, piece: bytes) -> None:
        if self._file is None and len(self._memory) + len(piece) <= IN_MEMORY:
            self._memory += piece
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._room.folder)  # noqa: SIM115 - closed by `close`
        self._room.take(len(piece))
        self._file.seek(self._taken)
        self._file.write(piece)
        self._taken += len(piece)
