"""The wire of the forward-auth server: what can be read in two ways is refused, and nobody holds it up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from ez_homelab.runtime.gate import wire
from ez_homelab.runtime.gate.wire import Request, Wire, WireError, parse, response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GOOD = "GET /x?y=1 HTTP/1.1\r\nHost: gate:9092\r\nX-Forwarded-Uri: /a: b\r\nCookie: a=1\r\nEmpty:\r\ncookie:\tb=2 "
REFUSED = [
    (400, ""),
    (400, "GET /"),
    (400, "GET / HTTP/2.0"),
    (400, "GET  / HTTP/1.1"),
    (400, "get / HTTP/1.1"),
    (400, "GET https://x/ HTTP/1.1"),
    (400, "GET * HTTP/1.1"),
    (400, "GET /\x00 HTTP/1.1"),
    (400, "GET /ä HTTP/1.1"),
    (400, "GET / HTTP/1.1 x"),
    (400, " GET / HTTP/1.1"),
    (400, "GET / HTTP/1.1\r\nno colon"),
    (400, "GET / HTTP/1.1\r\n: x"),
    (400, "GET / HTTP/1.1\r\nA : x"),
    (400, "GET / HTTP/1.1\r\nA: x\r\n folded"),
    (400, "GET / HTTP/1.1\r\nA: x\nB: y"),
    (400, "GET / HTTP/1.1\r\nA: x\rB: y"),
    (400, "GET / HTTP/1.1\r\nA: \x00"),
    (400, "GET / HTTP/1.1\r\nA\xe4: x"),
    (400, "GET / HTTP/1.1\r\nX-Forwarded-Host: a\r\nx-forwarded-host: b"),
    (400, "GET / HTTP/1.1\r\nX-Forwarded-Uri: /a\r\nX-Forwarded-Uri: /a"),
    (400, "GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http"),
    (400, "GET / HTTP/1.1\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Method: GET"),
    (413, "POST / HTTP/1.1\r\nContent-Length: 1"),
    (413, "POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5"),
    (413, "POST / HTTP/1.1\r\nContent-Length: +0"),
    (413, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked"),
    (413, "GET / HTTP/1.1\r\ntransfer-encoding:"),
    (431, "GET / HTTP/1.1" + "\r\nA: b" * 300),
]


def test_a_request_is_read() -> None:
    assert parse(GOOD) == Request(
        "GET",
        "/x",
        {"host": "gate:9092", "x-forwarded-uri": "/a: b", "cookie": "a=1; b=2", "empty": ""},
    )


def test_addresses_told_twice_are_no_single_address() -> None:
    request = parse("GET / HTTP/1.1\r\nX-Forwarded-For: 192.168.1.5\r\nX-Forwarded-For: 203.0.113.7")

    assert request.fields["x-forwarded-for"] == "192.168.1.5, 203.0.113.7"


@pytest.mark.parametrize(("status", "head"), REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(status: int, head: str) -> None:
    with pytest.raises(WireError) as refused:
        parse(head)

    assert refused.value.status == status


@asynccontextmanager
async def served() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Wire]]:
    server = Wire(lambda request: response(200, b"", request.path.encode()))
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield reader, writer, server
    writer.close()
    await server.stop()


async def answers(reader: asyncio.StreamReader, count: int) -> list[bytes]:
    """The bodies of so many answers."""
    found = []
    for _ in range(count):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append(await reader.readexactly(length))
    return found


async def test_many_requests_on_one_connection_are_answered_in_their_order() -> None:
    async with served() as (reader, writer, _):
        requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50))
        for start in range(0, len(requests), 7):
            writer.write(requests[start : start + 7])
            await asyncio.sleep(0)

        assert await answers(reader, 50) == [b"/%d" % number for number in range(50)]


async def test_the_connection_closes_where_that_was_asked_for() -> None:
    async with served() as (reader, writer, _):
        writer.write(b"GET /a HTTP/1.1\r\nConnection: Close\r\n\r\nGET /b HTTP/1.1\r\n\r\n")

        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"/a")


async def test_after_a_bad_request_nothing_more_is_answered() -> None:
    async with served() as (reader, writer, _):
        writer.write(b"GET /a HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)

        assert answer == b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
async def test_a_head_that_is_too_large_is_refused(end: bytes) -> None:
    async with served() as (reader, writer, _):
        writer.write(b"GET / HTTP/1.1\r\nCookie: " + b"x" * (wire.LARGEST_HEAD + 1) + end)

        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 431 ")


async def test_slow_and_idle_connections_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as (reader, writer, server):
        writer.write(b"GET /a HTTP/1.1\r\n\r\nGET /slow")
        assert await answers(reader, 1) == [b"/a"]
        now = server.now()
        monkeypatch.setattr(server, "now", lambda: now + wire.SLOWEST_HEAD + 1)
        server._sweep()
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_kept_as_long_as_traefik_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as (reader, writer, server):
        writer.write(b"GET /a HTTP/1.1\r\n\r\n")
        await answers(reader, 1)
        now = server.now()
        monkeypatch.setattr(server, "now", lambda: now + 100)
        server._sweep()
        writer.write(b"GET /b HTTP/1.1\r\n\r\n")
        assert await answers(reader, 1) == [b"/b"]
        monkeypatch.setattr(server, "now", lambda: now + 100 + wire.IDLE + 1)
        server._sweep()
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_one_connection_too_many_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_CONNECTIONS", 0)
    async with served() as (reader, _, _):
        assert await asyncio.wait_for(reader.read(), 5) == b""
