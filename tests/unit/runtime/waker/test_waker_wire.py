"""Heads and bodies: what they are, and what has two readings."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import tempfile
from typing import IO, TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.runtime.waker.held import IN_MEMORY, HeldBody, Room
from ez_homelab.runtime.waker.wire import (
    Body,
    Stream,
    WireError,
    answer_body,
    chunk,
    last_chunk,
    parse_answer,
    parse_request,
    request_body,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Nobody:
    """A writer that nothing is sent to."""

    def write(self, data: bytes) -> None:
        raise AssertionError(data)


def stream_of(*pieces: bytes, ended: bool = True) -> Stream:
    reader = asyncio.StreamReader(limit=131_072)
    for piece in pieces:
        reader.feed_data(piece)
    if ended:
        reader.feed_eof()
    writer: Any = Nobody()
    return Stream(reader, writer)


async def whole(body: Any) -> bytes:
    content = b""
    while piece := await body.read():
        content += piece
    return content


def test_a_head_keeps_order_spelling_and_repeats() -> None:
    head = parse_request("PROPFIND /a%2F?b HTTP/1.1\r\nHost: x\r\nx-A:  1 \r\nX-a: 2\r\nConnection: keep-alive, x-a")
    assert (head.method, head.target) == ("PROPFIND", "/a%2F?b")
    assert head.fields[1:3] == [("x-A", "1"), ("X-a", "2")]
    assert head.get("x-a") == "1, 2"
    assert head.end_to_end() == [("Host", "x")]


@pytest.mark.parametrize(
    "text",
    [
        "GET / HTTP/2",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1\r\nno colon",
        "GET / HTTP/1.1\r\n folded: x",
        "GET / HTTP/1.1\r\nName : x",
        "GET / HTTP/1.1\r\nA: x\ny",
        "GET / HTTP/1.1\r\nA: x\x00",
        "GET / HTTP/1.1" + "\r\nA: x" * 301,
    ],
)
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(WireError):
        parse_request(text)


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: +1",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
    ],
)
def test_a_length_with_two_readings_is_refused(fields: str) -> None:
    with pytest.raises(WireError, match="two readings"):
        request_body(parse_request(f"POST / HTTP/1.1\r\n{fields}"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [b"x\r\n", b"-1\r\n", b"1\r\nab\r\n", b"5\r\nab", b"1\r\na\r\n", b""])
async def test_broken_chunks(broken: bytes) -> None:
    with pytest.raises(WireError):
        await whole(Body(stream_of(broken), None, chunked=True))


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 50))
def test_chunks_come_back_however_they_are_cut(pieces: list[bytes], size: int) -> None:
    async def check() -> None:
        wire = b"".join(map(chunk, pieces)) + last_chunk([("X-Sum", "1")]) + b"NEXT"
        stream = stream_of(*(wire[at : at + size] for at in range(0, len(wire), size)))
        body = Body(stream, None, chunked=True)
        assert await whole(body) == b"".join(pieces)
        assert (body.trailers, body.complete) == ([("X-Sum", "1")], True)
        assert await stream.read() == b"NEXT"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("text", "method", "content"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3", "GET", b"abc"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3", "HEAD", b""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3", "GET", b""),
        ("HTTP/1.1 204", "GET", b""),
        ("HTTP/1.0 200 OK", "GET", b"abcdef"),
    ],
)
async def test_where_an_answer_ends(text: str, method: str, content: bytes) -> None:
    assert await whole(answer_body(parse_answer(text), stream_of(b"abcdef"), method)) == content


async def test_what_a_look_for_the_end_has_read_is_not_lost() -> None:
    stream = stream_of(b"early", ended=False)
    looking = asyncio.create_task(stream.until_gone())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking
    assert await stream.read() == b"early"


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY])
@pytest.mark.parametrize("most", [70_000, 10 * IN_MEMORY])
@pytest.mark.parametrize("memory", [0, 100_000, 10 * IN_MEMORY])
async def test_a_held_body_comes_back_whole_whatever_could_be_held(
    tmp_path: Any, size: int, most: int, memory: int
) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    room = Room(tmp_path, most, memory)
    held = HeldBody(Body(stream_of(content), size), most, room)
    await held.fill()
    assert await whole(held) == content
    held.close()
    assert (room.disk.has(most), room.disk.has(most + 1)) == (True, False)
    assert (room.memory.has(memory), room.memory.has(memory + 1)) == (True, False)


async def test_where_there_is_no_room_the_sender_waits(tmp_path: Any) -> None:
    body = Body(stream_of(b"x" * 3 * IN_MEMORY), 3 * IN_MEMORY)
    held = HeldBody(body, 10 * IN_MEMORY, Room(tmp_path, 0, 0))
    await held.fill()
    assert not body.complete
    assert len(await whole(held)) == 3 * IN_MEMORY


@contextlib.contextmanager
def a_disk_that_takes(size: int) -> Iterator[None]:
    """No file of this process gets larger, as where the disk is full: the last write is cut, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1, 65_536, 100_000])
@pytest.mark.parametrize("memory", [0, 100_000])
async def test_where_the_disk_is_full_the_sender_waits_and_nothing_is_lost(
    tmp_path: Any, size: int, memory: int
) -> None:
    content = bytes(range(256)) * 4096
    room = Room(tmp_path, 10 * IN_MEMORY, memory)
    body = Body(stream_of(content), len(content))
    held = HeldBody(body, 10 * IN_MEMORY, room)
    with a_disk_that_takes(size):
        await held.fill()
        assert not body.complete
        await held.fill()
        assert await whole(held) == content
        held.close()
    assert room.disk.has(10 * IN_MEMORY)
    assert room.memory.has(memory)


async def test_a_folder_that_is_gone_makes_the_sender_wait(tmp_path: Any) -> None:
    content = b"x" * 200_000
    held = HeldBody(Body(stream_of(content), len(content)), IN_MEMORY, Room(tmp_path / "nowhere", IN_MEMORY, 0))
    await held.fill()
    assert await whole(held) == content


async def test_a_file_that_cannot_be_closed_costs_nothing_of_the_room(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[IO[bytes]] = []
    make = tempfile.TemporaryFile

    def kept(*arguments: Any, **named: Any) -> IO[bytes]:
        made.append(make(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", kept)
    room = Room(tmp_path, IN_MEMORY, 0)
    held = HeldBody(Body(stream_of(b"x" * 200_000), 200_000), IN_MEMORY, room)
    await held.fill()
    monkeypatch.setattr(made[0], "close", lambda: _fails(made[0].fileno()))
    held.close()
    assert room.disk.has(IN_MEMORY)


def _fails(number: int) -> None:
    raise OSError(errno.EIO, f"{number} cannot be closed")
