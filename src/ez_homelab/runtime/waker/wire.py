"""HTTP/1.1 as bytes on a connection: heads, and bodies in pieces. One reading of a message or none.

Its own because a proxy must not tidy up: fields keep their order and spelling, targets stay undecoded, bodies are never
in memory as a whole. It is a fifth of the memory of a web framework, which counts in a program that mostly waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

LARGEST_HEAD = 131_072
PIECE = 65_536
MOST_FIELDS = 300

REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([!-~\x80-\xff]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: (.*))?")
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "http2-settings")
)
"""Fields that are for the next hop only (RFC 9110, 7.6.1)."""

Fields = list[tuple[str, str]]


class WireError(Exception):
    """A message that cannot be read in exactly one way; a request that has it gets this status."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class EndedError(WireError):
    """The other side has gone in the middle of a message."""

    def __init__(self) -> None:
        super().__init__("the connection has ended in the middle of a message")


class Head(NamedTuple):
    """The head of a request (method, target) or of an answer (status, reason). Every character is one byte."""

    method: str
    target: str
    status: int
    reason: str
    minor: int
    fields: Fields

    def all(self, name: str) -> list[str]:
        """Every value of a field, by its name in lower case."""
        return [value for key, value in self.fields if key.lower() == name]

    def get(self, name: str) -> str:
        """The field's values joined by commas; "" where there is none."""
        return ", ".join(self.all(name))

    def words(self, name: str) -> set[str]:
        """The field as a list of words, in lower case."""
        return {word.strip().lower() for value in self.all(name) for word in value.split(",")} - {""}

    @property
    def upgrades(self) -> bool:
        """Whether it asks for another protocol, or answers that it is another from here on."""
        return "upgrade" in self.words("connection") and bool(self.get("upgrade"))

    def end_to_end(self) -> Fields:
        """The fields without those that were for this hop."""
        dropped = HOP_BY_HOP | self.words("connection")
        return [(name, value) for name, value in self.fields if name.lower() not in dropped]


def parse_request(text: str) -> Head:
    """The head of a request. Raises `WireError`."""
    lines = text.split("\r\n")
    found = REQUEST_LINE.fullmatch(lines[0])
    if found is None:
        raise WireError("no request line")
    return Head(found[1], found[2], 0, "", int(found[3]), _fields(lines[1:]))


def parse_answer(text: str) -> Head:
    """The head of an answer. Raises `WireError`."""
    lines = text.split("\r\n")
    found = STATUS_LINE.fullmatch(lines[0])
    if found is None:
        raise WireError("no status line")
    return Head("", "", int(found[2]), found[3] or "", int(found[1]), _fields(lines[1:]))


def _fields(lines: list[str]) -> Fields:
    if len(lines) > MOST_FIELDS:
        raise WireError("too many fields", 431)
    fields: Fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not FIELD_NAME.fullmatch(name) or CONTROLS.search(value):
            raise WireError("a field that cannot be read")
        fields.append((name, value.strip(" \t")))
    return fields


def head_bytes(start: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """A head as it goes over the wire. `start` is its first line."""
    return "".join((start, "\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n")).encode("latin-1")


class Stream:
    """One connection. What a look for its end has read is not lost."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float | None = None
    ) -> None:
        """`patience`: seconds in which the other side may take nothing of what it is sent. None for as many as it
        likes: a film that somebody has paused."""
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._pushed = b""

    @property
    def port(self) -> int:
        """The local port of a TCP connection, 0 of another."""
        name = self._writer.get_extra_info("sockname")
        return int(name[1]) if isinstance(name, tuple) else 0

    async def head(self) -> str:
        """The next head, without the empty line at its end; "" where the connection has ended before it.

        Raises `WireError`.
        """
        try:
            text = await self._until(b"\r\n\r\n")
        except EndedError:
            return ""
        # RFC 9112, 2.2: an empty line before a request is passed over.
        return text.decode("latin-1").removeprefix("\r\n")

    async def line(self) -> bytes:
        """The next line, without its end. Raises `WireError`."""
        return await self._until(b"\r\n")

    async def read(self, most: int = PIECE) -> bytes:
        """What has come, b"" at the end."""
        if self._pushed:
            piece, self._pushed = self._pushed[:most], self._pushed[most:]
            return piece
        return await self._reader.read(most)

    async def until_gone(self) -> None:
        """Return when the other side closes. What it sends instead is kept; then this never returns."""
        piece = b"" if self._pushed else await self._reader.read(PIECE)
        if piece or self._pushed:
            self._pushed += piece
            await asyncio.Event().wait()

    def write(self, data: bytes) -> None:
        """Send it, without waiting."""
        self._writer.write(data)

    async def send(self, data: bytes) -> None:
        """Send it, at the pace of the other side. Raises `OSError`; `TimeoutError` where that has no pace."""
        self._writer.write(data)
        await self._while_it_moves(self._writer.drain)

    async def close(self) -> None:
        """Close it, whatever state it is in."""
        self._writer.close()
        try:
            await self._while_it_moves(self._closed)
        except OSError:
            self.abort()

    async def let_go(self, seconds: float) -> None:
        """Say that nothing more comes, and pass over what still does: an end with bytes unread would be a reset, which
        costs a sender that is at it the answer."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()
            async with asyncio.timeout(seconds):
                while await self._reader.read(PIECE):
                    pass

    def abort(self) -> None:
        """Close it at once: the other side is to see that something is missing."""
        self._writer.transport.abort()

    async def _while_it_moves(self, done: Callable[[], Coroutine[object, object, None]]) -> None:
        """Wait for it as long as the other side takes something. Raises `TimeoutError` where it does not."""
        left = 0
        while True:
            before, left = left, self._writer.transport.get_write_buffer_size()
            if before and left >= before:
                raise TimeoutError("the other side takes nothing of what it is sent")
            try:
                async with asyncio.timeout(self._patience):
                    return await done()
            except TimeoutError:
                if not left:
                    raise

    async def _closed(self) -> None:
        # Whoever waits for the end of a connection and is cancelled would take the end itself along.
        await asyncio.shield(self._writer.wait_closed())

    async def _until(self, mark: bytes) -> bytes:
        """Up to a mark, which is taken off. A cancelled call has taken nothing."""
        if self._pushed:
            # Traefik sends no request before the answer to the one before it.
            raise WireError("bytes came before their turn")
        try:
            return (await self._reader.readuntil(mark))[: -len(mark)]
        except asyncio.IncompleteReadError:
            raise EndedError from None
        except asyncio.LimitOverrunError:
            raise WireError("a head or line that is too long", 431) from None


class Body:
    """The body of a message, in pieces. A cancelled `read` has lost nothing."""

    def __init__(self, stream: Stream, length: int | None, *, chunked: bool = False) -> None:
        """`length`: bytes that are left, None for until the end of the connection or of the chunks."""
        self._stream = stream
        self.length = length
        self.chunked = chunked
        self.trailers: Fields = []
        self.complete = length == 0
        self._left = length or 0
        self._after_chunk = False

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises `WireError`, also where the connection ends before the body does."""
        if self.complete:
            return b""
        if self.chunked:
            return await self._chunked()
        if self.length is None:
            piece = await self._stream.read()
            self.complete = not piece
            return piece
        return await self._counted()

    async def _counted(self) -> bytes:
        piece = await self._stream.read(min(self._left, PIECE))
        if not piece:
            raise EndedError
        self._left -= len(piece)
        self.complete = self._left == 0 and not self.chunked
        return piece

    async def _chunked(self) -> bytes:
        while not self._left:
            line = await self._stream.line()
            if self._after_chunk and line:
                raise WireError("a chunk that is longer than it says")
            if self._after_chunk:
                self._after_chunk = False
                continue
            found = CHUNK.fullmatch(line)
            if found is None:
                raise WireError("no size of a chunk")
            self._left = int(found[1], 16)
            if not self._left:
                return await self._trailers()
        piece = await self._counted()
        self._after_chunk = self._left == 0
        return piece

    async def _trailers(self) -> bytes:
        lines = []
        while line := await self._stream.line():
            lines.append(line.decode("latin-1"))
        self.trailers = _fields(lines)
        self.complete = True
        return b""


def request_body(head: Head, stream: Stream) -> Body:
    """The body that follows a request's head. Raises `WireError` where its length has two readings."""
    if head.all("transfer-encoding"):
        if head.words("transfer-encoding") != {"chunked"} or head.all("content-length"):
            raise WireError("a body whose length has two readings")
        return Body(stream, None, chunked=True)
    return Body(stream, _length(head) or 0)


def answer_body(head: Head, stream: Stream, method: str) -> Body:
    """The body that follows an answer's head. Raises `WireError`."""
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return Body(stream, 0)
    if head.all("transfer-encoding"):
        return Body(stream, None, chunked="chunked" in head.words("transfer-encoding"))
    return Body(stream, _length(head))


def _length(head: Head) -> int | None:
    found = head.words("content-length")
    if not found:
        return None
    text = found.pop()
    if found or not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise WireError("a body whose length has two readings")
    return int(text)


def framing(body: Body) -> Fields:
    """The fields that say how a body is sent on: as it came, and in chunks where its end was the connection's."""
    return [] if body.length is not None else [("Transfer-Encoding", "chunked")]


def chunk(piece: bytes) -> bytes:
    """A piece as one chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def last_chunk(trailers: Fields) -> bytes:
    """What ends a body in chunks."""
    return b"0\r\n" + "".join((*(f"{name}: {value}\r\n" for name, value in trailers), "\r\n")).encode("latin-1")
