"""Handing requests on: to apps that answer in every way there is, over real connections."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from ez_homelab.runtime.waker import client, proxy
from ez_homelab.runtime.waker.proxy import UnreachableError, hand_on, reach
from ez_homelab.runtime.waker.server import Exchange, Server
from ez_homelab.runtime.waker.settings import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ez_homelab.runtime.waker.wire import Body

    App = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LARGE = 30_000_000
"""More than the system keeps of a connection whose other end reads nothing."""
GET = b"GET /x HTTP/1.1\r\nHost: wiki.lab\r\nConnection: close\r\n\r\n"


class Live:
    def __init__(self, exchange: Exchange) -> None:
        self.body: Body = exchange.body

    async def read(self) -> bytes:
        return await self.body.read()


@asynccontextmanager
async def between(app: App, ended: asyncio.Queue[object] | None = None) -> AsyncIterator[int]:
    """The port of a server that hands everything on to `app`. `ended`: how each request ended, None for well."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await app(reader, writer)
        finally:
            writer.close()

    behind = await asyncio.start_server(guarded, "127.0.0.1", 0)
    target = Address("127.0.0.1", behind.sockets[0].getsockname()[1])

    async def handle(exchange: Exchange) -> None:
        how: object = None
        try:
            await hand_on(exchange, await reach(target), Live(exchange))
        except BaseException as fault:
            how = fault
            raise
        finally:
            if ended is not None:
                ended.put_nowait(how)

    server = Server(handle)
    try:
        yield await server.start("127.0.0.1", 0)
    finally:
        await server.stop()
        behind.close()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read(-1)
    finally:
        writer.close()


def says(answer: bytes) -> App:
    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return app


@pytest.mark.parametrize(
    ("answer", "arrives"),
    [
        (
            b"HTTP/1.1 418 Short and stout\r\nx-Odd: 1\r\nX-odd: 2\r\nContent-Length: 2\r\nKeep-Alive: 5\r\n\r\nhi",
            b"HTTP/1.1 418 Short and stout\r\nx-Odd: 1\r\nX-odd: 2\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n",
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        ),
    ],
    ids=["length", "chunks", "until the end", "hints"],
)
async def test_answers_arrive_as_they_are(answer: bytes, arrives: bytes) -> None:
    async with between(says(answer)) as port:
        assert await ask(port, GET) == arrives


async def test_the_length_of_what_head_does_not_send_is_kept() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    async with between(says(answer)) as port:
        assert await ask(port, GET.replace(b"GET", b"HEAD")) == answer


async def test_what_the_app_gets() -> None:
    got: list[bytes] = []

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        got.append(await reader.readexactly(13))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    request = (
        b"POST /a%2F?b HTTP/1.1\r\nHost: wiki.lab\r\nX-Forwarded-For: 10.0.0.7\r\nX-Ez-Waker: wiki/app\r\n"
        b"Connection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nExpect: 100-continue\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    async with between(app) as port:
        assert (await ask(port, request)).endswith(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert got[0] == (
        b"POST /a%2F?b HTTP/1.1\r\nHost: wiki.lab\r\nX-Forwarded-For: 10.0.0.7\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    assert got[1] == b"3\r\nabc\r\n0\r\n\r\n"


async def test_an_app_that_answers_before_it_has_read_everything() -> None:
    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too much\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with between(app) as port:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000
        assert (await ask(port, request)).startswith(b"HTTP/1.1 413 Too much\r\n")


async def test_an_answer_that_breaks_off_is_seen_to_break_off() -> None:
    async with between(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")) as port:
        head, _, content = (await ask(port, GET)).partition(b"\r\n\r\n")
    assert b"Content-Length: 10" in head
    assert content == b"half"


async def test_a_client_that_goes_ends_the_request_at_the_app() -> None:
    ended = asyncio.Event()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        with suppress(ConnectionResetError):
            await reader.read(1)
        ended.set()

    async with between(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await reader.readuntil(b"a\r\n")
        writer.close()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_chunks_that_break_off_have_no_end() -> None:
    async with between(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")) as port:
        assert (await ask(port, GET)).endswith(b"\r\n\r\n4\r\nhalf\r\n")


async def test_who_asks_before_sending_a_body_is_told_to_go_on() -> None:
    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect" not in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"hi"
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with between(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
        writer.close()


async def test_one_connection_serves_many_requests() -> None:
    async with between(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readuntil(b"hi") == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        writer.close()


async def test_after_an_upgrade_bytes_go_both_ways() -> None:
    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: Upgrade\r\nUpgrade: echo\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst")
        while piece := await reader.read(100):
            writer.write(piece)

    async with between(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        assert await reader.readexactly(10) == b"firstearly"
        writer.write(b"late")
        assert await reader.readexactly(4) == b"late"
        writer.close()


async def test_an_app_that_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "CONNECT_SECONDS", 0.2)
    with pytest.raises(UnreachableError):
        await reach(Address("127.0.0.1", 1))


@pytest.mark.parametrize("goes", [True, False])
@pytest.mark.parametrize("answered", [True, False])
async def test_an_app_that_reads_nothing_keeps_no_request_for_ever(
    monkeypatch: pytest.MonkeyPatch, goes: bool, answered: bool
) -> None:
    monkeypatch.setattr(client, "STALLED", 0.2)
    over, asked, ended = asyncio.Event(), asyncio.Event(), asyncio.Queue[object]()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        writer.write(b"HTTP/1.1 413 Too much\r\nContent-Length: 0\r\n\r\n" if answered else b"")
        await over.wait()

    async with between(app, ended) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LARGE + bytes(LARGE))
        await asked.wait()
        if goes:
            writer.transport.abort()
        async with asyncio.timeout(10):
            how = await ended.get()
        over.set()
        writer.close()
    assert answered or isinstance(how, OSError)


async def test_after_an_upgrade_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "STALLED", 0.2)
    over, ended = asyncio.Event(), asyncio.Queue[object]()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        await over.wait()

    async with between(app, ended) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(bytes(LARGE))
        async with asyncio.timeout(10):
            how = await ended.get()
        over.set()
        writer.close()
    assert how is None


async def test_an_app_that_reads_slowly_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "STALLED", 0.5)
    size = 0

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal size
        await reader.readuntil(b"\r\n\r\n")
        while size < LARGE:
            size += len(await reader.readexactly(LARGE // 10))
            await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with between(app) as port:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % LARGE
        request = head + bytes(LARGE)
        assert (await ask(port, request)).startswith(b"HTTP/1.1 204 ")


async def test_how_long_a_client_reads_nothing_is_its_own_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "STALLED", 0.1)
    sent = asyncio.Event()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + bytes(LARGE))
        sent.set()
        await writer.drain()

    async with between(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await sent.wait()
        await asyncio.sleep(0.5)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert len(await reader.readexactly(LARGE)) == LARGE
        writer.close()


async def test_what_an_app_has_already_is_not_asked_for_again_where_the_waker_ends() -> None:
    asked = asyncio.Event()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read(-1)

    async with between(app) as port:
        asking = asyncio.create_task(ask(port, GET.replace(b"GET", b"POST")))
        await asked.wait()
    answer = await asking
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"Retry-After" not in answer
